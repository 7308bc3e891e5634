//! A cancel whose intent waits for the disk while another one overruns its cap. Run in this process, where the disk can
//! be held.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use http::Request;
use jiff::Timestamp;
use qstash_guard::audit::{Event, Observe, OnFailure, Record, Trail};
use qstash_guard::config;
use qstash_guard::layers::audit_cancel::{AuditCancel, AuditCancelLayer};
use qstash_guard::layers::exchange::{Origin, Reply, Snapshot};
use qstash_guard::layers::follow::Follower;
use qstash_guard::layers::forward::Forward;
use qstash_guard::layers::overrun::Overruns;
use qstash_guard::layers::passage::{Judged, Selected};
use qstash_guard::limits::Limiter;
use qstash_guard::policy::{Asked, Context, decide};
use qstash_guard::qstash::operation::Operation;
use qstash_guard::qstash::selection::{Parameters, read};
use qstash_guard::telemetry::Metrics;
use qstash_guard::upstream::{Client, Source, Upload, client_config};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Layer, Service};

use crate::support::upstream::answer;
use crate::support::{Folder, Gate, Upstream};

/// Tells of each intent that is on disk; the second one goes no further until it is let.
struct Disk {
    intents: mpsc::UnboundedSender<()>,
    held: Mutex<usize>,
    open: Condvar,
}

impl Observe for Disk {
    fn record(&self, event: Event) {
        if event != Event::Intent {
            return;
        }
        let mut intents = self.held.lock().unwrap();
        *intents += 1;
        self.intents.send(()).unwrap();
        if *intents == 2 {
            drop(
                self.open
                    .wait_timeout_while(intents, crate::support::PATIENCE, |held| *held == 2),
            );
        }
    }
}

impl Disk {
    fn release(&self) {
        *self.held.lock().unwrap() = 0;
        self.open.notify_all();
    }
}

/// What is asked of one policy, over a client of its own.
struct Line {
    snapshot: Arc<Snapshot>,
    trail: Trail,
    service: AuditCancel<Forward>,
}

