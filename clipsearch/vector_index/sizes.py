"""Which kind of index serves how many rows, and when it is tidied up; knows every threshold of the room."""

from __future__ import annotations

import math
from typing import Literal

Kind = Literal["flat_fp16", "ivf_sq8"]

FLAT: Kind = "flat_fp16"
CELLS: Kind = "ivf_sq8"

# An exact search reads every row: its time is bytes over memory bandwidth, so the border is in bytes.
# 100,000 rows of 512 dimensions in float16 take 4 ms (25 GB/s) to 12 ms (8 GB/s) for one query.
EXACT_BYTES = 100_000 * 512 * 2

# k-means on fewer rows than this gives cells that mean nothing.
FEWEST_ROWS_IN_CELLS = 2_000

# Rows per cell that k-means sees; more changed recall by less than one probe more does.
TRAINING_ROWS_PER_CELL = 40
TRAINING_ROUNDS = 6

# Recall@10 that cells must reach for image queries and for text queries to be put in service.
RECALL_FLOOR = 0.97
# The parameters are chosen for this much more: 400 queries tell recall to about a third of it.
RECALL_MARGIN = 0.013
# Recall@10 that the probes under a filter which keeps a tenth are chosen for.
FILTERED_RECALL = 0.995
FILTERED_SHARE = 0.1
# Queries of each sort that recall is measured with.
MEASURED_QUERIES = 400
FEWEST_TEXTS = 200

# Rows that are copied together and scanned exactly, rather than looked for by a bit for every row: at most this
# share of the rows and this many, and always where there are few (10,000 x 512: 2 ms; measured, one thread).
GATHER_SHARE = 1 / 64
GATHER_LEAST = 2_000
GATHER_MOST = 20_000

# Excluded rows up to this many are fetched with the others and dropped, which costs less than a mask of all rows.
DROPPED_MOST = 64

# Candidates that cells hand to the exact re-ranking, per neighbour asked for, at most; how many ten neighbours need
# is measured when the cells are trained.
RERANK_FACTOR = 4
RERANK_SPARE = 8
RERANK_WIDTHS = (12, 16, 20, 24, 32, 40)

# From this many queries on, one product of matrices costs less than a scan for each.
PRODUCT_QUERIES = 16

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
    return 1 << max(0, round(math.log2(4 * math.sqrt(max(rows, 1)))))


def probes_under_filter(share: float, probes: int, filtered_probes: int, cells: int) -> int:
    """Cells to visit when a ``share`` of the rows is allowed: ``probes`` at 1, ``filtered_probes`` at a tenth.

    Ten neighbours among a tenth of the rows lie about as far as a hundred among all. Between the two the number
    grows geometrically, below in proportion, which visits every cell at last.
    """
    if share < FILTERED_SHARE:
        return min(cells, math.ceil(filtered_probes * FILTERED_SHARE / share))
    steps = math.log(1 / share) / math.log(1 / FILTERED_SHARE)
    wider: float = (max(filtered_probes, probes) / probes) ** steps
    return min(cells, math.ceil(probes * wider))


def too_burdened(base: int, burden: int) -> bool:
    """Whether ``burden`` (rows beside a base of ``base`` rows, and dead ones in it) calls for a new base."""
    return burden > max(BURDEN_LEAST, base * BURDEN_SHARE)
