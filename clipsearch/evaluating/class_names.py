"""Folder names to class names; knows how data sets spell theirs, and which names stand for which labels."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

# A synset's number as ImageNet's folders have it, alone or before a name: n01440764, n01440764_tench, n01440764-tench.
_SYNSET = re.compile(r"^n\d{8}(?=$|[\s_.-])[\s_.-]*")
# A number that keeps folders in order: 001.Black_footed_Albatross, 07 - dogs. Not 3d_models, not 2024.
_ORDER = re.compile(r"^\d{1,4}\s*[.)-]\s*(?=\D)")

# Names that say what no reader of English would take from them; the numbers are Imagenette's.
KNOWN_NAMES: Mapping[str, str] = {
    "BACKGROUND_Google": "background",
    "Faces_easy": "centered face",
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chainsaw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def class_name(folder: str) -> str:
    """What a folder of pictures is called in words.

    A name that a data set is known for stands for what it means (``Faces_easy``: centered face); otherwise
    underscores become spaces, and a synset's number (``n01440764_tench``) and a number that only orders
    (``001.Laysan_Albatross``) are left out. A name of which nothing would be left stays as it is.
    """
    folder = unicodedata.normalize("NFC", folder).strip()
    if folder in KNOWN_NAMES:
        return KNOWN_NAMES[folder]
    name = _ORDER.sub("", _SYNSET.sub("", folder, count=1), count=1)
    return " ".join(name.replace("_", " ").split()) or folder


def is_bare_number(folder: str) -> bool:
    """Whether a folder's name is a synset's number that no one can read."""
    return folder not in KNOWN_NAMES and _SYNSET.fullmatch(folder) is not None


def comparable(name: str) -> str:
    """The form in which two spellings of one name are equal: case, underscores, hyphens and spaces do not count."""
    return " ".join(re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).split())


def places_of(
    classes: Iterable[str], labels: Sequence[str], given: Mapping[str, str] | None = None
) -> tuple[dict[str, int], list[str]]:
    """For each class the position of the label it stands for, and the classes that stand for none, in order.

    ``given`` says which label a class stands for where the names differ. Otherwise a class stands for the label of
    its name, or of the one spelling of it (`comparable`) that the labels have. Of labels with one name the first is
    taken.
    """
    exact: dict[str, int] = {}
    spelled: dict[str, int] = {}
    for position, label in enumerate(labels):
        exact.setdefault(label, position)
        spelled.setdefault(comparable(label), position)
    found: dict[str, int] = {}
    unknown: list[str] = []
    for name in classes:
        wanted = (given or {}).get(name, name)
        place = exact.get(wanted, spelled.get(comparable(wanted)))
        if place is None:
            unknown.append(name)
        else:
            found[name] = place
    return found, unknown
