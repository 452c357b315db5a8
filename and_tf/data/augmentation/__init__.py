"""The training augmentation, on the host and on the device."""
