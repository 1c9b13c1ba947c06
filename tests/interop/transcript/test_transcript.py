"""Sends the recorded bytes of the Python SDK to a backend-mock, in several orders: all is linked.

Usage: test_transcript.py FILE (made by record.py), with MARLINE_BACKEND_MOCK in the environment.
Only the ids that a backend makes up (runs, tests, configurations, invocations) are exchanged for
those of this backend; they have the same lengths, so every other byte stays, lengths included.
"""

import base64
import concurrent.futures
import functools
import hashlib
import http.client
import json
import re
import socket
import sys
import unittest

import scenario
from backend_mock import BackendMock, wait_until
from transcript import websocket

FILE = sys.argv[1]
IO_LIMIT_S = 30
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
REPLIES = {"test_result": "test_run_id", "metric_result": "metric_run_id"}
CALLS = {"execute_test": "test_run_id", "execute_metric": "metric_run_id"}


class Transcript:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            header, *self.lines = [json.loads(line) for line in file]
        self.api_key = header["api_key"]
        sent = [line for line in self.lines if line["from"] == "sdk"]
        self.upgrade = next(line["upgrade"] for line in sent if "upgrade" in line)
        self.frames = [line for line in sent if "opcode" in line]
        self.posts = [line for line in sent if "head" in line]
        self.received = [
            json.loads(line["text"])
            for line in self.lines
            if line["from"] == "backend" and "text" in line
        ]

    def register(self):
        return next(f for f in self.frames if '"type": "register"' in f.get("text", ""))

    def replies(self):
        return [f for f in self.frames if "text" in f and json.loads(f["text"])["type"] in REPLIES]

    def farewell(self):
        return next(f for f in self.frames if f["opcode"] == websocket.CLOSE)

    def in_recorded_order(self):
        replies = self.replies()
        return [line for line in self.lines if line in self.posts or line in replies]


def identity(call):
    """(what was asked, the ids in it): the same question has other ids at every backend."""
    inputs = dict(call["inputs"])
    ids = [call[CALLS[call["type"]]]]
    context = inputs.get("_rhesis_test_context", {})
    if "test_id" in context:  # made by the backend, not by a caller
        del inputs["_rhesis_test_context"]
        ids += [context[k] for k in ("test_run_id", "test_id", "test_configuration_id")]
    name = call.get("function_name") or call["metric_name"]
    return (call["type"], name, json.dumps(inputs, sort_keys=True)), ids


class Tried:
    """A step of an order: wait until a linking point has been tried on all that is stored. That a
    POST is answered, or a result stored, says only that it will be."""

    def __init__(self, point, after):
        self._point = point
        self._after = after  # the event that the attempt follows
        self._tests = sum(case.spans > 0 or point == "result" for case in scenario.CASES)

    def is_reached(self, backend, run_id):
        stored, tried = {}, {}
        for at, event in enumerate(backend.timeline(run_id)):
            if event["type"] == self._after:
                stored[event["test_id"]] = at
            elif event["type"] == "link_attempt" and event["point"] == self._point:
                tried[event["test_id"]] = at
        return len(stored) == self._tests and all(tried.get(t, -1) > stored[t] for t in stored)


class Exchange:
    """The ids of the recording and those of this backend."""

    def __init__(self, transcript):
        self._recorded = dict(identity(c) for c in transcript.received if c["type"] in CALLS)
        self._current = {}
        every_id = {i for ids in self._recorded.values() for i in ids}
        self._pattern = re.compile("|".join(sorted(every_id, reverse=True)))

    def learn(self, message):
        if message["type"] in CALLS:
            question, ids = identity(message)
            self._current.update(zip(self._recorded[question], ids, strict=True))

    def is_known(self, text):
        return all(i in self._current for i in self._pattern.findall(text))

    def apply(self, text):
        replaced = self._pattern.sub(lambda match: self._current[match.group()], text)
        assert len(replaced) == len(text)
        return replaced


