"""Exports the text tower of a model, so that a search need not wait for torch; alone knows ONNX's exporter.

``python -m clipsearch.encoder.text_export MODEL FINGERPRINT RUNTIMES`` does it in a process of its own: the exporter
holds the weights several times over, and sets filters for warnings that belong to the whole process.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from clipsearch.encoder.kept_files import write_kept
from clipsearch.encoder.light_text import LightTextEncoder
from clipsearch.encoder.light_tokens import FAST_FILE, MERGES_FILE
from clipsearch.encoder.loading import LoadedModel, load_model
from clipsearch.encoder.names import ModelSource, parse_model_name
from clipsearch.encoder.text_runtime import (
    MODEL_FILE,
    WEIGHTS_FILE,
    TextRuntime,
    note_refusal,
    runtime_folder,
    source_states,
    stands,
)
from clipsearch.encoder.texts import TextReader
from clipsearch.encoder.unit_rows import unit_rows
from clipsearch.errors import ClipSearchError

_OPSET = 17
_COPIES = 2  # of the weights: as the exporter and as the optimiser writes them
_SPARE_BYTES = 100_000_000
_LARGEST_DIFFERENCE = 1e-3  # of two unit rows, in any place
_CHECKED_TEXTS = (
    "a",
    "A photo of two red boats at night, moored in the harbour.",
    "  Ein Café &amp; ein 12-Zoll-Rad … 🚲 <end_of_text>  ",
    "",
    "boat " * 90,
)


class NotExportable(Exception):
    """This model's text tower or tokenizer cannot be exported; the message says why. Never leaves this room."""


def export_text_runtime(
    loaded: LoadedModel, source: ModelSource, sources: Sequence[Mapping[str, Any]], runtimes: Path
) -> None:
    """Export the text tower of a model that was just loaded, in float32, unless another process is at it.

    ``sources`` are the states of its files before it was loaded. Raises NotExportable, and OSError for a disk that
    is full or may not be written.
    """
    from clipsearch.encoder.text_tower import text_tower

    folder = runtime_folder(runtimes, source.name, str(loaded.facts.fingerprint))
    runtimes.mkdir(parents=True, exist_ok=True)
    _check_space(loaded.network, runtimes)
    tower = text_tower(loaded.network).eval()
    context_length = int(loaded.tokenizer.context_length)
    rules = _token_rules(loaded.tokenizer)
    runtime = TextRuntime(
        model=source.name,
        fingerprint=str(loaded.facts.fingerprint),
        dimension=loaded.facts.dimension,
        context_length=context_length,
        padding=int(rules["padding"]),
        cut=tower.cut,
        tokenizer=rules,
        vocabulary=None if loaded.vocabulary is None else sorted(loaded.vocabulary),
        sources=sources,
        onnxruntime=version("onnxruntime"),
    )

    def produce(aside: Path) -> None:
        _write_tokenizer(loaded.tokenizer, aside)
        _write_tower(tower, context_length, aside)
        _check_equal(loaded, LightTextEncoder(aside, runtime, loaded.facts))

    try:
        with filelock.FileLock(folder.with_suffix(".lock"), blocking=False):
            if not stands(folder, source, runtime.fingerprint):
                write_kept(folder, runtime.facts(), produce)
    except filelock.Timeout:
        return


