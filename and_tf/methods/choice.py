"""The setting that chooses a run's method."""

import dataclasses

from and_tf.methods import METHODS, Method
from and_tf.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class MethodChoice(Settings):
    """Method."""

    method: str = setting("and", "Way to learn the encoder.", choices=tuple(METHODS))

    @property
    def method_class(self) -> type[Method]:
        """The class of that name in `METHODS`."""
        return METHODS[self.method]
