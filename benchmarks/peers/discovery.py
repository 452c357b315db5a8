"""Discovery as one would write it in PyTorch: similarities in row blocks, top k and entropy."""

import torch


@torch.inference_mode()
def discover(
    rows: torch.Tensor, k: int = 1, temperature: float = 0.1, block_size: int = 512
) -> tuple[torch.Tensor, torch.Tensor]:
    """Entropy (N,) in nats and neighbours (N, k) of rows (N, D) of unit length."""
    entropies, neighbours = [], []
    for start in range(0, len(rows), block_size):
        similarities = rows[start : start + block_size] @ rows.T  # (b, N)
        log_p = torch.log_softmax(similarities / temperature, dim=1)
        entropies.append(-(log_p.exp() * log_p).sum(dim=1))
        own = torch.arange(len(similarities))
        similarities[own, start + own] = -torch.inf
        neighbours.append(similarities.topk(k, dim=1).indices)
    return torch.cat(entropies), torch.cat(neighbours)
