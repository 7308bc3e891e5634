//! `log`.

use tracing::Level;

use crate::config::keys::server as keys;
use crate::config::section::Section;
use crate::config::values;
use crate::telemetry::{Format, Log};

pub(super) fn compile(mut section: Section<'_>) -> Log {
    let log = Log {
        level: section.value("level", Level::INFO, |value| values::one_of(value, &keys::LEVELS)),
        format: section.value("format", Format::Auto, |value| values::one_of(value, &keys::FORMATS)),
    };
    section.finish();
    log
}
