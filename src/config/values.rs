//! How single values are written.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::keys::limits::EVENTS;
use super::suggest;
use super::tree::Node;
use super::value::Value;
use crate::limits::Rate;

/// No timeout is longer than a day.
pub(super) const LONGEST: Duration = Duration::from_hours(24);

/// The shortest timeout.
pub(super) const SHORTEST: Duration = Duration::from_millis(1);

/// How durations are written, in milliseconds.
pub(super) const UNITS_OF_TIME: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// How sizes are written, in bytes.
pub(super) const UNITS_OF_SIZE: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// The periods of a rate, in seconds.
pub(super) const PERIODS: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400)];

/// `true` or `false`; `yes` and `on` are text in YAML 1.2.
pub(super) fn boolean(value: &Value<'_>) -> Result<bool, String> {
    let expected = "true or false";
    if let Node::Bool(value) = value.node.value {
        return Ok(value);
    }
    let text = value.text(expected)?;
    if value.is_substituted() {
        match text.as_str() {
            "true" => return Ok(true),
            "false" => return Ok(false),
            _ => {}
        }
    }
    let written = value.written();
    let path = &value.path;
    Err(match text.to_ascii_lowercase().as_str() {
        "true" | "false" => format!("{written} is text and not a value of {path}; write it without quotes"),
        "yes" | "on" | "y" | "1" => {
            format!("{written} is not a value of {path}, which takes true or false; write true")
        }
        "no" | "off" | "n" | "0" => {
            format!("{written} is not a value of {path}, which takes true or false; write false")
        }
        _ => format!("{written} is not a value of {path}; write true or false"),
    })
}

/// A whole number within a range.
pub(super) fn whole(value: &Value<'_>, range: RangeInclusive<u64>) -> Result<u64, String> {
    let (path, least, most) = (&value.path, range.start(), range.end());
    let bounds = if *most == u64::MAX {
        format!("from {least}")
    } else {
        format!("from {least} to {most}")
    };
    let expected = format!("a whole number {bounds}");
    let number = if let Node::Integer(number) = value.node.value {
        number
    } else {
        let text = value.text(&expected)?;
        match text.parse::<u64>() {
            Ok(number) if value.is_substituted() => number.into(),
            Ok(_) if matches!(value.node.value, Node::String(_)) => {
                return Err(format!("{path} is a number in quotes; write {text} without them"));
            }
            _ => {
                return Err(format!(
                    "{} is not a value of {path}; write {expected}",
                    value.written()
                ));
            }
        }
    };
    match u64::try_from(number) {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!(
            "{} is out of range for {path}; write {expected}",
            value.written()
        )),
    }
}

/// One of several words.
pub(super) fn one_of<T: Copy>(value: &Value<'_>, choices: &[(&'static str, T)]) -> Result<T, String> {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let expected = suggest::choice(&names);
    let text = value.text(&expected)?;
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
        return Ok(*choice);
    }
    let near = if value.is_substituted() {
        None
    } else {
        suggest::nearest(&text, names.iter().copied())
    };
    let near = near
        .map(|near| format!(" (did you mean `{near}`?)"))
        .unwrap_or_default();
    Err(format!(
        "{} is not a value of {}; write {expected}{near}",
        value.written(),
        value.path
    ))
}

/// A duration within a range: `250ms`, `10s`, `5m`, `24h`.
pub(super) fn duration(value: &Value<'_>, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    let text = value.text("a duration like `10s`")?;
    let path = &value.path;
    let Some(milliseconds) = measured(&text, &UNITS_OF_TIME) else {
        let fits = |text: &String| {
            measured(text, &UNITS_OF_TIME).is_some_and(|meant| range.contains(&Duration::from_millis(meant)))
        };
        return Err(format!(
            "{} is not a duration for {path}; write a whole number and its unit (ms, s, m or h), like `{}`",
            value.written(),
            example(value, meant_duration(&text).filter(fits), "10s")
        ));
    };
    let duration = Duration::from_millis(milliseconds);
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (shown(*range.start()), shown(*range.end()));
    Err(format!(
        "{} is out of range for {path}; write a duration from {least} to {most}",
        value.written()
    ))
}

/// A duration as it is written in the file.
pub(super) fn shown(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let fits = |(_, unit): &&(&str, u64)| milliseconds.is_multiple_of(*unit) && milliseconds >= *unit;
    let (name, unit) = UNITS_OF_TIME.iter().rev().find(fits).unwrap_or(&("s", 1_000));
    format!("{}{name}", milliseconds / unit)
}

/// A size in bytes within a range: `64KiB`, `10MiB`.
pub(super) fn size(value: &Value<'_>, range: RangeInclusive<u64>) -> Result<u64, String> {
    let text = value.text("a size like `64KiB`")?;
    let path = &value.path;
    let Some(bytes) = measured(&text, &UNITS_OF_SIZE) else {
        let meant = number_and_rest(&text)
            .and_then(|(number, unit)| Some(format!("{number}{}", meant_unit(unit, &WORDS_FOR_SIZES)?)));
        let fits = |text: &String| measured(text, &UNITS_OF_SIZE).is_some_and(|meant| range.contains(&meant));
        return Err(format!(
            "{} is not a size for {path}; write a whole number and its unit (B, KiB, MiB or GiB), like `{}`",
            value.written(),
            example(value, meant.filter(fits), "64KiB")
        ));
    };
    if range.contains(&bytes) {
        return Ok(bytes);
    }
    let (least, most) = (shown_size(*range.start()), shown_size(*range.end()));
    Err(format!(
        "{} is out of range for {path}; write a size from {least} to {most}",
        value.written()
    ))
}

