"""What the Hugging Face hub and its cache on this machine hold; alone talks to huggingface_hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clipsearch.errors import ModelUnavailable

_PROBE_SECONDS = 5.0

CONFIG_FILE = "open_clip_config.json"
_WEIGHTS = "open_clip_pytorch_model.bin"  # what open_clip asks for, having tried the safetensors
_SAFE_WEIGHTS = "open_clip_model.safetensors"


@dataclass(frozen=True)
class HubFile:
    """A file that a model needs from the hub: the first of ``names`` that the repository has."""

    repository: str
    names: tuple[str, ...]


def weights_in(hub_entry: str) -> HubFile:
    """The weights behind open_clip's "organisation/name/" or "organisation/name/file.bin"."""
    repository, _, name = hub_entry.rpartition("/")
    if not name:
        return HubFile(repository, (_SAFE_WEIGHTS, _WEIGHTS))
    stem, dot, suffix = name.rpartition(".")
    return HubFile(repository, (f"{stem}.safetensors", name) if dot and suffix in ("bin", "pth") else (name,))


def is_cached(file: HubFile) -> bool:
    """Whether this machine has the file already; asks no network."""
    return bool(cached_paths(file))


def cached_paths(file: HubFile) -> list[str]:
    """Where this machine has it, under each of its names that it was fetched by; asks no network."""
    from huggingface_hub import try_to_load_from_cache

    found = [try_to_load_from_cache(file.repository, name) for name in file.names]
    return [path for path in found if isinstance(path, str)]


def check_reachable(model: str, file: HubFile) -> None:
    """Ask the hub once, for a few seconds at most, whether the repository is there.

    open_clip's own download tries each file name six times with growing pauses: most of a minute without a
    network. Raises ModelUnavailable, naming three ways out, when the repository cannot be had.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        get_hf_file_metadata(hf_hub_url(file.repository, file.names[0]), timeout=_PROBE_SECONDS)
    except EntryNotFoundError:
        return  # it answers; another of the names may be there
    except GatedRepoError as error:
        reason = f"{file.repository} asks you to accept its terms on huggingface.co and to log in"
        raise unavailable(model, reason) from error
    except RepositoryNotFoundError as error:
        raise unavailable(model, f"the hub has no public repository {file.repository}") from error
    except OfflineModeIsEnabled as error:
        reason = "its weights are not on this machine and HF_HUB_OFFLINE forbids to fetch them"
        raise unavailable(model, reason) from error
    except Exception as error:  # httpx, sockets, certificates, proxies: whatever stands between
        reason = f"its weights are not on this machine and huggingface.co cannot be reached ({error})"
        raise unavailable(model, reason) from error


def unavailable(model: str, reason: str) -> ModelUnavailable:
    """The error for weights that cannot be had, with the three ways out."""
    return ModelUnavailable(
        f"The model {model} cannot be loaded: {reason}. Three ways out: choose another model (--model or"
        " CLIPSEARCH_MODEL; `clipsearch models list` marks what is downloaded), name a local file"
        " (CLIPSEARCH_MODEL=ARCHITECTURE//path/to/weights.safetensors, or a folder with"
        " open_clip_config.json), or use the demo model, which needs no network (CLIPSEARCH_MODEL=demo).",
        model=model,
    )


@contextmanager
def cache_only() -> Iterator[None]:
    """Within it nothing is asked of the network, in the whole process: hold a lock around it."""
    # open_clip passes no such wish on to the hub, which would otherwise ask for news of each cached file
    # at each start: a request for every command, and a long wait on a network that swallows packets.
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