class Peer:
    """The SDK's two channels, by its own bytes, cut into packets of `piece` bytes."""

    def __init__(self, backend, transcript, piece):
        self._transcript = transcript
        self._piece = piece
        self._address = ("127.0.0.1", backend.port)
        self._exchange = Exchange(transcript)
        self._frames = websocket.FrameReader()
        self._waiting = []  # messages read and not yet asked for
        self._socket = self._connect()
        self._http = self._connect()

    def _connect(self):
        connection = socket.create_connection(self._address, IO_LIMIT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def close(self):
        self._socket.close()
        self._http.close()

    def _send(self, connection, data):
        step = self._piece or len(data)
        for at in range(0, len(data), step):
            connection.sendall(data[at : at + step])

    def _send_frame(self, line, text=None):
        payload = bytes.fromhex(line["hex"]) if "hex" in line else (text or line["text"]).encode()
        frame = websocket.Frame(line["fin"], line["opcode"], bytes.fromhex(line["mask"]), payload)
        self._send(self._socket, websocket.encode(frame))

    def upgrade(self):
        """The head of the answer."""
        self._send(self._socket, self._transcript.upgrade.encode("latin-1"))
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, rest = data.split(b"\r\n\r\n", 1)
        self._take(rest)
        return head.decode("latin-1")

    def register(self):
        """The two messages that greet an agent."""
        connected = self._next("connected")
        self._send_frame(self._transcript.register())
        return connected, self._next("registered")

    def send(self, line):
        """One reply or POST, once the backend has named all ids in it. The answer to a POST."""
        text = line["body"] if "head" in line else line["text"]
        while not self._exchange.is_known(text):
            self._take(self._receive())
        text = self._exchange.apply(text)
        if "head" not in line:
            self._send_frame(line, text)
            return None
        self._send(self._http, line["head"].encode("latin-1") + text.encode())
        answer = http.client.HTTPResponse(self._http, method="POST")
        answer.begin()
        return answer.status, json.loads(answer.read()), json.loads(text)

    def say_goodbye(self):
        """The payload of the backend's close frame."""
        self._send_frame(self._transcript.farewell())
        while True:
            for frame in self._frames.feed(self._receive()):
                if frame.opcode == websocket.CLOSE:
                    return frame.payload

    def _receive(self):
        data = self._socket.recv(65536)
        if not data:
            raise AssertionError("the backend closed the connection")
        return data

    def _take(self, data):
        for frame in self._frames.feed(data):
            if frame.opcode == websocket.TEXT:
                message = json.loads(frame.payload)
                self._exchange.learn(message)
                self._waiting.append(message)

    def _next(self, kind):
        while True:
            for message in self._waiting:
                if message["type"] == kind:
                    self._waiting.remove(message)
                    return message
            self._take(self._receive())


class Replay(scenario.Checks):
    piece = None  # bytes a packet; None = all at once

    @staticmethod
    def order(transcript):
        """The replies and POSTs as they are to be sent, and where to wait."""
        raise NotImplementedError

    @classmethod
    def replay(cls, backend, peer, run_id):
        """The answers to the POSTs."""
        answers = []
        for step in cls.order(cls.transcript):
            if isinstance(step, Tried):
                reached = functools.partial(step.is_reached, backend, run_id)
                wait_until("a linking point has been tried", reached, IO_LIMIT_S)
            elif answer := peer.send(step):
                answers.append(answer)
        return answers

    @classmethod
    def setUpClass(cls):
        cls.transcript = Transcript(FILE)
        with (
            BackendMock("--api-key", cls.transcript.api_key) as backend,
            concurrent.futures.ThreadPoolExecutor(1) as pool,
        ):
            peer = Peer(backend, cls.transcript, cls.piece)
            try:
                cls.upgrade_answer = peer.upgrade()
                cls.connected, cls.registered = peer.register()
                run_id = scenario.start(backend)
                metric = pool.submit(backend.metric, *scenario.METRIC)
                cls.answers = cls.replay(backend, peer, run_id)
                cls.metric = metric.result(IO_LIMIT_S)
                scenario.wait_until_linked(backend, run_id)
                cls.look_at(backend, run_id)
                cls.repeated = [peer.send(post) for post in cls.transcript.posts]
                cls.run_after_repeat = backend.run(run_id)
                cls.ledger_after_repeat = backend.ledger()
                cls.goodbye = peer.say_goodbye()
            except BaseException:
                print(backend.log())
                raise
            finally:
                peer.close()

    def test_given_recorded_upgrade_when_sent_then_it_is_accepted_without_extensions(self):
        key = re.search(r"Sec-WebSocket-Key: (\S+)", self.transcript.upgrade).group(1).encode()
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        head = self.upgrade_answer
        self.assertTrue(head.startswith("HTTP/1.1 101 "), head)
        self.assertRegex(head, rf"(?i)\r\nsec-websocket-accept: {re.escape(accept)}(\r|$)")
        self.assertNotRegex(head, r"(?i)\r\nsec-websocket-extensions:")

    def test_given_recorded_registration_when_sent_then_it_succeeds(self):
        self.assertEqual(self.connected["status"], "success")
        self.assertEqual(self.registered["status"], "success")
        stats = self.registered["sync_stats"]
        self.assertEqual((stats["created"], stats["errors"]), (len(scenario.FUNCTIONS), []))
        self.assertEqual(stats["metric_sync"]["created"], 1)

    def test_given_recorded_posts_when_sent_then_each_gets_the_answer_of_the_protocol(self):
        self.assertEqual(len(self.answers), len(self.transcript.posts))
        for status, answer, request in self.answers:
            self.assertEqual(status, 200)
            spans = request["spans"]
            self.assertEqual(
                answer,
                {
                    "status": "received",
                    "span_count": len(spans),
                    "trace_id": spans[0]["trace_id"],
                },
            )

    def test_given_recorded_metric_result_when_sent_then_the_caller_gets_it(self):
        status, body = self.metric
        self.assertEqual((status, body["status"], body["score"]), (200, "success", 0.25))
        self.assertEqual(body["details"], {"length": 3})

    def test_given_repeated_posts_when_sent_then_answered_alike_and_nothing_changes(self):
        sent = {json.dumps(request): answer for _, answer, request in self.answers}
        for status, answer, request in self.repeated:
            self.assertEqual(status, 200)
            self.assertEqual(answer, sent[json.dumps(request)])
        stored = self.ledger["stored"]
        self.assertEqual(
            self.ledger_after_repeat,
            {**self.ledger, "received": 2 * stored, "duplicate": stored},
        )
        self.assertEqual(self.run_after_repeat, self.run_)

    def test_given_recorded_close_when_sent_then_it_is_answered_with_its_code(self):
        self.assertEqual(self.goodbye[:2], bytes.fromhex(self.transcript.farewell()["hex"])[:2])


class AsRecorded(Replay, unittest.TestCase):
    @staticmethod
    def order(transcript):
        return transcript.in_recorded_order()


class InPieces(AsRecorded):
    piece = 61


class SpansFirst(Replay, unittest.TestCase):
    @staticmethod
    def order(transcript):
        return [*transcript.posts, Tried("ingest", "spans_stored"), *transcript.replies()]

    def test_given_all_spans_before_the_results_when_linked_then_point_1_links_all(self):
        self.assertEqual(self.ledger["links_by_source"]["result"], scenario.TEST_SPANS)


class ResultsFirst(Replay, unittest.TestCase):
    @staticmethod
    def order(transcript):
        return [*transcript.replies(), Tried("result", "result_stored"), *transcript.posts]

    def test_given_all_results_before_the_spans_when_linked_then_point_2_links_all(self):
        self.assertEqual(self.ledger["links_by_source"]["ingest"], scenario.TEST_SPANS)


class NewestPostFirst(Replay, unittest.TestCase):
    @staticmethod
    def order(transcript):
        return transcript.replies()[::-1] + transcript.posts[::-1]


if __name__ == "__main__":
    unittest.main(verbosity=1, argv=sys.argv[:1])
