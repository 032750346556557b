"""The settings: read once by a door from flags, environment and file, then frozen; knows their names and defaults."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from clipsearch.errors import ConfigError
from clipsearch.model import DEFAULT_MODEL

PREFIX = "CLIPSEARCH_"
CONFIG_FILE = "clipsearch.toml"

# Names under our prefix that are read by the tests and by make, not by the software.
FOREIGN_NAMES = frozenset(
    {"CLIPSEARCH_REFERENCE_DATA", "CLIPSEARCH_REQUIRE_BROWSER", "CLIPSEARCH_REQUIRE_SERVERS", "CLIPSEARCH_KILL_CYCLES",
     "CLIPSEARCH_DEEP_TESTS", "CLIPSEARCH_CONFIG"}
)  # fmt: skip


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


def _absolute(path: Path) -> Path:
    try:
        return Path(absolute(path.expanduser()))
    except RuntimeError as error:  # ~nobody/photos
        raise ValueError("there is no such user") from error


def _split_paths(value: Any) -> Any:
    return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class Settings(BaseSettings):
    """Everything that can be set, with its default. Flags win over environment, environment over file."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=True)

    data_dir: AbsolutePath = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("clipsearch", appauthor=False)),
        description="where an embedded library keeps its database and index files",
    )
    database_url: str | None = Field(
        default=None, description="an SQLAlchemy URL, for PostgreSQL; SQLite in the data folder where not set"
    )
    model: str = Field(default=DEFAULT_MODEL, min_length=1, description="the model of collections that are created")
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="number type of the model"
    )
    batch_size: int | None = Field(
        default=None, ge=1, le=4096, description="images encoded at once; chosen by device if not set"
    )
    decode_threads: int | None = Field(
        default=None, ge=1, le=256, description="threads that decode; one per core if not set"
    )
    collection: str = Field(default="default", min_length=1, max_length=200, description="the collection to work on")
    roots: Annotated[tuple[AbsolutePath, ...], NoDecode, BeforeValidator(_split_paths)] = Field(
        default=(), description="folders that the server may index and serve originals from"
    )
    max_pixels: int = Field(default=50_000_000, ge=1, description="images that declare more pixels are refused")
    max_upload_bytes: int = Field(default=20_000_000, ge=1_000, description="largest image that the server takes")
    lease_seconds: float = Field(
        default=30.0, ge=1.0, le=3600.0, description="how long a silent indexer keeps its lease"
    )
    host: str = Field(default="127.0.0.1", description="address that the server binds")
    port: int = Field(default=8000, ge=0, le=65535, description="port that the server binds; 0 takes a free one")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="warning", description="what the log shows")

    @property
    def database(self) -> str | Path:
        """Where the database is: the URL that was set, or the embedded one's file in the data folder."""
        return self.database_url or self.data_dir / "clipsearch.db"

    @property
    def embedded(self) -> bool:
        """Whether the database is a file of our own, which may be created and upgraded without asking."""
        return self.database_url is None or self.database_url.startswith("sqlite")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then the file: no other source."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())


def config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The settings file: the one named by CLIPSEARCH_CONFIG, else clipsearch.toml in the working folder."""
    return Path(environ.get("CLIPSEARCH_CONFIG", CONFIG_FILE)).expanduser()


def read_settings(**flags: Any) -> Settings:
    """The settings as they stand now; flags that are None count as not given.

    Raises ConfigError for a value that does not fit and for a name that is not known, with the nearest known one.
    """
    _refuse_unknown_names(os.environ)
    if "CLIPSEARCH_CONFIG" in os.environ and not config_file().is_file():
        raise ConfigError(f"the settings file {config_file()} (CLIPSEARCH_CONFIG) is not there")
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        raise ConfigError(_explain(error)) from error
    except ValueError as error:  # a settings file that is not TOML
        raise ConfigError(f"the settings file {config_file()} cannot be read: {error}") from error


def _refuse_unknown_names(environ: Mapping[str, str]) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known | FOREIGN_NAMES:
            raise ConfigError(f"{name} is not a setting of clipsearch{_nearest(name.upper(), known)}")


def _nearest(name: str, known: set[str]) -> str:
    # Compared without the prefix that all share, which would make every name a near one.
    bare = {one.removeprefix(PREFIX): one for one in sorted(known)}
    close = difflib.get_close_matches(name.removeprefix(PREFIX), bare, n=1)
    return f"; did you mean {bare[close[0]]}?" if close else f"; known are {', '.join(sorted(known))}"


def _explain(error: ValidationError) -> str:
    reasons = []
    for fault in error.errors():
        name = str(fault["loc"][0]) if fault["loc"] else "settings"
        if fault["type"] == "extra_forbidden":
            reasons.append(f"{name} is not a setting of clipsearch{_nearest(name, set(Settings.model_fields))}")
        else:
            reasons.append(f"the setting {name} ({PREFIX}{name.upper()}): {fault['msg']}, not {fault['input']!r}")
    return "; ".join(reasons)
