//! A guarded request, as far as its record tells it.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::Value;

use super::doubt::Doubt;
use crate::audit::read::Entry;
use crate::audit::redact;
use crate::policy::{self, Caller, Callers, Code, Policy};
use crate::qstash::credential::Fingerprint;
use crate::qstash::operation::Operation;
use crate::qstash::query;
use crate::qstash::selection::{LONGEST_PARAMETER, Parameters, Reading, Selection, TOKEN_PARAMETER, quoted_parameter};

/// A request that is to be decided again.
#[derive(Debug)]
pub(super) struct Recorded {
    /// When it was recorded.
    pub(super) time: Timestamp,
    pub(super) caller: Caller,
    pub(super) client: IpAddr,
    pub(super) operation: Operation,
    pub(super) method: String,
    /// The path, as far as it is recorded.
    pub(super) path: String,
    /// Whether it went on.
    pub(super) passed: bool,
    /// Why it was refused, or would have been.
    pub(super) code: Option<Code>,
    /// What it selects; `None` where it was refused before that was read.
    pub(super) reading: Option<Reading>,
    /// How many messages it may take, as limits count them.
    pub(super) messages: Option<u64>,
    /// Whether it is not known if a parameter is known now.
    pub(super) doubtful_parameter: bool,
    /// What the record holds in part alone.
    pub(super) partial: Partial,
}

/// What a record holds in part alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Partial {
    pub(super) ids: bool,
    pub(super) filters: bool,
    pub(super) path: bool,
    /// The caller has a name, so that its fingerprint is not recorded.
    pub(super) fingerprint: bool,
    /// The candidate does not name the caller.
    pub(super) caller: bool,
}

impl Recorded {
    /// Reads a record.
    ///
    /// # Errors
    /// It does not say enough.
    pub(super) fn of(entry: &Entry, policy: &Policy) -> Result<Self, Doubt> {
        let known = |word: &Option<String>| word.clone().ok_or(Doubt::Record);
        let operation = known(&entry.operation)?;
        let operation = Operation::from_name(&operation).ok_or(Doubt::Record)?;
        let code = match &entry.code {
            Some(code) => Some(
                Code::ALL
                    .iter()
                    .find(|known| known.as_str() == code)
                    .ok_or(Doubt::Record)?,
            ),
            None => None,
        };
        let mut partial = Partial::default();
        let caller = caller(&known(&entry.caller)?, &policy.callers, &mut partial);
        let target = known(&entry.target)?;
        let path = target.split('?').next().unwrap_or_default().to_owned();
        partial.path = redact::is_partial(&path);
        let selected = entry.selection.as_ref().map(|value| selection(value, &mut partial));
        let selected = selected.transpose()?;
        let parameters = &policy.parameters(operation);
        let mut unknown = Unknown::said(entry, parameters);
        unknown.add_shown(&target, parameters);
        let broken = |code: Code| {
            let violation = entry.violations.iter().find(move |v| v.code == code.as_str());
            violation.map(|v| v.message.clone())
        };
        let messages = selected.as_ref().and_then(|(_, messages)| *messages);
        let reading = selected.map(|(selection, _)| Reading {
            selection,
            ambiguities: broken(Code::AmbiguousRequest).into_iter().collect(),
            unknown: unknown.names,
            unsupported: broken(Code::UnsupportedBody),
        });
        Ok(Recorded {
            time: entry.time.parse().map_err(|_| Doubt::Record)?,
            caller,
            client: known(&entry.client)?.parse().map_err(|_| Doubt::Record)?,
            operation,
            method: known(&entry.method)?,
            path,
            passed: entry.event == "intent",
            code: code.copied(),
            reading,
            messages,
            doubtful_parameter: unknown.is_doubtful,
            partial,
        })
    }
}

/// The caller as the candidate names it, where the record shows which token it has, or that a certificate named it.
fn caller(recorded: &str, callers: &Callers, partial: &mut Partial) -> Caller {
    if recorded == &*Caller::anonymous().name {
        return Caller::anonymous();
    }
    if let Some(fingerprint) = recorded.strip_prefix("token:").and_then(Fingerprint::from_hex) {
        let named = callers
            .sorted()
            .into_iter()
            .find(|(_, hash)| hash.fingerprint() == fingerprint);
        return Caller {
            name: named.map_or(recorded, |(name, _)| name).into(),
            fingerprint: Some(fingerprint),
        };
    }
    partial.fingerprint = true;
    partial.caller = !callers.is_named(recorded) && !policy::is_of_a_certificate(recorded);
    Caller {
        name: recorded.into(),
        fingerprint: None,
    }
}