fn line(upstream: &Upstream, audit: &str, observe: Arc<dyn Observe>) -> Line {
    let yaml = format!("upstream: {{url: \"{}\"}}\naudit: {audit}\n", upstream.url());
    let settings = config::compile("guard.yaml", &yaml, &|_| None).unwrap().settings;
    let started = Record::new(Event::Started);
    let trail = Trail::open(&settings.audit, "here".to_owned(), started, observe)
        .unwrap()
        .trail;
    let snapshot = Arc::new(Snapshot {
        broker: None,
        policy: settings.policy,
        credentials: settings.credentials,
        limits: Arc::new(Limiter::new(Vec::new())),
        record_all: false,
        follow_bulk_actions: false,
        overruns: Arc::new(Overruns::default()),
    });
    let metrics = Metrics::new().unwrap();
    let idle = Duration::from_mins(1);
    let client = Client::new(&settings.upstream, client_config(None).unwrap(), idle, 65536).unwrap();
    let layer = AuditCancelLayer {
        trail: trail.clone(),
        on_failure: OnFailure::Deny,
        tasks: TaskTracker::new(),
        metrics: metrics.clone(),
        follower: Follower {
            client: client.clone(),
            trail: trail.clone(),
            metrics: metrics.clone(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            slots: Arc::new(Semaphore::new(1)),
        },
    };
    let service = layer.layer(Forward::new(client, metrics));
    Line {
        snapshot,
        trail,
        service,
    }
}

fn judged(snapshot: &Arc<Snapshot>, query: &str) -> Judged {
    let (head, ()) = Request::delete(format!("/v2/messages?{query}"))
        .body(())
        .unwrap()
        .into_parts();
    let context = Context {
        caller: &snapshot.policy.callers.identify(None),
        client: Ipv4Addr::LOCALHOST.into(),
        time: Timestamp::UNIX_EPOCH,
    };
    let asked = Asked {
        operation: Operation::MessagesBulkCancel,
        method: "DELETE",
        path: "/v2/messages",
        context: &context,
        overrun: snapshot.overruns.of(Operation::MessagesBulkCancel),
    };
    let reading = read(&Parameters::messages(Vec::new()), Some(query.as_bytes()), b"", false);
    let ruling = decide(&snapshot.policy, &asked, Some(&reading), Vec::new(), None);
    Judged {
        head,
        body: Upload::new(Source::Read(None), Duration::from_mins(1)),
        operation: Operation::MessagesBulkCancel,
        selected: ruling.kind.map(|kind| Selected {
            selection: reading.selection,
            kind,
            cap: ruling.cap,
            listed: None,
        }),
        ruling,
        origin: Origin {
            caller: None,
            client: Ipv4Addr::LOCALHOST.into(),
            started: Instant::now(),
            snapshot: Arc::clone(snapshot),
        },
    }
}

async fn cancel(service: &AuditCancel<Forward>, judged: Judged) -> Reply {
    let Ok(reply) = service.clone().call(judged).await;
    reply
}

#[tokio::test]
async fn it_is_not_sent_any_more() {
    let gate = Gate::default();
    let upstream = Upstream::with({
        let gate = gate.clone();
        move |mut connection| {
            while connection.read_request().is_some() {
                gate.pass();
                let overrun = answer("202 Accepted", r#"{"cancelled":9}"#);
                connection.stream.write_all(&overrun).unwrap();
            }
        }
    });
    let folder = Folder::new();
    let (intents, mut seen) = mpsc::unbounded_channel();
    let disk = Arc::new(Disk {
        intents,
        held: Mutex::new(0),
        open: Condvar::new(),
    });
    let audit = format!(
        "{{path: {}, write_timeout: 60s}}",
        folder.path().join("audit.jsonl").display()
    );
    let Line {
        snapshot,
        trail,
        service,
    } = line(&upstream, &audit, disk.clone());

    let first = tokio::spawn({
        let (service, judged) = (service.clone(), judged(&snapshot, "label=a&count=5"));
        async move { cancel(&service, judged).await }
    });
    seen.recv().await.unwrap();
    let second = tokio::spawn({
        let (service, judged) = (service.clone(), judged(&snapshot, "label=b&count=5"));
        async move { cancel(&service, judged).await }
    });
    // The second one's intent is on disk, and it does not know yet.
    seen.recv().await.unwrap();
    assert!(!snapshot.overruns.any());
    gate.open();
    while !snapshot.overruns.any() {
        tokio::task::yield_now().await;
    }
    disk.release();
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!(first.response.status(), 202);
    assert_eq!(second.response.status(), 403);
    assert_eq!(second.response.headers()["qstash-guard-code"], "cap_not_honoured");
    assert!(second.denied.is_none(), "its records are an intent and an outcome");
    trail.close(Record::new(Event::Stopped)).await.unwrap();
    assert_eq!(upstream.request().target(), "/v2/messages?label=a&count=5");
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let unsent: Vec<&Value> = records.iter().filter(|record| record["result"] == "unsent").collect();
    let intents: Vec<&Value> = records.iter().filter(|record| record["event"] == "intent").collect();
    assert_eq!((unsent.len(), intents.len()), (1, 2), "{records:#?}");
    assert_eq!(unsent[0]["request_id"], intents[1]["request_id"]);
    assert_eq!(unsent[0]["error"], "cap_not_honoured");
}

#[tokio::test]
async fn one_that_was_judged_before_leaves_no_intent() {
    let upstream = Upstream::json(r#"{"cancelled":9}"#);
    let Line { snapshot, service, .. } = line(&upstream, "{path: null}", Arc::new(()));
    let late = judged(&snapshot, "label=b&count=5");
    assert_eq!(
        cancel(&service, judged(&snapshot, "label=a&count=5"))
            .await
            .response
            .status(),
        202
    );
    let reply = cancel(&service, late).await;
    assert_eq!(reply.response.status(), 403);
    let denied = reply.denied.expect("a record of the denial");
    assert_eq!(denied.event, Event::Denied);
    assert!(denied.selection.is_some());
    assert_eq!(upstream.requests().len(), 1);
}
