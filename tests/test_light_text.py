"""The exported text tower: the rows and tokens of open_clip without torch, and never one that must not be believed."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoder_fixtures import ARCHITECTURES, SIGMOID_PREPROCESSING, Checkpoints, make_checkpoints, write_model_folder
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from clipsearch.config import Settings
from clipsearch.encoder import text_export, text_keeping
from clipsearch.encoder.factory import open_clip
from clipsearch.encoder.light_text import LightTextEncoder, open_light_text
from clipsearch.encoder.light_tokens import (
    FAST_FILE,
    MERGES_FILE,
    Clean,
    FastTokens,
    LightReader,
    MergedTokens,
    cleaning,
)
from clipsearch.encoder.loading import LoadedModel, load_model
from clipsearch.encoder.names import parse_model_name
from clipsearch.encoder.open_clip_encoder import OpenClipEncoder
from clipsearch.encoder.text_export import NotExportable, export_text_runtime
from clipsearch.encoder.text_runtime import MODEL_FILE, WEIGHTS_FILE, runtime_folder, source_states, stands
from clipsearch.encoder.texts import TextReader
from clipsearch.errors import ConfigError, ModelMismatch
from clipsearch.library import Library

TEXTS = [
    "a",
    "a red boat at night",
    "",
    "boat " * 90,
    "Ein Café &amp; zwei 12-Zoll-Räder … 🚲",
    "<end_of_text> a boat <start_of_text>",
    *("a photo of a boat" + ", very" * number for number in range(9)),
]
CLEANS: tuple[Clean, ...] = ("lower", "whitespace", "canonicalize")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    return make_checkpoints(tmp_path_factory.getbasetemp())


def _exported(name: str, runtimes: Path) -> LoadedModel:
    source = parse_model_name(name)
    sources = source_states(source)
    loaded = load_model(source)
    export_text_runtime(loaded, source, sources, runtimes)
    return loaded


@pytest.fixture(scope="module")
def exported(
    checkpoints: Checkpoints, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[OpenClipEncoder, LightTextEncoder]]:
    """For a model's name its full encoder in float32 and the light one."""
    runtimes = tmp_path_factory.mktemp("runtimes")
    made: dict[str, tuple[OpenClipEncoder, LightTextEncoder]] = {}

    def both(name: str) -> tuple[OpenClipEncoder, LightTextEncoder]:
        if name not in made:
            loaded = _exported(checkpoints.name(name) if name in ARCHITECTURES else name, runtimes)
            light = open_light_text(runtimes, loaded.facts)
            assert light is not None
            made[name] = OpenClipEncoder(loaded, "cpu", "float32"), light
        return made[name]

    return both


@pytest.mark.parametrize("name", ["demo", "demo-sigmoid", *ARCHITECTURES])
def test_rows_and_what_is_said_of_texts_are_those_of_the_full_encoder(
    exported: Callable[[str], tuple[OpenClipEncoder, LightTextEncoder]], name: str
) -> None:
    full, light = exported(name)
    together = light.encode_texts(TEXTS)
    expected = full.encode_texts(TEXTS)
    np.testing.assert_allclose(together.vectors, expected.vectors, atol=1e-5)
    np.testing.assert_allclose(together.norms, expected.norms, rtol=1e-4)
    alone = np.concatenate([light.encode_texts([text]).vectors for text in TEXTS])
    np.testing.assert_allclose(alone, expected.vectors, atol=1e-5)
    assert light.encode_texts([]).vectors.shape == (0, full.model.dimension)
    assert light.model == full.model
    assert light.vocabulary == full.vocabulary
    assert light.truncated(TEXTS) == full.truncated(TEXTS)
    assert light.token_counts(TEXTS) == full.token_counts(TEXTS)
    assert [light.unknown_words(text) for text in TEXTS] == [full.unknown_words(text) for text in TEXTS]


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[TextReader, LightReader]]:
    """open_clip's tokenizer and ours, for each of its ways to clean a text."""
    tokenizer_of = open_clip().tokenizer.SimpleTokenizer
    folder = tmp_path_factory.mktemp("tokens")
    made: dict[str, tuple[TextReader, LightReader]] = {}
    for clean in CLEANS:
        tokenizer = tokenizer_of(context_length=16, clean=clean)
        rules = json.loads(json.dumps(text_export._token_rules(tokenizer)))
        text_export._write_tokenizer(tokenizer, folder)
        light = MergedTokens(rules, (folder / MERGES_FILE).read_text(encoding="utf-8"), 16)
        made[clean] = TextReader(tokenizer, None), LightReader(light, 16, rules["padding"])
    return made


