"""Run the Dockerfile's commands without a Docker daemon; knows the instructions that this Dockerfile uses.

Each stage gets a copy-on-write tree over this machine's own (overlayfs in a private mount namespace, so it
needs root on Linux), only the files that COPY brings past .dockerignore, and no settings but the Dockerfile's
and those by which this machine's pip reaches an index. At the end the image's command is started as the
image's user, in a network of its own, asked by the image's health check, and stopped by the image's signal.

It is not a build: this machine stands in for the image that FROM names, and `RUN --mount` is ignored.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
IMAGE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
WITHOUT_EFFECT_HERE = {"LABEL", "EXPOSE", "VOLUME"}
LOOPBACK_UP = (
    "import fcntl, socket, struct;"
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 1))"  # SIOCSIFFLAGS, IFF_UP
)
PATIENCE = 120.0


class CannotCheck(Exception):
    """The Dockerfile does something that this script does not know, or a command failed."""


@dataclass
class Stage:
    """One FROM and what follows it; afterwards, the settings that it ended with."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    stop_signal: str = "SIGTERM"


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """The instructions in order, continued lines joined, comments left out."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n", "", kept).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word.upper(), rest.strip()


def stages(text: str) -> list[Stage]:
    """The stages in order; ARGs before the first FROM are filled in with their defaults."""
    found: list[Stage] = []
    defaults: dict[str, str] = {}
    for word, rest in instructions(text):
        if word == "FROM":
            base, _, name = expand(rest, defaults).partition(" AS ")
            found.append(Stage(name.strip() or str(len(found)), base.strip()))
        elif found:
            found[-1].instructions.append((word, rest))
        else:
            name, _, default = rest.partition("=")
            defaults[name] = default
    return found


def needed(all_stages: list[Stage], target: str) -> list[Stage]:
    """The stages that the target is made of, each after those it rests on."""
    by_name = {stage.name: stage for stage in all_stages}
    if target not in by_name:
        raise CannotCheck(f"no stage is named {target}; there are {', '.join(by_name)}")
    wanted = {target}
    for stage in reversed(all_stages):
        if stage.name in wanted:
            wanted.add(stage.base)
            copies = (rest for word, rest in stage.instructions if word == "COPY")
            wanted.update(source for rest in copies for source in re.findall(r"--from=(\S+)", rest))
    return [stage for stage in all_stages if stage.name in wanted]


def expand(text: str, values: Mapping[str, str]) -> str:
    """Text with $NAME and ${NAME} filled in."""
    return string.Template(text).safe_substitute(values)


def sent_to_builder(path: PurePosixPath, patterns: list[str]) -> bool:
    """Whether .dockerignore lets a path of the context through: the last pattern that matches decides."""
    sent = True
    for pattern in patterns:
        bare = pattern.removeprefix("!")
        # `**/name` matches at any depth; every other pattern here names something at the top.
        names = path.parts if bare.startswith("**/") else path.parts[:1]
        if any(fnmatch.fnmatchcase(name, bare.removeprefix("**/")) for name in names):
            sent = pattern.startswith("!")
    return sent


def copied_from_context(context: Path, source: str) -> list[Path]:
    """The files of the context that COPY of this source brings, past .dockerignore."""
    lines = (context / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    start = context / source
    files = sorted(start.rglob("*")) if start.is_dir() else [start]
    return [
        path for path in files if path.is_file() and sent_to_builder(PurePosixPath(path.relative_to(context)), patterns)
    ]


class Builder:
    """Runs stages in a scratch folder; one mounted tree per stage."""

    def __init__(self, context: Path, scratch: Path, arguments: Mapping[str, str]) -> None:
        self.context = context
        self.scratch = scratch
        self.arguments = arguments
        self.done: dict[str, Stage] = {}

    def run(self, stage: Stage) -> None:
        """Carry out a stage's instructions."""
        base = self.done.get(stage.base)
        if base is None:
            print(f"[{stage.name}] this machine stands in for {stage.base}", flush=True)
            stage.env = {"PATH": IMAGE_PATH, "HOME": "/root"}
        else:
            stage.env = dict(base.env)
            stage.workdir, stage.user, stage.stop_signal = base.workdir, base.user, base.stop_signal
            stage.command, stage.health = base.command, base.health
        self.mount(stage)
        if base is None:
            self.put_python(stage)
        for word, rest in stage.instructions:
            print(f"[{stage.name}] {word} {rest if len(rest) < 150 else rest[:147] + '...'}", flush=True)
            self.carry_out(stage, word, rest)
        self.done[stage.name] = stage

    def carry_out(self, stage: Stage, word: str, rest: str) -> None:
        """Carry out one instruction."""
        values = stage.env
        if word == "RUN":
            command = re.sub(r"^(--\S+\s+)+", "", rest)
            self.call(stage, ["/bin/sh", "-c", command])
        elif word == "COPY":
            self.copy(stage, expand(rest, values))
        elif word == "ENV":
            stage.env.update(dict(pair.split("=", 1) for pair in shlex.split(expand(rest, values))))
        elif word == "ARG":
            name, _, default = rest.partition("=")
            stage.env[name] = self.arguments.get(name, default)
        elif word == "WORKDIR":
            stage.workdir = expand(rest, values)
            self.inside(stage, stage.workdir).mkdir(parents=True, exist_ok=True)
        elif word == "USER":
            stage.user = rest
        elif word == "CMD":
            stage.command = json.loads(rest)
        elif word == "HEALTHCHECK":
            stage.health = json.loads(rest.partition("CMD ")[2])
        elif word == "STOPSIGNAL":
            stage.stop_signal = rest
        elif word not in WITHOUT_EFFECT_HERE:
            raise CannotCheck(f"{word} is an instruction that this script does not know")

    def mount(self, stage: Stage) -> None:
        """Lay over this machine what the base stage changed, as the start of what this one changes."""
        here = self.scratch / stage.name
        upper, work, tree = here / "upper", here / "work", here / "tree"
        for folder in (upper, work, tree):
            folder.mkdir(parents=True)
        if stage.base in self.done:
            subprocess.run(["cp", "--archive", f"{self.scratch / stage.base}/upper/.", upper], check=True)
        mount("-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work},volatile", str(tree))
        mount("-t", "tmpfs", "tmpfs", str(tree / "tmp"))
        for kernels in ("/proc", "/dev", "/sys"):
            mount("--rbind", kernels, str(tree) + kernels)
        for name in ("/etc/resolv.conf", "/etc/hosts"):
            if os.path.ismount(name):
                mount("--bind", name, str(tree) + name)

    def put_python(self, stage: Stage) -> None:
        """Make this interpreter the one that a Python base image holds, for every user."""
        interpreter = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
        for folder in interpreter.parents:
            inner = self.inside(stage, str(folder))
            inner.chmod(inner.stat().st_mode | 0o011)
        for name, module in (("python", ""), ("python3", ""), ("pip", " -m pip")):
            command = self.inside(stage, f"/usr/local/bin/{name}")
            command.unlink(missing_ok=True)
            # Not a link: python finds its own library, and makes environments, from where it really lies.
            command.write_text(f'#!/bin/sh\nexec {interpreter}{module} "$@"\n', encoding="utf-8")
            command.chmod(0o755)

    def copy(self, stage: Stage, rest: str) -> None:
        """Copy from the context or from another stage."""
        words = [word for word in rest.split() if not word.startswith("--")]
        *sources, target = words
        goal = self.inside(stage, os.path.join(stage.workdir, target))
        origin = re.search(r"--from=(\S+)", rest)
        for source in sources:
            place = goal / Path(source).name if target.endswith("/") else goal
            place.parent.mkdir(parents=True, exist_ok=True)
            if origin is not None:
                found = self.inside(self.done[origin[1]], source)
                subprocess.run(["cp", "--archive", "--no-target-directory", found, place], check=True)
                continue
            files = copied_from_context(self.context, source)
            if not files:
                raise CannotCheck(f"COPY {source}: nothing of that name gets past .dockerignore")
            for path in files:
                within = place / path.relative_to(self.context / source)
                within.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, within)

    def inside(self, stage: Stage, path: str) -> Path:
        """Where a path of the stage lies on this machine."""
        return self.scratch / stage.name / "tree" / path.lstrip("/")

    def call(self, stage: Stage, command: list[str]) -> None:
        """Run a command in the stage's tree; raise CannotCheck when it fails."""
        started = time.monotonic()
        ended = subprocess.run(self.entering(stage, command), env=self.environment(stage), check=False)
        if ended.returncode:
            raise CannotCheck(f"[{stage.name}] ended with {ended.returncode}: {shlex.join(command)}")
        print(f"[{stage.name}] done in {time.monotonic() - started:.1f} s", flush=True)

    def entering(self, stage: Stage, command: list[str]) -> list[str]:
        """The command as it is run from outside: in the tree, the folder and as the user of the stage."""
        change = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', stage.workdir, *command]
        return ["chroot", f"--userspec={stage.user}", "--groups=", str(self.inside(stage, "/")), *change]

    def environment(self, stage: Stage) -> dict[str, str]:
        """The stage's own settings, and of this machine's only those by which pip reaches an index."""
        pattern = re.compile(r"(PIP_.*|SSL_CERT_.*|.*_proxy)", re.IGNORECASE)
        return {name: value for name, value in os.environ.items() if pattern.fullmatch(name)} | stage.env

    def serve(self, stage: Stage) -> None:
        """Start the image's command, wait until its health check passes, stop it by its signal."""
        self.call(stage, ["clipsearch", "keys", "create", "check", "--scope", "read"])  # without one it does not start
        print(f"[{stage.name}] starting as {stage.user}: {shlex.join(stage.command)}", flush=True)
        private = ["unshare", "--net", "/bin/sh", "-c", 'python3 -c "$0" && exec "$@"', LOOPBACK_UP]
        server = subprocess.Popen([*private, *self.entering(stage, stage.command)], env=self.environment(stage))
        health = ["nsenter", f"--net=/proc/{server.pid}/ns/net", *self.entering(stage, stage.health)]
        started = time.monotonic()
        try:
            while True:
                asked = subprocess.run(health, env=self.environment(stage), capture_output=True, check=False)
                if asked.returncode == 0:
                    break
                if server.poll() is not None:
                    raise CannotCheck(f"the command ended with {server.returncode} before it was healthy")
                if time.monotonic() - started > PATIENCE:
                    raise CannotCheck(f"not healthy within {PATIENCE:.0f} s: {asked.stderr.decode()[-500:]}")
                time.sleep(0.5)
            print(f"[{stage.name}] healthy after {time.monotonic() - started:.1f} s", flush=True)
            server.send_signal(signal.Signals[stage.stop_signal])
            code = server.wait(timeout=PATIENCE)
            if code:
                raise CannotCheck(f"{stage.stop_signal} ended the command with {code}, not 0")
            print(f"[{stage.name}] stopped by {stage.stop_signal} with 0", flush=True)
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()


