"""A marline-backend-mock of one test, and a client for its REST routes. Standard library only.

The process listens on a free loopback port with a SQLite file in a folder of its own. It is ended
by its process id, and an exit code other than 0 (a crash, a finding of a sanitizer) is an error.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

START_LIMIT_S = 30
STOP_LIMIT_S = 30
REQUEST_LIMIT_S = 30
POLL_S = 0.05


def wait_until(what, predicate, limit_s):
    """Polls until the predicate returns something true, and returns it."""
    deadline = time.monotonic() + limit_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(POLL_S)


class BackendMock:
    def __init__(self, *options):
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="marline-interop-")
        self.folder = pathlib.Path(self._folder.name)
        self._process = None

    def __enter__(self):
        ready = self.folder / "ready.json"
        binary = os.environ["MARLINE_BACKEND_MOCK"]
        command = [
            binary,
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--store",
            f"sqlite:{self.folder / 'mock.db'}",
            "--ready-file",
            str(ready),
            *self._options,
        ]
        with open(self.folder / "backend.log", "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until(
                "the backend is ready",
                lambda: ready.is_file() or self._process.poll() is not None,
                START_LIMIT_S,
            )
            settings = json.loads(ready.read_text(encoding="utf-8"))
        except Exception:
            self._process.kill()
            self._process.wait()
            print(self.log())
            raise
        self.base_url = settings["base_url"]
        self.project_id = settings["project_id"]
        self.api_key = settings["api_key"]
        self.port = int(self.base_url.rsplit(":", 1)[1])
        return self

    def __exit__(self, kind, value, trace):
        self._process.terminate()
        try:
            code = self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        log = self.log()
        self._folder.cleanup()
        if code != 0:
            raise AssertionError(f"the backend ended with {code}:\n{log}")

    def log(self):
        return (self.folder / "backend.log").read_text(encoding="utf-8", errors="replace")

    def environment(self):
        """What a program needs to find this backend."""
        return {
            "RHESIS_BASE_URL": self.base_url,
            "RHESIS_PROJECT_ID": self.project_id,
            "RHESIS_API_KEY": self.api_key,
        }

    def request(self, method, path, body=None, headers=None):
        """(status, JSON body)"""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base_url + path, data=data, method=method)
        request.add_header("Authorization", f"Bearer {self.api_key}")
        request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_LIMIT_S) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def get(self, path):
        status, body = self.request("GET", path)
        if status != 200:
            raise AssertionError(f"GET {path}: {status} {body}")
        return body

    def functions(self):
        """The functions of the connected agent, as it registered them, by name."""
        status = self.get(f"/connector/status/{self.project_id}")
        return {f["name"]: f for f in status["functions"]} if status["connected"] else {}

    def start_run(self, tests, concurrency):
        """The id of a run of [{"function_name", "inputs"}]."""
        status, body = self.request(
            "POST",
            "/mock/runs",
            {
                "project_id": self.project_id,
                "environment": "development",
                "concurrency": concurrency,
                "tests": tests,
            },
        )
        if status != 202:
            raise AssertionError(f"POST /mock/runs: {status} {body}")
        return body["test_run_id"]

    def trigger(self, function, inputs):
        """One call outside any run; the platform hands the inputs on as they are."""
        status, body = self.request(
            "POST",
            "/connector/trigger",
            {"project_id": self.project_id, "function_name": function, "inputs": inputs},
        )
        if status != 200:
            raise AssertionError(f"POST /connector/trigger: {status} {body}")

    def metric(self, name, inputs):
        """(status, JSON body)"""
        return self.request("POST", "/mock/metrics", {"metric_name": name, "inputs": inputs})

    def run(self, run_id):
        return self.get(f"/mock/runs/{run_id}")

    def spans(self, run_id):
        return self.get(f"/mock/runs/{run_id}/spans")["spans"]

    def timeline(self, run_id):
        return self.get(f"/mock/runs/{run_id}/timeline")["events"]

    def traces(self):
        """All traces of the project, in full."""
        project = f"project_id={self.project_id}"
        listed = self.get(f"/telemetry/traces?{project}&limit=1000")["traces"]
        return [self.get(f"/telemetry/traces/{t['trace_id']}?{project}") for t in listed]

    def ledger(self):
        return self.get("/mock/ledger")
