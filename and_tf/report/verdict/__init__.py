"""What a run is worth: by accuracy, without labels, and what its neighbours gained."""