def mount(*arguments: str) -> None:
    """Mount something in this script's own namespace."""
    subprocess.run(["mount", *arguments], check=True)


def check(options: argparse.Namespace) -> None:
    """Run the target's stages, and its command; called in a mount namespace of its own."""
    arguments = dict(pair.split("=", 1) for pair in options.build_arg)
    builder = Builder(ROOT, options.scratch, arguments)
    chosen = needed(stages((ROOT / "Dockerfile").read_text(encoding="utf-8")), options.target)
    for stage in chosen:
        builder.run(stage)
    if not options.build_only:
        builder.serve(chosen[-1])
    print(f"The commands of target {options.target} work here. This was not a build: see {Path(__file__).name}.")


def main() -> int:
    """Check one target of the Dockerfile."""
    parser = argparse.ArgumentParser(description="run the Dockerfile's commands without a Docker daemon")
    parser.add_argument("--target", default="cpu", help="the stage to arrive at (cpu)")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--build-only", action="store_true", help="do not start the image's command")
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        print("This needs root on Linux: it mounts throw-away trees over this machine's.", file=sys.stderr)
        return 2
    if options.scratch is not None:
        try:
            check(options)
        except (CannotCheck, subprocess.SubprocessError) as error:
            print(f"Failed: {error}", file=sys.stderr)
            return 1
        return 0
    # The mounts are made by a child in its own namespace and go with it: here they are never seen, so that
    # removing the folder cannot reach through one of them.
    with tempfile.TemporaryDirectory(prefix="clipsearch-dockerfile-", ignore_cleanup_errors=True) as scratch:
        os.chmod(scratch, 0o755)
        alone = ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv]
        return subprocess.run([*alone, "--scratch", scratch], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
