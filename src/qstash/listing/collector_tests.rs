use serde_json::{Value, json};

use super::*;

fn labelled(label: &str) -> Selection {
    Selection {
        filters: vec![("label".to_owned(), vec![label.to_owned()])],
        ..Selection::default()
    }
}

fn entry(id: &str, state: &str, time: u64) -> Value {
    json!({"messageId": id, "state": state, "time": time, "labels": ["a"]})
}

fn page(entries: &[Value], cursor: &str) -> Vec<u8> {
    json!({"logs": entries, "cursor": cursor}).to_string().into_bytes()
}

/// What becomes of pages: the ids, or why there are none.
fn collected(selection: &Selection, count: u64, pages: &[Vec<Value>]) -> Result<Vec<String>, String> {
    let mut collector = Collector::new(selection.clone(), count);
    for (number, entries) in pages.iter().enumerate() {
        let cursor = if number + 1 < pages.len() {
            number.to_string()
        } else {
            String::new()
        };
        match collector.take(&page(entries, &cursor)) {
            Ok(Next::Page(next)) => assert_eq!(next, cursor),
            Ok(Next::Done) => break,
            Err(fault) => return Err(fault.to_string()),
        }
    }
    collector.finish().map_err(|Unresolvable(filter)| filter)
}

#[test]
fn a_message_with_a_final_state_on_any_page_read_is_left_out() {
    for state in ["DELIVERED", "FAILED", "CANCEL_REQUESTED", "CANCELLED", "delivered"] {
        let newer = vec![
            vec![entry("m", state, 2)],
            vec![entry("m", "CREATED", 1), entry("n", "CREATED", 1)],
        ];
        let older = vec![
            vec![entry("m", "CREATED", 1), entry("n", "ERROR", 1)],
            vec![entry("m", state, 2)],
        ];
        for pages in [newer, older] {
            assert_eq!(
                collected(&labelled("a"), 5, &pages),
                Ok(vec!["n".to_owned()]),
                "{state}"
            );
        }
    }
}

#[test]
fn a_final_entry_that_shows_nothing_else_still_counts() {
    let bare = json!({"messageId": "m", "state": "CANCELLED"});
    let pages = [vec![entry("m", "CREATED", 1), bare]];
    assert_eq!(collected(&labelled("a"), 5, &pages), Ok(vec![]));
}

#[test]
fn it_stops_when_there_are_enough() {
    let mut collector = Collector::new(labelled("a"), 2);
    let first = page(&[entry("m", "CREATED", 3), entry("m", "ACTIVE", 4)], "c");
    assert_eq!(collector.take(&first), Ok(Next::Page("c".to_owned())));
    let second = page(&[entry("n", "CREATED", 2), entry("o", "CREATED", 1)], "d");
    assert_eq!(collector.take(&second), Ok(Next::Done));
    assert_eq!(collector.finish(), Ok(vec!["m".to_owned(), "n".to_owned()]));
}

#[test]
fn a_listing_that_does_not_end_is_a_fault() {
    let mut collector = Collector::new(labelled("a"), 2);
    assert!(collector.take(&page(&[], "c")).is_ok());
    assert_eq!(collector.take(&page(&[], "c")), Err(ListingFault::Circular));

    let mut collector = Collector::new(labelled("a"), 2);
    let pages = (0..).map(|number| collector.take(&page(&[], &format!("c{number}"))));
    assert_eq!(pages.take_while(Result::is_ok).count(), MAX_PAGES - 1);

    let mut collector = Collector::new(labelled("a"), 2);
    let many = vec![entry("m", "CREATED", 1); MAX_ENTRIES + 1];
    assert_eq!(collector.take(&page(&many, "")), Err(ListingFault::Endless));
    assert_eq!(
        Collector::new(labelled("a"), 2).take(&page(&[], &"c".repeat(MAX_CURSOR + 1))),
        Err(ListingFault::Unreadable)
    );
}

#[test]
fn dates_are_those_of_the_creation() {
    let dated = |from, to| Selection {
        from_date: from,
        to_date: to,
        ..Selection::default()
    };
    let both = vec![vec![entry("m", "ERROR", 20), entry("m", "CREATED", 10)]];
    let later = vec![vec![entry("m", "ERROR", 20)]];
    let m = || Ok(vec!["m".to_owned()]);
    let none = || Ok(vec![]);
    for (pages, from, to, expected) in [
        (&both, Some(10), Some(10), m()),
        (&both, Some(11), None, none()),
        (&both, None, Some(9), none()),
        (&both, None, Some(15), m()),
        // Created by then, since it had an entry by then.
        (&later, None, Some(20), m()),
        (&later, Some(0), None, m()),
        // It may have been created before or after.
        (&later, None, Some(15), Err("toDate".to_owned())),
        (&later, Some(15), None, Err("fromDate".to_owned())),
        (&later, Some(21), None, none()),
    ] {
        assert_eq!(collected(&dated(from, to), 5, pages), expected, "{from:?} {to:?}");
    }
    let timeless = vec![vec![json!({"messageId": "m", "state": "CREATED"})]];
    assert_eq!(collected(&dated(None, Some(5)), 5, &timeless), Err("toDate".to_owned()));
    // Enough others were found, so that it need not be known.
    let pages = vec![vec![entry("m", "ERROR", 20), entry("n", "CREATED", 16)], vec![]];
    assert_eq!(collected(&dated(Some(15), None), 1, &pages), Ok(vec!["n".to_owned()]));
}

#[test]
fn what_cannot_be_told_is_never_sent() {
    let by_key = Selection {
        filters: vec![("flowControlKey".to_owned(), vec!["k".to_owned()])],
        ..Selection::default()
    };
    let keyed = |id: &str, key: &str| json!({"messageId": id, "state": "CREATED", "flowControlKey": key});
    let m = || Ok(vec!["m".to_owned()]);
    assert_eq!(collected(&by_key, 5, &[vec![keyed("m", "k"), keyed("n", "l")]]), m());
    assert_eq!(
        collected(&by_key, 1, &[vec![keyed("m", "k"), entry("n", "CREATED", 1)]]),
        Err("flowControlKey".to_owned())
    );
    // It is done with, whatever its key is.
    assert_eq!(
        collected(&by_key, 5, &[vec![keyed("m", "k"), entry("n", "DELIVERED", 1)]]),
        m()
    );
    // Another entry of the same message tells.
    assert_eq!(
        collected(&by_key, 5, &[vec![keyed("m", "k"), entry("m", "ERROR", 1)]]),
        m()
    );
    // Entries that contradict each other.
    assert_eq!(
        collected(&by_key, 5, &[vec![keyed("m", "k"), keyed("m", "l")]]),
        Ok(vec![])
    );
}
