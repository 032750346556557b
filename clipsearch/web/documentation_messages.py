"""What the page of the API takes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from clipsearch.queries import ShortText, Strict


class DocumentationArgs(Strict):
    """Which operations to show."""

    find: Annotated[ShortText, Field(description="words that an operation must say, to be shown")] = ""
