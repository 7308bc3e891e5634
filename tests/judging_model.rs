//! What the guard lets through, held against a model of a lenient server that knows nothing of the guard: under no
//! reading may it be an unfiltered or an uncapped cancel.

#[path = "judging_model/case.rs"]
mod case;
#[path = "judging_model/grammar.rs"]
mod grammar;
#[path = "judging_model/paths.rs"]
mod paths;
#[path = "judging_model/random.rs"]
mod random;
#[path = "judging_model/selections.rs"]
mod selections;
#[path = "judging_model/server.rs"]
mod server;
#[path = "judging_model/sisters.rs"]
mod sisters;

use std::net::Ipv4Addr;
use std::ops::AddAssign;
use std::sync::LazyLock;
use std::thread;

use case::Case;
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, proptest};
use qstash_guard::policy::{Caller, Context, Judgement, Operations, Policy, Request, Treatment, Verdict, judge};
use qstash_guard::qstash::credential;

/// A caller without a token, on loopback, at the epoch.
fn nobody() -> Context<'static> {
    static CALLER: LazyLock<Caller> = LazyLock::new(Caller::anonymous);
    Context {
        caller: &CALLER,
        client: Ipv4Addr::LOCALHOST.into(),
        time: Timestamp::UNIX_EPOCH,
    }
}

fn judged(policy: &Policy, case: &Case) -> Judgement {
    judge(
        policy,
        &Request {
            method: case.method,
            path: &case.path,
            query: case.query.as_deref(),
            overridden: case.overridden,
            body: &case.body,
            content_encoded: case.content_encoded,
        },
        &nobody(),
    )
}

fn allows(judgement: &Judgement) -> bool {
    matches!(judgement.verdict, Verdict::Allow(_))
}

/// What went wrong, if the guard let through what the model may take for harm.
fn slipped(judgement: &Judgement, case: &Case) -> Option<String> {
    let Some(reading) = &judgement.reading else {
        return server::is_bulk_cancel(case).then(|| "a bulk cancel passed unread".to_owned());
    };
    let asked = reading.selection.count;
    let wrong = |seen: &server::Seen| seen.harm().or((seen.count != asked).then_some("another count"));
    server::seen(case)
        .into_iter()
        .find_map(|seen| wrong(&seen).map(|what| format!("{what}: {seen:?}")))
}

/// The request as it is forwarded: without its token pair.
fn forwarded(case: &Case) -> Option<Case> {
    let query = case.query.as_deref()?;
    let token = credential::read([], Some(query)).ok()?.query?;
    let cut = token.cut_from(std::str::from_utf8(query).ok()?);
    Some(Case {
        api: case.api,
        query: cut.map(String::into_bytes),
        path: case.path.clone(),
        body: case.body.clone(),
        method: case.method,
        overridden: case.overridden,
        content_encoded: case.content_encoded,
    })
}

#[derive(Debug, Default)]
struct Tally {
    cases: u64,
    /// Bulk cancels that were read and let through.
    allowed: u64,
    /// Of every 16th refused one: those that some server would have taken for a harmful cancel,
    refused_harmful: u64,
    /// and those whose path alone made the guard refuse.
    refused_unread: u64,
    /// Everything else that passed.
    passed: u64,
    /// Requests that lost a token on the way.
    cut: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.cases += other.cases;
        self.allowed += other.allowed;
        self.refused_harmful += other.refused_harmful;
        self.refused_unread += other.refused_unread;
        self.passed += other.passed;
        self.cut += other.cut;
    }
}

impl Tally {
    fn of(policy: &Policy, of: fn(Case) -> Case, seeds: impl Iterator<Item = u64>) -> Self {
        let mut tally = Tally::default();
        for seed in seeds {
            tally.take(policy, of, seed);
        }
        tally
    }

    fn take(&mut self, policy: &Policy, of: fn(Case) -> Case, seed: u64) {
        let case = of(grammar::case(seed));
        let judgement = judged(policy, &case);
        self.cases += 1;
        if !allows(&judgement) {
            if seed.is_multiple_of(16) && server::is_bulk_cancel(&case) {
                self.refused_harmful += u64::from(server::seen(&case).iter().any(|seen| seen.harm().is_some()));
                self.refused_unread += u64::from(judgement.reading.is_none());
            }
            return;
        }
        if let Some(what) = slipped(&judgement, &case) {
            panic!("seed {seed}: {what} got through as {}: {case}", judgement.operation);
        }
        *(if judgement.reading.is_some() {
            &mut self.allowed
        } else {
            &mut self.passed
        }) += 1;
        if let Some(forwarded) = forwarded(&case) {
            self.cut += 1;
            let again = judged(policy, &forwarded);
            let same = again.operation == judgement.operation && again.reading == judgement.reading && allows(&again);
            assert!(
                same,
                "seed {seed}: {case} is judged otherwise once forwarded as {forwarded}"
            );
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}"))
    })
}

#[test]
fn no_server_reads_harm_in_what_passes() {
    let tally = tally(&Policy::default(), |case| case, 1_000_000);
    println!("{tally:?}");
    // The model has said something about a good part of them, or all of this says nothing.
    let share = |part: u64, percent: u64| assert!(part * 100 >= percent * tally.cases, "{tally:?}");
    share(tally.allowed, 12);
    share(tally.refused_harmful * 16, 12);
    share(tally.refused_unread * 16, 8);
    share(tally.passed, 20);
    share(tally.cut, 4);
}

