// Emits one trace with everything that OTLP can say, by OpenTelemetry's JavaScript SDK. The exporter
// takes its settings from OTEL_*; ENCODING is protobuf or json; TEST_ATTRIBUTES go on every span.
'use strict';

const {context, SpanKind, SpanStatusCode, trace} = require('@opentelemetry/api');
const {BatchSpanProcessor, NodeTracerProvider} = require('@opentelemetry/sdk-trace-node');
const {OTLPTraceExporter} = require(process.env.ENCODING === 'json'
    ? '@opentelemetry/exporter-trace-otlp-http'
    : '@opentelemetry/exporter-trace-otlp-proto');

const testAttributes = JSON.parse(process.env.TEST_ATTRIBUTES);
const elsewhere = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    traceFlags: 1,
};

const provider = new NodeTracerProvider({
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
const tracer = provider.getTracer('marline.interop', '1.0');

const root = tracer.startSpan('GET /cart/{id}', {
    kind: SpanKind.SERVER,
    links: [{context: elsewhere, attributes: {why: 'trigger'}}],
    attributes: {
        ...testAttributes,
        text: 'ü ✓ "quoted" \\',
        empty: '',
        yes: true,
        no: false,
        integer: 42,
        negative: -(2 ** 40),
        double: 0.5,
        texts: ['a', 'b'],
        integers: [1, 2],
        doubles: [0.5, -0.25],
        booleans: [true, false],
        nothing: [],
    },
});
root.addEvent('cache miss', {key: 'cart-1'});
const inside = trace.setSpan(context.active(), root);
for (const kind of ['CLIENT', 'PRODUCER', 'CONSUMER', 'INTERNAL']) {
    const options = {kind: SpanKind[kind], attributes: testAttributes};
    const child = tracer.startSpan(`child ${kind}`, options, inside);
    if (kind === 'CLIENT') {
        const error = new Error('no such cart');
        error.name = 'ValueError';
        child.recordException(error);
        child.setStatus({code: SpanStatusCode.ERROR, message: 'lookup failed'});
    }
    child.end();
}
root.setStatus({code: SpanStatusCode.OK});
root.end();
console.log(root.spanContext().traceId);
provider.shutdown();