_pieces = st.sampled_from(
    ["a boat", "BOAT's", "we'll", "I'd 've", "&amp;", "&lt;b&gt;", "&#8364;", "&amp;amp;", "<end_of_text>", "\x00",
     "<START_OF_TEXT>", "…", "“quoted”", "naïve", "e\u0301", "ﬁ", "Ł", "ß", "İ", "ſ", "'ſ", "\u212a", "٣", "²", "Ⅷ",
     "🚲", "👩\u200d👧", "日本語", "\u0e2a\u0e27\u0e31\u0e2a", "\u200b", "\xa0", "\u2028", "\x1c", "\x85", "\x1b[31m",
     "\ufeff", "_", "!!", "!@", "Ã©", "â€™", "schÃ¶n"]
)  # fmt: skip
_any_text = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text(st.characters(codec="ascii"), max_size=40),
    st.lists(st.one_of(_pieces, st.just(" "), st.text(max_size=3)), max_size=12).map("".join),
)


@pytest.mark.parametrize("clean", CLEANS)
def test_tokens_are_those_of_open_clip(readers: dict[str, tuple[TextReader, LightReader]], clean: str) -> None:
    full, light = readers[clean]

    @settings(max_examples=150)
    @given(_any_text)
    @example("boat" * 3000)
    @example("abcabc ababab aaaaaaa hahahahaha")
    def law(text: str) -> None:
        np.testing.assert_array_equal(light.tokens([text]), full.tokens([text]))
        assert light.truncated([text]) == full.truncated([text])
        assert light.counts([text]) == full.counts([text])

    law()


@given(st.text(st.characters(codec="ascii"), max_size=60))
@example("&amp;")
@example("\x7f~ \t")
def test_plain_text_needs_no_mending(text: str) -> None:
    for clean in CLEANS:
        assert cleaning(clean)(text) == open_clip().tokenizer.get_clean_fn(clean)(text)


def test_a_tokenizer_of_hugging_face_gives_the_same_tokens(checkpoints: Checkpoints, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    import tokenizers

    words = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2, "red": 3, "boat": 4}, "<unk>")
    )
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.post_processor = tokenizers.processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    folder = write_model_folder(tmp_path / "model", checkpoints, "small-sigmoid", **SIGMOID_PREPROCESSING)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", sep_token="</s>"
    )
    fast.save_pretrained(folder)
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "somewhere/else"
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    loaded = _exported(str(folder), tmp_path / "runtimes")
    light = open_light_text(tmp_path / "runtimes", loaded.facts)
    assert light is not None
    full = OpenClipEncoder(loaded, "cpu", "float32")
    texts = ["A RED boat!", "boat " * 63, "boat " * 64, "boat " * 200, "", "Ein Café &amp; 🚲"]
    np.testing.assert_array_equal(light._reader.tokens(texts), full._reader.tokens(texts))
    assert light.truncated(texts) == full.truncated(texts)
    assert light.token_counts(texts) == full.token_counts(texts)
    np.testing.assert_allclose(light.encode_texts(texts).vectors, full.encode_texts(texts).vectors, atol=1e-5)
    rules = {**text_export._token_rules(loaded.tokenizer), "blanked": 1}
    blanked = FastTokens(rules, runtime_file(tmp_path / "runtimes", FAST_FILE), 64)
    assert blanked.fitted("red boat") == [3, 4, 0]


def runtime_file(runtimes: Path, name: str) -> Path:
    return next(runtimes.glob(f"text-*/{name}"))


