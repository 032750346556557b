"""What the fault tests do to a collection's models in processes of their own; no model is loaded from disk."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

from switching_fixtures import NEW, OLD, library_of_two

from clipsearch.switching import add_model, switch_model


def say(**words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def embed(data_dir: str) -> None:
    """Embed by NEW, and say how many images are dealt with once that is committed."""
    with library_of_two(Path(data_dir)) as library:
        report = add_model(library, NEW, on_progress=lambda done, _total, _failed: say(done=done))
        say(finished=True, lacking=report.lacking)


def switch_to_and_fro(data_dir: str) -> None:
    """Switch between the two without end, and say each time which model answers."""
    with library_of_two(Path(data_dir)) as library:
        for _ in itertools.count():
            other = OLD if library.collection().model_name == NEW else NEW
            say(tried=other)
            switch_model(library, other)
            say(switched=other)
