"""A network with the name and the layers of `resnet_small`, and a third of its work."""

from and_tf.encoders import ENCODERS


def build_thin_resnet(layers, x, embedding_dim, large=False):
    """One convolution a stage: features of each layer have the shapes of `resnet_small`'s.

    The first stage, which keeps the shape, has a shortcut, for a ResNet's sums.
    """
    for number, name in enumerate(("stem", "stage1", "stage2", "stage3", "stage4")):
        filters, stride = 16 * 2 ** max(0, number - 1), 2 if number > 1 else 1
        shortcut = x
        x = layers.convolution(x, filters, 3, stride, name=f"{name}_conv")
        x = layers.batch_norm(x, name=f"{name}_bn")
        if name == "stage1":
            x = layers.add(x, shortcut, name="stage1_add")
        x = layers.relu(x, name=name)
    return layers.embedding(layers.average_pool(x, name="average"), embedding_dim)


def thin_resnets(patch):
    """`--encoder=resnet_small` is this network, in tests of what goes on around it."""
    patch.setitem(ENCODERS, "resnet_small", build_thin_resnet)
