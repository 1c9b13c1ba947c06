"""The run that the Python SDK is put through, live and from the transcript: the tests, what each must
return and how many spans it must leave; and what must hold of any backend afterwards."""

from typing import Any, NamedTuple, Optional

SLOW_S = 7.0  # longer than the 5 s between exports: some spans leave before the result, some after
WIDE_SPANS = 130  # more than the 100 that the current SDK puts into one POST
STRAY_SPANS = 1


class Case(NamedTuple):
    function: str
    inputs: dict
    status: str
    output: Any
    spans: int
    error: Optional[str] = None


def _answer(text, **inputs):
    return Case("answer", {"input": text, **inputs}, "Pass",
                {"output": f"reply:{text.upper()}", "conversation_id": None}, 3)


def cases():
    """Slow ones first, so that all others run beside them. No two have the same function and inputs."""
    return [
        _answer("slow-0", delay_s=SLOW_S),
        _answer("slow-1", delay_s=SLOW_S + 0.5),
        *(_answer(f"fast-{i}") for i in range(8)),
        Case("answer", {"input": "fail"}, "Error", None, 1, "asked to fail"),
        Case("ask", {"input": "a"}, "Pass", {"output": "A-0 A-1 A-2"}, 4),
        Case("ask", {"input": "b"}, "Pass", {"output": "B-0 B-1 B-2"}, 4),
        Case("stream", {"input": "ü\"\\"}, "Pass", "ü\"\\ é \u2713", 1),
        Case("nothing", {"input": "x"}, "Pass", None, 1),
        Case("wide", {"input": "xy", "count": WIDE_SPANS}, "Pass", {"output": 2 * WIDE_SPANS},
             WIDE_SPANS + 1),
        Case("absent", {"input": "x"}, "Error", None, 0,
             "Function 'absent' not found in registry"),
    ]


FUNCTIONS = {"answer", "ask", "stream", "nothing", "wide"}


def tests():
    return [{"function_name": c.function, "inputs": c.inputs} for c in cases()]


def test_spans():
    return sum(c.spans for c in cases())


def all_is_stored(backend, run_id):
    return (backend.run(run_id)["status"] == "completed"
            and backend.ledger()["stored"] >= test_spans() + STRAY_SPANS)


def all_is_linked(backend, run_id):
    """Linking follows the answer to a POST; what is not linked in the end fails in the checks."""
    return backend.run(run_id)["status"] == "completed" and (
        backend.ledger()["linked"] >= test_spans())


class Checks:
    """Mixed into a unittest.TestCase whose class has `run_`, `spans` and `ledger` of the finished run."""

    def test_given_parallel_tests_when_run_completed_then_each_has_its_own_result(self):
        self.assertEqual(self.run_["status"], "completed")
        for case, result in zip(cases(), self.run_["results"], strict=True):
            with self.subTest(case.function, inputs=case.inputs):
                self.assertEqual(result["function_name"], case.function)
                self.assertEqual(result["status"], case.status)
                self.assertEqual(result["output"], case.output)
                self.assertEqual(result["error"], case.error)

    def test_given_spans_of_a_test_when_stored_then_all_are_linked_to_its_result(self):
        for case, result in zip(cases(), self.run_["results"], strict=True):
            with self.subTest(case.function, inputs=case.inputs):
                self.assertEqual(result["spans"], case.spans)
                self.assertEqual(result["linked"], case.spans)
                own = [s for s in self.spans if s["test_id"] == result["test_id"]]
                self.assertEqual(len(own), case.spans)
                self.assertEqual({s["test_result_id"] for s in own} or {result["test_result_id"]},
                                 {result["test_result_id"]})
                self.assertLessEqual(len({s["trace_id"] for s in own}), 1)

    def test_given_reported_trace_id_when_it_has_spans_then_it_is_the_trace_of_its_test(self):
        for case, result in zip(cases(), self.run_["results"], strict=True):
            if result["trace_id"] is not None:
                traces = {s["trace_id"] for s in self.spans if s["test_id"] == result["test_id"]}
                self.assertEqual(traces, {result["trace_id"]})
        reported = [r for r in self.run_["results"] if r["trace_id"] is not None]
        self.assertGreaterEqual(len(reported), 10)

    def test_given_a_call_outside_any_test_when_stored_then_it_is_not_linked(self):
        self.assertEqual(len(self.spans), test_spans())
        self.assertEqual(self.ledger["without_context"], STRAY_SPANS)

    def test_given_finished_run_when_ledger_read_then_it_balances(self):
        ledger = self.ledger
        self.assertEqual(ledger["received"],
                         ledger["stored"] + ledger["rejected"] + ledger["duplicate"])
        self.assertEqual(ledger["stored"],
                         ledger["linked"] + ledger["waiting"] + ledger["without_context"])
        self.assertEqual(ledger["stored"], test_spans() + STRAY_SPANS)
        self.assertEqual(ledger["rejected"], 0)
        self.assertEqual(ledger["waiting"], 0)

    def test_given_no_fault_when_linked_then_the_sweeper_had_nothing_to_do(self):
        sources = self.ledger["links_by_source"]
        self.assertEqual(sources["sweep"], 0)
        self.assertEqual(sum(sources.values()), test_spans())
