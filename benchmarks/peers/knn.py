"""The weighted kNN classifier as one would write it in PyTorch."""

import torch

QUERY_BLOCK = 1024


@torch.no_grad()
def weighted_knn(
    rows: torch.Tensor,
    labels: torch.Tensor,
    queries: torch.Tensor,
    k: int,
    temperature: float,
    num_classes: int,
) -> torch.Tensor:
    """Class scores (Q, C) of unit queries (Q, D) by their k nearest unit rows (N, D)."""
    scores = torch.zeros(len(queries), num_classes)
    for start in range(0, len(queries), QUERY_BLOCK):
        similarity = queries[start : start + QUERY_BLOCK] @ rows.T  # (block, N)
        similarity, nearest = similarity.topk(k, dim=1)
        weights = (similarity / temperature).exp()  # (block, k)
        scores[start : start + QUERY_BLOCK].scatter_add_(1, labels[nearest], weights)
    return scores
