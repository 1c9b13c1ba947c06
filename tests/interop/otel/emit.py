"""Emits one trace with everything that OTLP can say, by OpenTelemetry's Python SDK. The exporter
takes its settings from OTEL_*; ENCODING is protobuf or json; TEST_ATTRIBUTES go on every span."""

import json
import os

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

if os.environ["ENCODING"] == "json":
    from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

TEST_ATTRIBUTES = json.loads(os.environ["TEST_ATTRIBUTES"])
ELSEWHERE = SpanContext(
    0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True, TraceFlags(TraceFlags.SAMPLED)
)

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("marline.interop", "1.0")

with tracer.start_as_current_span(
    "GET /cart/{id}",
    kind=SpanKind.SERVER,
    links=[Link(ELSEWHERE, {"why": "trigger"})],
    attributes={
        **TEST_ATTRIBUTES,
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
    },
) as root:
    root.add_event("cache miss", {"key": "cart-1"})
    for kind in (SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.INTERNAL):
        name = f"child {kind.name}"
        with tracer.start_as_current_span(name, kind=kind, attributes=TEST_ATTRIBUTES) as child:
            if kind is SpanKind.CLIENT:
                child.record_exception(ValueError("no such cart"))
                child.set_status(Status(StatusCode.ERROR, "lookup failed"))
    root.set_status(StatusCode.OK)
    print(format(root.get_span_context().trace_id, "032x"))
provider.shutdown()
