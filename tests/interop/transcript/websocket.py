"""As much of RFC 6455 as reading and writing a transcript takes: bytes in, frames out, no I/O."""

import struct
from typing import NamedTuple, Optional

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Frame(NamedTuple):
    fin: bool
    opcode: int
    mask: Optional[bytes]
    payload: bytes


def _masked(payload, mask):
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def encode(frame):
    """The one encoding that uses the shortest length, as every known peer does."""
    size = len(frame.payload)
    masked = 0x80 if frame.mask else 0
    head = bytes([(0x80 if frame.fin else 0) | frame.opcode])
    if size < 126:
        head += bytes([masked | size])
    elif size < 65536:
        head += struct.pack(">BH", masked | 126, size)
    else:
        head += struct.pack(">BQ", masked | 127, size)
    return head + (frame.mask + _masked(frame.payload, frame.mask) if frame.mask else frame.payload)


class FrameReader:
    def __init__(self, data=b""):
        self._data = data

    def feed(self, data):
        """The frames that these bytes complete."""
        self._data += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self):
        data = self._data
        if len(data) < 2:
            return None
        size, at = data[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(data) < at + width:
                return None
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        mask = None
        if data[1] & 0x80:
            mask, at = data[at : at + 4], at + 4
        if len(data) < at + size:
            return None
        payload = data[at : at + size]
        self._data = data[at + size :]
        return Frame(
            bool(data[0] & 0x80), data[0] & 0x0F, mask, _masked(payload, mask) if mask else payload
        )
