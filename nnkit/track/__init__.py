"""Watching a run: the console and the files of the run folder."""
