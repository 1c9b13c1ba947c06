#!/usr/bin/env python3
"""A long-lived endpoint: one line of JSON in, one line of JSON out, for as long as stdin is open.

In the configuration: `exec: [python3, answer_lines.py]` with `process: long_lived`. The program is
started once for many calls, so that what is slow to load is loaded once.
"""

import json
import sys

for line in sys.stdin:
    call = json.loads(line)
    try:
        reply = {"output": {"output": call["inputs"]["input"].upper()}}
    except Exception as error:  # one call has failed; the next one may not
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps({"id": call["id"], **reply}), flush=True)
