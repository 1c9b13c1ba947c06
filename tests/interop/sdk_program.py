"""The program of python_sdk/ as a child process on one version of the SDK."""

import os
import pathlib
import signal
import subprocess

import packages

PROGRAM = packages.HERE / "python_sdk" / "program.py"
STOP_LIMIT_S = 20


class SdkProgram:
    def __init__(self, version, environment, log_folder, program=PROGRAM, log_name="program.log"):
        interpreter, sdk = packages.python_sdk(os.environ["MARLINE_INTEROP_BUILD"], version)
        self._log_path = pathlib.Path(log_folder) / log_name
        everything = {
            **os.environ,
            **environment,
            "PYTHONPATH": str(sdk),
            "PYTHONUNBUFFERED": "1",
        }
        command = [str(interpreter), str(program)]
        with open(self._log_path, "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(command, env=everything, stdout=log, stderr=log)

    def check_running(self):
        if self._process.poll() is not None:
            raise AssertionError(f"the program ended:\n{self.log()}")

    def log(self):
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def wait(self, limit_s):
        """The exit code of a program that ends by itself; it is killed when it does not."""
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def stop(self):
        """Ctrl+C, as its user would: it closes the connection and posts the spans that wait."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
