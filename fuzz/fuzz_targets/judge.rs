//! Whatever passes unread is no bulk cancel to any server that the model knows, and what is forwarded is judged the same.
#![no_main]

#[path = "../../tests/judging_model/case.rs"]
mod case;
#[path = "../../tests/judging_model/server.rs"]
#[expect(dead_code, reason = "the suite has it know other bulk operations too")]
mod server;

use case::Case;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use qstash_guard::policy::{Caller, Context, Policy, Request, Verdict, judge};

#[derive(Arbitrary, Debug)]
struct Input {
    method: u8,
    path: Vec<u8>,
    query: Option<Vec<u8>>,
    body: Vec<u8>,
    overridden: bool,
}

fuzz_target!(|input: Input| {
    let case = Case {
        api: &server::MESSAGES,
        method: ["DELETE", "delete", "POST", "GET"][usize::from(input.method % 4)],
        path: input.path,
        query: input.query,
        body: input.body,
        overridden: input.overridden,
        content_encoded: false,
    };
    let request = Request {
        method: case.method,
        path: &case.path,
        query: case.query.as_deref(),
        overridden: case.overridden,
        body: &case.body,
        content_encoded: case.content_encoded,
    };
    let nobody = Context {
        caller: &Caller::anonymous(),
        client: std::net::Ipv4Addr::LOCALHOST.into(),
        time: jiff::Timestamp::UNIX_EPOCH,
    };
    let judgement = judge(&Policy::default(), &request, &nobody);
    if !matches!(judgement.verdict, Verdict::Allow(_)) {
        return;
    }
    if judgement.reading.is_some() {
        assert!(
            server::seen(&case).iter().all(|seen| seen.harm().is_none()),
            "harm got through: {case}"
        );
    } else {
        assert!(!server::is_bulk_cancel(&case), "a bulk cancel passed unread: {case}");
    }
});
