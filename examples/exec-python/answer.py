#!/usr/bin/env python3
"""An endpoint in Python: inputs as JSON on stdin, the result as JSON on stdout.

    marline-agent run --exec 'answer=python3 examples/exec-python/answer.py'

What goes to stderr lands in the agent's log. An exception ends the program with status 1, and its
last line becomes the error of the test. The environment names the test (RHESIS_TEST_ID, …) and
carries the trace (TRACEPARENT), so that a tracing SDK in here continues it.
"""

import json
import os
import sys


def answer(question: str) -> str:
    if not question:
        raise ValueError("the input is empty")
    return question.upper()


inputs = json.load(sys.stdin)
print("asked by test", os.environ.get("RHESIS_TEST_ID", "(none)"), file=sys.stderr)
json.dump({"output": answer(inputs.get("input", ""))}, sys.stdout)
