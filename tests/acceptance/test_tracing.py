"""The trace of one edit: publisher's span → process → call → publish → subscriber's span.

The worker is a process of its own and exports as in production, by OTLP, to a collector in here;
publisher and subscriber export into memory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tests.acceptance.kit import WorkerProcess, connected, edit, publish, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import NewWorker

W3C = TraceContextTextMapPropagator()


@dataclass
class Span:
    """What tests ask of a span, whoever made it; ids in hex."""

    name: str
    kind: SpanKind
    trace: str
    own: str
    parent: str
    failed: bool
    facts: dict[str, str | int]


class Service:
    """An HTTP server on a free port that answers every POST, and keeps what came."""

    def __init__(self, answer: bytes) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Collector(Service):
    """Takes spans in OTLP's binary form."""

    def spans(self) -> dict[str, Span]:
        """All so far, by name."""
        requests = [ExportTraceServiceRequest.FromString(body) for _, body in self.got]
        return {
            span.name: Span(
                span.name,
                SpanKind(span.kind - 1),
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.status.code == StatusCode.ERROR.value,
                {
                    fact.key: fact.value.string_value or fact.value.int_value
                    for fact in span.attributes
                },
            )
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }

    def schema(self) -> str:
        """The conventions that the spans say they follow."""
        request = ExportTraceServiceRequest.FromString(self.got[0][1])
        schema: str = request.resource_spans[0].scope_spans[0].schema_url
        return schema

    def resource(self) -> dict[str, str]:
        """What the worker says of itself."""
        request = ExportTraceServiceRequest.FromString(self.got[0][1])
        facts = request.resource_spans[0].resource.attributes
        return {fact.key: fact.value.string_value for fact in facts}


@pytest.fixture
def collector() -> Iterator[Collector]:
    service = Collector(b"")
    yield service
    service.close()


@pytest.fixture
def api() -> Iterator[Service]:
    """The provider's API, as far as one header is concerned."""
    service = Service(b'{"status": "0", "reason": "success", "data": 7}')
    yield service
    service.close()


@pytest.fixture
def worker(new_worker: NewWorker, collector: Collector, api: Service) -> WorkerProcess:
    made = new_worker(ready=False, API_URL=api.url)
    made.kill()
    made.environment = {
        **made.environment,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    made.start()
    made.ready()
    return made


@pytest.fixture
def memory() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(memory: InMemorySpanExporter) -> Any:  # noqa: ANN401 (opentelemetry's)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    return provider.get_tracer("publisher and subscriber")


def traced(tracer: Any, url: str, namespace: str, body: dict[str, Any]) -> dict[str, str]:  # noqa: ANN401
    """Publish an edit within a span, and take its event within another; the event's headers."""
    with connected(url) as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, f"{namespace}.events", "#")
        with tracer.start_as_current_span("publisher", kind=SpanKind.PRODUCER):
            headers: dict[str, str] = {}
            W3C.inject(headers)
            publish(url, namespace, [body], headers=headers)

        def event() -> Any:  # noqa: ANN401
            method, properties, _ = channel.basic_get(queue, auto_ack=True)
            return properties if method else None

        received: dict[str, str] = until(event).headers
    with tracer.start_as_current_span("subscriber", W3C.extract(received)):
        return received


def ids(span: ReadableSpan) -> tuple[str, str, str]:
    """Trace, own and parent's id of a span in memory."""
    parent = f"{span.parent.span_id:016x}" if span.parent else ""
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", parent


def test_one_trace_from_the_publisher_to_the_subscriber(
    worker: WorkerProcess,
    amqp_url: str,
    namespace: str,
    collector: Collector,
    api: Service,
    memory: InMemorySpanExporter,
    tracer: Any,  # noqa: ANN401
) -> None:
    headers = traced(tracer, amqp_url, namespace, edit(7))
    until(lambda: len(collector.spans()) == 3)
    found = collector.spans()
    process, call, publishing = (
        found[name] for name in (f"process {namespace}", "POST", f"publish {namespace}.events")
    )
    publisher, subscriber = map(ids, memory.get_finished_spans())
    trace = publisher[0]
    assert {process.trace, call.trace, publishing.trace, subscriber[0]} == {trace}
    assert process.parent == publisher[1]
    assert call.parent == publishing.parent == process.own
    assert subscriber[2] == publishing.own
    kinds = (SpanKind.CONSUMER, SpanKind.CLIENT, SpanKind.PRODUCER)
    assert (process.kind, call.kind, publishing.kind) == kinds
    assert headers["traceparent"][:-3] == f"00-{trace}-{publishing.own}"
    assert api.got[0][0]["traceparent"][:-3] == f"00-{trace}-{call.own}"
    broker, api_address = urlsplit(amqp_url), urlsplit(api.url)
    at_broker = {"server.address": broker.hostname, "server.port": broker.port}
    assert process.facts == {
        **at_broker,
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": namespace,
        "messaging.rabbitmq.destination.routing_key": "acme-app",
        "messaging.rabbitmq.message.delivery_tag": 1,
        "messaging.message.id": "m-0",
        "messaging.message.body.size": len(json.dumps(edit(7)).encode()),
        "taskedit.account": "default",
        "taskedit.outcome": "applied",
    }
    assert call.facts == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.full": f"{api.url}/taskEdit",
        "server.address": api_address.hostname,
        "server.port": api_address.port,
        "taskedit.api_status": "0",
    }
    assert publishing.facts == {
        **at_broker,
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": f"{namespace}.events",
    }
    assert collector.schema() == "https://opentelemetry.io/schemas/1.30.0"
    assert collector.resource()["service.name"] == "task-edit-worker"
    until(lambda: worker.lines("edit"))  # lines wait for company
    assert [line["trace_id"] for line in worker.lines("edit")] == [trace]


def test_a_message_that_no_call_is_made_of_has_a_trace_too(
    worker: WorkerProcess,
    amqp_url: str,
    namespace: str,
    collector: Collector,
    tracer: Any,  # noqa: ANN401
) -> None:
    traced(tracer, amqp_url, namespace, edit(7, redialTimes=9))
    until(lambda: len(collector.spans()) == 2)
    process = collector.spans()[f"process {namespace}"]
    assert process.failed
    assert process.facts["taskedit.reason"] == process.facts["error.type"] == "invalid"


@pytest.mark.parametrize("given", ["", "00-zz", "garbage", f"00-{'0' * 32}-{'0' * 16}-01"])
def test_a_context_that_cannot_be_read_begins_a_trace_of_our_own(
    worker: WorkerProcess, amqp_url: str, namespace: str, collector: Collector, given: str
) -> None:
    publish(amqp_url, namespace, [edit(7)], headers={"traceparent": given})
    until(lambda: len(collector.spans()) == 3)
    assert collector.spans()[f"process {namespace}"].parent == ""


def test_a_collector_that_is_away_holds_nobody_up(
    worker: WorkerProcess, amqp_url: str, namespace: str, collector: Collector
) -> None:
    collector.close()
    publish(amqp_url, namespace, [edit(1 + n) for n in range(20)])
    until(lambda: worker.lane()["edits"] == {"applied": 20})
    assert worker.stop(15) == 0
