"""Train, valid and test; knows that an image's part hangs on its content and the seed, and on nothing else."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from clipsearch.errors import InvalidInput

PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Split:
    """Shares of train, valid and test, none of them negative, brought to a sum of one; a part may be empty.

    Raises InvalidInput for shares that cannot be such.
    """

    train: float = 0.8
    valid: float = 0.1
    test: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        shares = (self.train, self.valid, self.test)
        if not all(math.isfinite(share) and share >= 0 for share in shares) or not 0 < sum(shares) < math.inf:
            raise InvalidInput("the shares of train, valid and test must be numbers from 0 on, and not all of them 0")

    @property
    def shares(self) -> tuple[float, float, float]:
        """Train, valid and test, with a sum of one."""
        whole = math.fsum((self.train, self.valid, self.test))
        return self.train / whole, self.valid / whole, self.test / whole

    @property
    def parts(self) -> tuple[str, ...]:
        """Those that may hold something."""
        return tuple(part for part, share in zip(PARTS, self.shares, strict=True) if share)

    def part_of(self, key: str) -> str:
        """The part of what has this content hash: the same whatever else there is, on every machine.

        The first 64 bits of SHA-256 of the seed and the key, as a number in [0, 1), fall into one of three ranges.
        """
        digest = hashlib.sha256(f"{self.seed}\0{key}".encode()).digest()
        # 53 bits: what a float holds without rounding up to 1.
        place = (int.from_bytes(digest[:8], "big") >> 11) / 2**53
        reached = 0.0
        for part, share in zip(PARTS, self.shares, strict=True):
            reached += share
            if share and place < reached:
                return part
        return self.parts[-1]  # the shares' rounded sum may lie a hair below one
