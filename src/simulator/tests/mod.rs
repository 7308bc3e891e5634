//! Requests against a simulator, without a socket where none is needed.

use std::{net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{
    CountHandling, DEV_TOKEN, Options, Simulator,
    routes::{self, Call},
};

mod cancels;
mod endpoints;
mod generations;
mod listing;
mod serving;

fn simulator(count: CountHandling, messages: usize, wait: Duration) -> Simulator {
    Simulator::new(Options {
        count,
        messages,
        wait,
        ..Options::default()
    })
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn ask(simulator: &Simulator, method: &str, target: &str, body: &str) -> (u16, Value) {
    runtime().block_on(send(simulator, method, target, body))
}

/// Publishes a message with these labels.
fn publish(simulator: &Simulator, labels: &str) {
    let target = format!("/v2/publish/https://a.example/?upstash-label={labels}");
    assert_eq!(ask(simulator, "POST", &target, "").0, 200);
}

async fn send(simulator: &Simulator, method: &str, target: &str, body: &str) -> (u16, Value) {
    send_with(simulator, method, target, body, &[]).await
}

async fn send_with(
    simulator: &Simulator,
    method: &str,
    target: &str,
    body: &str,
    headers: &[(&'static str, &'static str)],
) -> (u16, Value) {
    let mut map = HeaderMap::new();
    map.insert(
        "authorization",
        HeaderValue::from_str(&format!("Bearer {DEV_TOKEN}")).expect("a value"),
    );
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_static(value));
    }
    exchange(simulator, method, target, body, map).await
}

async fn exchange(simulator: &Simulator, method: &str, target: &str, body: &str, headers: HeaderMap) -> (u16, Value) {
    let method: Method = method.parse().expect("a method");
    let uri: Uri = target.parse().expect("a target");
    let caller = Ipv4Addr::new(192, 0, 2, 9).into();
    let call = Call::new(method, &uri, headers, Bytes::copy_from_slice(body.as_bytes()), caller);
    let response = routes::answer(simulator.shared(), &call).await.into_response(false);
    let status: StatusCode = response.status();
    let Ok(body) = response.into_body().collect().await;
    (
        status.as_u16(),
        serde_json::from_slice(&body.to_bytes()).unwrap_or_default(),
    )
}
