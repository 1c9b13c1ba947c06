"""Foreign packages for the interop tests, prepared once in the build folder and kept there.

Nothing is ever written into the source tree. Where packages cannot be had, Unavailable is raised
and the test ends as a visible skip; MARLINE_INTEROP_REQUIRED=1 makes a failure of it. Two tests may
prepare at the same time: a lock per folder lets one do it and the other find it done.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent

# Two generations of the platform's SDK, each with the OpenTelemetry of its time: the current one
# (POSTs of at most 100 spans, retries), and the last that declares Python 3.10 (POSTs of up to 512
# spans, no retry), whose exporter needs OpenTelemetry before 1.45.
PYTHON_SDKS = {
    "0.13.0": ("current", ["rhesis-sdk==0.13.0", "rhesis==0.17.1"]),
    "0.6.8": ("old", ["rhesis-sdk==0.6.8.post1"]),
}
NODE_PACKAGES = [
    "@opentelemetry/api@1.9.1",
    "@opentelemetry/sdk-trace-node@2.12.0",
    "@opentelemetry/exporter-trace-otlp-http@0.223.1",
    "@opentelemetry/exporter-trace-otlp-proto@0.223.1",
]

PREPARE_LIMIT_S = 150  # of one command; a slow network is a skip, not a hang
EXIT_SKIPPED = 77


class Unavailable(Exception):
    """The packages cannot be had; the text says why."""


def _run(command):
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PREPARE_LIMIT_S, check=False
        )
    except FileNotFoundError as error:
        raise Unavailable(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"no end of {command[0]} within {PREPARE_LIMIT_S} s") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"{' '.join(command[:4])} …: {' | '.join(lines[-3:])}")


@contextlib.contextmanager
def _locked(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prepared(folder, pins, build):
    """Calls build(folder) unless the folder was built from the same pins before."""
    stamp = folder / "prepared-from.txt"
    with _locked(folder.parent / (folder.name + ".lock")):
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == pins:
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        build(folder)
        stamp.write_text(pins, encoding="utf-8")
    return folder


def _pip_install(folder):
    quiet = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "20"]
    return [str(folder / "bin" / "python"), "-m", "pip", "install", *quiet]


def python_environment(build_folder, generation):
    """The interpreter of a virtual environment that holds requirements-GENERATION.txt."""
    requirements = HERE / f"requirements-{generation}.txt"

    def build(folder):
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([*_pip_install(folder), "-r", str(requirements)])

    pins = sys.version + "\n" + requirements.read_text(encoding="utf-8")
    folder = _prepared(pathlib.Path(build_folder) / f"python-{generation}", pins, build)
    return folder / "bin" / "python"


def python_sdk(build_folder, version):
    """An interpreter, and a folder for PYTHONPATH with the unmodified SDK and nothing else."""
    generation, packages = PYTHON_SDKS[version]
    interpreter = python_environment(build_folder, generation)

    def build(folder):
        # 0.13 declares Python 3.12 and runs on 3.11; the requirements hold its dependencies.
        options = ["--no-deps", "--ignore-requires-python", "--target", str(folder)]
        _run([*_pip_install(interpreter.parent.parent), *options, *packages])

    folder = pathlib.Path(build_folder) / f"python-sdk-{version}"
    return interpreter, _prepared(folder, "\n".join(packages), build)


def node_modules(build_folder):
    """A folder for NODE_PATH that holds NODE_PACKAGES."""

    def build(folder):
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private":true}\n', encoding="utf-8")
        options = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
        _run(["npm", "install", "--prefix", str(folder), *options, *NODE_PACKAGES])

    _run(["node", "--version"])
    folder = _prepared(pathlib.Path(build_folder) / "node", "\n".join(NODE_PACKAGES), build)
    return folder / "node_modules"


def main(prepare):
    """Runs the tests of the calling module after prepare(); ends the process."""
    try:
        prepare()
    except Unavailable as reason:
        print(f"SKIP: {reason}", flush=True)
        sys.exit(1 if os.environ.get("MARLINE_INTEROP_REQUIRED") == "1" else EXIT_SKIPPED)
    unittest.main(verbosity=2, argv=sys.argv[:1])
