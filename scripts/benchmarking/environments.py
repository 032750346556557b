"""Makes the rivals' virtual environments from PyPI; alone knows their versions and what each has to be given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TORCH = ("torch==2.13.0", "torchvision==0.28.0")
PACKAGES: dict[str, tuple[str, ...]] = {
    "rclip": ("rclip==3.3.0",),
    # setuptools: one of its dependencies still asks for pkg_resources.
    "clip-retrieval": ("clip-retrieval==2.45.0", "setuptools<81"),
    "transformers": ("transformers==5.23.0", "pillow==13.0.0"),
}
WITHOUT_TORCH = frozenset({"rclip"})


def environment(folder: Path, rival: str) -> Path:
    """The Python of the rival's environment below ``folder``, made on the first call (minutes, and a network).

    Raises CalledProcessError when pip fails.
    """
    place = folder / rival
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = " ".join(PACKAGES[rival])
    stamp = place / ".installed"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making an environment for {rival}: {wanted}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input"]
    torch = () if rival in WITHOUT_TORCH else TORCH
    if torch:  # first and alone, so that nothing chooses another build of it
        subprocess.run([*pip, *torch], check=True)
    subprocess.run([*pip, *torch, *PACKAGES[rival]], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def versions(python: Path, rival: str) -> str:
    """The rival's version as its environment has it."""
    program = f"import importlib.metadata; print(importlib.metadata.version({rival!r}))"
    return subprocess.run([str(python), "-c", program], check=True, capture_output=True, text=True).stdout.strip()
