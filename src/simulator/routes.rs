//! Which operation a request is.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, header::AUTHORIZATION};
use serde_json::json;

use super::{
    actions,
    answer::{Answer, Outcome, Refusal},
    cancel, dlq,
    handle::Shared,
    logs::{self, Listing},
    options::CountHandling,
    publish,
    query::Query,
    queues, schedules,
    store::Store,
    target::Target,
};

/// A request, read to its end.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) target: Option<Target>,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) caller: IpAddr,
}

impl Call {
    pub(super) fn new(method: Method, uri: &Uri, headers: HeaderMap, body: Bytes, caller: IpAddr) -> Self {
        Self {
            method,
            target: Target::read(uri.path()),
            query: Query::parse(uri.query().unwrap_or_default()),
            headers,
            body,
            caller,
        }
    }
}

/// Does what the request asks for.
pub(super) async fn answer(shared: &Shared, call: &Call) -> Answer {
    route(shared, call).await.unwrap_or_else(Answer::from)
}

async fn route(shared: &Shared, call: &Call) -> Outcome {
    if !is_authorized(call, &shared.options.token) {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized: invalid token"));
    }
    match &call.target {
        // Go's HTTP server refuses such a target before any handler sees it.
        None => Err(Refusal::bad_request("invalid URL escape")),
        Some(Target::Path(segments)) if call.method == Method::DELETE && segments == &["v2", "messages"] => {
            cancel::bulk_cancel(shared, call).await
        }
        Some(Target::Path(segments)) => {
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            path(shared, call, &segments)
        }
        Some(Target::Destination(segments, url)) => {
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            destination(&mut shared.store(), call, &segments, url)
        }
    }
}

fn path(shared: &Shared, call: &Call, segments: &[&str]) -> Outcome {
    let (store, options) = (&mut *shared.store(), &shared.options);
    match (call.method.as_str(), segments) {
        // Here a destination is a URL group, or was meant to be a URL without its scheme.
        ("POST", ["v2", "publish", group @ ..]) => publish::publish(store, call, &group.join("/"), None),
        ("POST", ["v2", "enqueue", queue, group @ ..]) => publish::publish(store, call, &group.join("/"), Some(queue)),
        ("POST", ["v2", "batch"]) => publish::batch(store, call),
        ("GET", ["v2", "messages", id]) => cancel::get(store, id),
        ("DELETE", ["v2", "messages", id]) => cancel::cancel(store, id, options.count),
        ("POST", ["v2", "messages", id, "retry"]) => cancel::retry(store, id),
        ("GET", ["v2", "bulkActions", ..]) if options.count == CountHandling::Honoured => {
            Err(Refusal::not_found("page"))
        }
        ("GET", ["v2", "bulkActions"]) => actions::list(store, &call.query),
        ("GET", ["v2", "bulkActions", id]) => actions::get(store, id),
        ("GET", ["v2", "logs"]) => logs::list(store, &call.query, Listing::Logs, options),
        ("GET", ["v2", "events"]) => logs::list(store, &call.query, Listing::Events, options),
        ("GET", ["v2", "dlq"]) => dlq::list(store, call),
        ("DELETE", ["v2", "dlq"]) => dlq::bulk_delete(store, call),
        ("POST", ["v2", "dlq", "retry"]) => dlq::bulk_retry(store, call),
        ("POST", ["v2", "dlq", "retry", id]) => dlq::retry(store, id),
        ("GET", ["v2", "dlq", id]) => dlq::get(store, id),
        ("DELETE", ["v2", "dlq", id]) => dlq::delete(store, id),
        ("GET", ["v2", "queues"]) => Ok(queues::list(store)),
        ("POST", ["v2", "queues"]) => queues::upsert(store, call),
        ("GET", ["v2", "queues", name]) => queues::get(store, name),
        ("DELETE", ["v2", "queues", name]) => queues::delete(store, name),
        ("POST", ["v2", "queues", name, "pause"]) => queues::pause(store, name, true),
        ("POST", ["v2", "queues", name, "resume"]) => queues::pause(store, name, false),
        ("GET", ["v2", "schedules"]) => Ok(schedules::list(store)),
        ("GET", ["v2", "schedules", id]) => schedules::get(store, id),
        ("DELETE", ["v2", "schedules", id]) => schedules::delete(store, id),
        ("POST" | "PATCH", ["v2", "schedules", id, "pause"]) => schedules::pause(store, id, true),
        ("POST" | "PATCH", ["v2", "schedules", id, "resume"]) => schedules::pause(store, id, false),
        ("POST", ["v2", "schedules", group @ ..]) => schedules::create(store, call, &group.join("/")),
        ("GET", ["v2", "keys"]) => Ok(keys(store)),
        ("POST", ["v2", "keys", "rotate"]) => {
            store.rotations += 1;
            Ok(keys(store))
        }
        _ => Err(Refusal::not_found("page")),
    }
}

fn destination(store: &mut Store, call: &Call, segments: &[&str], url: &str) -> Outcome {
    match (call.method.as_str(), segments) {
        ("POST", ["v2", "publish"]) => publish::publish(store, call, url, None),
        ("POST", ["v2", "enqueue", queue]) => publish::publish(store, call, url, Some(queue)),
        ("POST", ["v2", "schedules"]) => schedules::create(store, call, url),
        _ => Err(Refusal::not_found("page")),
    }
}

/// The signing keys (QStash API: Get signing keys): made up, and one further for each rotation.
fn keys(store: &Store) -> Answer {
    let key = |number: u64| format!("sig_simulator_{number}");
    Answer::ok(json!({ "current": key(store.rotations), "next": key(store.rotations + 1) }))
}

/// The token as `Authorization: Bearer` or as `qstash_token`. Either will do: senders that can only set a URL may have
/// an Authorization of their own.
fn is_authorized(call: &Call, token: &str) -> bool {
    let bearer = call
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| {
            let (scheme, rest) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(rest.trim())
        });
    bearer == Some(token) || call.query.all("qstash_token").any(|value| value == token)
}
