"""Where settings come from, and the few that tell which library is meant; alone reads them without pydantic.

A question that another process will answer is put in a tenth of a second, and checking every setting takes longer
than that. So what is plain text is read here; whatever is more than that is left to ``config``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = "CLIPSEARCH_"
CONFIG_FILE = "clipsearch.toml"

# Names under our prefix that are no settings: read by the tests, by make, and by the client of a server.
FOREIGN_NAMES = frozenset(
    {"CLIPSEARCH_REFERENCE_DATA", "CLIPSEARCH_REQUIRE_BROWSER", "CLIPSEARCH_REQUIRE_SERVERS", "CLIPSEARCH_KILL_CYCLES",
     "CLIPSEARCH_REQUIRE_CLIENTS",
     "CLIPSEARCH_DEEP_TESTS", "CLIPSEARCH_CONTRACT_CASES", "CLIPSEARCH_SCREENSHOTS", "CLIPSEARCH_CONFIG",
     "CLIPSEARCH_URL", "CLIPSEARCH_KEY"}
)  # fmt: skip

DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")
RUNTIMES = ("auto", "torch", "openvino")
LOG_LEVELS = ("debug", "info", "warning", "error")

_TEXTS = frozenset({"data_dir", "database_url", "model", "device", "dtype", "runtime", "collection", "log_level"})
_SWITCHED = frozenset({"use_server", "light_text", "fetch_urls"})
_SWITCHES = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True)
class Whereabouts:
    """The settings that tell which library is meant, whether a server may be asked, and how its model must run."""

    data_dir: Path
    database_url: str | None = None
    collection: str = "default"
    device: str = "auto"
    dtype: str = "auto"
    runtime: str = "auto"
    use_server: bool = True
    log_level: str = "warning"


def whereabouts(flags: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Whereabouts | None:
    """What flags, environment and file say, as ``config.read_settings`` would; None where only that can tell."""
    environ = os.environ if environ is None else environ
    in_file = _from_file(environ)
    in_environment = _from_environment(environ)
    if in_file is None or in_environment is None:
        return None
    given = {**in_file, **in_environment, **{name: value for name, value in flags.items() if value is not None}}
    folder = data_folder(given.get("data_dir"))
    if folder is None or not _allowed(given):
        return None
    telling = {name: value for name, value in given.items() if name in Whereabouts.__dataclass_fields__}
    return Whereabouts(**{**telling, "data_dir": folder})


def data_folder(given: str | os.PathLike[str] | None) -> Path | None:
    """The data folder that is named so, else the platform's; None for the home of a user who does not exist."""
    if given is None:
        given = default_data_dir()
    try:
        return Path(absolute(Path(given).expanduser()))
    except RuntimeError:  # ~nobody/photos
        return None


def default_data_dir() -> Path:
    """The platform's folder for the data of programs."""
    import platformdirs

    return Path(platformdirs.user_data_dir("clipsearch", appauthor=False))


def config_file(environ: Mapping[str, str] | None = None) -> Path:
    """The settings file: the one named by CLIPSEARCH_CONFIG, else clipsearch.toml in the working folder."""
    return Path((os.environ if environ is None else environ).get("CLIPSEARCH_CONFIG", CONFIG_FILE)).expanduser()


def absolute(path: str | os.PathLike[str]) -> str:
    """The absolute path that the system would follow; links are kept, but for those before a ``..``.

    A link that the user chose stays the name under which things are kept. ``link/..`` however is the folder above
    the link's target, not the one that holds the link, so that what stands up to the last ``..`` is resolved.
    """
    if os.fspath(path).startswith("//"):  # which POSIX keeps, and Linux reads as one
        path = "/" + os.fspath(path).lstrip("/")
    parts = Path(path).parts
    if ".." not in parts:
        return os.path.abspath(path)
    behind = len(parts) - parts[::-1].index("..")
    try:
        above = os.path.realpath(Path(*parts[:behind]))
    except ValueError:  # NUL and lone surrogates: no file can have such a name
        return os.path.abspath(path)
    return os.path.abspath(os.path.join(above, *parts[behind:]))


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.upper().startswith(PREFIX) or name.upper() in FOREIGN_NAMES:
            continue
        key = name.upper().removeprefix(PREFIX).lower()
        if key in found:
            return None
        if key in _SWITCHED and value in _SWITCHES:
            found[key] = _SWITCHES[value]
        elif key in _TEXTS:
            found[key] = value
        else:
            return None
    return found


def _from_file(environ: Mapping[str, str]) -> dict[str, Any] | None:
    try:
        path = config_file(environ)
        if not path.is_file():
            return None if "CLIPSEARCH_CONFIG" in environ else {}
        import tomllib

        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):
        return None
    plain = all(
        isinstance(value, str) if name in _TEXTS else name in _SWITCHED and isinstance(value, bool)
        for name, value in found.items()
    )
    return found if plain else None


def _allowed(given: Mapping[str, Any]) -> bool:
    """Whether these are values that need no second look: the others are refused, or read, by ``config``."""
    texts = [str(value) for value in given.values()]
    return (
        given.keys() <= _TEXTS | _SWITCHED
        and all(text and "\x00" not in text for text in texts)
        and given.get("dtype", "auto") in DTYPES
        and given.get("runtime", "auto") in RUNTIMES
        and given.get("log_level", "warning") in LOG_LEVELS
        and len(str(given.get("collection", ""))) <= 200
    )
