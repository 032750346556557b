"""Labelled images in the forms that other programs read; it knows the forms, and nothing of where the labels come
from."""

from __future__ import annotations

from clipsearch.datasets.clip_retrieval import EmbeddedPart, count_rows, find_parts, read_table
from clipsearch.datasets.cloud_events import event_lines
from clipsearch.datasets.coco import write_coco
from clipsearch.datasets.folders import PLACEMENTS, Placement, write_folders
from clipsearch.datasets.lines import csv_lines, json_lines
from clipsearch.datasets.parquet import check_parquet, write_parquet
from clipsearch.datasets.rows import REJECTED, DatasetClass, GivenLabel, LabelledImage, Rows, Source
from clipsearch.datasets.sidecars import keywords_of, write_sidecar
from clipsearch.datasets.splits import PARTS, Split
from clipsearch.datasets.staging import refuse_occupied, staged_file, staged_folder

__all__ = [
    "PARTS",
    "PLACEMENTS",
    "REJECTED",
    "DatasetClass",
    "EmbeddedPart",
    "GivenLabel",
    "LabelledImage",
    "Placement",
    "Rows",
    "Source",
    "Split",
    "check_parquet",
    "count_rows",
    "csv_lines",
    "event_lines",
    "find_parts",
    "json_lines",
    "keywords_of",
    "read_table",
    "refuse_occupied",
    "staged_file",
    "staged_folder",
    "write_coco",
    "write_folders",
    "write_parquet",
    "write_sidecar",
]
