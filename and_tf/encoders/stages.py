"""The names of the layers whose features are evaluated; importable without the networks."""

ALEXNET_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
RESNET_LAYERS = ("stem", "stage1", "stage2", "stage3", "stage4")
EMBEDDING = "fc"  # of both kinds

# As the choice of a layer: the one that finds similar images best, see `chosen_layer`.
AUTO_LAYER = "auto"
LAYER_HELP = (
    "Layer whose features are taken: fc, the embedding that was trained; stem, stage1..stage4 or "
    "conv1..conv5, averaged over a grid of cells; auto, which is the last stage: on digits, "
    "CIFAR-10 and photos it finds similar images better than fc, see docs/results.md."
)
