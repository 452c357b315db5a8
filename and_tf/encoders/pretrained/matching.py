"""Copies weights from one model to another, layer by layer, if name and shapes agree."""

from typing import NamedTuple

import keras

from and_tf.runs.checkpoint import layer_state


class Loaded(NamedTuple):
    """Names of an encoder's layers that have weights.

    Attributes:
        loaded: those that received weights.
        fresh: those that keep their own, because no layer has their name and shapes.
        unused: layers of the source whose weights the encoder has no place for.
    """

    loaded: list[str]
    fresh: list[str]
    unused: list[str]

    def __str__(self) -> str:
        total = len(self.loaded) + len(self.fresh)
        text = f"{len(self.loaded)} of {total} layers with weights loaded"
        if self.fresh:
            text += f"; fresh: {_first(self.fresh)}"
        if self.unused:
            text += f"; {len(self.unused)} layers of the source not used: {_first(self.unused)}"
        return text


def _first(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def load_matching(encoder: keras.Model, source: keras.Model) -> Loaded:
    """Gives each layer of an encoder the weights of the source's layer of that name, if they fit.

    Args:
        encoder: built; changed in place.
        source: built; models within it are replaced by their layers.
    """
    theirs = {layer.name: layer_state(layer) for layer in leaf_layers(source)}
    loaded: list[str] = []
    fresh: list[str] = []
    for layer in encoder.layers:
        ours = layer_state(layer)
        if not ours:
            continue
        known = theirs.get(layer.name, {})
        fits = {name: tuple(value.shape) for name, value in ours.items()} == {
            name: tuple(value.shape) for name, value in known.items()
        }
        for name, variable in ours.items():
            if fits:
                variable.assign(known[name].value)
        (loaded if fits else fresh).append(layer.name)
    # A layer without weights may hold its namesake's as constants, such as those of Normalization.
    constant = {layer.name for layer in encoder.layers if not layer_state(layer)}
    placed = {*loaded, *constant}
    unused = [name for name, state in theirs.items() if state and name not in placed]
    return Loaded(loaded, fresh, unused)


def leaf_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a model and of the models within it, but not those models themselves."""
    layers = []
    for layer in model.layers:
        layers += leaf_layers(layer) if isinstance(layer, keras.Model) else [layer]
    return layers
