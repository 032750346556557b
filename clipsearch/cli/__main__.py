"""``python -m clipsearch.cli``: the command line where no console script is installed."""

from __future__ import annotations

from clipsearch.cli import main

if __name__ == "__main__":
    main()
