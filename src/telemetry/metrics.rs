//! What the guard counts, for Prometheus. Names and labels stand here once; label values are bounded.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::audit::{Decision, Event, Observe};
use crate::limits::store;
use crate::policy::Code;
use crate::qstash::operation::Operation;

/// All metrics of one guard. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: IntCounterVec,
    /// `requests` of allowed requests, by [`Operation::index`]: the hot path looks nothing up.
    allowed: Vec<IntCounter>,
    request_duration: Histogram,
    upstream_duration: Histogram,
    cancelled: IntCounterVec,
    rate_limited: IntCounterVec,
    store_up: IntGauge,
    store_errors: IntCounter,
    store_uncounted: IntCounter,
    audit_records: IntCounterVec,
    audit_failures: IntCounter,
    audit_sync: Histogram,
    audit_seq: IntGauge,
    connections: IntGauge,
    max_connections: IntGauge,
    policy_loaded: IntCounter,
    policy_rejected: IntCounter,
    cap_overruns: IntCounter,
    tokens_moved: IntCounter,
    malformed: IntCounter,
}

impl Metrics {
    /// Metrics at zero.
    ///
    /// # Errors
    /// If two of them had the same name: a defect of this file, which its test would show.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("qstash_guard".to_owned()), None)?;
        let new = Maker { registry: &registry };
        let requests = new.counters(
            "requests_total",
            "Requests, by operation, decision and the code of the refusal.",
            &["operation", "decision", "code"],
        )?;
        let allowed = Operation::ALL
            .iter()
            .map(|operation| requests.with_label_values(&[operation.as_str(), Decision::Allow.as_str(), ""]))
            .collect();
        let build = new.gauge("build_info", "The version that runs.", Some(env!("CARGO_PKG_VERSION")))?;
        build.set(1);
        let malformed = requests.with_label_values(&["malformed", Decision::Deny.as_str(), "malformed_request"]);
        let reloads = new.counters(
            "policy_reloads_total",
            "Reloads of the configuration: loaded, or rejected because of faults.",
            &["result"],
        )?;
        let inner = Inner {
            allowed,
            malformed,
            requests,
            request_duration: new.histogram("request_duration_seconds", "From a request's head to its answer's.")?,
            upstream_duration: new.histogram(
                "upstream_duration_seconds",
                "From the sending of a request, the guard's own too, to the head of the upstream's answer.",
            )?,
            cancelled: new.counters(
                "cancelled_messages_total",
                "Messages cancelled, as the upstream's answers say.",
                &["caller"],
            )?,
            rate_limited: new.counters("rate_limited_total", "Requests over a limit.", &["limit"])?,
            store_up: new.gauge(
                "rate_limit_store_up",
                "Whether limits are counted where they should be: 0 while rate_limit_store does not answer.",
                None,
            )?,
            store_errors: new.counter(
                "rate_limit_store_errors_total",
                "Questions that rate_limit_store did not answer.",
            )?,
            store_uncounted: new.counter(
                "rate_limit_store_uncounted_total",
                "Requests that passed uncounted because rate_limit_store did not answer (on_error: allow).",
            )?,
            audit_records: new.counters("audit_records_total", "Records written to the trail.", &["event"])?,
            audit_failures: new.counter("audit_failures_total", "Records that could not be written.")?,
            audit_sync: new.histogram("audit_sync_seconds", "How long the trail took to reach the disk.")?,
            audit_seq: new.gauge("audit_seq", "The number of the trail's newest record.", None)?,
            connections: new.gauge("connections", "Client connections that are open.", None)?,
            max_connections: new.gauge(
                "max_connections",
                "How many may be open (resources.max_connections); further ones wait.",
                None,
            )?,
            policy_loaded: reloads.with_label_values(&["loaded"]),
            policy_rejected: reloads.with_label_values(&["rejected"]),
            cap_overruns: new.counter(
                "cap_overruns_total",
                "Cancels that took more messages than count or their ids allowed.",
            )?,
            tokens_moved: new.counter("query_tokens_moved_total", "Query tokens moved into the header.")?,
            registry,
        };
        // Memory always answers.
        inner.store_up.set(1);
        Ok(Metrics(Arc::new(inner)))
    }

    /// A request was answered.
    pub fn request(&self, operation: Operation, decision: Decision, code: Option<Code>, took: Duration) {
        match (decision, code) {
            (Decision::Allow, None) => self.0.allowed[operation.index()].inc(),
            (decision, code) => {
                let code = code.map_or("", Code::as_str);
                self.0
                    .requests
                    .with_label_values(&[operation.as_str(), decision.as_str(), code])
                    .inc();
            }
        }
        self.0.request_duration.observe(took.as_secs_f64());
    }

    /// Something came that was no HTTP.
    pub fn malformed(&self) {
        self.0.malformed.inc();
    }

    /// The upstream answered, or failed to.
    pub fn upstream_answered(&self, took: Duration) {
        self.0.upstream_duration.observe(took.as_secs_f64());
    }

    /// Messages were cancelled by a configured caller, or by another: fingerprints would be unbounded.
    pub fn cancelled(&self, caller: Option<&str>, messages: u64) {
        let caller = caller.unwrap_or("other");
        self.0.cancelled.with_label_values(&[caller]).inc_by(messages);
    }

    /// A limit refused a request.
    pub fn rate_limited(&self, limit: &str) {
        self.0.rate_limited.with_label_values(&[limit]).inc();
    }

    /// A new policy is in force.
    pub fn policy_loaded(&self) {
        self.0.policy_loaded.inc();
    }

    /// A faulty configuration was refused.
    pub fn policy_rejected(&self) {
        self.0.policy_rejected.inc();
    }

    /// A cancel took more than it allowed.
    pub fn cap_overrun(&self) {
        self.0.cap_overruns.inc();
    }

    /// A query token was moved.
    pub fn query_token_moved(&self) {
        self.0.tokens_moved.inc();
    }

    /// So many connections may be open.
    pub fn may_be_open(&self, connections: usize) {
        self.0
            .max_connections
            .set(i64::try_from(connections).unwrap_or(i64::MAX));
    }

    /// A connection was opened.
    pub fn connection_opened(&self) {
        self.0.connections.inc();
    }

    /// A connection was closed.
    pub fn connection_closed(&self) {
        self.0.connections.dec();
    }

    /// Everything in the Prometheus text format.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        match TextEncoder::new().encode(&self.0.registry.gather(), &mut text) {
            Ok(()) => String::from_utf8(text).unwrap_or_default(),
            Err(error) => format!("# {error}\n"),
        }
    }
}

