//! The row of opentelemetry for Rust in the comparison: see ../README.md. Written against its public API.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry::KeyValue;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter};

const BURST: u32 = 400;
const BURSTS: usize = 1000;
const ATTRIBUTES: u64 = 4;

static SPANS: AtomicU64 = AtomicU64::new(0);
static ATTRIBUTES_SEEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts the allocations of the calling thread.
struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        System.dealloc(block, layout)
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        System.realloc(block, layout, size)
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Debug)]
struct Discard;

impl SpanExporter for Discard {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let attributes: usize = batch.iter().map(|span| span.attributes.len()).sum();
        ATTRIBUTES_SEEN.fetch_add(attributes as u64, Ordering::Relaxed);
        SPANS.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

fn make_span(tracer: &impl Tracer) {
    let mut span = tracer.start("function.work");
    span.set_attribute(KeyValue::new("http.method", "GET"));
    span.set_attribute(KeyValue::new("http.route", "/orders/{id}"));
    span.set_attribute(KeyValue::new("customer.id", "c-1234567890"));
    span.set_attribute(KeyValue::new("region", "eu-central-1"));
    span.end();
}

fn main() {
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(Discard).build())
        .build();
    let tracer = provider.tracer("bench");
    let mut bursts = Vec::with_capacity(BURSTS);
    let mut allocations = 0;
    for _ in 0..BURSTS {
        let before = ALLOCATIONS.with(Cell::get);
        let start = Instant::now();
        for _ in 0..BURST {
            make_span(&tracer);
        }
        bursts.push(start.elapsed().as_nanos() as f64 / f64::from(BURST));
        allocations = ALLOCATIONS.with(Cell::get) - before;
        let _ = provider.force_flush();
    }
    let _ = provider.shutdown_with_timeout(Duration::from_secs(10));
    bursts.sort_by(f64::total_cmp);
    println!(
        "opentelemetry (Rust) {}|{:.1}|{:.1}|{:.1}",
        env!("PEER_VERSION"),
        bursts[0],
        bursts[BURSTS / 2],
        allocations as f64 / f64::from(BURST)
    );
    let spans = SPANS.load(Ordering::Relaxed);
    let whole = spans == u64::from(BURST) * BURSTS as u64
        && ATTRIBUTES_SEEN.load(Ordering::Relaxed) == ATTRIBUTES * spans;
    std::process::exit(i32::from(!whole));
}
