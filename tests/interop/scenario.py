"""What the Python SDK is put through, live and from the transcript: a run of tests and a few single
calls; what each must return, how many spans it must leave; and what must hold of a backend then."""

from typing import Any, NamedTuple, Optional

from backend_mock import wait_until

SLOW_S = 7.0  # longer than the 5 s between exports: some spans leave before the result, some after
WIDE_SPANS = 101  # more than the 100 that the current SDK puts into one POST
STRAY_SPANS = 1
FINISH_LIMIT_S = 90


class Case(NamedTuple):
    function: str
    inputs: dict
    status: str
    output: Any
    spans: int
    error: Optional[str] = None


def _answer(text, **inputs):
    output = {"output": f"reply:{text.upper()}", "conversation_id": None}
    return Case("answer", {"input": text, **inputs}, "Pass", output, 3)


# Slow ones first, so that all others run beside them. No two have the same function and inputs.
CASES = [
    _answer("slow-0", delay_s=SLOW_S),
    _answer("slow-1", delay_s=SLOW_S + 0.5),
    *(_answer(f"fast-{i}") for i in range(8)),
    Case("answer", {"input": "fail"}, "Error", None, 1, "asked to fail"),
    Case("ask", {"input": "a"}, "Pass", {"output": "A-0 A-1 A-2"}, 4),
    Case("ask", {"input": "b"}, "Pass", {"output": "B-0 B-1 B-2"}, 4),
    Case("stream", {"input": 'ü"\\'}, "Pass", 'ü"\\ é \u2713', 1),
    Case("nothing", {"input": "x"}, "Pass", None, 1),
    Case(
        "wide", {"input": "z", "count": WIDE_SPANS}, "Pass", {"output": WIDE_SPANS}, WIDE_SPANS + 1
    ),
    Case("absent", {"input": "x"}, "Error", None, 0, "Function 'absent' not found in registry"),
]
FUNCTIONS = {"answer", "ask", "stream", "nothing", "wide"}

# Single calls outside any test: inputs and the spans each leaves.
CONVERSATION = {"conversation_id": "conv-1", "mapped_input": "hello"}
PARTIAL_CONTEXT = {"test_run_id": "aaaaaaaa-0000-4000-8000-000000000001"}
CALLS = [
    ({"input": "talk", "_rhesis_conversation_context": CONVERSATION}, 3),
    ({"input": "partial", "_rhesis_test_context": PARTIAL_CONTEXT}, 3),
]

METRIC = ("brevity", {"input": "a", "output": "bcd", "context": ["not asked for"]})

TEST_SPANS = sum(case.spans for case in CASES)
OTHER_SPANS = STRAY_SPANS + sum(spans for _, spans in CALLS)


def start(backend):
    """Starts everything, all at once, and returns the id of the run."""
    run_id = backend.start_run(
        [{"function_name": case.function, "inputs": case.inputs} for case in CASES],
        concurrency=len(CASES),
    )
    for inputs, _ in CALLS:
        backend.trigger("answer", inputs)
    return run_id


def wait_until_linked(backend, run_id):
    """Linking follows the answer to a POST; a span that is never linked is an end by the limit."""

    def is_finished():
        ledger = backend.ledger()
        return (
            backend.run(run_id)["status"] == "completed"
            and ledger["stored"] >= TEST_SPANS + OTHER_SPANS
            and ledger["linked"] >= TEST_SPANS
        )

    wait_until("the run is completed, all spans are stored and linked", is_finished, FINISH_LIMIT_S)