impl Observe for Metrics {
    fn record(&self, event: Event) {
        self.0.audit_records.with_label_values(&[event.as_str()]).inc();
    }

    fn synced(&self, took: Duration) {
        self.0.audit_sync.observe(took.as_secs_f64());
    }

    fn failed(&self) {
        self.0.audit_failures.inc();
    }

    fn head(&self, seq: u64) {
        self.0.audit_seq.set(i64::try_from(seq).unwrap_or(i64::MAX));
    }
}

impl store::Observe for Metrics {
    fn store_answers(&self, answers: bool) {
        self.0.store_up.set(answers.into());
    }

    fn store_failed(&self) {
        self.0.store_errors.inc();
    }

    fn passed_uncounted(&self) {
        self.0.store_uncounted.inc();
    }
}

struct Maker<'r> {
    registry: &'r Registry,
}

impl Maker<'_> {
    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let counter = IntCounter::new(name, help)?;
        self.registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    fn gauge(&self, name: &str, help: &str, version: Option<&str>) -> Result<IntGauge, prometheus::Error> {
        let opts = Opts::new(name, help);
        let gauge = IntGauge::with_opts(match version {
            Some(version) => opts.const_label("version", version),
            None => opts,
        })?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn histogram(&self, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
        let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()))?;
        self.registry.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }
}

/// In seconds: from a loopback answer to QStash's minute.
const BUCKETS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 120.0,
];
