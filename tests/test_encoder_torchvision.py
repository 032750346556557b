from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest

from clipsearch.encoder import torchvision_guard

_CALL = "from clipsearch.encoder.torchvision_guard import ensure_torchvision as ensure; ensure();"


def run_with_stub(folder: Path, source: str, code: str) -> subprocess.CompletedProcess[str]:
    """``code`` in a Python whose torchvision is ``source``."""
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(source)
    root = Path(torchvision_guard.__file__).parents[2]
    code = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(root)!r}]; {code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_torchvision_and_open_clip_can_be_imported() -> None:
    torchvision_guard.ensure_torchvision()
    torchvision_guard.ensure_torchvision()
    import open_clip

    assert open_clip.list_models()
    assert "torchvision.ops.misc" in sys.modules


def test_a_proper_torchvision_is_left_alone(tmp_path: Path) -> None:
    code = _CALL + "import torchvision; assert torchvision.proper and 'torch' not in sys.modules"
    done = run_with_stub(tmp_path, "proper = True", code)
    assert done.returncode == 0, done.stderr


def test_an_imported_torchvision_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    proper = types.ModuleType("torchvision")
    monkeypatch.setitem(sys.modules, "torchvision", proper)
    declared = list(torchvision_guard._declared)
    torchvision_guard.ensure_torchvision()
    assert sys.modules["torchvision"] is proper
    assert torchvision_guard._declared == declared


@pytest.mark.parametrize(
    "failure",
    ["RuntimeError('operator torchvision::roi_align does not exist')", "ImportError('libjpeg is missing')"],
)
def test_another_failure_is_not_hidden(tmp_path: Path, failure: str) -> None:
    done = run_with_stub(tmp_path, f"raise {failure}", _CALL)
    assert done.returncode == 1
    assert failure.split("'")[1] in done.stderr.splitlines()[-1]
    assert "torch/library.py" not in done.stderr


def test_the_missing_operators_are_declared_and_the_import_repeated(tmp_path: Path) -> None:
    stub = (
        "import torch\n"
        "from torchvision import half\n"
        "try:\n    torch.ops.torchvision.nms\n"
        "except AttributeError:\n"
        "    raise RuntimeError('operator torchvision::nms does not exist')\n"
        "assert torch.ops.torchvision.qnms\n"
        "whole = True\n"
    )
    code = (
        f"import pathlib; pathlib.Path({str(tmp_path)!r}, 'torchvision', 'half.py').write_text('');"
        + _CALL
        + "ensure(); import torchvision; assert torchvision.whole"
    )
    done = run_with_stub(tmp_path, stub, code)
    assert done.returncode == 0, done.stderr
