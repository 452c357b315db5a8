"""One training step of AND in PyTorch, channels-last and with the bank as a buffer."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers import networks


class MemoryBank(nn.Module):
    """One slowly moving embedding for every training image, in a buffer (N, D)."""

    def __init__(self, num_samples: int, dim: int, rate: float = 0.5, temperature: float = 0.1):
        super().__init__()
        limit = (dim // 3) ** -0.5
        self.register_buffer("rows", torch.empty(num_samples, dim).uniform_(-limit, limit))
        self.rate, self.temperature = rate, temperature

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        return embeddings @ self.rows.T / self.temperature  # (B, N)

    @torch.no_grad()
    def update(self, indices: torch.Tensor, embeddings: torch.Tensor) -> None:
        rows = torch.lerp(self.rows[indices], embeddings, self.rate)
        self.rows[indices] = F.normalize(rows)


def neighbourhood_loss(
    logits: torch.Tensor, indices: torch.Tensor, neighbours: torch.Tensor, is_anchor: torch.Tensor
) -> torch.Tensor:
    """Mean negative log-probability of landing in an image's own neighbourhood.

    Args:
        logits: (B, N), indices: (B,), neighbours: (B, k), is_anchor: (B,) bool.
    """
    own = logits.gather(1, indices[:, None])  # (B, 1)
    others = logits.gather(1, neighbours)  # (B, k)
    others = others.masked_fill(~is_anchor[:, None], float("-inf"))
    positive = torch.cat([own, others], dim=1).logsumexp(dim=1)  # (B,)
    return (logits.logsumexp(dim=1) - positive).mean()


def training_step(
    encoder_name: str, batch_size: int, num_rows: int, is_compiled: bool = False
) -> Callable[[], float]:
    """A function that trains one step on a fixed batch of random images and returns the loss.

    Args:
        encoder_name: as in `networks.build`.
        batch_size: B.
        num_rows: N of the bank; each has one neighbour, and half of the images are anchors.
        is_compiled: whether to compile encoder and loss with `torch.compile`.
    """
    encoder = networks.build(encoder_name).to(memory_format=torch.channels_last).train()
    bank = MemoryBank(num_rows, 128)
    neighbours = torch.randint(num_rows, (num_rows, 1))
    is_anchor = torch.rand(num_rows) < 0.5
    optimizer = torch.optim.SGD(
        encoder.parameters(), lr=0.03, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    images = 255 * torch.rand(batch_size, 3, 32, 32)
    images = images.contiguous(memory_format=torch.channels_last)
    indices = torch.randperm(num_rows)[:batch_size]

    def forward(images, indices):
        embeddings = encoder(images)  # (B, D)
        logits = bank(embeddings)  # (B, N)
        return neighbourhood_loss(
            logits, indices, neighbours[indices], is_anchor[indices]
        ), embeddings

    if is_compiled:
        forward = torch.compile(forward)

    def step():
        loss, embeddings = forward(images, indices)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        bank.update(indices, embeddings.detach())
        return loss.item()

    return step
