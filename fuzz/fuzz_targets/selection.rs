//! No query and no body that passes selects everything, or more than the cap, to any server that the model knows.
#![no_main]

#[path = "../../tests/judging_model/case.rs"]
mod case;
#[path = "../../tests/judging_model/server.rs"]
#[expect(dead_code, reason = "the suite has it know other bulk operations too")]
mod server;

use case::Case;
use libfuzzer_sys::fuzz_target;
use qstash_guard::policy::{Caller, Context, Policy, Request, Verdict, judge};

fuzz_target!(|input: (Option<Vec<u8>>, Vec<u8>, bool)| {
    let (query, body, content_encoded) = input;
    let path = b"/v2/messages";
    let request = Request {
        method: "DELETE",
        path,
        query: query.as_deref(),
        overridden: false,
        body: &body,
        content_encoded,
    };
    let nobody = Context {
        caller: &Caller::anonymous(),
        client: std::net::Ipv4Addr::LOCALHOST.into(),
        time: jiff::Timestamp::UNIX_EPOCH,
    };
    let judgement = judge(&Policy::default(), &request, &nobody);
    let reading = judgement.reading.expect("the path is plain");
    if !matches!(judgement.verdict, Verdict::Allow(_)) {
        return;
    }
    let case = Case {
        api: &server::MESSAGES,
        method: "DELETE",
        path: path.into(),
        query,
        body,
        overridden: false,
        content_encoded,
    };
    assert!(server::is_bulk_cancel(&case));
    for seen in server::seen(&case) {
        assert_eq!(seen.harm(), None, "{seen:?} got through: {case}");
        assert_eq!(seen.count, reading.selection.count, "another count: {case}");
    }
});
