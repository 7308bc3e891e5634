//! Bulk cancels through the real binary: what is refused never reaches the upstream.

mod support;

use support::{Guard, Upstream, request};

#[test]
fn an_unfiltered_cancel_reaches_nobody() {
    let upstream = Upstream::json(r#"{"cancelled":3}"#);
    let guard = Guard::start(&upstream.url(), "");
    let answer = request(
        guard.address,
        "DELETE",
        "/v2/messages",
        &["Authorization: Bearer t"],
        b"",
    );
    assert_eq!((answer.status(), answer.code().as_str()), (403, "unfiltered_cancel"));
    upstream.assert_untouched();
    let answer = request(
        guard.address,
        "DELETE",
        "/v2/messages?label=a&count=5",
        &["Authorization: Bearer t"],
        b"",
    );
    assert_eq!((answer.status(), answer.text().as_str()), (202, r#"{"cancelled":3}"#));
    assert_eq!(
        upstream.request().line(),
        "DELETE /v2/messages?label=a&count=5 HTTP/1.1"
    );
    assert_eq!(guard.records_of("intent").len(), 1);
    let (status, _) = guard.stop();
    assert!(status.success());
}
