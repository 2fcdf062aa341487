# ruff: noqa: TID251  (the one door of opentelemetry)
"""OpenTelemetry: spans for process, call and publish, and the context on into the event.

The only importer of opentelemetry, which is an extra (``task-edit-worker[tracing]``), so this
module is imported only where tracing is wanted; see `worker.process`. The environment's ``OTEL_…``
variables configure it, as everywhere. Names and attributes follow the semantic conventions 1.30 for
messaging (RabbitMQ) and HTTP clients.
"""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from worker.core.message import legible
from worker.core.reply import Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from worker.core.message import Delivery
    from worker.core.reply import Reply

    Facts = Mapping[str, str | int]

SERVICE = "task-edit-worker"
LAST_SPANS = 2.0
"""Seconds that the end of the process may wait for its last spans to be sent."""
CONVENTIONS = "https://opentelemetry.io/schemas/1.30.0"
_W3C = TraceContextTextMapPropagator()
_PORTS = {"http": 80, "https": 443, "amqp": 5672, "amqps": 5671}
_HTTP_ERROR = 400
"""A client's span of a status from here on has failed."""


def exporting(version: str, events: str, brokers: Sequence[str]) -> Spans:
    """Spans that are sent by OTLP over HTTP to where the environment says.

    `events` is the exchange of events. `brokers` are RabbitMQ's addresses, without
    users and passwords.
    """
    resource = Resource.create({SERVICE_VERSION: version})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: SERVICE}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Spans(provider, version, events, brokers)


class Spans:
    """Makes the spans of this worker: a `worker.core.tracing.Tracing`."""

    def __init__(
        self, provider: TracerProvider, version: str, events: str, brokers: Sequence[str]
    ) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE, version, CONVENTIONS)
        # With several addresses nobody here knows which node has the message.
        self._broker = _server(brokers[0]) if len(brokers) == 1 else {}
        self._events = events

    def begin(self, delivery: Delivery, account: str | None, url: str | None) -> SpansOfEdit:
        """The span of a message being processed: a child of its publisher's."""
        return SpansOfEdit(self._tracer, delivery, account, url, self._events, self._broker)

    def close(self) -> None:
        """Send what is left, but not for long: the collector may be away."""
        ending = Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(LAST_SPANS)


class SpansOfEdit:
    """The spans of one edit: a `worker.core.tracing.Trace`.

    They are handed on and not looked up in a thread's context, for an edit passes through several
    threads. Of an edit that goes back to its queue the spans never end, and so are never sent.
    """

    def __init__(
        self,
        tracer: Tracer,
        delivery: Delivery,
        account: str | None,
        url: str | None,
        events: str,
        broker: Facts,
    ) -> None:
        self._tracer = tracer
        self._publishing: Span | None = None
        self._url = url
        self._events = events
        self._broker = broker
        facts = {**_facts(delivery, account), **broker}
        name = f"process {facts['messaging.destination.name']}"
        self._processing = tracer.start_span(name, _context(delivery), SpanKind.CONSUMER, facts)
        self.trace_id = format_trace_id(self._processing.get_span_context().trace_id)

    def call(self, make: Callable[[str], Reply | None]) -> Reply | None:
        """A span around one call of the API, in whatever thread makes it."""
        facts: dict[str, str | int] = {"http.request.method": "POST"}
        if self._url is not None:
            facts |= {"url.full": self._url, **_server(self._url)}
        span = self._child("POST", SpanKind.CLIENT, facts)
        try:
            reply = make(_headers(span)["traceparent"])
        except Exception as bug:
            _failed(span, type(bug).__qualname__)
            raise
        else:
            span.set_attribute("taskedit.api_status", (reply and reply.status) or "none")
            code = reply and reply.code
            if code:
                span.set_attribute("http.response.status_code", code)
            if code and code >= _HTTP_ERROR:
                _failed(span, str(code), reply.detail if isinstance(reply, Unanswered) else None)
            elif isinstance(reply, Unanswered):
                _failed(span, "unanswered", reply.detail)
            return reply
        finally:
            span.end()

    def publish(self) -> Mapping[str, str]:
        """A span until the event is confirmed; subscribers continue from it."""
        facts = {
            "messaging.system": "rabbitmq",
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
            "messaging.destination.name": self._events,
            **self._broker,
        }
        self._publishing = self._child(f"publish {self._events}", SpanKind.PRODUCER, facts)
        return _headers(self._publishing)

    def end(self, outcome: str, reason: str) -> None:
        """The event is confirmed, and the edit settled."""
        if self._publishing is not None:
            self._publishing.end()
        self._processing.set_attribute("taskedit.outcome", outcome)
        if reason:
            self._processing.set_attribute("taskedit.reason", reason)
            _failed(self._processing, reason)
        self._processing.end()

    def _child(self, name: str, kind: SpanKind, facts: Facts) -> Span:
        return self._tracer.start_span(name, set_span_in_context(self._processing), kind, facts)


def _context(delivery: Delivery) -> Context:
    """What the message is a part of: nothing, when its headers say nothing that can be read."""
    headers = delivery.properties.headers
    found = {name: headers.text(name) for name in _W3C.fields} if headers.table else {}
    return _W3C.extract({name: text for name, text in found.items() if text}, Context())


def _headers(span: Span) -> dict[str, str]:
    """``traceparent``, and ``tracestate`` where there is one, of what follows from a span."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, set_span_in_context(span, Context()))
    return carrier


def _failed(span: Span, kind: str, detail: str | None = None) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, detail or kind))


def _server(url: str) -> Facts:
    """Host and port, the scheme's own where the URL has none."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return {"server.address": parts.hostname or "", "server.port": port}


def _facts(delivery: Delivery, account: str | None) -> dict[str, str | int]:
    had = delivery.properties
    facts = {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": legible(delivery.exchange or delivery.routing_key),
        "messaging.rabbitmq.destination.routing_key": legible(delivery.routing_key),
        "messaging.message.id": legible(had.message_id),
        "messaging.message.conversation_id": legible(had.correlation_id),
        "taskedit.account": account,
    }
    return {
        "messaging.message.body.size": len(delivery.body),
        "messaging.rabbitmq.message.delivery_tag": delivery.tag,
        **{name: text for name, text in facts.items() if text},
    }
