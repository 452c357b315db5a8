"""The loss over the bank as one would write it in PyTorch, with logits of shape (B, N)."""

from collections.abc import Callable

import torch


def loss_and_gradient(problem, temperature: float) -> Callable[[], tuple]:
    """A function that returns per-image losses (B,) and their gradient (B, D) for a `Problem`."""
    bank = torch.from_numpy(problem.array)
    embeddings = torch.from_numpy(problem.embeddings).requires_grad_()
    indices, neighbours = torch.from_numpy(problem.indices), torch.from_numpy(problem.neighbours)
    is_anchor = torch.from_numpy(problem.is_anchor)

    def run():
        logits = embeddings @ bank.T / temperature  # (B, N)
        own = logits.gather(1, indices[:, None])
        others = logits.gather(1, neighbours).masked_fill(~is_anchor[:, None], -torch.inf)
        positive = torch.cat([own, others], 1).logsumexp(1)
        losses = logits.logsumexp(1) - positive
        (gradient,) = torch.autograd.grad(losses.sum(), embeddings)
        return losses.detach().numpy(), gradient.numpy()

    return run
