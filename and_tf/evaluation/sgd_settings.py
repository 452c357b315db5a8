"""How the linear classifiers of the ImageNet protocol are trained."""

from __future__ import annotations

import dataclasses

from and_tf.settings import Settings, above, at_least, setting

EPOCHS, DROPS = 36, (10, 20, 30)  # the same fractions of any other number of epochs
DROP = 0.1  # factor of the learning rate at each drop
MOMENTUM = 0.9

CROPPED_FROM = 256 / 224  # sides of an image and of a crop


@dataclasses.dataclass(frozen=True)
class SgdSettings(Settings):
    """Linear classifier by SGD.

    The defaults are those of published code for AlexNet on ImageNet: momentum 0.9, a learning rate
    of 0.01 that drops to a tenth at epochs 10, 20 and 30 of 36 (Asano et al., ICLR 2020, after
    Zhang et al.), weight decay 1e-4 and batches of 256 (Caron et al., ECCV 2018).

    Reference: Zhang et al., ECCV 2016 and CVPR 2017, for the protocol.
    """

    sgd_epochs: int = setting(
        EPOCHS, "Passes over the images; the learning rate drops three times.", at_least(1)
    )
    sgd_learning_rate: float = setting(0.01, "Learning rate at first.", above(0))
    sgd_weight_decay: float = setting(1e-4, "Weight decay of kernel and bias.", at_least(0))
    sgd_batch_size: int = setting(256, "Images in a step.", at_least(1))
    sgd_seed: int = setting(0, "Seed of the order of the images, and of their crops.", at_least(0))

    def learning_rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        drops = sum(EPOCHS * epoch >= drop * self.sgd_epochs for drop in DROPS)
        return self.sgd_learning_rate * DROP**drops
