"""An OpenTelemetry SDK posts OTLP to the backend-mock: protobuf and JSON, plain and gzip.

Usage: test_otel_sdk.py python|javascript, with MARLINE_BACKEND_MOCK and MARLINE_INTEROP_BUILD in
the environment. Exit: 0 passed, 1 failed, 77 no packages to be had.
"""

import json
import os
import subprocess
import sys
import unittest
import urllib.parse

import packages
from backend_mock import BackendMock, wait_until
from proxy import Proxy

LANGUAGE = sys.argv[1]
EMIT_LIMIT_S = 60
LINK_LIMIT_S = 30
SPANS = 5
SERVICE = "interop"
CONTENT_TYPES = {"protobuf": "application/x-protobuf", "json": "application/json"}


def command():
    """The program that emits, and what it needs in its environment."""
    build = os.environ["MARLINE_INTEROP_BUILD"]
    folder = packages.HERE / "otel"
    if LANGUAGE == "javascript":
        return ["node", str(folder / "emit.cjs")], {"NODE_PATH": str(packages.node_modules(build))}
    return [str(packages.python_environment(build, "current")), str(folder / "emit.py")], {}


class OtelSdk:
    encoding = None
    compression = None
    output = ""  # of the program

    @classmethod
    def setUpClass(cls):
        cls.sent = bytearray()
        with BackendMock() as backend:
            try:
                cls.result = cls.make_result(backend)
                cls.emit(backend)
                wait_until(
                    "all spans are linked",
                    lambda: backend.ledger()["linked"] == SPANS,
                    LINK_LIMIT_S,
                )
                cls.result = backend.run(cls.run_id)["results"][0]
                cls.traces = backend.traces()
                cls.ledger = backend.ledger()
            except BaseException:
                print(cls.output, backend.log(), backend.ledger(), sep="\n")
                raise

    @classmethod
    def make_result(cls, backend):
        """A test that nobody serves ends in a result, which is all that linking needs."""
        tests = [{"function_name": "cart", "inputs": {}}]
        cls.run_id = backend.start_run(tests, concurrency=1)
        wait_until(
            "the test has a result",
            lambda: backend.run(cls.run_id)["status"] == "completed",
            LINK_LIMIT_S,
        )
        return backend.run(cls.run_id)["results"][0]

    @classmethod
    def emit(cls, backend):
        proxy = Proxy(backend.port, lambda sender: cls.sent.extend if sender == "sdk" else len)
        program, environment = command()
        authorization = urllib.parse.quote(f"Bearer {backend.api_key}")
        cls.attributes = {
            "rhesis.test.run_id": cls.run_id,
            "rhesis.test.id": cls.result["test_id"],
            "rhesis.test.configuration_id": cls.result["test_configuration_id"],
        }
        done = subprocess.run(
            program,
            capture_output=True,
            text=True,
            timeout=EMIT_LIMIT_S,
            check=False,
            env={
                **os.environ,
                **environment,
                "ENCODING": cls.encoding,
                "TEST_ATTRIBUTES": json.dumps(cls.attributes),
                "OTEL_SERVICE_NAME": SERVICE,
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{proxy.port}",
                "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={authorization}",
                "OTEL_EXPORTER_OTLP_COMPRESSION": cls.compression,
            },
        )
        proxy.close()
        cls.output = done.stdout + done.stderr
        if done.returncode != 0:
            raise AssertionError(f"the program ended with {done.returncode}")
        cls.trace_id = done.stdout.split()[0]
        cls.complaints = done.stderr

    def root(self):
        self.assertEqual([t["trace_id"] for t in self.traces], [self.trace_id])
        self.assertEqual(len(self.traces[0]["root_spans"]), 1)
        return self.traces[0]["root_spans"][0]

    def test_given_encoding_and_compression_when_posted_then_they_are_on_the_wire(self):
        head = self.sent.partition(b"\r\n\r\n")[0].decode("latin-1").lower()
        self.assertTrue(head.startswith("post /v1/traces http/1.1\r\n"), head)
        self.assertIn(f"content-type: {CONTENT_TYPES[self.encoding]}", head)
        self.assertEqual("content-encoding: gzip" in head, self.compression == "gzip")

    def test_given_spans_with_test_context_when_stored_then_linked_to_the_result(self):
        self.assertEqual((self.result["spans"], self.result["linked"]), (SPANS, SPANS))
        self.assertEqual(self.ledger["stored"], SPANS)
        self.assertEqual(self.ledger["links_by_source"]["sweep"], 0)
        self.assertEqual(
            (self.ledger["rejected"], self.ledger["duplicate"], self.ledger["waiting"]), (0, 0, 0)
        )

    def test_given_attributes_of_every_type_when_stored_then_each_is_kept(self):
        expected = {
            **self.attributes,
            "text": 'ü ✓ "quoted" \\',
            "empty": "",
            "yes": True,
            "no": False,
            "integer": 42,
            "negative": -(2**40),
            "double": 0.5,
            "texts": ["a", "b"],
            "integers": [1, 2],
            "doubles": [0.5, -0.25],
            "booleans": [True, False],
            "nothing": [],
        }
        attributes = self.root()["attributes"]
        self.assertEqual({key: attributes.get(key) for key in expected}, expected)
        self.assertIs(attributes["yes"], True)

    def test_given_tree_when_stored_then_names_kinds_and_status_are_kept(self):
        root = self.root()
        self.assertEqual(
            (root["span_name"], root["span_kind"], root["status_code"]),
            ("GET /cart/{id}", "SERVER", "OK"),
        )
        children = [(c["span_name"], c["span_kind"], c["status_code"]) for c in root["children"]]
        self.assertEqual(
            children,
            [
                ("child CLIENT", "CLIENT", "ERROR"),
                ("child PRODUCER", "PRODUCER", "UNSET"),
                ("child CONSUMER", "CONSUMER", "UNSET"),
                ("child INTERNAL", "INTERNAL", "UNSET"),
            ],
        )
        self.assertEqual(root["children"][0]["status_message"], "lookup failed")

    def test_given_events_and_links_when_stored_then_they_are_kept(self):
        root = self.root()
        events = [(e["name"], e["attributes"]) for e in root["events"]]
        self.assertEqual(events, [("cache miss", {"key": "cart-1"})])
        self.assertEqual(len(root["links"]), 1)
        link = root["links"][0]
        self.assertEqual(link["trace_id"], "0af7651916cd43dd8448eb211c80319c")
        self.assertEqual(link["span_id"], "b7ad6b7169203331")
        self.assertEqual(link["attributes"]["why"], "trigger")
        exception = root["children"][0]["events"][0]
        self.assertEqual(exception["name"], "exception")
        self.assertEqual(exception["attributes"]["exception.type"], "ValueError")
        self.assertEqual(exception["attributes"]["exception.message"], "no such cart")

    def test_given_accepted_spans_when_exported_then_the_sdk_complains_of_nothing(self):
        self.assertEqual(self.complaints, "")


def case(encoding, compression):
    members = {"encoding": encoding, "compression": compression}
    return type(f"{encoding}_{compression}", (OtelSdk, unittest.TestCase), members)


ProtobufPlain = case("protobuf", "none")
ProtobufGzip = case("protobuf", "gzip")
JsonPlain = case("json", "none")
JsonGzip = case("json", "gzip")


if __name__ == "__main__":
    packages.main(command)