def test_a_text_is_encoded_without_torch(tmp_path: Path) -> None:
    facts = _exported("demo", tmp_path).facts
    program = (
        "import sys; from pathlib import Path; from clipsearch.encoder.light_text import open_light_text;"
        "from clipsearch.model import Model;"
        f"light = open_light_text(Path({str(tmp_path)!r}), Model('demo', {facts.dimension}, 1.0,"
        f" fingerprint={facts.fingerprint!r}));"
        "light.encode_texts(['a red boat', 'Ein Café &amp; …']); light.truncated(['a boat']);"
        "sys.exit(' '.join({'torch', 'torchvision', 'open_clip', 'transformers', 'timm', 'onnx', 'faiss', 'PIL'}"
        " & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def small_export(checkpoints: Checkpoints, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, LoadedModel]:
    """A model folder, the folder of runtimes with its export, and what was loaded."""
    base = tmp_path_factory.mktemp("small-export")
    model = write_model_folder(base / "model", checkpoints, "small-clip")
    return model, base / "runtimes", _exported(str(model), base / "runtimes")


def _shortened(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _flipped(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def _changed_manifest(path: Path) -> None:
    manifest = path.parent / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"small", b"smell").replace(b"float", b"flout")[:-9])


@pytest.mark.parametrize("file", [MODEL_FILE, WEIGHTS_FILE, MERGES_FILE, "manifest.json"])
@pytest.mark.parametrize("harm", [_shortened, _flipped, Path.unlink, _changed_manifest])
def test_a_damaged_export_is_not_used(
    small_export: tuple[Path, Path, LoadedModel], tmp_path: Path, file: str, harm: Callable[[Path], None]
) -> None:
    _, runtimes, loaded = small_export
    copy = tmp_path / "runtimes"
    shutil.copytree(runtimes, copy)
    assert open_light_text(copy, loaded.facts) is not None  # a copy is believed, its checksums being right
    harm(runtime_file(copy, file))
    assert open_light_text(copy, loaded.facts) is None


def test_an_export_of_other_weights_or_versions_is_not_used(
    small_export: tuple[Path, Path, LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, runtimes, loaded = small_export
    other = dataclasses.replace(loaded.facts, fingerprint="0" * 64)
    assert open_light_text(runtimes, other) is None
    assert open_light_text(runtimes, dataclasses.replace(loaded.facts, fingerprint=None)) is None
    copy = tmp_path / "runtimes"
    shutil.copytree(runtimes, copy)
    runtime_file(copy, "").rename(runtime_folder(copy, other.name, str(other.fingerprint)))
    assert open_light_text(copy, other) is None
    monkeypatch.setattr("clipsearch.encoder.text_runtime.version", lambda _name: "0.1")
    assert open_light_text(runtimes, loaded.facts) is None


def test_weights_that_changed_on_disk_are_noticed_without_loading_them(
    checkpoints: Checkpoints, tmp_path: Path
) -> None:
    model = write_model_folder(tmp_path / "model", checkpoints, "small-clip")
    facts = _exported(str(model), tmp_path / "runtimes").facts
    assert open_light_text(tmp_path / "runtimes", facts) is not None
    weights = model / "open_clip_model.safetensors"
    os.utime(weights, ns=(0, weights.stat().st_mtime_ns + 1_000))
    assert open_light_text(tmp_path / "runtimes", facts) is None
    weights.unlink()
    assert open_light_text(tmp_path / "runtimes", facts) is None


class _Moody(nn.Module):
    """A tower whose rows hang on something that no export can see."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.visual = network.visual

    def encode_text(self, tokens: Any, normalize: bool = False) -> Any:
        rows = self.network.encode_text(tokens, normalize=normalize)
        return rows + float(tokens.float().mean())


def test_an_export_with_other_rows_is_refused_and_nothing_is_left(
    small_export: tuple[Path, Path, LoadedModel], tmp_path: Path
) -> None:
    model, _, loaded = small_export
    moody = dataclasses.replace(loaded, network=_Moody(loaded.network).eval())
    with pytest.raises(NotExportable, match="rows came out different"):
        export_text_runtime(moody, parse_model_name(str(model)), [], tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_tokenizer_of_another_kind_is_refused(small_export: tuple[Path, Path, LoadedModel], tmp_path: Path) -> None:
    model, _, loaded = small_export
    own = type("OwnTokenizer", (type(loaded.tokenizer),), {})(context_length=77)
    with pytest.raises(NotExportable, match="OwnTokenizer"):
        export_text_runtime(dataclasses.replace(loaded, tokenizer=own), parse_model_name(str(model)), [], tmp_path)


def test_exports_at_the_same_time_do_no_harm(small_export: tuple[Path, Path, LoadedModel], tmp_path: Path) -> None:
    model, _, loaded = small_export
    source = parse_model_name(str(model))
    wrong: list[BaseException] = []

    def export() -> None:
        try:
            export_text_runtime(loaded, source, source_states(source), tmp_path)
        except BaseException as error:  # noqa: BLE001 - a thread's failure is carried to the test
            wrong.append(error)

    threads = [threading.Thread(target=export) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert open_light_text(tmp_path, loaded.facts) is not None
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


def test_a_full_disk_leaves_nothing_behind(
    small_export: tuple[Path, Path, LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _, loaded = small_export
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1_000))
    with pytest.raises(OSError, match="No space left"):
        export_text_runtime(loaded, parse_model_name(str(model)), [], tmp_path / "runtimes")
    assert not list((tmp_path / "runtimes").iterdir())


def test_an_export_is_made_once_and_by_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    facts = load_model(parse_model_name("demo")).facts
    assert text_keeping.keep_text_runtime("demo", str(facts.fingerprint), tmp_path)
    assert open_light_text(tmp_path, facts) is not None
    before = runtime_file(tmp_path, "manifest.json").stat()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert text_keeping.keep_text_runtime("demo", str(facts.fingerprint), tmp_path)
    assert runtime_file(tmp_path, "manifest.json").stat() == before
    assert not list(tmp_path.glob("*.tried"))
    assert not caplog.records
    # Without a Python to start, it is said once and everything goes on.
    assert not text_keeping.keep_text_runtime("demo-sigmoid", "0" * 64, tmp_path)
    assert "will wait for torch" in caplog.text


def test_the_process_of_an_export_says_what_was_wrong(
    small_export: tuple[Path, Path, LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_export, "_give_way", lambda: None)
    model, _, loaded = small_export
    fingerprint = str(loaded.facts.fingerprint)
    assert "have changed" in str(text_export.main(str(model), "0" * 64, tmp_path))
    assert "none" in str(text_export.main(str(tmp_path / "none"), fingerprint, tmp_path))
    (tmp_path / "file").write_text("")
    assert "file" in str(text_export.main(str(model), fingerprint, tmp_path / "file"))
    assert text_export.main(str(model), fingerprint, tmp_path / "runtimes") is None
    folder = runtime_folder(tmp_path / "runtimes", str(model), fingerprint)
    assert stands(folder, parse_model_name(str(model)), fingerprint)


def test_a_model_that_cannot_be_exported_is_not_tried_again(
    small_export: tuple[Path, Path, LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _, loaded = small_export
    fingerprint = str(loaded.facts.fingerprint)
    monkeypatch.setattr(text_export, "_give_way", lambda: None)
    monkeypatch.setattr(text_export, "_LARGEST_DIFFERENCE", -1.0)
    assert "came out different" in str(text_export.main(str(model), fingerprint, tmp_path))
    tried: list[Any] = []

    def give_up(*asked: Any) -> str:
        tried.append(asked)
        return "no"

    monkeypatch.setattr(text_keeping, "_exported_apart", give_up)
    assert not text_keeping.keep_text_runtime(str(model), fingerprint, tmp_path)
    assert not tried
    monkeypatch.setattr("clipsearch.encoder.text_runtime.version", lambda _name: "0.1")
    assert not text_keeping.keep_text_runtime(str(model), fingerprint, tmp_path)
    assert tried


def test_an_export_that_failed_for_any_reason_is_tried_again_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[Any] = []

    def killed(*asked: Any) -> str:
        tried.append(asked)
        return "status -9"

    monkeypatch.setattr(text_keeping, "_exported_apart", killed)
    for _ in range(3):
        assert not text_keeping.keep_text_runtime("demo", "0" * 64, tmp_path)
    assert len(tried) == 1
    assert caplog.text.count("status -9") == 1
    (note,) = tmp_path.glob("*.tried")
    for days, tries in ((0.9, 1), (1.1, 2), (-1.0, 3)):  # the last: a clock that was set back
        moment = time.time() - days * 24 * 3600
        os.utime(note, (moment, moment))
        assert not text_keeping.keep_text_runtime("demo", "0" * 64, tmp_path)
        assert len(tried) == tries


def test_an_export_that_takes_too_long_is_ended_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    facts = load_model(parse_model_name("demo")).facts
    folder = runtime_folder(tmp_path, "demo", str(facts.fingerprint))
    (tmp_path / f"{folder.name}.half.tmp").mkdir()
    monkeypatch.setattr(text_keeping, "_SECONDS", 0.05)
    assert not text_keeping.keep_text_runtime("demo", str(facts.fingerprint), tmp_path)
    assert "took longer than" in caplog.text
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("fault", ["full", "unwritable"])
def test_where_nothing_can_be_kept_no_export_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    runtimes = tmp_path / "runtimes"
    if fault == "full":
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1_000))
    else:
        runtimes.write_text("")
    monkeypatch.setattr(text_keeping, "_exported_apart", lambda *_: pytest.fail("was begun"))
    assert not text_keeping.keep_text_runtime("demo", "0" * 64, runtimes)
    assert "was not exported" in caplog.text


# The library ----------------------------------------------------------------------------------------------


@pytest.fixture
def folder_with_runtime(small_export: tuple[Path, Path, LoadedModel], tmp_path: Path) -> tuple[Path, str]:
    """A data folder with a collection of the small model, its row and its export, and the model's name."""
    model, runtimes, loaded = small_export
    data = tmp_path / "data"
    with Library.open(Settings(data_dir=data, light_text=True)) as library:
        row = library.create_collection("default", str(model))
        library._encoders[row.model_name] = OpenClipEncoder(loaded, "cpu", "float32")
        library.encoder_for(row)
    shutil.copytree(runtimes, data / "runtimes")
    return data, str(model)


def test_a_search_takes_the_light_encoder_until_the_full_one_is_there(folder_with_runtime: tuple[Path, str]) -> None:
    data, name = folder_with_runtime
    with Library.open(Settings(data_dir=data, light_text=True, device="cpu", dtype="float32")) as library:
        row = library.collection()
        light, model = library.text_encoder_for(row)
        assert type(light) is LightTextEncoder
        assert library.text_encoder_for(row)[0] is light
        assert model.model == light.model
        assert library.loaded_encoder(name) is None
        full = library.encoder(name)
        assert library.text_encoder_for(row)[0] is full
        assert library._light_encoders.find(light.model) is None, "its memory is given back"
        np.testing.assert_allclose(
            light.encode_texts(["a boat"]).vectors, full.encode_texts(["a boat"]).vectors, atol=1e-3
        )
        assert library.keep_text_runtime(name)


def test_without_an_export_or_against_the_settings_the_full_encoder_is_taken(
    folder_with_runtime: tuple[Path, str],
) -> None:
    data, name = folder_with_runtime
    with Library.open(Settings(data_dir=data, light_text=False, device="cpu", dtype="float32")) as library:
        full, _ = library.text_encoder_for(library.collection())
        assert full is library.loaded_encoder(name)
        assert not library.keep_text_runtime(name)
    shutil.rmtree(data / "runtimes")
    with Library.open(Settings(data_dir=data, light_text=True, device="cpu", dtype="float32")) as library:
        assert not library.keep_text_runtime(name)  # it is not in memory
        full, _ = library.text_encoder_for(library.collection())
        assert full is library.loaded_encoder(name)


@pytest.mark.parametrize(
    "asked", [{"device": "cuda:99"}, {"device": "cup"}, {"device": "cpu", "dtype": "int8"}], ids=str
)
def test_a_device_or_format_that_cannot_be_had_is_refused_as_without_an_export(
    folder_with_runtime: tuple[Path, str], asked: dict[str, Any]
) -> None:
    data, _ = folder_with_runtime
    with Library.open(Settings(data_dir=data, light_text=True, **asked)) as library:
        library.prepare_text_encoder()
        with pytest.raises(ConfigError):
            library.text_encoder_for(library.collection())


def test_other_weights_in_the_folder_are_a_mismatch_as_ever(
    folder_with_runtime: tuple[Path, str], checkpoints: Checkpoints
) -> None:
    data, name = folder_with_runtime
    weights = Path(name) / "open_clip_model.safetensors"
    before = weights.read_bytes()
    status = weights.stat()
    try:
        weights.write_bytes((checkpoints.folder / "small-clip-quickgelu.safetensors").read_bytes())
        with (
            Library.open(Settings(data_dir=data, light_text=True, device="cpu", dtype="float32")) as library,
            pytest.raises(ModelMismatch),
        ):
            library.text_encoder_for(library.collection())
    finally:
        weights.write_bytes(before)
        os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
