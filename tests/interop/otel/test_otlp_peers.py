"""What this project's SDK sends by OTLP, as others read it: protobuf and JSON, plain and gzip, with
and without TLS with certificates on both sides.

Usage: test_otlp_peers.py proto|collector, with MARLINE_OTLP_EMIT (the emitting program) and
MARLINE_INTEROP_BUILD in the environment.

proto      OpenTelemetry's own protobuf classes decode the request bodies.
collector  An OpenTelemetry Collector receives, and sends on to here, by OTLP/JSON, what it
           understood. It is MARLINE_COLLECTOR, or otelcol, otelcol-contrib or otelcorecol on PATH.

Exit: 0 passed, 1 failed, 77 no packages or no Collector to be had.
"""

import base64
import gzip
import http.server
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

import packages
from backend_mock import wait_until

PEER = sys.argv[1]
EMIT_LIMIT_S = 60
START_LIMIT_S = 60
COLLECTOR_NAMES = ("otelcol", "otelcol-contrib", "otelcorecol")
ID_FIELDS = {"traceId", "spanId", "parentSpanId"}
REMOTE_TRACE = "0af7651916cd43dd8448eb211c80319c"
REMOTE_SPAN = "b7ad6b7169203331"
KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
EXPECTED_ATTRIBUTES = {
    "text": 'ü ✓ "quoted" \\ \x01\n',
    "nul": "a\0b",
    "empty": "",
    "yes": True,
    "no": False,
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "zero": 0,
    "double": -0.1,
    "huge": 1e300,
    "bytes": b"\xff\x00\xfe",
    "nothing": None,
    "texts": ["a", None, ""],
    "no texts": [],
    "map": {"deep": ["a", None, ""], "no": False},
}


class Receiver:
    """Keeps the bodies of POSTs to /v1/traces, and answers as a collector does."""

    def __init__(self, context=None):
        self.requests = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, dict(self.headers), body))
                answer = b"{}" if "json" in self.headers["Content-Type"] else b""
                self.send_response(200)
                self.send_header("Content-Type", self.headers["Content-Type"])
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


# ---- reading ----


def decoded(headers, body):
    """The ExportTraceServiceRequest of a body, read by OpenTelemetry's own classes, strictly."""
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    headers = {key.lower(): value for key, value in headers.items()}
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    request = ExportTraceServiceRequest()
    if headers["content-type"].split(";")[0] == "application/x-protobuf":
        request.ParseFromString(body)
        return request
    # OTLP's ids are hexadecimal, those of protobuf's JSON are base64; unknown names are refused.
    return json_format.ParseDict(ids_in_base64(json.loads(body)), request)


