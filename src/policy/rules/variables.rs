//! What the `when` of a rule can look at, and the names it has there.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelTimestamp};
use cel::common::value::Val;
use cel::{Context, Env};
use jiff::Timestamp;

use super::patterns;
use crate::policy::decide::Asked;
use crate::qstash::selection::{self, Kind, Selection};
use crate::qstash::target::Target;

/// A request, as rules see it.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct Facts<'a> {
    /// What is asked, by whom, from where and when.
    pub(in crate::policy) asked: &'a Asked<'a>,
    /// What a guarded request selects.
    pub(in crate::policy) selection: Option<&'a Selection>,
    /// Its kind under the policy's own limits.
    pub(in crate::policy) kind: Option<Kind>,
    /// Whether a missing cap is filled, and so none that is missing.
    pub(in crate::policy) fills_missing_caps: bool,
}

/// Every variable by its full name, but the single filters, which are `cancel.filters.NAME`.
///
/// `caller.name` is the caller as records name it, also one without a name of its own; `caller.fingerprint` is empty
/// without a token. `request.method` is as sent, `request.path` the judged copy of the path: decoded, in lower case, `//`
/// as `/`, without a `/` at its end. Numbers that were not given are null. Where nothing is selected, `cancel.kind` is
/// empty too.
pub(super) const NAMES: &[&str] = &[
    "caller.name",
    "caller.fingerprint",
    "client.ip",
    METHOD,
    PATH,
    "request.time",
    "operation",
    "cancel.kind",
    "cancel.count",
    IDS,
    FILTERS,
    "cancel.from_date",
    "cancel.to_date",
];

/// The variable that has the method.
pub(super) const METHOD: &str = "request.method";

/// The variable that has the judged copy of the path.
pub(in crate::policy) const PATH: &str = "request.path";

/// The variable that has the ids.
pub(super) const IDS: &str = "cancel.ids";

/// The variable that has all filters.
pub(super) const FILTERS: &str = "cancel.filters";

/// The names of filters: each is always there, as a list, which is empty where an operation has no such filter.
pub(super) fn filters() -> &'static [&'static str] {
    selection::FILTERS
}

/// The functions that a `when` can call: those of CEL's standard library, without optional values, which nothing here
/// gives.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    // The library has no `matches` of its own without its feature for it.
    let declared = patterns::declare(&mut env);
    debug_assert!(declared.is_ok(), "{declared:?}");
    Arc::new(env)
});

/// The variables of one request. A condition's members are read by their full name (`cancel.kind` is one variable), so
/// that no map is walked for them.
pub(super) struct Variables {
    pub(super) context: Context<'static, 'static>,
    /// How many values the filters have, all together.
    pub(super) filter_values: usize,
    /// How many items the longest list may have.
    pub(super) longest_list: usize,
    /// The bytes of the longest id or value of a filter.
    pub(super) longest_value: usize,
    /// The bytes of the path or the method, whichever is longer.
    pub(super) longest_of_head: usize,
    /// The steps that conditions have taken for the request.
    pub(super) steps: Cell<u64>,
}

impl Variables {
    /// Those of a request.
    pub(super) fn of(facts: &Facts<'_>) -> Self {
        let Facts {
            asked, selection, kind, ..
        } = facts;
        let request = asked.context;
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        let mut add = |name: &str, value: Box<dyn Val>| context.add_variable_as_val(name, value);
        let fingerprint = request.caller.fingerprint.map(|print| print.to_string());
        add("caller.name", text(&request.caller.name));
        add("caller.fingerprint", text(&fingerprint.unwrap_or_default()));
        add("client.ip", text(&request.client.to_string()));
        let path = Target::read(asked.path.as_bytes()).judged();
        let longest_of_head = asked.method.len().max(path.len());
        add(METHOD, text(asked.method));
        add(PATH, text(&path));
        add("request.time", time(request.time));
        add("operation", text(asked.operation.as_str()));
        add("cancel.kind", text(kind.map_or("", Kind::as_str)));
        add("cancel.count", number(selection.and_then(|selection| selection.count)));
        add(IDS, list(selection.map_or(&[], |selection| &selection.ids)));
        add(
            "cancel.from_date",
            number(selection.and_then(|selection| selection.from_date)),
        );
        add(
            "cancel.to_date",
            number(selection.and_then(|selection| selection.to_date)),
        );
        let mut all: HashMap<CelMapKey<'static>, Box<dyn Val>> = HashMap::new();
        let mut filter_values = 0;
        for &name in filters() {
            let values = selection.map_or(&[][..], |selection| selection.filter(name));
            filter_values += values.len();
            add(&format!("{FILTERS}.{name}"), list(values));
            all.insert(CelMapKey::from(name), list(values));
        }
        add(FILTERS, Box::new(CelMap::from(all)));
        let longest = |values: &[String]| values.iter().map(String::len).max();
        let ids = selection.map_or(&[][..], |selection| &selection.ids);
        let values = selection.iter().flat_map(|selection| &selection.filters);
        let longest_value = values.filter_map(|(_, values)| longest(values)).chain(longest(ids));
        Variables {
            context,
            filter_values,
            longest_list: filter_values.max(ids.len()),
            longest_value: longest_value.max().unwrap_or_default(),
            longest_of_head,
            steps: Cell::new(0),
        }
    }
}

fn text(text: &str) -> Box<dyn Val> {
    Box::new(CelString::from(text.to_owned()))
}

fn list(texts: &[String]) -> Box<dyn Val> {
    let texts: Vec<Box<dyn Val>> = texts.iter().map(|value| text(value)).collect();
    Box::new(CelList::from(texts))
}

/// A number, or null where there is none. CEL's integers have a sign: what is larger counts as the largest.
fn number(number: Option<u64>) -> Box<dyn Val> {
    match number {
        Some(number) => Box::new(CelInt::from(i64::try_from(number).unwrap_or(i64::MAX))),
        None => Box::new(CelNull),
    }
}

fn time(time: Timestamp) -> Box<dyn Val> {
    let time = chrono::DateTime::from_timestamp_nanos(i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX));
    Box::new(CelTimestamp::from(time.fixed_offset()))
}
