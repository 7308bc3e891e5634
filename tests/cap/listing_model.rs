//! What a listing may lead to, in a model that knows nothing of the guard's own reading; held against it by the property
//! tests and by the fuzz target `listing`.

use std::collections::BTreeSet;

use qstash_guard::qstash::listing::{Collector, MAX_TARGET, Next, chunks};
use qstash_guard::qstash::selection::{self, Parameters, Selection};
use serde_json::{Value, json};

/// What a cancel asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) labels: Vec<&'static str>,
    pub(crate) queues: Vec<&'static str>,
    pub(crate) hosts: Vec<&'static str>,
    pub(crate) keys: Vec<&'static str>,
    /// `topicName`, `scheduleId`, `url`, `path` and `callerIp`.
    pub(crate) others: Vec<(&'static str, Vec<&'static str>)>,
    pub(crate) from: Option<u64>,
    pub(crate) to: Option<u64>,
    pub(crate) count: u64,
}

impl Wanted {
    pub(crate) fn selection(&self) -> Selection {
        let named = [
            ("label", &self.labels),
            ("queueName", &self.queues),
            ("host", &self.hosts),
            ("flowControlKey", &self.keys),
        ];
        let others = self.others.iter().map(|(name, values)| (*name, values));
        let filters = named.into_iter().chain(others).filter(|(_, values)| !values.is_empty());
        Selection {
            filters: filters
                .map(|(name, values)| (name.to_owned(), values.iter().map(|v| (*v).to_owned()).collect()))
                .collect(),
            from_date: self.from,
            to_date: self.to,
            count: Some(self.count),
            ..Selection::default()
        }
    }

    /// Whether an entry shows one of the values of every filter; `None` where it leaves that open.
    pub(crate) fn shown(&self, entry: &Value) -> Option<bool> {
        let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
        let host = text("url").map(|url| url.split('/').nth(2).unwrap_or_default());
        let listed = entry["labels"]
            .as_array()
            .and_then(|list| list.iter().map(Value::as_str).collect());
        let older = || entry["label"].as_str().map(|labels| labels.split(',').collect());
        let labels: Vec<&str> = listed.or_else(older).unwrap_or_default();
        let answers = [
            (
                &self.labels,
                Some(self.labels.iter().any(|label| labels.contains(label))),
            ),
            (
                &self.queues,
                Some(text("queueName").is_some_and(|queue| self.queues.contains(&queue))),
            ),
            (&self.hosts, host.map(|host| self.hosts.contains(&host))),
            (&self.keys, text("flowControlKey").map(|key| self.keys.contains(&key))),
        ];
        let others = self.others.iter().map(|(name, values)| {
            let path = || text("url").and_then(|url| url.splitn(4, '/').nth(3));
            let answer = match *name {
                "topicName" | "scheduleId" => Some(text(name).is_some_and(|text| values.contains(&text))),
                "path" => path().map(|path| values.contains(&format!("/{path}").as_str())),
                "callerIp" => text("callerIp").or(text("callerIP")).map(|ip| values.contains(&ip)),
                _ => text(name).map(|text| values.contains(&text)),
            };
            (values, answer)
        });
        let asked = answers
            .into_iter()
            .chain(others)
            .filter(|(values, _)| !values.is_empty());
        let answers: Vec<Option<bool>> = asked.map(|(_, answer)| answer).collect();
        if answers.contains(&Some(false)) {
            return Some(false);
        }
        answers.iter().all(Option::is_some).then_some(true)
    }

    /// The messages that may be sent by what these entries show.
    pub(crate) fn allowed(&self, entries: &[&Value]) -> BTreeSet<String> {
        let ids: BTreeSet<&str> = entries
            .iter()
            .map(|entry| entry["messageId"].as_str().unwrap())
            .collect();
        let may = |id: &&str| {
            let own: Vec<&&Value> = entries.iter().filter(|entry| entry["messageId"] == **id).collect();
            let state = |entry: &Value| entry["state"].as_str().unwrap().to_owned();
            let done = own
                .iter()
                .any(|entry| ["DELIVERED", "FAILED", "CANCEL_REQUESTED", "CANCELLED"].contains(&state(entry).as_str()));
            let differs = own.iter().any(|entry| self.shown(entry) == Some(false));
            let matches = own.iter().any(|entry| self.shown(entry) == Some(true));
            !done && !differs && matches && self.dated(&own)
        };
        ids.into_iter().filter(may).map(str::to_owned).collect()
    }

    /// Whether the message is known to have been created between the dates.
    fn dated(&self, own: &[&&Value]) -> bool {
        let times = |created: bool| {
            let of = own.iter().filter(move |entry| !created || entry["state"] == "CREATED");
            of.filter_map(|entry| entry["time"].as_u64()).min()
        };
        let (created, earliest) = (times(true), times(false));
        let from = self.from.unwrap_or(0);
        let after = from == 0 || created.is_some_and(|time| time >= from) && earliest.is_some_and(|time| time >= from);
        let before = self
            .to
            .is_none_or(|to| created.or(earliest).is_some_and(|time| time <= to));
        after && before
    }
}