class Checks:
    """Mixed into a unittest.TestCase whose class calls look_at(backend, run_id) at the end."""

    @classmethod
    def look_at(cls, backend, run_id):
        cls.run_ = backend.run(run_id)
        cls.spans = backend.spans(run_id)
        cls.ledger = backend.ledger()
        cls.traces = {t["trace_id"]: t for t in backend.traces()}

    def results(self):
        return zip(CASES, self.run_["results"], strict=True)

    def spans_of(self, result):
        return [s for s in self.spans if s["test_id"] == result["test_id"]]

    def trace_of(self, function, **inputs):
        """The only root span of a test."""
        for case, result in self.results():
            if case.function == function and case.inputs == inputs:
                trace = self.traces[self.spans_of(result)[0]["trace_id"]]
                self.assertEqual(len(trace["root_spans"]), 1)
                return trace["root_spans"][0]
        raise AssertionError(f"no case {function} {inputs}")

    def test_given_parallel_tests_when_run_completed_then_each_has_its_own_result(self):
        self.assertEqual(self.run_["status"], "completed")
        for case, result in self.results():
            with self.subTest(case.function, inputs=case.inputs):
                self.assertEqual(result["function_name"], case.function)
                self.assertEqual(result["status"], case.status)
                self.assertEqual(result["output"], case.output)
                self.assertEqual(result["error"], case.error)

    def test_given_spans_of_a_test_when_stored_then_all_are_linked_to_its_result(self):
        for case, result in self.results():
            with self.subTest(case.function, inputs=case.inputs):
                own = self.spans_of(result)
                self.assertEqual(result["spans"], case.spans)
                self.assertEqual(result["linked"], case.spans)
                self.assertEqual(len(own), case.spans)
                for span in own:
                    self.assertEqual(span["test_result_id"], result["test_result_id"])
                self.assertLessEqual(len({s["trace_id"] for s in own}), 1)

    def test_given_reported_trace_id_when_it_has_spans_then_it_is_the_trace_of_its_test(self):
        reported = [r for r in self.run_["results"] if r["trace_id"] is not None]
        self.assertGreaterEqual(len(reported), 10)
        for result in reported:
            traces = {s["trace_id"] for s in self.spans_of(result)}
            self.assertEqual(traces, {result["trace_id"]})

    def test_given_calls_outside_any_test_when_stored_then_they_are_not_linked(self):
        self.assertEqual(len(self.spans), TEST_SPANS)
        self.assertEqual(self.ledger["without_context"], OTHER_SPANS)
        stray = [
            t for t in self.traces.values() if t["root_spans"][0]["span_name"] == "function.lookup"
        ]
        self.assertEqual(len(stray), STRAY_SPANS)
        self.assertIsNone(stray[0]["test_result"])

    def test_given_finished_run_when_ledger_read_then_it_balances(self):
        ledger = self.ledger
        self.assertEqual(
            ledger["received"], ledger["stored"] + ledger["rejected"] + ledger["duplicate"]
        )
        self.assertEqual(
            ledger["stored"], ledger["linked"] + ledger["waiting"] + ledger["without_context"]
        )
        self.assertEqual(ledger["stored"], TEST_SPANS + OTHER_SPANS)
        self.assertEqual((ledger["rejected"], ledger["duplicate"], ledger["waiting"]), (0, 0, 0))

    def test_given_no_fault_when_linked_then_the_sweeper_had_nothing_to_do(self):
        sources = self.ledger["links_by_source"]
        self.assertEqual(sources["sweep"], 0)
        self.assertEqual(sum(sources.values()), TEST_SPANS)

    def test_given_exception_when_stored_then_both_of_its_events_are_kept(self):
        root = self.trace_of("answer", input="fail")
        self.assertEqual(root["status_code"], "ERROR")
        self.assertEqual(root["status_message"], "RuntimeError: asked to fail")
        self.assertEqual([e["name"] for e in root["events"]], ["exception", "exception"])
        for event in root["events"]:
            self.assertEqual(event["attributes"]["exception.type"], "RuntimeError")
            self.assertEqual(event["attributes"]["exception.message"], "asked to fail")
            self.assertIn("asked to fail", event["attributes"]["exception.stacktrace"])

    def test_given_generator_when_stored_then_its_unset_status_is_kept(self):
        self.assertEqual(self.trace_of("stream", input='ü"\\')["status_code"], "UNSET")

    def test_given_children_before_their_root_when_stored_then_the_tree_is_whole(self):
        root = self.trace_of("answer", input="slow-0", delay_s=SLOW_S)
        self.assertEqual(root["span_name"], "function.answer")
        names = [child["span_name"] for child in root["children"]]
        self.assertEqual(names, ["function.lookup", "ai.llm.invoke"])
        wide = self.trace_of("wide", input="z", count=WIDE_SPANS)
        self.assertEqual(len(wide["children"]), WIDE_SPANS)

    def test_given_context_without_some_ids_when_stored_then_spans_are_kept_and_not_linked(self):
        run_id = PARTIAL_CONTEXT["test_run_id"]
        partial = [
            trace
            for trace in self.traces.values()
            if trace["root_spans"][0]["attributes"].get("rhesis.test.run_id") == run_id
        ]
        self.assertEqual([trace["span_count"] for trace in partial], [3])
        self.assertIsNone(partial[0]["test_result"])
        # Null or absent: that depends on the OpenTelemetry below the SDK.
        attributes = partial[0]["root_spans"][0]["attributes"]
        self.assertIsNone(attributes.get("rhesis.test.id"))
        self.assertIsNone(attributes.get("rhesis.test.configuration_id"))

    def test_given_conversation_when_stored_then_its_root_says_so(self):
        turns = [
            t
            for t in self.traces.values()
            if t["conversation_id"] == CONVERSATION["conversation_id"]
        ]
        self.assertEqual(len(turns), 1)
        attributes = turns[0]["root_spans"][0]["attributes"]
        self.assertEqual(attributes["rhesis.conversation.input"], "hello")
        self.assertIs(attributes["rhesis.conversation.is_turn_root"], True)