/// What a record says was selected, and how many messages that may be.
fn selection(value: &Value, partial: &mut Partial) -> Result<(Selection, Option<u64>), Doubt> {
    let number = |name: &str| match value.get(name) {
        None => Ok(None),
        Some(number) => number.as_u64().map(Some).ok_or(Doubt::Record),
    };
    let texts = |value: &Value| -> Result<Vec<String>, Doubt> {
        let texts = value.as_array().ok_or(Doubt::Record)?.iter();
        texts
            .map(|text| text.as_str().map(str::to_owned).ok_or(Doubt::Record))
            .collect()
    };
    let mut ids = value.get("ids").map_or_else(|| Ok(Vec::new()), texts)?;
    let mut filters = Vec::new();
    if let Some(recorded) = value.get("filters") {
        for (name, values) in recorded.as_object().ok_or(Doubt::Record)? {
            filters.push((name.clone(), texts(values)?));
        }
    }
    let total = usize::try_from(number("ids_total")?.unwrap_or_default()).map_err(|_| Doubt::Record)?;
    // No guard writes more ids than a body of the largest size holds.
    if total > MOST_IDS || total < ids.len() {
        return Err(Doubt::Record);
    }
    let count = number("count")?;
    partial.ids = ids.len() < total || ids.iter().any(|id| redact::is_partial(id));
    partial.filters = filters
        .iter()
        .any(|(_, values)| values.iter().any(|value| redact::is_partial(value)));
    let asked_for_ids = value.get("kind").and_then(Value::as_str) == Some("ids");
    let messages = if total > 0 { Some(total as u64) } else { count };
    if asked_for_ids {
        // Bounds look at their number alone; rules that look at more are in doubt.
        ids.resize(total, String::new());
    } else {
        // Ids beside another kind are those that the guard found, and nobody asked for them.
        ids.clear();
        partial.ids = false;
    }
    let r#async = match value.get("async") {
        None => None,
        Some(value) => Some(value.as_bool().ok_or(Doubt::Record)?),
    };
    let selection = Selection {
        ids,
        filters,
        from_date: number("from_date")?,
        to_date: number("to_date")?,
        count,
        r#async,
        empty: Vec::new(),
        in_body: false,
        extra: Vec::new(),
    };
    Ok((selection, messages))
}

/// Parameters that the candidate does not know.
struct Unknown {
    names: Vec<String>,
    /// Whether there may be one more, or one less.
    is_doubtful: bool,
}

impl Unknown {
    /// Those that a record says were unknown, as it quotes them, without those that are known now.
    fn said(entry: &Entry, parameters: &Parameters) -> Self {
        let mut unknown = Unknown {
            names: Vec::new(),
            is_doubtful: false,
        };
        let extra = &parameters.extra;
        let violations = entry.violations.iter();
        for violation in violations.filter(|v| v.code == Code::UnknownParameter.as_str()) {
            // The last one: a name may hold the same words, and the sentence behind it does not.
            match violation.message.rsplit_once(" is no parameter") {
                Some((name, _)) if !name.starts_with(HIDDEN_NAME) => {
                    if extra.iter().any(|extra| quoted_parameter(extra) == name) {
                        continue;
                    }
                }
                // Names too long for any of QStash's own are not recorded.
                Some(_) => unknown.is_doubtful |= extra.iter().any(|extra| extra.chars().count() > LONGEST_PARAMETER),
                None => unknown.is_doubtful |= !extra.is_empty(),
            }
            unknown.names.push(HIDDEN_NAME.to_owned());
        }
        unknown
    }

    /// Those that the recorded target shows: the policy at that time may have let them through.
    fn add_shown(&mut self, target: &str, parameters: &Parameters) {
        let Some((_, query)) = target.split_once('?') else {
            return;
        };
        // The end of one that is cut is no pair.
        let whole = if redact::is_cut(query) {
            query.rsplit_once('&').map_or("", |(whole, _)| whole)
        } else {
            query
        };
        for pair in query::pairs(whole.as_bytes()).filter_map(Result::ok) {
            let name = &*pair.name;
            if name == redact::HIDDEN {
                self.is_doubtful |= self.names.is_empty();
            } else if name != TOKEN_PARAMETER && !parameters.names().any(|known| known == name) {
                self.names.push(HIDDEN_NAME.to_owned());
            }
        }
    }
}

/// How the name of a parameter begins that is not shown.
const HIDDEN_NAME: &str = "`…`";

/// More ids than any request has that a guard reads.
const MOST_IDS: usize = 10_000_000;
