//! What the listing is asked for.

use std::fmt::Write as _;

use percent_encoding::utf8_percent_encode;

use super::chunks::ENCODED;
use crate::qstash::selection::Selection;

/// How many entries a page may have: the most that QStash gives.
pub const PAGE: usize = 100;

/// The filters of a cancel that the listing takes with one value (QStash API: List logs). `label` it takes with many.
const SINGLE: [&str; 4] = ["url", "topicName", "scheduleId", "queueName"];

/// The target of a page of the listing: the filters of the selection as far as the listing knows them, `size` entries at
/// most, from `cursor` on. `credential` is a query pair to be kept as it is.
///
/// No `state`, which would match single entries: a delivered message still has the entry of its creation. No `toDate`
/// either: the listing's dates are of the entry, and a later entry is the one that tells that a message is done. An entry
/// is never older than its message, so `fromDate` leaves out no message.
pub fn target(selection: &Selection, cursor: Option<&str>, size: usize, credential: Option<&str>) -> String {
    let mut target = format!("/v2/logs?count={size}");
    let mut add = |name: &str, value: &str| {
        // A string takes whatever is written to it.
        let _ = write!(target, "&{name}={}", utf8_percent_encode(value, ENCODED));
    };
    for (name, values) in &selection.filters {
        match values.as_slice() {
            [value] if SINGLE.contains(&name.as_str()) => add(name, value),
            values if name == "label" => values.iter().for_each(|value| add(name, value)),
            _ => {}
        }
    }
    if let Some(from) = selection.from_date {
        add("fromDate", &from.to_string());
    }
    if let Some(cursor) = cursor {
        add("cursor", cursor);
    }
    if let Some(pair) = credential {
        target.push('&');
        target.push_str(pair);
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listing_is_asked_for_what_it_knows() {
        let filter = |name: &str, values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            (name.to_owned(), values)
        };
        let selection = Selection {
            filters: vec![
                filter("label", &["a b", "c&d"]),
                filter("queueName", &["é"]),
                filter("url", &["https://a.example/x?y=1", "https://b.example"]),
                filter("host", &["a.example"]),
            ],
            from_date: Some(5),
            to_date: Some(9),
            count: Some(3),
            ..Selection::default()
        };
        assert_eq!(
            target(&selection, None, 100, None),
            "/v2/logs?count=100&label=a%20b&label=c%26d&queueName=%C3%A9&fromDate=5"
        );
        assert_eq!(
            target(&Selection::default(), Some("1=&x"), 25, Some("qstash_token=t%3D")),
            "/v2/logs?count=25&cursor=1%3D%26x&qstash_token=t%3D"
        );
    }
}
