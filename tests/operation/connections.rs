//! The bound on connections.

use std::io::{ErrorKind, Read as _};
use std::time::Duration;

use crate::support::{Client, Guard, PATIENCE, Upstream};

#[test]
fn connections_above_the_bound_wait_and_are_served_when_one_goes() {
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "resources: {max_connections: 2}");
    let mut served: Vec<_> = (0..2).map(|_| Client::connect(guard.address)).collect();
    for client in &mut served {
        assert_eq!(client.request("GET", "/v2/logs", &[], b"").status(), 202);
    }
    let mut waiting = Client::connect(guard.address);
    waiting.send("GET /waited HTTP/1.1\r\nHost: a\r\n\r\n");
    // Nothing comes while both are there, which are served meanwhile.
    waiting
        .stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let silence = waiting.stream.read(&mut [0; 1]).unwrap_err();
    assert!(
        matches!(silence.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{silence}"
    );
    for client in &mut served {
        assert_eq!(client.request("GET", "/v2/logs", &[], b"").status(), 202);
    }
    assert_eq!(guard.metric_line("qstash_guard_connections"), 2);
    assert_eq!(guard.metric_line("qstash_guard_max_connections"), 2);
    assert!(!upstream.requests().iter().any(|request| request.target() == "/waited"));
    drop(served.pop());
    waiting.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(waiting.answer().status(), 202);
}
