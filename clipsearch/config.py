"""The settings: read once by a door from flags, environment and file, then frozen; knows their names and defaults."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from clipsearch.compat import check_models, check_open, check_wires, split_names
from clipsearch.environment import FOREIGN_NAMES, PREFIX, absolute, config_file, default_data_dir
from clipsearch.errors import ConfigError
from clipsearch.log_lines import redacted
from clipsearch.model import DEFAULT_MODEL


def _absolute(path: Path) -> Path:
    try:
        return Path(absolute(path.expanduser()))
    except RuntimeError as error:  # ~nobody/photos
        raise ValueError("there is no such user") from error


def _split_paths(value: Any) -> Any:
    return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value


def _split_words(value: Any) -> Any:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[A-Za-z0-9.\-\[\]:]+)$", max_length=300)]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9.\-\[\]:]+$", max_length=253)]


class Settings(BaseSettings):
    """Everything that can be set, with its default. Flags win over environment, environment over file."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=True)

    data_dir: AbsolutePath = Field(
        default_factory=default_data_dir,
        description="where an embedded library keeps its database and index files",
    )
    database_url: str | None = Field(
        default=None, description="an SQLAlchemy URL, for PostgreSQL; SQLite in the data folder where not set"
    )
    model: str = Field(default=DEFAULT_MODEL, min_length=1, description="the model of collections that are created")
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = Field(
        default="auto", description="number type of the model; int8 after `clipsearch models calibrate`"
    )
    runtime: Literal["auto", "torch", "openvino"] = Field(
        default="auto", description="what runs the model; auto takes OpenVINO where it is installed and outruns torch"
    )
    batch_size: int | None = Field(
        default=None, ge=1, le=4096, description="images encoded at once; chosen by device if not set"
    )
    decode_threads: int | None = Field(
        default=None, ge=1, le=256, description="threads that decode; one per core if not set"
    )
    decode_processes: int | None = Field(
        default=None, ge=0, le=256, description="processes that decode; none on a CPU, one per core on a GPU if not set"
    )
    collection: str = Field(default="default", min_length=1, max_length=200, description="the collection to work on")
    roots: Annotated[tuple[AbsolutePath, ...], NoDecode, BeforeValidator(_split_paths)] = Field(
        default=(), description="folders that the server may index and serve originals from"
    )
    max_pixels: int = Field(default=50_000_000, ge=1, description="images that declare more pixels are refused")
    max_upload_bytes: int = Field(default=20_000_000, ge=1_000, description="largest image that the server takes")
    fetch_urls: bool = Field(
        default=False, description="whether requests may name images by URL, fetched from public addresses only"
    )
    lease_seconds: float = Field(
        default=30.0, ge=1.0, le=3600.0, description="how long a silent indexer keeps its lease"
    )
    recall_floor: float = Field(
        default=0.97, ge=0.0, le=1.0, description="measured recall below which an approximate index does not serve"
    )
    host: str = Field(default="127.0.0.1", description="address that the server binds")
    port: int = Field(default=8000, ge=0, le=65535, description="port that the server binds; 0 takes a free one")
    require_key: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="whether requests need an API key; auto asks for one where other machines reach the server",
    )
    rate_limit: str | None = Field(
        default=None,
        pattern=r"^(none|[1-9][0-9]{0,8}/(second|minute|hour|day))$",
        description="requests of one key or address, as 600/minute, or none; 6000/minute where a key is needed, else "
        "none, if not set",
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split_words)] = Field(
        default=(), description="origins whose pages may use the API, as https://photos.example; none if not set"
    )
    trusted_proxies: int = Field(
        default=0, ge=0, le=10, description="proxies before the server, by whose X-Forwarded-For a client is known"
    )
    allowed_hosts: Annotated[tuple[HostName, ...], NoDecode, BeforeValidator(_split_words)] = Field(
        default=(), description="names under which the server answers besides its own address"
    )
    compat: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_names), AfterValidator(check_wires)] = Field(
        default=(), description="wires of other systems to serve as well: immich,openai (docs/wires.md)"
    )
    compat_open: Annotated[str, AfterValidator(check_open)] = Field(
        default="", description="wires without a key, by network: immich@172.16.0.0/12,127.0.0.1;lambda@10.0.0.0/8"
    )
    compat_models: Annotated[str, AfterValidator(check_models)] = Field(
        default="", description="models that a wire's clients name, and what stands for them: ViT-B-32__openai=demo"
    )
    use_server: bool = Field(
        default=True, description="whether a search asks a running server of the same library, where there is one"
    )
    light_text: bool = Field(
        default=True,
        description="whether the text half of a model is kept ready for quick starts, 250 MB for a ViT-B/32",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="warning", description="what the log shows")
    log_format: Literal["text", "json"] = Field(default="text", description="how a line of the log looks")
    access_log: bool | None = Field(
        default=None, description="one line for each request; in json, and from log level info on, if not set"
    )
    work_slots: int = Field(default=4, ge=1, le=64, description="requests that work on pictures at once")
    work_queue: int = Field(default=8, ge=0, le=1_000, description="requests that may wait for such a slot")
    search_slots: int = Field(default=16, ge=1, le=256, description="searches without pictures at once")
    search_queue: int = Field(default=48, ge=0, le=1_000, description="searches that may wait for such a slot")
    queue_seconds: float = Field(default=5.0, ge=0.0, le=60.0, description="how long a request may wait for a slot")
    request_seconds: float = Field(
        default=60.0, ge=0.1, le=600.0, description="how long a request may take before it begins no further stage"
    )

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


# By pydantic's kinds of fault, in words for who never heard of pydantic.
_WORDS = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "string_too_short": "must not be empty",
    "string_too_long": "must have {max_length} characters at most",
}


def _fault(name: str, fault: ErrorDetails) -> str:
    """What is wrong with a setting's value, and which value it was."""
    context, value = fault.get("ctx", {}), redacted(repr(fault["input"]))
    if fault["type"] == "value_error":  # said by a check of ours
        said = redacted(fault["msg"].removeprefix("Value error, "))
        return said if value in said else f"{said} (it is set to {value})"
    if fault["type"] in _WORDS:
        return f"{_WORDS[fault['type']].format_map(context)}, not {value}"
    if fault["type"] == "string_pattern_mismatch":
        return f"{value} does not fit; this sets {Settings.model_fields[name].description}"
    return f"{fault['msg']}, not {value}"


def _explain(error: ValidationError) -> str:
    reasons = []
    for fault in error.errors():
        name = str(fault["loc"][0]) if fault["loc"] else "settings"
        if fault["type"] == "extra_forbidden":
            reasons.append(f"{name} is not a setting of clipsearch{_nearest(name, set(Settings.model_fields))}")
        else:
            reasons.append(f"the setting {name} ({PREFIX}{name.upper()}): {_fault(name, fault)}")
    return "; ".join(reasons)
