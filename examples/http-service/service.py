#!/usr/bin/env python3
"""A service that knows nothing of tests: a question in, an answer out, over HTTP.

    python3 examples/http-service/service.py
    marline-agent run --config examples/http-service/agent.yaml

The agent calls it as agent.yaml says. The header `traceparent` names the trace of the test, so a
tracing SDK in here would continue it.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Chat(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["question"]
        print("asked within trace", self.headers.get("traceparent", "(none)"), flush=True)
        answer = {"answer": [{"text": question.upper()}], "usage": {"total": len(question)}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
server = ThreadingHTTPServer(("127.0.0.1", port), Chat)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
