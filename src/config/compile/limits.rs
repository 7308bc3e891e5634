//! `rate_limits` and `rate_limit_store`.

use std::num::NonZeroU32;
use std::time::Duration;

use super::policy;
use crate::config::keys::limits::{self as keys, DENIED, LONGEST_NAME};
use crate::config::section::Section;
use crate::config::source::Place;
use crate::config::value::Value;
use crate::config::values::{self, LONGEST, SHORTEST};
use crate::limits::store::Address;
use crate::limits::{AppliesTo, Limit, OnError, Per, Rate, StoreSettings, Unit};
use crate::policy::{Operations, Treatment};
use crate::qstash::operation::Operation;
use crate::qstash::parameters::BULK;

/// A bucket that takes longer to fill is a mistake, and more than the arithmetic of limits holds.
const LONGEST_REFILL: Duration = Duration::from_hours(366 * 24);

pub(super) fn compile(value: Option<Value<'_>>, treatments: &Operations) -> Vec<Limit> {
    let Some(value) = value else { return defaults() };
    let items = match value.items("a list of limits, or `[]` for none") {
        Ok(items) => items,
        Err(message) => {
            value.fault(message);
            return defaults();
        }
    };
    let mut names: Vec<(String, Place)> = Vec::new();
    let mut denied: Option<Place> = None;
    items
        .into_iter()
        .filter_map(|item| limit(item, treatments, &mut names, &mut denied))
        .collect()
}

fn limit(
    item: Value<'_>,
    treatments: &Operations,
    names: &mut Vec<(String, Place)>,
    denied: &mut Option<Place>,
) -> Option<Limit> {
    let mut section = Section::of(item);
    let name = section.required("name", "name: bulk-cancels", |value| {
        let name = name(value)?;
        if let Some((_, first)) = names.iter().find(|(known, _)| *known == name) {
            value.fault_beside(
                *first,
                "first given here",
                format!("two limits are named {}; rename one", value.written()),
            );
        }
        names.push((name.clone(), value.own_place()));
        Ok(name)
    });
    let applies_to = section.required("applies_to", "applies_to: [messages.bulk_cancel]", |value| {
        let applies_to = applies_to(value)?;
        if applies_to == AppliesTo::Denied
            && let Some(first) = denied.replace(value.own_place())
        {
            value.fault_beside(
                first,
                "first given here",
                "two limits apply to `denied`; keep one of them",
            );
        }
        Ok(applies_to)
    });
    let per = section.required("per", "per: caller", |value| values::one_of(value, &keys::PER));
    let unit = section.required("unit", "unit: requests", |value| {
        let unit = values::one_of(value, &keys::UNIT)?;
        match (unit, &applies_to) {
            (Unit::Messages, Some(AppliesTo::Denied)) => {
                Err("a limit on `denied` counts requests; write `unit: requests`".to_owned())
            }
            (Unit::Messages, Some(AppliesTo::Operations(operations))) => match uncounted(operations, treatments) {
                Some(fault) => Err(fault),
                None => Ok(unit),
            },
            _ => Ok(unit),
        }
    });
    let rate = section.required("rate", "rate: 10/min", values::rate);
    let burst = section.required("burst", "burst: 5", |value| burst(value, rate));
    section.finish();
    Some(Limit {
        name: name?,
        applies_to: applies_to?,
        per: per?,
        unit: unit?,
        rate: rate?,
        burst: burst?,
    })
}

/// Why operations cannot be counted in messages: how many a request takes is read where it is guarded alone.
fn uncounted(operations: &[Operation], treatments: &Operations) -> Option<String> {
    let is_uncounted = |operation: &&Operation| {
        !BULK.contains(*operation)
            || (treatments.of(**operation) == Treatment::Allow && **operation != Operation::MessagesBulkCancel)
    };
    let operation = operations.iter().find(is_uncounted)?;
    Some(if BULK.contains(operation) {
        format!(
            "{operation} is not guarded, so it is not known how many messages its requests take; write `unit: requests`, or \
             guard it in policy.operations"
        )
    } else {
        format!(
            "{operation} cannot be counted in messages, only bulk operations can; write `unit: requests`, or take it out of \
             applies_to"
        )
    })
}