/// Asserts that cancels mean these ids, each once, and nothing else.
pub(crate) fn assert_cancels(ids: &[String], most: usize) {
    let mut sent = Vec::new();
    for chunk in chunks(ids, most, None) {
        assert!(!chunk.ids.is_empty() && chunk.ids.len() <= most && chunk.target.len() <= MAX_TARGET);
        let (path, query) = chunk.target.split_once('?').expect("a query");
        assert_eq!(path, "/v2/messages");
        assert!(!query.contains(['&', ';', '#', '?', ' ']), "{query}");
        let read = selection::read(&Parameters::messages(Vec::new()), Some(query.as_bytes()), b"", false);
        let expected = Selection {
            ids: chunk.ids.to_vec(),
            ..Selection::default()
        };
        assert!(read.ambiguities.is_empty() && read.unknown.is_empty(), "{query}");
        assert_eq!(read.selection, expected);
        sent.extend_from_slice(chunk.ids);
    }
    assert_eq!(sent, ids);
}

/// Reads a cancel and the pages of a listing out of any bytes, collects, and asserts that what would be sent is selected,
/// each once, `count` at most, and that the cancels mean that alone. Gives how many would be sent.
pub(crate) fn hold(bytes: &[u8]) -> usize {
    let mut bytes = bytes.iter().copied();
    let mut next = move || bytes.next();
    let (count, asked, most) = (next().unwrap_or(3), next().unwrap_or(1), next().unwrap_or(1));
    let some = |bit: u8, value: &'static str| if asked & bit == 0 { Vec::new() } else { vec![value] };
    let wanted = Wanted {
        labels: some(1, "a"),
        queues: some(2, "q"),
        hosts: Vec::new(),
        keys: some(4, "k"),
        others: Vec::new(),
        from: (asked & 8 != 0).then_some(10),
        to: (asked & 16 != 0).then_some(30),
        count: u64::from(count % 8) + 1,
    };
    let mut collector = Collector::new(wanted.selection(), wanted.count);
    let (mut read, mut is_shown) = (Vec::new(), true);
    while let Some(page) = page(&mut next) {
        // What is skipped by one reader may be no JSON to another; then the model has not seen all.
        match serde_json::from_slice::<Value>(&page) {
            Ok(shown) => read.extend(shown["logs"].as_array().cloned().unwrap_or_default()),
            Err(_) => is_shown = false,
        }
        match collector.take(&page) {
            Ok(Next::Page(_)) => {}
            Ok(Next::Done) => break,
            // Nothing is sent then.
            Err(_) => return 0,
        }
    }
    let Ok(ids) = collector.finish() else { return 0 };
    let distinct: BTreeSet<String> = ids.iter().cloned().collect();
    assert!(
        distinct.len() == ids.len() && ids.len() as u64 <= wanted.count,
        "{ids:?}"
    );
    if is_shown {
        let allowed = wanted.allowed(&read.iter().collect::<Vec<_>>());
        assert!(distinct.is_subset(&allowed), "{distinct:?} of {allowed:?}: {read:?}");
    }
    assert_cancels(&ids, usize::from(most % 4) + 1);
    ids.len()
}

/// The next page: entries up to one that ends it, or bytes as they are.
fn page(next: &mut impl FnMut() -> Option<u8>) -> Option<Vec<u8>> {
    let mut entries = Vec::new();
    let mut kind = next()?;
    loop {
        match kind {
            0..200 => entries.push(entry(kind, next().unwrap_or(0), next().unwrap_or(0))),
            200..230 => {
                return Some(
                    json!({"logs": entries, "cursor": kind.to_string()})
                        .to_string()
                        .into_bytes(),
                );
            }
            230..250 => return Some(json!({ "logs": entries }).to_string().into_bytes()),
            250.. => {
                let length = next().unwrap_or(0);
                return Some((0..length).map_while(|_| next()).collect());
            }
        }
        kind = next().unwrap_or(u8::MAX - 6);
    }
}

/// An entry of one of a few messages, more or less like what its message is like; few ids are strange.
fn entry(message: u8, state: u8, looks: u8) -> Value {
    const STATES: [&str; 8] = [
        "CREATED",
        "CREATED",
        "CREATED",
        "ACTIVE",
        "ERROR",
        "DELIVERED",
        "cancelled",
        "X",
    ];
    let id = match message {
        0..190 => format!("msg_{}", message % 12),
        _ => format!("m{}", char::from(looks)),
    };
    let mut shown = json!({
        "messageId": id, "state": STATES[usize::from(state % 8)], "time": state / 4, "labels": ["a", "b"],
        "queueName": "q", "flowControlKey": "k",
    });
    match looks {
        0..10 => shown["labels"] = json!(["b"]),
        10..20 => shown["labels"] = json!(7),
        20..30 => shown["label"] = json!("b,a"),
        30..40 => shown["queueName"] = json!("r"),
        40..50 => shown["queueName"] = Value::Null,
        50..60 => shown["flowControlKey"] = json!("l"),
        60..70 => shown["flowControlKey"] = json!(""),
        70..80 => shown["time"] = json!("1"),
        80..85 => shown["state"] = json!(1),
        _ => {}
    }
    shown
}
