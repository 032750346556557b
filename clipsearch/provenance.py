"""The settings as they may be shown: where each value comes from, and none of what is secret in them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from clipsearch.config import Settings
from clipsearch.environment import PREFIX, absolute, config_file
from clipsearch.log_lines import HIDDEN, redacted

# Flags that are not called like their setting.
_FLAGS = {"log_level": "--debug", "use_server": "--server"}
_SECRET = re.compile(r"password|secret|token")


class Provenance(NamedTuple):
    """Where a setting's value comes from: the kind of source, and which one: a flag, a variable's name, a file."""

    kind: Literal["flag", "environment", "file", "default"]
    where: str | None


def sources(flags: Mapping[str, Any]) -> dict[str, Provenance]:
    """The source of each setting's value, for settings that ``read_settings`` takes with these flags.

    Asks the very sources that pydantic reads, in their order: the first that names a setting gives its value.
    """
    given = {name for name, value in flags.items() if value is not None}
    in_environment = EnvSettingsSource(Settings)()
    in_file = TomlConfigSettingsSource(Settings, config_file())()
    found: dict[str, Provenance] = {}
    for name in Settings.model_fields:
        if name in given:
            found[name] = Provenance("flag", _FLAGS.get(name, f"--{name.replace('_', '-')}"))
        elif name in in_environment:
            wanted = PREFIX + name.upper()
            found[name] = Provenance("environment", next(one for one in os.environ if one.upper() == wanted))
        elif name in in_file:
            found[name] = Provenance("file", str(Path(absolute(config_file()))))
        else:
            found[name] = Provenance("default", None)
    return found


def shown_settings(settings: Settings) -> dict[str, Any]:
    """The effective values as JSON, with what is secret hidden: passwords, in the database's URL above all."""
    values = settings.model_dump(mode="json")
    # What is used where nothing is said.
    values["database_url"] = settings.database_url or f"sqlite:///{settings.database}"
    return {name: _without_secrets(name, value) for name, value in values.items()}


def _without_secrets(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(name, one) for one in value]
    if isinstance(value, dict):
        return {key: _without_secrets(name, one) for key, one in value.items()}
    if value and _SECRET.search(name):
        return HIDDEN
    return redacted(value) if isinstance(value, str) else value