fn name(value: &Value<'_>) -> Result<String, String> {
    let name = value.text("a name")?;
    if name.trim().is_empty() {
        return Err(format!("`{}` is empty; write a name, like `bulk-cancels`", value.path));
    }
    if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!(
            "{} is no name for a limit; write at most {LONGEST_NAME} characters in one line",
            value.written()
        ));
    }
    Ok(name)
}

fn applies_to(value: &Value<'_>) -> Result<AppliesTo, String> {
    let expected = "a list of operations like `[messages.bulk_cancel]`, or `[denied]`";
    let items = value.items(expected)?;
    let mut denied = None;
    let mut operations = Vec::new();
    for item in &items {
        match item.text("the name of an operation") {
            Ok(text) if text == DENIED => denied = Some(item),
            Ok(text) => match policy::matching(&text) {
                Some(matching) => operations.extend(matching),
                None => item.fault(policy::unknown_operation(item, &text, &[DENIED])),
            },
            Err(message) => item.fault(message),
        }
    }
    match (denied, items.len()) {
        (_, 0) => return Err(format!("`{}` is empty; write {expected}", value.path)),
        (Some(_), 1) => return Ok(AppliesTo::Denied),
        (Some(denied), _) => {
            denied.fault("`denied` stands for records of denials, not for an operation; give it a limit of its own");
        }
        (None, _) => {}
    }
    operations.sort_unstable();
    operations.dedup();
    Ok(AppliesTo::Operations(operations))
}

fn burst(value: &Value<'_>, rate: Option<Rate>) -> Result<NonZeroU32, String> {
    let number = values::whole(value, keys::BURST)?;
    let burst = u32::try_from(number)
        .ok()
        .and_then(NonZeroU32::new)
        .unwrap_or(NonZeroU32::MIN);
    let refill = rate.map(|rate| rate.period * burst.get() / rate.events.get());
    if refill.is_some_and(|refill| refill > LONGEST_REFILL) {
        return Err(format!(
            "{} is too large for {}: at this rate the bucket takes more than a year to fill; write less, or raise the rate",
            value.written(),
            value.path
        ));
    }
    Ok(burst)
}

pub(super) fn store(mut section: Section<'_>) -> StoreSettings {
    let settings = StoreSettings {
        address: section.value("url", None, address),
        timeout: section.value("timeout", Duration::from_millis(100), |value| {
            values::duration(value, SHORTEST..=LONGEST)
        }),
        on_error: section.value("on_error", OnError::Local, |value| {
            values::one_of(value, &keys::ON_ERROR)
        }),
    };
    section.finish();
    settings
}

fn address(value: &Value<'_>) -> Result<Option<Address>, String> {
    let text = value.text("`memory`, or a URL like `redis://host:6379`")?;
    if text == "memory" {
        return Ok(None);
    }
    // A URL may hold a password, and one that is not well written may hold it anywhere.
    if text.contains(['/', '@']) {
        value.hide();
    }
    Address::parse(&text)
        .map(Some)
        .map_err(|why| format!("`{}` {why}", value.path))
}

/// The limits of a file that has none: those of the shipped one.
fn defaults() -> Vec<Limit> {
    let limit = |name: &str, applies_to, per, unit, events: u32, seconds, burst: u32| Limit {
        name: name.to_owned(),
        applies_to,
        per,
        unit,
        rate: Rate {
            events: NonZeroU32::MIN.saturating_add(events - 1),
            period: Duration::from_secs(seconds),
        },
        burst: NonZeroU32::MIN.saturating_add(burst - 1),
    };
    let cancels = || AppliesTo::Operations(vec![Operation::MessagesBulkCancel]);
    vec![
        limit("bulk-cancels", cancels(), Per::Caller, Unit::Requests, 10, 60, 5),
        limit(
            "cancelled-messages",
            cancels(),
            Per::Caller,
            Unit::Messages,
            1000,
            3600,
            500,
        ),
        limit(
            "denials",
            AppliesTo::Denied,
            Per::ClientIp,
            Unit::Requests,
            100,
            60,
            200,
        ),
    ]
}