def _write_tower(tower: Any, context_length: int, folder: Path) -> None:
    import onnxruntime
    import torch

    raw = folder / "raw"
    raw.mkdir()
    # Two texts and, where the length is open, one of no particular value: what is open must not look like a one.
    length = context_length if tower.cut.kind == "whole" else min(8, context_length)
    tokens = torch.arange(2 * length).reshape(2, length) + 1
    fast_path = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)  # its operator has no counterpart in ONNX
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                tower,
                (tokens,),
                str(raw / MODEL_FILE),
                input_names=["tokens"],
                output_names=["rows"],
                dynamic_axes={"tokens": {0: "texts"} if tower.cut.kind == "whole" else {0: "texts", 1: "length"}},
                dynamo=False,
                opset_version=_OPSET,
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(folder / MODEL_FILE)
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", WEIGHTS_FILE)
        options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
        options.add_session_config_entry("session.disable_prepacking", "1")
        onnxruntime.InferenceSession(str(raw / MODEL_FILE), options, providers=["CPUExecutionProvider"])
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the exporter's own errors, and whatever it meets in a tower
        raise NotExportable(f"the exporter gave up: {_first_line(error)}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        shutil.rmtree(raw, ignore_errors=True)


def _check_space(network: Any, folder: Path) -> None:
    # Neither torch nor ONNX Runtime tells a full disk from a tower that it cannot export.
    parameters = sum(parameter.numel() for parameter in network.parameters())
    seen = sum(parameter.numel() for parameter in network.visual.parameters())
    if shutil.disk_usage(folder).free < _COPIES * 4 * (parameters - seen) + _SPARE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _token_rules(tokenizer: Any) -> dict[str, Any]:
    """What light_tokens.py has to know beside the tokenizer's file."""
    from open_clip import tokenizer as tokenizers

    named = {
        tokenizers._clean_lower: "lower",
        tokenizers._clean_whitespace: "whitespace",
        tokenizers._clean_canonicalize: "canonicalize",
    }
    clean = named.get(getattr(tokenizer, "clean_fn", None))
    if clean is not None and type(tokenizer) is tokenizers.SimpleTokenizer:
        return {"clean": clean, **_merged_rules(tokenizer)}
    if clean is not None and type(tokenizer) is tokenizers.HFTokenizer:
        return {"clean": clean, **_fast_rules(tokenizer)}
    raise NotExportable(f"its tokenizer is a {type(tokenizer).__name__}, set up in its own way")


def _merged_rules(tokenizer: Any) -> dict[str, Any]:
    first = tokenizer.encoder["".join(_merges(tokenizer)[0])]
    if tokenizer.reduction_fn is not None or any(
        tokenizer.encoder["".join(pair)] != first + rank for rank, pair in enumerate(_merges(tokenizer))
    ):
        raise NotExportable("its vocabulary is not in the order of its merges")
    letters = [tokenizer.byte_encoder[byte] for byte in range(256)]
    return {
        "kind": "merged",
        "pattern": tokenizer.pat.pattern,
        "letters": letters,
        "letter_ids": {letter + end: tokenizer.encoder[letter + end] for letter in letters for end in ("", "</w>")},
        "special": {tokenizer.decoder[number]: number for number in tokenizer.all_special_ids},
        "first_merged": first,
        "start": tokenizer.sot_token_id,
        "end": tokenizer.eot_token_id,
        "padding": 0,
    }


def _fast_rules(tokenizer: Any) -> dict[str, Any]:
    inner = tokenizer.tokenizer
    if tokenizer.tokenizer_mode or not getattr(inner, "is_fast", False) or inner.pad_token_id is None:
        raise NotExportable("its tokenizer has no file of its own")
    if (inner.padding_side, inner.truncation_side) != ("right", "right"):
        raise NotExportable("its tokenizer pads or cuts at the left")
    blanked = inner.sep_token_id if tokenizer.strip_sep_token else None
    return {"kind": "fast", "blanked": blanked, "padding": inner.pad_token_id}


def _merges(tokenizer: Any) -> list[tuple[str, str]]:
    return sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.__getitem__)


def _write_tokenizer(tokenizer: Any, folder: Path) -> None:
    if hasattr(tokenizer, "bpe_ranks"):
        lines = "\n".join(" ".join(pair) for pair in _merges(tokenizer))
        (folder / MERGES_FILE).write_text(lines, encoding="utf-8", newline="\n")
    else:
        tokenizer.tokenizer.backend_tokenizer.save(str(folder / FAST_FILE), pretty=False)


def _check_equal(loaded: LoadedModel, light: LightTextEncoder) -> None:
    import torch

    reader = TextReader(loaded.tokenizer, loaded.vocabulary)
    tokens = reader.tokens(_CHECKED_TEXTS)
    if not np.array_equal(tokens, light._reader.tokens(_CHECKED_TEXTS)):
        raise NotExportable("its tokenizer came out different")
    network: Any = loaded.network
    with torch.inference_mode():
        rows = network.encode_text(torch.from_numpy(tokens), normalize=False).numpy()
    expected = unit_rows(rows, "texts").vectors
    together = light.encode_texts(_CHECKED_TEXTS).vectors
    alone = np.concatenate([light.encode_texts([text]).vectors for text in _CHECKED_TEXTS])
    difference = float(max(np.abs(together - expected).max(), np.abs(alone - expected).max()))
    if not difference <= _LARGEST_DIFFERENCE:
        raise NotExportable(f"its rows came out different, by {difference:.1g}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


def main(name: str, fingerprint: str, runtimes: Path) -> str | None:
    """Load a model and export its text tower; None, or why that could not be."""
    _give_way()
    source = parse_model_name(name)
    folder = runtime_folder(runtimes, source.name, fingerprint)
    try:
        sources = source_states(source)
        loaded = load_model(source)
        if loaded.facts.fingerprint != fingerprint:
            return f"the weights of {name} have changed"
        export_text_runtime(loaded, source, sources, runtimes)
    except NotExportable as error:
        note_refusal(folder, str(error))
        return str(error)
    except ClipSearchError as error:
        return error.message
    except OSError as error:
        return str(error)
    return None


def _give_way() -> None:
    """Come after those who answer, and be the one who is ended where memory runs out."""
    if hasattr(os, "nice"):
        os.nice(10)
    with contextlib.suppress(OSError):  # Linux's, and there not within every container
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
