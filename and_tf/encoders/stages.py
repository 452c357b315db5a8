"""The names of the layers whose features are evaluated, without a network's code."""

ALEXNET_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
RESNET_LAYERS = ("stem", "stage1", "stage2", "stage3", "stage4")
EMBEDDING = "fc"  # of either network
