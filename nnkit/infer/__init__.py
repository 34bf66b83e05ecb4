"""Using a finished run: predictions, evaluation, export."""
