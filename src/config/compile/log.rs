//! `log`.

use tracing::Level;

use crate::config::section::Section;
use crate::config::values;
use crate::telemetry::{Format, Log};

pub(super) fn compile(mut section: Section<'_>) -> Log {
    let log = Log {
        level: section.value("level", Level::INFO, |value| {
            let levels = [
                ("error", Level::ERROR),
                ("warn", Level::WARN),
                ("info", Level::INFO),
                ("debug", Level::DEBUG),
                ("trace", Level::TRACE),
            ];
            values::one_of(value, &levels)
        }),
        format: section.value("format", Format::Auto, |value| {
            values::one_of(
                value,
                &[("auto", Format::Auto), ("text", Format::Text), ("json", Format::Json)],
            )
        }),
    };
    section.finish();
    log
}
