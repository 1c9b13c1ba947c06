"""W3C's own trace-context harness against a service on this project's SDK.

Usage: test_trace_context.py, with MARLINE_W3C_SERVICE (the service) and MARLINE_INTEROP_BUILD in
the environment, and W3C_TRACE_CONTEXT: a checkout of the W3C's trace-context repository. Without a
checkout it is skipped: the harness is not ours to copy.

Exit: 0 passed, 1 failed, 77 no harness or no packages to be had.
"""

import os
import pathlib
import socket
import subprocess
import sys

import packages

LIMIT_S = 240


def interpreter_and_harness():
    checkout = os.environ.get("W3C_TRACE_CONTEXT")
    if not checkout:
        raise packages.Unavailable("W3C_TRACE_CONTEXT names no checkout of w3c/trace-context")
    harness = pathlib.Path(checkout) / "test" / "test.py"
    if not harness.is_file():
        raise packages.Unavailable(f"there is no {harness}")
    build = os.environ["MARLINE_INTEROP_BUILD"]
    return packages.python_environment(build, "w3c"), harness


def free_port():
    with socket.socket() as free:  # the harness cannot be asked which port it chose
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def run(interpreter, harness):
    service = subprocess.Popen(
        [os.environ["MARLINE_W3C_SERVICE"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        endpoint = service.stdout.readline().strip()
        done = subprocess.run(
            [str(interpreter), str(harness), endpoint],
            cwd=harness.parent,
            env={
                **os.environ,
                "PYTHONDONTWRITEBYTECODE": "1",
                "HARNESS_PORT": str(free_port()),
                "SPEC_LEVEL": "2",
                "STRICT_LEVEL": "2",
            },
            timeout=LIMIT_S,
            check=False,
        )
    finally:
        service.stdin.close()
        service.wait()
    return done.returncode or service.returncode


def main():
    try:
        interpreter, harness = interpreter_and_harness()
    except packages.Unavailable as reason:
        print(f"SKIP: {reason}", flush=True)
        sys.exit(1 if os.environ.get("MARLINE_INTEROP_REQUIRED") == "1" else packages.EXIT_SKIPPED)
    sys.exit(1 if run(interpreter, harness) else 0)


if __name__ == "__main__":
    main()
