//! Regular expressions (ECMA 262) for what the parser takes as text, bounds included.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::keys::limits::EVENTS;
use crate::config::values::{PERIODS, UNITS_OF_SIZE, UNITS_OF_TIME, shown, shown_size};

/// A pattern that has a name and a sentence of its own.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) pattern: String,
}

/// A duration within a range.
pub(super) fn duration(range: &RangeInclusive<Duration>) -> Named {
    let milliseconds = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (least, most) = (range.start(), range.end());
    Named {
        name: format!("duration-{}-{}", shown(*least), shown(*most)),
        about: format!(
            "A whole number and ms, s, m or h, like 10s; from {} to {}.",
            shown(*least),
            shown(*most)
        ),
        pattern: measured(milliseconds(least), milliseconds(most), &UNITS_OF_TIME),
    }
}

/// A size within a range of bytes.
pub(super) fn size(range: &RangeInclusive<u64>) -> Named {
    let (least, most) = (shown_size(*range.start()), shown_size(*range.end()));
    Named {
        name: format!("size-{least}-{most}"),
        about: format!("A whole number and B, KiB, MiB or GiB, like 64KiB; from {least} to {most}."),
        pattern: measured(*range.start(), *range.end(), &UNITS_OF_SIZE),
    }
}

/// A rate.
pub(super) fn rate() -> Named {
    let periods: Vec<&str> = PERIODS.iter().map(|(name, _)| *name).collect();
    Named {
        name: "rate".to_owned(),
        about: format!(
            "A whole number from {} to {}, a slash and s, min, h or d, like 10/min.",
            EVENTS.start(),
            EVENTS.end()
        ),
        pattern: format!(
            "^0*{}/(?:{})$",
            between(*EVENTS.start(), *EVENTS.end()),
            periods.join("|")
        ),
    }
}

/// An IP address and a port.
pub(super) fn address() -> Named {
    let (byte, port) = (between(0, 255), between(0, 65_535));
    Named {
        name: "address".to_owned(),
        about: "An IP address and a port, like 127.0.0.1:8089 or [::1]:8089.".to_owned(),
        pattern: format!(r"^(?:{byte}(?:\.{byte}){{3}}|\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[0-9]+)?\]):0*{port}$"),
    }
}

/// A number and its unit, together within a range.
fn measured(least: u64, most: u64, units: &[(&str, u64)]) -> String {
    let alternatives: Vec<String> = units
        .iter()
        .map(|(name, unit)| (name, least.div_ceil(*unit), most / unit))
        .filter(|(_, least, most)| least <= most)
        .map(|(name, least, most)| format!("{}{name}", between(least, most)))
        .collect();
    format!("^0*(?:{})$", alternatives.join("|"))
}

/// The decimal numbers of a range, without leading zeros.
fn between(least: u64, most: u64) -> String {
    let mut alternatives = Vec::new();
    let mut from = least;
    while from <= most {
        let (to, expression) = all_of_some_lengths(from, most).unwrap_or_else(|| one_digit_apart(from, most));
        alternatives.push(expression);
        from = to + 1;
    }
    match alternatives.as_slice() {
        [one] => one.clone(),
        _ => format!("(?:{})", alternatives.join("|")),
    }
}

/// From 1, 10, 100, …: every number of so many digits and of more, up to the longest that all fit.
fn all_of_some_lengths(from: u64, most: u64) -> Option<(u64, String)> {
    let least = from.checked_ilog10().filter(|digits| 10_u64.pow(*digits) == from)?;
    let next = most.checked_add(1)?.ilog10();
    if next <= least {
        return None;
    }
    let expression = match (least, next - 1) {
        (0, 0) => "[1-9]".to_owned(),
        (1, 1) => "[1-9][0-9]".to_owned(),
        (least, most) if least == most => format!("[1-9][0-9]{{{most}}}"),
        (least, most) => format!("[1-9][0-9]{{{least},{most}}}"),
    };
    Some((10_u64.pow(next) - 1, expression))
}

/// As far as one digit may go up, with any digits behind it: 86000 to 86399 is `86[0-3][0-9]{2}`.
fn one_digit_apart(from: u64, most: u64) -> (u64, String) {
    let mut block = 1;
    while from > 0 && from.is_multiple_of(block * 10) && block * 10 - 1 <= most - from {
        block *= 10;
    }
    let (before, digit) = (from / block / 10, from / block % 10);
    let last = digit + (9 - digit).min((most - from + 1) / block - 1);
    let before = if before > 0 { before.to_string() } else { String::new() };
    let range = if digit == last {
        digit.to_string()
    } else {
        format!("[{digit}-{last}]")
    };
    let free = match block.ilog10() {
        0 => String::new(),
        1 => "[0-9]".to_owned(),
        free => format!("[0-9]{{{free}}}"),
    };
    let expression = format!("{before}{range}{free}");
    (from + (last - digit + 1) * block - 1, expression)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn takes(pattern: &str, text: &str) -> bool {
        let schema = serde_json::json!({"pattern": format!("^{pattern}$")});
        jsonschema::is_valid(&schema, &text.into())
    }

    #[test]
    fn ranges_are_written_shortly() {
        assert_eq!(between(0, 255), "(?:[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])");
        assert_eq!(between(1, 1_000_000), "(?:[1-9][0-9]{0,5}|1000000)");
        assert_eq!(
            between(75, 86_400),
            "(?:7[5-9]|[8-9][0-9]|[1-9][0-9]{2,3}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2}|86400)"
        );
        assert_eq!(between(7, 7), "7");
    }

    proptest! {
        #[test]
        fn a_number_is_taken_where_it_is_in_the_range(least in 0..2_000_u64, more in 0..20_000_u64, by in 0..30_000_u64) {
            let most = least + more;
            let pattern = between(least, most);
            for number in [by, least, most, most + 1, least.saturating_sub(1), least + by, most.saturating_sub(by)] {
                let expected = (least..=most).contains(&number);
                prop_assert_eq!(takes(&pattern, &number.to_string()), expected, "{} by {}", number, pattern);
            }
        }
    }
}
