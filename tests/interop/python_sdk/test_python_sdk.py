"""The platform's own Python SDK, unmodified, against the backend-mock: every span linked.

Usage: test_python_sdk.py VERSION, with MARLINE_BACKEND_MOCK (the program) and MARLINE_INTEROP_BUILD
(a folder for packages) in the environment. Exit: 0 passed, 1 failed, 77 no packages to be had.
"""

import os
import sys
import unittest

import packages
import scenario
from backend_mock import BackendMock, wait_until
from sdk_program import SdkProgram

VERSION = sys.argv[1]
CONNECT_LIMIT_S = 60
GONE_LIMIT_S = 20


def is_connected(backend, program):
    program.check_running()
    return set(backend.functions()) == scenario.FUNCTIONS


class PythonSdk(scenario.Checks, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with BackendMock() as backend:
            program = SdkProgram(VERSION, backend.environment(), backend.folder)
            try:
                wait_until(
                    "the SDK has registered",
                    lambda: is_connected(backend, program),
                    CONNECT_LIMIT_S,
                )
                cls.functions = backend.functions()
                run_id = scenario.start(backend)
                cls.metric = backend.metric(*scenario.METRIC)
                cls.absent_metric = backend.metric("absent", {})
                scenario.wait_until_linked(backend, run_id)
            except BaseException:
                print(program.log(), backend.log(), sep="\n")
                raise
            finally:
                program.stop()
            cls.program_log = program.log()
            wait_until("the program is gone", lambda: not backend.functions(), GONE_LIMIT_S)
            cls.look_at(backend, run_id)

    def test_given_decorated_functions_when_registered_then_schemas_and_mappings_arrive(self):
        answer = self.functions["answer"]
        self.assertEqual(set(answer["parameters"]), {"input", "conversation_id", "delay_s"})
        self.assertEqual(answer["parameters"]["delay_s"]["default"], "0.0")
        self.assertEqual(answer["metadata"]["request_mapping"], {"input": "{{ input }}"})
        self.assertEqual(answer["metadata"]["description"], "upper-cases the question")

    def test_given_metric_when_executed_then_score_and_details_come_back(self):
        status, body = self.metric
        self.assertEqual(status, 200)
        self.assertEqual(body["status"], "success")
        self.assertEqual(body["score"], 0.25)
        self.assertEqual(body["details"], {"length": 3})

    def test_given_unknown_metric_when_executed_then_nobody_serves_it(self):
        self.assertEqual(self.absent_metric[0], 404)

    def test_given_slow_test_when_exported_in_pieces_then_both_points_link_it(self):
        # An export may fall between the end of a test and its result; not of both slow ones.
        sources = [
            {span["link_source"] for span in self.spans_of(result)}
            for case, result in self.results()
            if "delay_s" in case.inputs
        ]
        self.assertIn({"ingest", "result"}, sources)

    def test_given_tests_in_parallel_when_exported_then_a_post_mixes_tests(self):
        tests_of_post = {}
        for span in self.spans:
            tests_of_post.setdefault(span["post_id"], set()).add(span["test_id"])
        self.assertGreater(max(len(tests) for tests in tests_of_post.values()), 1)

    def test_given_healthy_backend_when_run_then_the_sdk_complains_of_the_failing_test_only(self):
        complaints = [
            line
            for line in self.program_log.splitlines()
            if line.startswith(("ERROR ", "WARNING rhesis")) or "❌" in line
        ]
        self.assertTrue(complaints)
        for line in complaints:
            self.assertIn("asked to fail", line)


def prepare():
    packages.python_sdk(os.environ["MARLINE_INTEROP_BUILD"], VERSION)


if __name__ == "__main__":
    packages.main(prepare)
