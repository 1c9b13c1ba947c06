"""The REST half of the platform's own Python SDK, unmodified, against the backend-mock: entities are
pushed, pulled, listed, executed and deleted by the SDK's classes.

Usage: test_entities.py VERSION, with MARLINE_BACKEND_MOCK (the program) and MARLINE_INTEROP_BUILD (a
folder for packages) in the environment. Exit: 0 passed, 1 failed, 77 no packages to be had.
"""

import json
import os
import sys
import unittest

import packages
import scenario
from backend_mock import BackendMock, wait_until
from sdk_program import SdkProgram

VERSION = sys.argv[1]
PROGRAM = packages.HERE / "python_sdk" / "entities_program.py"
CONNECT_LIMIT_S = 60
PROGRAM_LIMIT_S = 120


def is_connected(backend, program):
    program.check_running()
    return set(backend.functions()) == scenario.FUNCTIONS


class Entities(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with BackendMock() as backend:
            agent = SdkProgram(VERSION, backend.environment(), backend.folder)
            try:
                wait_until(
                    "the SDK has registered", lambda: is_connected(backend, agent), CONNECT_LIMIT_S
                )
                user = SdkProgram(
                    VERSION, backend.environment(), backend.folder, PROGRAM, "user.log"
                )
                code = user.wait(PROGRAM_LIMIT_S)
                if code != 0:
                    raise AssertionError(f"the user's program ended with {code}")
                cls.seen = json.loads(user.log().strip().splitlines()[-1])
                cls.spans = wait_until(
                    "the spans of the run are linked",
                    lambda: linked_spans(backend, cls.seen["run_id"]),
                    CONNECT_LIMIT_S,
                )
            except BaseException:
                print(agent.log(), user.log() if "user" in dir() else "", backend.log(), sep="\n")
                raise
            finally:
                agent.stop()

    def expect(self, **expected):
        self.assertEqual({name: self.seen[name] for name in expected}, expected)

    def test_given_registered_endpoint_when_listed_and_invoked_then_it_answers(self):
        self.expect(endpoint="SDK", projects=1)
        self.assertIn("HELLO", self.seen["invoked"]["output"])

    def test_given_test_set_when_pushed_and_pulled_then_the_same_by_name_and_id(self):
        self.expect(pulled_by_name=True, fetched=["fail", "one", "two"], renamed="Salutations")

    def test_given_test_when_changed_added_and_deleted_then_the_sdk_sees_it(self):
        self.expect(topic="Farewell", added=4, removed=3, filtered=1, exists=True, deleted=True)
        self.expect(after_delete=410)

    def test_given_test_set_when_executed_then_run_and_results_by_the_sdks_filters(self):
        self.expect(submitted="submitted", run_status="Partial")
        self.expect(results=["Error", "Pass", "Pass"], results_by_collection=3)
        self.expect(configurations=1, runs_of_configuration=1)

    def test_given_executed_set_when_spans_arrive_then_all_are_linked(self):
        self.assertEqual(len({span["test_result_id"] for span in self.spans}), 3)

    def test_given_single_test_when_executed_in_place_then_its_output(self):
        self.expect(in_place="Pass", first=True, made="http://x")

    def test_given_incomplete_test_when_pushed_then_the_sdks_error(self):
        self.expect(refused=422)


def linked_spans(backend, run_id):
    """All spans of the run's three tests, once each has a result; else nothing."""
    spans = backend.spans(run_id)
    complete = len({s["test_id"] for s in spans}) == 3 and all(s["test_result_id"] for s in spans)
    return spans if complete else None


def prepare():
    packages.python_sdk(os.environ["MARLINE_INTEROP_BUILD"], VERSION)


if __name__ == "__main__":
    packages.main(prepare)
