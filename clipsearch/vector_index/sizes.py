"""Which kind of index serves how many rows, and when it is tidied up; knows every threshold of the room."""

from __future__ import annotations

import math
from typing import Literal

Kind = Literal["flat_fp16", "ivf_sq8"]

FLAT: Kind = "flat_fp16"
CELLS: Kind = "ivf_sq8"

# An exact search reads every row: its time is bytes over memory bandwidth, so the border is in bytes.
# 300,000 rows of 512 dimensions in float16 take 10 ms (30 GB/s) to 40 ms (8 GB/s) for one query.
EXACT_BYTES = 300_000 * 512 * 2

# k-means on fewer rows than this gives cells that mean nothing.
FEWEST_ROWS_IN_CELLS = 2_000

# Rows per cell that k-means sees; more changed recall by less than one probe more does.
TRAINING_ROWS_PER_CELL = 32

# Recall@10 that the number of probed cells is raised to, for each kind of query that was given.
RECALL_TARGET = 0.97

# With less than this share of the rows allowed, cells lose neighbours (measured .77 at 1 %, .33 at 0.1 %)
# and an exact scan of the allowed rows costs less than the probes.
EXACT_SHARE = 0.1

# Below this share it is cheaper to copy the allowed rows together than to test a bit for every row
# (200,000 x 512: equal near 1 %, 0.02 against 0.4 ms at 0.1 %).
GATHER_SHARE = 1 / 128

# Candidates that cells hand to the exact re-ranking, per neighbour asked for, and at least.
RERANK_FACTOR = 4
RERANK_LEAST = 64

# Rows outside the base, and dead rows in it, that are carried along before all is merged into a new base.
BURDEN_SHARE = 0.1
BURDEN_LEAST = 4_096


def choose_kind(count: int, dimension: int, exact_bytes: int = EXACT_BYTES) -> Kind:
    """The kind for ``count`` rows of ``dimension`` values: exact while one pass over all rows is quick."""
    if count < FEWEST_ROWS_IN_CELLS or count * dimension * 2 <= exact_bytes:
        return FLAT
    return CELLS


def cell_count(rows: int) -> int:
    """How many cells to divide ``rows`` into: the power of two nearest to 4·√rows (4096 for a million)."""
    return int(2 ** round(math.log2(4 * math.sqrt(max(rows, 1)))))


def too_burdened(base: int, burden: int) -> bool:
    """Whether ``burden`` (rows beside a base of ``base`` rows, and dead ones in it) calls for a new base."""
    return burden > max(BURDEN_LEAST, base * BURDEN_SHARE)
