//! Numbers of an answer, read leniently.

use serde_json::Value;

/// A whole number that is not negative, also one that is written with a fraction of zero.
pub fn whole_number(value: &Value) -> Option<u64> {
    let fraction = || {
        value
            .as_f64()
            .filter(|number| number.fract() == 0.0 && (0.0..=LARGEST).contains(number))
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked"
    )]
    value.as_u64().or_else(|| fraction().map(|number| number as u64))
}

/// Up to here a double tells every whole number apart.
const LARGEST: f64 = 9_007_199_254_740_992.0;
