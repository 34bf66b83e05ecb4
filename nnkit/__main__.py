"""`python -m nnkit`."""

from __future__ import annotations

import sys

from nnkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