/// The same for other bulk operations that the policy guards.
#[test]
fn no_server_reads_harm_in_what_passes_of_other_operations() {
    for (name, of) in [
        ("dlq.bulk_delete", sisters::of_dlq as fn(Case) -> Case),
        ("workflows.bulk_cancel", sisters::of_runs),
    ] {
        // Before a QStash that honours `count`: else no workflow run is cancelled by filter at all.
        let policy = Policy {
            operations: Operations::compile(&[(name, Treatment::Guard)]).expect("it can be guarded"),
            upstream_host: "127.0.0.1".to_owned(),
            ..Policy::default()
        };
        let tally = tally(&policy, of, 200_000);
        println!("{tally:?}");
        let share = |part: u64, percent: u64| assert!(part * 100 >= percent * tally.cases, "{tally:?}");
        share(tally.allowed, 10);
        share(tally.refused_harmful * 16, 10);
        share(tally.refused_unread * 16, 5);
        share(tally.passed, 15);
        share(tally.cut, 3);
    }
}

/// What becomes of so many cases, with as many threads as there are cores.
fn tally(policy: &Policy, of: fn(Case) -> Case, cases: u64) -> Tally {
    let cases = number("QSTASH_GUARD_MODEL_CASES", cases);
    let first = number("QSTASH_GUARD_MODEL_SEED", 0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let tally = thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let seeds = (first..first.saturating_add(cases)).skip(part).step_by(threads);
                scope.spawn(move || Tally::of(policy, of, seeds))
            })
            .collect();
        let mut tally = Tally::default();
        for part in parts {
            tally += part.join().expect("a seed failed, named above");
        }
        tally
    });
    assert_eq!(tally.cases, cases);
    tally
}

/// Paths that reach `/v2/messages` only where steps are taken in some order, found by this model.
#[test]
fn the_model_reads_what_the_guard_refuses() {
    let policy = Policy::default();
    for path in [
        "/v2/messages",
        "/v2/x%5c../../messages",
        "/v2/..;/../messages",
        "/v2/%252e%252e/../messages",
        "/v2/%2e%2e/../messages",
        "/v2/%6dessages;%2f..%2f..%2fx",
        "/v2/%6dessages%3fx/../../y",
        "/v2/%6dessages//id",
        "/v2/messages/%c2%a0",
        "/v2/me%c5%bfsages",
        "/v2/x//%2f../../messages",
        "//v2/x//%252f..%252f..%252fmessages",
    ] {
        let case = Case {
            api: &server::MESSAGES,
            method: "DELETE",
            path: path.into(),
            query: None,
            body: Vec::new(),
            overridden: false,
            content_encoded: false,
        };
        assert!(server::is_bulk_cancel(&case), "{path}");
        assert_eq!(server::seen(&case)[0].harm(), Some("unfiltered"));
        assert!(!allows(&judged(&policy, &case)), "{path}");
    }
}

fn near_path() -> impl Strategy<Value = Vec<u8>> {
    "(/|%2[fF]|\\\\|\\.|;|%25|%|v2|messages|publish|https:|[a-z]|\\PC){0,12}".prop_map(String::into_bytes)
}

fn near_query() -> impl Strategy<Value = Vec<u8>> {
    "(&|=|;|%|%2[cC]|,|\\+|label|count|messageIds|qstash_token|[0-9]|\\PC){0,12}".prop_map(String::into_bytes)
}

fn near_body() -> impl Strategy<Value = Vec<u8>> {
    "(\\{|\\}|\\[|\\]|:|,|\"label\"|\"count\"|\"messageIds\"|\"|null|true|[0-9]|-|\\\\|u|\\PC){0,16}"
        .prop_map(String::into_bytes)
}

proptest! {
    #[test]
    fn no_bytes_panic(
        method in "\\PC{0,8}|DELETE|POST",
        path in vec(any::<u8>(), 0..64),
        query in proptest::option::of(vec(any::<u8>(), 0..64)),
        body in vec(any::<u8>(), 0..64),
        overridden: bool,
    ) {
        never_panics(&method, &path, query.as_deref(), &body, overridden);
    }

    #[test]
    fn no_near_miss_panics(path in near_path(), query in near_query(), body in near_body(), overridden: bool) {
        never_panics("POST", &path, Some(&query), &body, overridden);
        never_panics("DELETE", &path, Some(&query), &[], overridden);
        // A path that is read, so that the reading of query and body is reached.
        never_panics("POST", b"/v2/workflows/dlq/resume", Some(&query), &body, false);
        never_panics("DELETE", b"/v2/dlq", None, &body, false);
        never_panics("DELETE", b"/v2/messages", Some(&query), &body, false);
        never_panics("DELETE", b"/v2/messages", None, &body, false);
    }
}

fn never_panics(method: &str, path: &[u8], query: Option<&[u8]>, body: &[u8], overridden: bool) {
    static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy {
        operations: Operations::compile(&[("*.bulk_*", Treatment::Guard)]).expect("a glob of bulk operations"),
        ..Policy::default()
    });
    let policy = &*POLICY;
    let request = Request {
        method,
        path,
        query,
        overridden,
        body,
        content_encoded: false,
    };
    judge(policy, &request, &nobody());
    for authorization in [path, body] {
        // Where the token is cut, what is left is a query still, and no longer has one.
        if let (Ok(shown), Some(Ok(text))) = (credential::read([authorization], query), query.map(str::from_utf8))
            && let Some(token) = shown.query
        {
            let rest = token.cut_from(text);
            let again = credential::read([], rest.as_deref().map(str::as_bytes)).expect("nothing is left to be faulty");
            assert!(again.query.is_none(), "{text} keeps a token as {rest:?}");
        }
    }
}
