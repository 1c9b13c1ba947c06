// The rows of opentelemetry-cpp in the comparison: see README.md. Written against its public API.
// Usage: opentelemetry_cpp_peer plain|otlp
//   plain  spans are recorded in the SDK's own SpanData
//   otlp   spans are recorded as the OTLP exporter has them, in protobuf objects
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include <opentelemetry/exporters/otlp/otlp_recordable.h>
#include <opentelemetry/sdk/trace/batch_span_processor.h>
#include <opentelemetry/sdk/trace/batch_span_processor_options.h>
#include <opentelemetry/sdk/trace/exporter.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/sdk/version/version.h>
#include <opentelemetry/trace/tracer.h>

namespace sdk = opentelemetry::sdk;
namespace trace = opentelemetry::trace;

extern "C" uint64_t thread_allocations(void);

namespace
{
constexpr int kBurst = 400;
constexpr int kBursts = 1000;
constexpr int kAttributes = 4;
std::atomic<uint64_t> spans_seen{0};
std::atomic<uint64_t> attributes_seen{0};

class Discard final : public sdk::trace::SpanExporter
{
public:
    explicit Discard(bool otlp) : otlp_(otlp)
    {
    }

    std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override
    {
        if (otlp_) {
            return std::make_unique<opentelemetry::exporter::otlp::OtlpRecordable>();
        }
        return std::make_unique<sdk::trace::SpanData>();
    }

    sdk::common::ExportResult
    Export(const opentelemetry::nostd::span<std::unique_ptr<sdk::trace::Recordable>> &spans) noexcept
        override
    {
        for (auto &span : spans) {
            attributes_seen +=
                otlp_ ? static_cast<opentelemetry::exporter::otlp::OtlpRecordable &>(*span)
                            .span()
                            .attributes_size()
                      : static_cast<sdk::trace::SpanData &>(*span).GetAttributes().size();
        }
        spans_seen += spans.size();
        return sdk::common::ExportResult::kSuccess;
    }

    bool ForceFlush(std::chrono::microseconds) noexcept override
    {
        return true;
    }

    bool Shutdown(std::chrono::microseconds) noexcept override
    {
        return true;
    }

private:
    bool otlp_;
};

void make_span(trace::Tracer &tracer)
{
    auto span = tracer.StartSpan("function.work");
    span->SetAttribute("http.method", "GET");
    span->SetAttribute("http.route", "/orders/{id}");
    span->SetAttribute("customer.id", "c-1234567890");
    span->SetAttribute("region", "eu-central-1");
    span->End();
}

double ns_per_span(std::chrono::steady_clock::time_point since)
{
    auto took = std::chrono::steady_clock::now() - since;
    return std::chrono::duration<double, std::nano>(took).count() / kBurst;
}
} // namespace

int main(int argc, char **argv)
{
    const bool otlp = argc == 2 && std::strcmp(argv[1], "otlp") == 0;
    auto processor = std::make_unique<sdk::trace::BatchSpanProcessor>(
        std::make_unique<Discard>(otlp), sdk::trace::BatchSpanProcessorOptions{});
    sdk::trace::TracerProvider provider(std::move(processor));
    auto tracer = provider.GetTracer("bench", "1");
    std::vector<double> bursts;
    uint64_t allocations = 0;
    for (int b = 0; b < kBursts; b++) {
        const uint64_t allocations_before = thread_allocations();
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < kBurst; i++) {
            make_span(*tracer);
        }
        bursts.push_back(ns_per_span(start));
        allocations = thread_allocations() - allocations_before;
        provider.ForceFlush();
    }
    provider.Shutdown();
    std::sort(bursts.begin(), bursts.end());
    std::printf("opentelemetry-cpp %s, %s|%.1f|%.1f|%.1f\n", OPENTELEMETRY_SDK_VERSION,
                otlp ? "OTLP recordable" : "plain recordable", bursts.front(),
                bursts[bursts.size() / 2], static_cast<double>(allocations) / kBurst);
    return spans_seen == static_cast<uint64_t>(kBurst) * kBursts &&
                   attributes_seen == kAttributes * spans_seen
               ? 0
               : 1;
}
