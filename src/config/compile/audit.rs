//! `audit`.

use std::path::PathBuf;
use std::time::Duration;

use crate::audit::{Durability, Keep, OnFailure, Recorded, Settings, Sink};
use crate::config::keys::audit as keys;
use crate::config::section::Section;
use crate::config::tree::Node;
use crate::config::value::Value;
use crate::config::values::{self, LONGEST, SHORTEST};

pub(super) fn compile(mut section: Section<'_>) -> Settings {
    let sink = section.value("path", Sink::File("audit/audit.jsonl".into()), sink);
    let durability = section.value("durability", Durability::Sync, |value| {
        values::one_of(value, &keys::DURABILITY)
    });
    let write_timeout = section.value("write_timeout", Duration::from_secs(2), |value| {
        values::duration(value, SHORTEST..=LONGEST)
    });
    let on_failure = section.value("on_failure", OnFailure::Deny, |value| {
        values::one_of(value, &keys::ON_FAILURE)
    });
    let record = section.value("record", Recorded::Guarded, |value| {
        values::one_of(value, &keys::RECORD)
    });
    let (max_size, keep, compress) = rotate(section.section("rotate"));
    let follow_bulk_actions = section.value("follow_bulk_actions", true, values::boolean);
    let signing_key = section.value("signing_key_file", None, |value| signing_key(value, &sink));
    section.finish();
    Settings {
        sink,
        durability,
        write_timeout,
        on_failure,
        record,
        max_size,
        keep,
        compress,
        signing_key,
        follow_bulk_actions,
    }
}

fn signing_key(value: &Value<'_>, sink: &Sink) -> Result<Option<PathBuf>, String> {
    // Whoever writes the key itself here has written a secret.
    let is_key = |text: &str| text.contains("PRIVATE KEY") || text.contains('\n');
    if matches!(&value.node.value, Node::String(text) if is_key(text)) {
        value.hide();
        return Err(format!(
            "`{}` takes the name of a file, not a key itself; write the key into a file that the guard alone may read",
            value.path
        ));
    }
    let file = values::file(value)?;
    if file.is_some() && !matches!(sink, Sink::File(_)) {
        return Err(format!(
            "`{}` takes a trail in a file: signed checkpoints stand beside it; name one in `audit.path`, or leave the key \
             out",
            value.path
        ));
    }
    Ok(file)
}

fn rotate(mut section: Section<'_>) -> (u64, Keep, bool) {
    let max_size = section.value("max_size", 64 << 20, |value| values::size(value, keys::FILE_SIZE));
    let keep = section.value("keep", Keep::All, |value| {
        match (&value.node.value, value.text("all, or how many files to keep")) {
            (Node::Integer(_), _) => {}
            (_, Ok(text)) if text == "all" => return Ok(Keep::All),
            (_, Ok(text)) if text.parse::<u64>().is_ok() => {}
            (_, Ok(_)) => {
                return Err(format!(
                    "{} is not a value of {}; write all, or how many rotated files to keep",
                    value.written(),
                    value.path
                ));
            }
            (_, Err(message)) => return Err(message),
        }
        let number = values::whole(value, keys::FILES)?;
        Ok(Keep::Newest(u32::try_from(number).unwrap_or(u32::MAX)))
    });
    let compress = section.value("compress", false, values::boolean);
    section.finish();
    (max_size, keep, compress)
}

fn sink(value: &Value<'_>) -> Result<Sink, String> {
    if matches!(value.node.value, Node::Sequence(_)) {
        return Err("`audit.path` is a list; for standard output write \"-\" in quotes".to_owned());
    }
    match values::file(value)? {
        None => Ok(Sink::None),
        Some(path) if path.as_os_str() == "-" => Ok(Sink::Stdout),
        Some(path) => Ok(Sink::File(path)),
    }
}
