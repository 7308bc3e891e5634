//! Pages of the logs, and what isn't on them.

use std::{collections::BTreeSet, time::Duration};

use super::{
    super::{CountHandling, Options, Simulator},
    ask, publish, simulator,
};

/// Every entry of a listing as message and state, read to its end; `between` runs between two pages.
fn read(simulator: &Simulator, query: &str, between: impl Fn()) -> Vec<(String, String)> {
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = ask(simulator, "GET", &format!("/v2/logs?{query}{cursor}"), "");
        assert_eq!(status, 200, "{page}");
        let text = |entry: &serde_json::Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let logs = page["logs"].as_array().cloned().unwrap_or_default();
        entries.extend(
            logs.iter()
                .map(|entry| (text(entry, "messageId"), text(entry, "state"))),
        );
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return entries,
        }
        between();
    }
}

fn ids(entries: &[(String, String)]) -> BTreeSet<&str> {
    entries.iter().map(|(id, _)| id.as_str()).collect()
}

#[test]
fn what_arrives_meanwhile_shifts_no_page() {
    let simulator = simulator(CountHandling::Ignored, 25, Duration::from_secs(5));
    let quiet = read(&simulator, "count=10", || ());
    assert_eq!((quiet.len(), ids(&quiet).len()), (25, 25));
    let disturbed = read(&simulator, "count=10", || publish(&simulator, "label-1"));
    assert_eq!(disturbed, quiet, "neither twice nor left out");
    assert_eq!(simulator.pending(), 27);
    // A change of state is an entry of its own, and comes later as well.
    let once = std::cell::Cell::new(true);
    let cancelled = read(&simulator, "count=20", || {
        if once.take() {
            let cancelled = ask(&simulator, "DELETE", "/v2/messages/msg_0000000000000000", "");
            assert_eq!(cancelled.0, 202);
        }
    });
    assert!(cancelled.iter().all(|(_, state)| state == "CREATED"), "{cancelled:?}");
    assert_eq!(read(&simulator, "count=20", || ())[0].1, "CANCELLED");
}

#[test]
fn late_arrivals_can_be_asked_for() {
    let simulator = Simulator::new(Options {
        messages: 25,
        late_arrivals: 2,
        ..Options::default()
    });
    let entries = read(&simulator, "count=2&label=label-4", || ());
    assert_eq!((entries.len(), ids(&entries).len()), (5, 5));
    assert_eq!(
        simulator.pending(),
        29,
        "two after each of two pages, none after the last"
    );
    let (_, page) = ask(&simulator, "GET", "/v2/logs?label=label-4", "");
    assert_eq!(
        page["logs"].as_array().map(Vec::len),
        Some(9),
        "they are like the others"
    );
    assert_eq!(simulator.pending(), 29, "a listing of one page has nothing between");
}

#[test]
fn what_the_log_no_longer_holds_is_pending_all_the_same() {
    let simulator = Simulator::new(Options {
        messages: 10,
        log_entries: 4,
        ..Options::default()
    });
    let entries = read(&simulator, "count=3", || ());
    let newest: BTreeSet<&str> = ids(&entries);
    assert_eq!(newest.first(), Some(&"msg_0000000000000006"));
    assert_eq!((entries.len(), simulator.pending()), (4, 10));
    assert_eq!(ask(&simulator, "GET", "/v2/messages/msg_0000000000000000", "").0, 200);
    // Under a cursor that points to what is gone there is nothing.
    assert_eq!(read(&simulator, "cursor=3", || ()), []);
}

#[test]
fn a_message_in_flight_has_two_entries() {
    let simulator = simulator(CountHandling::Ignored, 0, Duration::from_secs(5));
    publish(&simulator, "in-flight");
    let states = |query: &str| {
        let entries = read(&simulator, query, || ());
        entries.into_iter().map(|(_, state)| state).collect::<Vec<_>>()
    };
    assert_eq!(states(""), ["ACTIVE", "CREATED"]);
    assert_eq!(states("state=ACTIVE"), ["ACTIVE"]);
    assert_eq!(states("state=IN_PROGRESS"), ["ACTIVE"]);
    assert_eq!(states("state=RETRY"), [""; 0]);
}

#[test]
fn entries_tell_what_the_api_says_and_no_more() {
    let simulator = simulator(CountHandling::Ignored, 10, Duration::from_secs(5));
    let (_, page) = ask(&simulator, "GET", "/v2/logs?messageId=msg_0000000000000006", "");
    let entry = page["logs"][0].as_object().cloned().unwrap_or_default();
    let names: Vec<&str> = entry.keys().map(String::as_str).collect();
    // Neither the flow control key nor the caller, which messages have (QStash API: schemas LogEntry, Message).
    assert_eq!(
        names,
        [
            "messageId",
            "url",
            "method",
            "maxRetries",
            "queueName",
            "body",
            "label",
            "labels",
            "time",
            "state"
        ]
    );
    let (_, message) = ask(&simulator, "GET", "/v2/messages/msg_0000000000000006", "");
    assert_eq!(
        (&message["flowControlKey"], &message["callerIP"]),
        (&"flow-0".into(), &"127.0.0.1".into())
    );
}
