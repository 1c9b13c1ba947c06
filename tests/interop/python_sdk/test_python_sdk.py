"""The platform's own Python SDK, unmodified, against the backend-mock: every span linked.

Usage: test_python_sdk.py VERSION, with MARLINE_BACKEND_MOCK (the program) and MARLINE_INTEROP_BUILD (a
folder for packages) in the environment. Exit: 0 passed, 1 failed, 77 the packages cannot be had.
"""

import os
import pathlib
import signal
import subprocess
import sys
import unittest

import packages
import scenario
from backend_mock import BackendMock, wait_until

VERSION = sys.argv[1]
PROGRAM = pathlib.Path(__file__).resolve().parent / "program.py"
CONNECT_LIMIT_S = 60
RUN_LIMIT_S = 90
STOP_LIMIT_S = 20


class SdkProgram:
    """The program as a child process; Ctrl+C ends it, as its user would."""

    def __init__(self, backend):
        self._log_path = backend.folder / "program.log"
        build = os.environ["MARLINE_INTEROP_BUILD"]
        environment = {
            **os.environ, **backend.environment(),
            "PYTHONPATH": str(packages.python_sdk(build, VERSION)),
            "PYTHONUNBUFFERED": "1",
        }
        with open(self._log_path, "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [str(packages.python_environment(build)), str(PROGRAM)],
                env=environment, stdout=log, stderr=log)

    def is_running(self):
        return self._process.poll() is None

    def log(self):
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def stop(self):
        if self.is_running():
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def is_connected(backend, program):
    if not program.is_running():
        raise AssertionError(f"the program ended:\n{program.log()}")
    return set(backend.functions()) == scenario.FUNCTIONS


class PythonSdk(scenario.Checks, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with BackendMock() as backend:
            program = SdkProgram(backend)
            try:
                wait_until("the SDK has registered", lambda: is_connected(backend, program),
                           CONNECT_LIMIT_S)
                cls.functions = backend.functions()
                run_id = backend.start_run(scenario.tests(), concurrency=len(scenario.tests()))
                wait_until("the run is completed and all spans are stored and linked",
                           lambda: scenario.all_is_stored(backend, run_id)
                           and scenario.all_is_linked(backend, run_id), RUN_LIMIT_S)
                cls.run_ = backend.run(run_id)
                cls.spans = backend.spans(run_id)
                cls.timeline = backend.timeline(run_id)
            except BaseException:
                print(program.log(), backend.log(), backend.ledger(), sep="\n")
                raise
            finally:
                program.stop()
            cls.ledger = backend.ledger()
            cls.program_log = program.log()
            wait_until("the program is gone", lambda: not backend.functions(), STOP_LIMIT_S)

    def test_given_decorated_functions_when_registered_then_schemas_and_mappings_arrive(self):
        answer = self.functions["answer"]
        self.assertEqual(set(answer["parameters"]), {"input", "conversation_id", "delay_s"})
        self.assertEqual(answer["parameters"]["delay_s"]["default"], "0.0")
        self.assertEqual(answer["metadata"]["request_mapping"], {"input": "{{ input }}"})
        self.assertEqual(answer["metadata"]["description"], "upper-cases the question")

    def test_given_slow_test_when_exported_in_pieces_then_both_points_link_it(self):
        slow = self.run_["results"][0]["test_id"]
        sources = [s["link_source"] for s in self.spans if s["test_id"] == slow]
        self.assertEqual(set(sources), {"ingest", "result"})

    def test_given_tests_in_parallel_when_exported_then_a_post_mixes_tests(self):
        tests_of_post = {}
        for span in self.spans:
            tests_of_post.setdefault(span["post_id"], set()).add(span["test_id"])
        self.assertGreater(max(len(tests) for tests in tests_of_post.values()), 1)

    def test_given_healthy_backend_when_run_then_the_sdk_complains_of_nothing_else(self):
        complaints = [line for line in self.program_log.splitlines()
                      if "ERROR" in line or "WARNING" in line or "❌" in line]
        self.assertEqual([c for c in complaints if "asked to fail" not in c], [])


def prepare():
    packages.python_sdk(os.environ["MARLINE_INTEROP_BUILD"], VERSION)


if __name__ == "__main__":
    packages.main(prepare)
