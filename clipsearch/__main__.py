"""``python -m clipsearch``: the command line."""

from __future__ import annotations

from clipsearch.cli import main

if __name__ == "__main__":
    main()
