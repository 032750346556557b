"""Which models may be named over HTTP: a model's name may be a path, or stand for a download."""

from __future__ import annotations

from clipsearch.encoder.names import demo_names
from clipsearch.errors import NotAllowed
from clipsearch.inspecting import status
from clipsearch.library import Library


def chosen_models(library: Library) -> set[str]:
    """The models of the library and of its settings, and those that come along."""
    return {library.model_name(), *demo_names(), *(model.name for model in status(library).models)}


def check_model(library: Library, name: str | None) -> None:
    """Raises NotAllowed for a model that nobody chose for this library; None, the settings' model, is fine."""
    if name is None:
        return
    chosen = chosen_models(library)
    if library.model_name(name) not in chosen:
        raise NotAllowed(
            f"over HTTP a model is one of {', '.join(sorted(chosen))}; make a collection of another model with: "
            "clipsearch collections create NAME --model MODEL"
        )