/// A size as it is written in the file.
pub(super) fn shown_size(bytes: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| bytes.is_multiple_of(*unit);
    let (name, unit) = UNITS_OF_SIZE.iter().rev().find(fits).unwrap_or(&("B", 1));
    format!("{}{name}", bytes / unit)
}

/// A rate: `10/s`, `10/min`, `100/h`, `1000/d`.
pub(super) fn rate(value: &Value<'_>) -> Result<Rate, String> {
    let text = value.text("a rate like `10/min`")?;
    let path = &value.path;
    let parsed = text.split_once('/').and_then(|(events, period)| {
        let period = PERIODS.iter().find(|(name, _)| *name == period)?.1;
        Some((digits(events)?, Duration::from_secs(period)))
    });
    let Some((events, period)) = parsed else {
        let meant = text.split_once('/').and_then(|(events, period)| {
            let period = meant_unit(period, &WORDS_FOR_PERIODS)?;
            Some(format!("{}/{period}", digits(events.trim())?))
        });
        return Err(format!(
            "{} is not a rate for {path}; write a whole number, `/` and s, min, h or d, like `{}`",
            value.written(),
            example(value, meant, "10/min")
        ));
    };
    match u32::try_from(events).ok().and_then(NonZeroU32::new) {
        Some(events) if EVENTS.contains(&events.get().into()) => Ok(Rate { events, period }),
        _ => Err(format!(
            "{} is out of range for {path}; write from {} to {} events in a period",
            value.written(),
            EVENTS.start(),
            EVENTS.end()
        )),
    }
}

/// An address with a port.
pub(super) fn address(value: &Value<'_>) -> Result<SocketAddr, String> {
    let text = value.text("an address and a port, like `127.0.0.1:8089`")?;
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (path, written) = (&value.path, value.written());
    if let Some((host, port)) = text.rsplit_once(':')
        && format!("{host}:0").parse::<SocketAddr>().is_ok()
        && digits(port).is_some_and(|port| port > u16::MAX.into())
    {
        return Err(format!(
            "{written} has a port that is out of range for {path}; write from 0 to {}",
            u16::MAX
        ));
    }
    let port = text.trim_start_matches("localhost").trim_start_matches(':');
    let example = match port.parse::<u16>() {
        Ok(_) if value.is_substituted() => "127.0.0.1:8089".to_owned(),
        Ok(port) if text.starts_with(':') => format!("0.0.0.0:{port}"),
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => "127.0.0.1:8089".to_owned(),
    };
    Err(format!(
        "{written} is not an address for {path}; write an IP address and a port (no host name), like `{example}`"
    ))
}

/// A file, or `null` for none.
pub(super) fn file(value: &Value<'_>) -> Result<Option<PathBuf>, String> {
    if value.is_left_empty() {
        return Err(format!(
            "`{}` has no value; write a file, or `null` for none",
            value.path
        ));
    }
    if value.is_null() {
        return Ok(None);
    }
    let text = value.text("a file, or `null` for none")?;
    if text.is_empty() {
        return Err(format!("`{}` is empty; write a file, or `null` for none", value.path));
    }
    Ok(Some(PathBuf::from(text)))
}

/// A whole number and one of some units.
fn measured(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let behind = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(behind);
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    digits(number)?.checked_mul(factor)
}

/// What people write for units, and the unit.
const WORDS_FOR_TIME: [(&str, &[&str]); 4] = [
    ("ms", &["msec", "millisecond", "milliseconds"]),
    ("s", &["", "sec", "secs", "second", "seconds"]),
    ("m", &["min", "mins", "minute", "minutes"]),
    ("h", &["hr", "hrs", "hour", "hours"]),
];

const WORDS_FOR_SIZES: [(&str, &[&str]); 4] = [
    ("B", &["", "byte", "bytes"]),
    ("KiB", &["k", "kb"]),
    ("MiB", &["m", "mb"]),
    ("GiB", &["g", "gb"]),
];

const WORDS_FOR_PERIODS: [(&str, &[&str]); 4] = [
    ("s", &["sec", "second"]),
    ("min", &["m", "minute"]),
    ("h", &["hr", "hour"]),
    ("d", &["day"]),
];

/// The unit that was probably meant.
fn meant_unit(written: &str, words: &[(&'static str, &[&str])]) -> Option<&'static str> {
    let written = written.trim().to_ascii_lowercase();
    let means = |(unit, words): &&(&str, &[&str])| unit.to_ascii_lowercase() == written || words.contains(&&*written);
    words.iter().find(means).map(|(unit, _)| *unit)
}

/// The duration that was probably meant.
fn meant_duration(text: &str) -> Option<String> {
    let (number, unit) = number_and_rest(text)?;
    match unit.trim() {
        "d" | "day" | "days" => Some(format!("{}h", number.checked_mul(24)?)),
        unit => Some(format!("{number}{}", meant_unit(unit, &WORDS_FOR_TIME)?)),
    }
}

fn number_and_rest(text: &str) -> Option<(u64, &str)> {
    let (number, rest) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    Some((digits(number).filter(|_| !number.is_empty())?, rest))
}

/// An example for a fault: what was meant, but nothing of what comes from the environment.
fn example(value: &Value<'_>, meant: Option<String>, otherwise: &str) -> String {
    meant
        .filter(|_| !value.is_substituted())
        .unwrap_or_else(|| otherwise.to_owned())
}

/// A number of decimal digits alone, without a sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}
