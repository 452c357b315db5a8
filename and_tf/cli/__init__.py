"""What a user types: flags, and the programs that they start."""
