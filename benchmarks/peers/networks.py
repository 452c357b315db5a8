"""The encoders as one would write them in PyTorch, with the same layers and parameters."""

import torch
import torch.nn.functional as F
from torch import nn


def build(name: str, embedding_dim: int = 128) -> nn.Module:
    """The counterpart of `and_tf.encoders.build` for images of 32 x 32.

    Args:
        name: `alexnet`, `resnet_small` or `resnet18`.
        embedding_dim: int, D.

    Returns:
        A module from (B, 3, 32, 32) float images in 0..255 to (B, D) rows of unit length.
    """
    if name == "alexnet":
        return AlexNet(embedding_dim)
    if name == "resnet_small":
        return ResNet(embedding_dim, blocks_per_stage=(1, 1, 1, 1), width=16)
    if name == "resnet18":
        return ResNet(embedding_dim, blocks_per_stage=(2, 2, 2, 2), width=64)
    raise ValueError(f"Unknown encoder {name!r}. Known encoders: alexnet, resnet_small, resnet18.")


class AlexNet(nn.Module):
    """AlexNet with BatchNorm for small images."""

    def __init__(self, embedding_dim: int):
        super().__init__()
        self.conv1 = _convolution(3, 64)
        self.conv2 = _convolution(64, 192)
        self.conv3 = _convolution(192, 384)
        self.conv4 = _convolution(384, 256)
        self.conv5 = _convolution(256, 256)
        self.hidden1 = _hidden(256 * 4 * 4, 1024)
        self.hidden2 = _hidden(1024, 1024)
        self.fc = nn.Linear(1024, embedding_dim)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = _normalised(images)
        x = F.max_pool2d(self.conv1(x), 2)  # (B, 64, 16, 16)
        x = F.max_pool2d(self.conv2(x), 2)  # (B, 192, 8, 8)
        x = F.max_pool2d(self.conv5(self.conv4(self.conv3(x))), 2)  # (B, 256, 4, 4)
        x = self.hidden2(self.hidden1(x.flatten(1)))  # (B, 1024)
        return F.normalize(self.fc(x))  # (B, D)


def _convolution(channels, filters):
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)
    )


def _hidden(inputs, units):
    return nn.Sequential(nn.Linear(inputs, units), nn.BatchNorm1d(units), nn.ReLU(inplace=True))


class ResNet(nn.Module):
    """A ResNet of basic blocks with a 3x3 stem and no max-pool."""

    def __init__(self, embedding_dim: int, blocks_per_stage: tuple[int, ...], width: int):
        super().__init__()
        self.stem_conv = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(width)
        self.stages = nn.ModuleList()
        channels = width
        for stage, num_blocks in enumerate(blocks_per_stage):
            filters = width * 2**stage
            blocks = [BasicBlock(channels, filters, stride=2 if stage else 1)]
            blocks += [BasicBlock(filters, filters) for _ in range(num_blocks - 1)]
            self.stages.append(nn.Sequential(*blocks))
            channels = filters
        self.fc = nn.Linear(channels, embedding_dim)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.stem_bn(self.stem_conv(_normalised(images))), inplace=True)
        for stage in self.stages:
            x = stage(x)
        return F.normalize(self.fc(x.mean(dim=(2, 3))))  # (B, D)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, and a 1x1 shortcut if the shape changes."""

    def __init__(self, channels: int, filters: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.shortcut = nn.Identity()
        if stride > 1 or channels != filters:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x), inplace=True)


def _normalised(images):
    return (images - 127.5) / 64
