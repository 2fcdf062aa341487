"""Deliveries and confirms read, publications written, in one step each; the rest is pika's.

pika makes an object of each frame, of which a message has three, copies what is left of its
buffer behind each one, and looks for who is to hear of it among all (`ops/decisions/0038`).

Source: AMQP 0-9-1, sections 2.3.5 (frames), 4.2.6 (content) and the definitions of `basic`.
"""

from __future__ import annotations

from struct import Struct, error
from typing import TYPE_CHECKING, Any, cast

from pika import data
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.frame import Method, decode_frame
from pika.spec import FRAME_BODY, FRAME_END, FRAME_HEADER, FRAME_METHOD, Basic

from worker.amqp.codec import WireProperties, fitted, name_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pika.channel import Channel
    from pika.frame import Frame, ProtocolHeader

    from worker.core.message import Publication

_FRAME = Struct(">BHI")
"""Type, channel, and bytes of the payload, which one byte more ends."""
_FRAME_BYTES = _FRAME.size + 1
_METHOD = Struct(">BHII")
"""A frame and the method's number."""
_HEADER = Struct(">BHIHHQ")
"""A frame, the class, its weight, and bytes of the body."""
_TAG = Struct(">QB")
"""A delivery tag, and whether it is redelivered."""
_CONTENT = Struct(">HHQ")
"""The class, its weight, and bytes of the body."""
_PUBLISH = Basic.Publish.INDEX.to_bytes(4) + bytes(2)
"""The method's number, and what was a ticket once."""
_END = bytes((FRAME_END,))
_CONFIRM = Struct(">BHIIQBB")
"""A frame whole: its head, the method's number, a delivery tag, and whether up to it; the end."""
_CONFIRM_BYTES = _CONFIRM.size - _FRAME_BYTES
_DELIVER, _ACK = Basic.Deliver.INDEX, Basic.Ack.INDEX
_ENDS = (FRAME_END,) * 3


class QuickConnection(AsyncioConnection):
    """pika's connection, which hands on a delivery or a confirm that has come whole at once."""

    # What of pika is not in its public types.
    callbacks: Any
    bytes_received: int
    _frame_buffer: bytes
    _body_max_length: int
    _channels: dict[int, Any]
    _process_frame: Callable[[Frame | ProtocolHeader], None]
    _output_marshaled_frames: Callable[[Sequence[bytes]], None]

    _read = 0
    """Where in the buffer what has been handed on ends."""

    def _on_data_available(self, data_in: bytes) -> None:
        buffer = self._frame_buffer = self._frame_buffer + data_in
        self._read = 0
        try:
            while self._frame_buffer is buffer:  # else the connection was lost meanwhile
                if not (
                    self._delivered(buffer) or self._confirmed(buffer) or self._one_frame(buffer)
                ):
                    break
        finally:  # whoever was told may have raised, and is not told again
            if self._frame_buffer is buffer:
                self._frame_buffer = buffer[self._read :]

    def _take(self, end: int) -> None:
        """What comes before `end` is handed on now; the heartbeat goes by the bytes received."""
        self.bytes_received += end - self._read
        self._read = end

    def _one_frame(self, buffer: bytes) -> bool:
        """Have pika process the next frame; whether it has come whole."""
        at = self._read
        if len(buffer) - at < _FRAME_BYTES:
            return False
        size = _FRAME.unpack_from(buffer, at)[2]
        taken, found = decode_frame(buffer[at : at + size + _FRAME_BYTES])
        if found is None:
            return False
        self._take(at + taken)
        self._process_frame(found)
        return True

    def _delivered(self, buffer: bytes) -> bool:
        """Hand on the delivery that comes next; False if what comes is for pika."""
        at = self._read
        try:
            frame, number, size, method = _METHOD.unpack_from(buffer, at)
            if method != _DELIVER or frame != FRAME_METHOD:
                return False
            header = at + size + _FRAME_BYTES
            frame, same, size, _, _, length = _HEADER.unpack_from(buffer, header)
            body = end = header + size + _FRAME_BYTES
            is_whole = frame == FRAME_HEADER and same == number
            if length:
                frame, same, size = _FRAME.unpack_from(buffer, body)
                end = body + size + _FRAME_BYTES
                is_whole &= frame == FRAME_BODY and same == number and size == length
            ends = buffer[header - 1], buffer[body - 1], buffer[end - 1]
        except (error, IndexError):
            return False
        channel = self._channels.get(number)
        if not is_whole or ends != _ENDS or channel is None:
            return False
        consumer_tag, place = data.decode_short_string(buffer, at + _METHOD.size)
        if consumer_tag in channel._cancelled:  # noqa: SLF001
            return False
        receive = channel._consumers.get(consumer_tag)  # noqa: SLF001 (where pika has it)
        if receive is None:
            return False
        tag, redelivered = _TAG.unpack_from(buffer, place)
        exchange, place = data.decode_short_string(buffer, place + _TAG.size)
        routing_key, _ = data.decode_short_string(buffer, place)
        deliver = Basic.Deliver(consumer_tag, tag, bool(redelivered & 1), exchange, routing_key)  # type: ignore[arg-type]
        properties = WireProperties().decode(buffer[header + _HEADER.size : body - 1])
        self._take(end)
        receive(channel, deliver, properties, buffer[body + _FRAME.size : end - 1])
        return True

    def _confirmed(self, buffer: bytes) -> bool:
        """Hand on the confirm that comes next; False if what comes is for pika."""
        at = self._read
        try:
            frame, number, size, method, tag, multiple, end = _CONFIRM.unpack_from(buffer, at)
        except error:
            return False
        if method != _ACK or frame != FRAME_METHOD or size != _CONFIRM_BYTES or end != FRAME_END:
            return False
        heard = self.callbacks._stack.get(str(number), {}).get(Basic.Ack.NAME)  # noqa: SLF001
        if not heard:
            return False
        self._take(at + _CONFIRM.size)
        confirm = Method(number, Basic.Ack(tag, bool(multiple & 1)))
        for one in tuple(heard):
            one["callback"](confirm)
        return True


def publish(channel: Channel, publication: Publication, *, mandatory: bool = False) -> None:
    """Write a publication: its names byte for byte as they were read, its headers as they fit.

    Raises, with nothing written, when it cannot be encoded or the channel is not open.
    """
    channel._raise_if_not_open()  # type: ignore[attr-defined]  # noqa: SLF001 (in pika's words)
    connection = cast("QuickConnection", channel.connection)
    number, body = channel.channel_number, publication.body
    properties = fitted(publication.properties, connection.params.frame_max)
    method = [_PUBLISH]
    data.encode_short_string(method, name_out(publication.exchange))
    data.encode_short_string(method, name_out(publication.routing_key))
    method.append(b"\x01" if mandatory else b"\x00")
    header = [_CONTENT.pack(Basic.INDEX, 0, len(body)), *WireProperties(properties).encode()]
    most = connection._body_max_length  # noqa: SLF001 (as negotiated)
    parts = [
        _framed(FRAME_METHOD, number, b"".join(method)),
        _framed(FRAME_HEADER, number, b"".join(header)),
        *(_framed(FRAME_BODY, number, body[at : at + most]) for at in range(0, len(body), most)),
    ]
    if len(body) <= most:  # else pika would copy what is left of it after each part that was sent
        parts = [b"".join(parts)]
    connection._output_marshaled_frames(parts)  # noqa: SLF001 (as pika does)


def _framed(kind: int, number: int, payload: bytes) -> bytes:
    return _FRAME.pack(kind, number, len(payload)) + payload + _END
