"""Records what the Python SDK sends: a proxy before a backend-mock that writes down every byte.

Usage: record.py VERSION FILE, with MARLINE_BACKEND_MOCK and MARLINE_INTEROP_BUILD as for the tests.
The stack traces in the spans carry paths: give a build folder that everybody may know, such as
/opt/demo, and a python3 from /usr/bin. Only the host in the request heads is changed, and unmasked
payloads are written beside their masks, so that a person can read the file and a program make the
same bytes of it.

The file: one JSON object a line, in the order in which things passed the proxy.
  {"sdk", "api_key"}                            the first line
  {"from":"sdk", "upgrade"}                     the head of the WebSocket upgrade
  {"from":"sdk", "fin", "opcode", "mask", "text"|"hex"}      a frame
  {"from":"sdk", "head", "body"}                an HTTP request
  {"from":"backend", "text"}                    a message of the backend
  {"from":"backend", "status", "body"}          its answer to an HTTP request
"""

import json
import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import packages  # noqa: E402
import scenario  # noqa: E402
from backend_mock import BackendMock, wait_until  # noqa: E402
from proxy import Proxy  # noqa: E402
from sdk_program import PROGRAM, SdkProgram  # noqa: E402
from transcript import websocket  # noqa: E402

API_KEY = "rh-ThisKeyIsInTheTranscriptAndOpensNothingElse"
CONNECT_LIMIT_S = 60


class HttpReader:
    """Heads and bodies out of a stream; after an upgrade, what follows is left to the caller."""

    def __init__(self):
        self._data = b""

    def feed(self, data):
        self._data += data

    def next(self):
        head, separator, rest = self._data.partition(b"\r\n\r\n")
        if not separator:
            return None
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        size = int(length.group(1)) if length else 0
        if len(rest) < size:
            return None
        self._data = rest[size:]
        return head + separator, rest[:size]

    def rest(self):
        return self._data


class Direction:
    """One side of one connection: turns its bytes into lines of the transcript."""

    def __init__(self, sender, write):
        self._sender = sender
        self._write = write
        self._http = HttpReader()
        self._frames = None

    def feed(self, data):
        if self._frames:
            self._take_frames(self._frames.feed(data))
            return
        self._http.feed(data)
        while not self._frames and (message := self._http.next()) is not None:
            self._take_message(*message)

    def _take_message(self, head, body):
        text = re.sub(r"(?im)^host:.*$", "Host: 127.0.0.1:8080\r", head.decode("latin-1"))
        if re.search(r"(?im)^upgrade: *websocket", text):
            self._frames = websocket.FrameReader()
            if self._sender == "sdk":
                self._write({"from": "sdk", "upgrade": text})
            self._take_frames(self._frames.feed(self._http.rest()))
        elif self._sender == "sdk":
            self._write({"from": "sdk", "head": text, "body": body.decode("utf-8")})
        else:
            status = int(text.split(" ", 2)[1])
            self._write({"from": "backend", "status": status, "body": body.decode("utf-8")})

    def _take_frames(self, frames):
        for frame in frames:
            if self._sender == "backend":
                if frame.opcode == websocket.TEXT:
                    self._write({"from": "backend", "text": frame.payload.decode("utf-8")})
                continue
            is_text = frame.opcode == websocket.TEXT
            payload = (
                {"text": frame.payload.decode("utf-8")} if is_text else {"hex": frame.payload.hex()}
            )
            self._write(
                {
                    "from": "sdk",
                    "fin": frame.fin,
                    "opcode": frame.opcode,
                    "mask": frame.mask.hex(),
                    **payload,
                }
            )


def record(version):
    lines = [{"sdk": version, "api_key": API_KEY}]
    build = pathlib.Path(os.environ["MARLINE_INTEROP_BUILD"])
    packages.python_sdk(build, version)
    program_copy = shutil.copy(PROGRAM, build / "program.py")
    with BackendMock("--api-key", API_KEY) as backend:
        proxy = Proxy(backend.port, lambda sender: Direction(sender, lines.append).feed)
        environment = {**backend.environment(), "RHESIS_BASE_URL": f"http://127.0.0.1:{proxy.port}"}
        program = SdkProgram(version, environment, backend.folder, program_copy)
        try:
            wait_until(
                "the SDK has registered",
                lambda: set(backend.functions()) == scenario.FUNCTIONS,
                CONNECT_LIMIT_S,
            )
            run_id = scenario.start(backend)
            backend.metric(*scenario.METRIC)
            scenario.wait_until_linked(backend, run_id)
        finally:
            program.stop()
            proxy.close()
    return lines


if __name__ == "__main__":
    recorded = record(sys.argv[1])
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        for recorded_line in recorded:
            file.write(json.dumps(recorded_line, ensure_ascii=False) + "\n")
