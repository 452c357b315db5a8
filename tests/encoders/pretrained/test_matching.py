"""What is told of weights that were carried over: loaded, fresh, and not used."""

import keras

from and_tf.encoders.pretrained.matching import load_matching


def network(*widths):
    x = images = keras.Input((4, 4, 3))
    for number, width in enumerate(widths):
        x = keras.layers.Conv2D(width, 1, name=f"conv{number}")(x)
    return keras.Model(images, x)


def test_layers_of_the_source_that_are_not_used_are_counted_and_named():
    loaded = load_matching(network(4, 5, 6), network(4, 5, 7, 8))
    assert loaded == (["conv0", "conv1"], ["conv2"], ["conv2", "conv3"])
    assert str(loaded) == (
        "2 of 3 layers with weights loaded; fresh: conv2; "
        "2 layers of the source not used: conv2, conv3"
    )


def test_only_the_first_of_many_are_named():
    told = str(load_matching(network(4), network(4, *range(1, 12))))
    assert told.startswith("1 of 1 layers with weights loaded; 11 layers of the source not used: ")
    assert told.endswith("conv8, ...")


def test_constants_that_became_a_layer_without_weights_are_used():
    images = keras.Input((4, 4, 3))
    source = keras.Model(images, keras.layers.Normalization(name="norm")(images))
    encoder = keras.Model(images, keras.layers.Rescaling(2.0, name="norm")(images))
    assert load_matching(encoder, source) == ([], [], [])
