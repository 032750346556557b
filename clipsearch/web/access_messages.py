"""What is asked of signing in: the key, which no repr and no error repeats."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from clipsearch.queries import Strict
from clipsearch.web.messages import TYPED


class SessionBody(Strict):
    """The key to sign in with."""

    model_config = TYPED

    key: Annotated[SecretStr, Field(min_length=1, max_length=500, description="an API key, as cs_…")]
