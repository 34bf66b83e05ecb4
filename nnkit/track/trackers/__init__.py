"""Other programs that a run is told to, each in a process of its own: what fails or hangs there never reaches it."""