def ids_in_base64(node):
    if isinstance(node, list):
        return [ids_in_base64(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode()
        if key in ID_FIELDS
        else ids_in_base64(value)
        for key, value in node.items()
    }


def plain(value):
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return getattr(value, kind)


def attributes(items):
    found = {item.key: plain(item.value) for item in items}
    if len(found) != len(items):
        raise AssertionError("a key occurs twice")
    return found


# ---- certificates ----


def make_certificates(folder):
    """An authority, and one certificate that serves as server's and as client's."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    authority = ["-x509", "-days", "2", "-subj", "/CN=test authority"]
    new_key = ["req", "-newkey", "rsa:2048", "-nodes"]
    openssl(*new_key, "-keyout", "ca.key", "-out", "ca.pem", *authority)
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n", encoding="utf-8")
    openssl(*new_key, "-keyout", "end.key", "-out", "end.csr", "-subj", "/CN=127.0.0.1")
    signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san"]
    openssl("x509", "-req", "-days", "2", "-in", "end.csr", "-out", "end.pem", *signer)


def server_context(folder):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "end.pem", folder / "end.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


# ---- peers: each gives a port to send to, and `requests`, what arrived ----


class Proto:
    def __init__(self, folder, tls):
        self.receiver = Receiver(server_context(folder) if tls else None)
        self.port = self.receiver.port
        self.log = ""

    def wait(self):
        wait_until("a request arrived", lambda: self.receiver.requests, EMIT_LIMIT_S)
        return self.receiver.requests

    def close(self):
        self.receiver.close()


class Collector:
    CONFIGURATION = """
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{port}
{tls}
exporters:
  otlp_http:
    traces_endpoint: http://127.0.0.1:{sink}/v1/traces
    encoding: json
    compression: none
service:
  pipelines:
    traces: {{receivers: [otlp], exporters: [otlp_http]}}
  telemetry:
    metrics: {{level: none}}
"""
    TLS = """
        tls:
          cert_file: {folder}/end.pem
          key_file: {folder}/end.key
          client_ca_file: {folder}/ca.pem
"""

    def __init__(self, folder, tls):
        self.receiver = Receiver()
        with socket.socket() as free:  # the Collector cannot be asked which port it chose
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        configuration = folder / f"collector-{self.port}.yaml"
        configuration.write_text(
            self.CONFIGURATION.format(
                port=self.port,
                sink=self.receiver.port,
                tls=self.TLS.format(folder=folder) if tls else "",
            ),
            encoding="utf-8",
        )
        self.log_file = open(folder / f"collector-{self.port}.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [collector_program(), "--config", str(configuration)],
            stdout=self.log_file,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until("the Collector listens", self.listens, START_LIMIT_S)
        except BaseException:
            print(self.log)
            self.close()
            raise

    def listens(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the Collector ended with {self.process.returncode}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def log(self):
        self.log_file.seek(0)
        return self.log_file.read()

    def wait(self):
        wait_until("the Collector sent it on", lambda: self.receiver.requests, EMIT_LIMIT_S)
        return self.receiver.requests

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.receiver.close()
        self.log_file.close()


def collector_program():
    named = os.environ.get("MARLINE_COLLECTOR")
    found = named or next(filter(None, map(shutil.which, COLLECTOR_NAMES)), None)
    if not found:
        raise packages.Unavailable(
            "no OpenTelemetry Collector; docs/interop.md says how to get one"
        )
    return found


# ---- tests ----


class Peers:
    encoding = None
    compression = None
    tls = False

    @classmethod
    def setUpClass(cls):
        folder = cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="marline-otlp-"))
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        if cls.tls:
            make_certificates(folder)
        peer = {"proto": Proto, "collector": Collector}[PEER](folder, cls.tls)
        try:
            cls.emit(peer)
            cls.requests = list(peer.wait())
        except BaseException:
            print(peer.log)
            raise
        finally:
            peer.close()
        cls.message = decoded(*cls.requests[0][1:])
        cls.spans = cls.message.resource_spans[0].scope_spans[0].spans

    @classmethod
    def emit(cls, peer):
        scheme = "https" if cls.tls else "http"
        own = {
            "OTEL_SERVICE_NAME": "interop",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,team=a%2Cb",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{scheme}://127.0.0.1:{peer.port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": f"http/{cls.encoding}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": cls.compression,
        }
        if cls.tls:
            own["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(cls.folder / "ca.pem")
            own["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] = str(cls.folder / "end.pem")
            own["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = str(cls.folder / "end.key")
        others = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
        done = subprocess.run(
            [os.environ["MARLINE_OTLP_EMIT"]],
            capture_output=True,
            text=True,
            timeout=EMIT_LIMIT_S,
            check=False,
            env={**others, **own},
        )
        cls.complaints = done.stderr
        if done.returncode != 0 or done.stdout.strip() != REMOTE_TRACE:
            raise AssertionError(f"exit {done.returncode}: {done.stdout}{done.stderr}")

    def root(self):
        return next(span for span in self.spans if span.name == "GET /cart/{id}")

    def test_given_a_trace_when_received_then_one_request_in_the_form_asked_for(self):
        self.assertEqual(len(self.requests), 1)
        path, headers, _ = self.requests[0]
        self.assertEqual(path, "/v1/traces")
        if PEER == "proto":  # the Collector chooses its own
            headers = {key.lower(): value for key, value in headers.items()}
            kinds = {"protobuf": "application/x-protobuf", "json": "application/json"}
            self.assertEqual(headers["content-type"], kinds[self.encoding])
            self.assertEqual(headers.get("content-encoding") == "gzip", self.compression == "gzip")
            self.assertRegex(headers["user-agent"], r"^OTel-OTLP-Exporter-C/[0-9.]+")

    def test_given_resource_and_scope_when_received_then_kept(self):
        self.assertEqual(len(self.message.resource_spans), 1)
        self.assertEqual(len(self.message.resource_spans[0].scope_spans), 1)
        resource = attributes(self.message.resource_spans[0].resource.attributes)
        self.assertRegex(resource.pop("service.instance.id"), r"^[0-9a-f-]{36}$")
        self.assertRegex(resource.pop("telemetry.sdk.version"), r"^[0-9.]+$")
        self.assertEqual(
            resource,
            {
                "service.name": "interop",
                "deployment.environment.name": "test",
                "team": "a,b",
                "telemetry.sdk.name": "marline",
                "telemetry.sdk.language": "c",
            },
        )
        scope = self.message.resource_spans[0].scope_spans[0].scope
        self.assertEqual((scope.name, scope.version), ("marline.interop", "1.0"))

    def test_given_root_when_received_then_ids_times_flags_and_state_are_kept(self):
        root = self.root()
        self.assertEqual(root.trace_id.hex(), REMOTE_TRACE)
        self.assertEqual(root.parent_span_id.hex(), REMOTE_SPAN)
        self.assertEqual(KINDS[root.kind], "SERVER")
        self.assertEqual(root.start_time_unix_nano, 1767225600123456789)
        self.assertEqual(root.end_time_unix_nano, 1767225600999999999)
        self.assertEqual(root.trace_state, "vendor=1,other=2")
        self.assertEqual(root.flags, 0x303)
        self.assertEqual((root.status.code, root.status.message), (1, ""))

    def test_given_attributes_of_every_type_when_received_then_each_is_kept(self):
        root = self.root()
        self.assertEqual(attributes(root.attributes), EXPECTED_ATTRIBUTES)
        self.assertIs(attributes(root.attributes)["yes"], True)
        self.assertEqual(root.dropped_attributes_count, 1)

    def test_given_events_and_links_when_received_then_kept(self):
        (event,) = self.root().events
        self.assertEqual((event.name, event.time_unix_nano), ("cache miss", 1767225600123456790))
        self.assertEqual(attributes(event.attributes), {"why": "trigger"})
        (link,) = self.root().links
        self.assertEqual((link.trace_id.hex(), link.span_id.hex()), (REMOTE_TRACE, REMOTE_SPAN))
        self.assertEqual((link.trace_state, link.flags), ("vendor=1", 0x303))
        self.assertEqual(attributes(link.attributes), {"why": "trigger"})

    def test_given_children_when_received_then_kinds_parents_and_status_are_kept(self):
        root = self.root()
        children = [span for span in self.spans if span.name != root.name]
        self.assertEqual(
            sorted((child.name, KINDS[child.kind], child.status.code) for child in children),
            [
                ("child CLIENT", "CLIENT", 2),
                ("child CONSUMER", "CONSUMER", 0),
                ("child INTERNAL", "INTERNAL", 0),
                ("child PRODUCER", "PRODUCER", 0),
            ],
        )
        for child in children:
            self.assertEqual(child.parent_span_id, root.span_id)
            self.assertEqual(child.trace_id, root.trace_id)
            self.assertEqual(child.trace_state, root.trace_state)
            self.assertEqual(child.flags, 0x103)
            self.assertLessEqual(child.start_time_unix_nano, child.end_time_unix_nano)
        failed = next(child for child in children if child.name == "child CLIENT")
        self.assertEqual(failed.status.message, "no such cart")
        self.assertEqual(attributes(failed.attributes), {"error.type": "cart_error"})
        (event,) = failed.events
        self.assertEqual(event.name, "exception")
        self.assertEqual(
            attributes(event.attributes),
            {"exception.type": "cart_error", "exception.message": "no such cart"},
        )

    def test_given_accepted_spans_when_exported_then_the_sdk_complains_of_the_limit_only(self):
        lines = self.complaints.splitlines()
        self.assertEqual(len(lines), 1, self.complaints)
        self.assertIn("limit", lines[0])


def case(encoding, compression, tls):
    members = {"encoding": encoding, "compression": compression, "tls": tls}
    name = f"{encoding}_{compression}_{'tls' if tls else 'plain'}"
    return type(name, (Peers, unittest.TestCase), members)


ProtobufPlain = case("protobuf", "none", False)
ProtobufGzipTls = case("protobuf", "gzip", True)
JsonPlain = case("json", "none", False)
JsonGzipTls = case("json", "gzip", True)


def prepare():
    """Makes sure that this runs in the interpreter that has OpenTelemetry's classes."""
    if PEER == "collector":
        collector_program()
    interpreter = packages.python_environment(os.environ["MARLINE_INTEROP_BUILD"], "current")
    if pathlib.Path(sys.prefix) != interpreter.parent.parent:
        os.execv(interpreter, [str(interpreter), *sys.argv])


if __name__ == "__main__":
    packages.main(prepare)
