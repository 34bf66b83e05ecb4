"""nnkit's sweepers, where Hydra looks for them."""
