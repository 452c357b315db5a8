"""What the benchmarks compare with: the same work in plain PyTorch and Pillow."""
