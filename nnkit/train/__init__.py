"""Training: the loop, its state, its checkpoints, and when to stop."""
