"""What an evaluation reads: pictures with their true labels or captions, from a folder per class or a table."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clipsearch.answers import FailedFile
from clipsearch.errors import InvalidInput, SourceNotFound
from clipsearch.evaluating.class_names import class_name
from clipsearch.images import find_images, path_of, presence, uri_of

SourceKind = Literal["folder", "table", "captions", "reviews"]

_FILE_WORDS = frozenset({"file", "path", "image", "filename", "image_path", "uri", "filepath", "image_name"})
_CAPTION_WORDS = frozenset({"caption", "captions", "text", "sentence", "description"})
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "dev"})


@dataclass(frozen=True)
class Sample:
    """One picture and what is true of it: ``labels`` are names of classes; ``captions`` sentences on it."""

    uri: str
    labels: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    image_id: int | None = None


@dataclass(frozen=True)
class Material:
    """The samples of one source in order; what could not be used is in ``failed``, and ``folders`` says from which
    folder's name each class has its own."""

    name: str
    kind: SourceKind
    samples: list[Sample]
    failed: list[FailedFile] = field(default_factory=list)
    folders: dict[str, str] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """The classes that samples have, each once, in order of their names."""
        return sorted({label for sample in self.samples for label in sample.labels})


def read_samples(source: str | os.PathLike[str]) -> Material:
    """The samples of a folder with a folder per class, or of a CSV with a line for each picture.

    Raises SourceNotFound, and InvalidInput for what is neither.
    """
    path = Path(os.path.expanduser(os.fspath(source)))
    if path.is_dir():
        return read_folders(path)
    if not path.is_file():
        raise SourceNotFound(f"nothing can be found at {os.fspath(source)!r}")
    return read_table(path)


def read_folders(top: Path) -> Material:
    """The pictures below each folder of ``top``, whose name is their class; pictures beside those folders have none.

    Raises InvalidInput where there is no such folder, and where the folders are splits (train, test) of a data set.
    """
    failed: list[FailedFile] = []
    samples: list[Sample] = []
    folders: dict[str, str] = {}
    top = Path(os.path.abspath(top))

    def unseen(path: str, reason: str) -> None:
        failed.append(FailedFile(uri=uri_of(path), code="unreadable_folder", reason=reason))

    for file in find_images(top, follow_symlinks=True, on_error=unseen):
        parts = Path(file.path).relative_to(top).parts
        if len(parts) == 1:
            reason = "it lies beside the folders, so that no folder names its class"
            failed.append(FailedFile(uri=file.uri, code="no_class", reason=reason))
            continue
        name = class_name(parts[0])
        folders.setdefault(name, parts[0])
        if folders[name] != parts[0]:
            raise InvalidInput(
                f"the folders {folders[name]!r} and {parts[0]!r} of {top} both mean {name!r}; rename one"
            )
        samples.append(Sample(file.uri, (name,)))
    if not samples:
        raise InvalidInput(f"{top} holds no folder of pictures; a folder for each class is asked for, or a CSV")
    if set(folders.values()) <= _SPLITS:
        one = sorted(folders.values())[0]
        raise InvalidInput(f"the folders of {top} are splits, not classes; name one of them: {top / one}")
    return Material(str(top), "folder", samples, failed, folders)


def read_table(path: Path) -> Material:
    """The lines ``file,label[,label…]`` or ``file,caption`` of a CSV; several lines of one file add up.

    Captions are told by the heading of their column; without a heading the columns are labels. A relative path
    starts at the table's folder. Raises InvalidInput for what is not such a table.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if any(map(str.strip, row))]
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the table {path} is not UTF-8") from error
    except csv.Error as error:
        raise InvalidInput(f"{path} is not CSV: {error}; a folder with a folder per class will do as well") from error
    headed = bool(rows) and rows[0][0].strip().lower() in _FILE_WORDS
    heading = [cell.strip().lower() for cell in rows[0]] if headed else []
    captions = len(heading) > 1 and heading[1] in _CAPTION_WORDS
    told: dict[str, list[str]] = {}
    for cells in rows[1:] if headed else rows:
        found = told.setdefault(cells[0].strip(), [])
        wanted = cells[1:2] if captions else cells[1:]
        found += [cell.strip() for cell in wanted if cell.strip()]
    if not told:
        raise InvalidInput(f"the table {path} has no lines; they are file,label[,label…] or file,caption")
    samples, failed = _of_table(path, told, captions)
    return Material(str(path), "captions" if captions else "table", samples, failed)


def _of_table(path: Path, told: dict[str, list[str]], captions: bool) -> tuple[list[Sample], list[FailedFile]]:
    samples: dict[str, Sample] = {}
    failed: list[FailedFile] = []
    for name, words in told.items():
        if not name or "\x00" in name:
            failed.append(FailedFile(uri=name, code="no_file", reason=f"a line of {path.name} names no file"))
            continue
        uri = _uri_beside(path.parent, name)
        texts = tuple(dict.fromkeys(words))
        if presence(path_of(uri)) == "gone":
            failed.append(FailedFile(uri=uri, code="source_not_found", reason="there is no such file"))
        elif captions and not texts:
            failed.append(FailedFile(uri=uri, code="no_caption", reason="its line holds no caption"))
        else:
            before = samples.get(uri, Sample(uri))  # one file under two spellings of its path
            both = (*(before.captions if captions else before.labels), *texts)
            both = tuple(dict.fromkeys(both))
            samples[uri] = Sample(uri, captions=both) if captions else Sample(uri, labels=both)
    return list(samples.values()), failed


def _uri_beside(folder: Path, name: str) -> str:
    return name if name.startswith("file:///") else uri_of(folder / Path(os.path.expanduser(name)))
