"""The memory bank: one row for each training image."""
