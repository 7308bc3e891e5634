//! `credentials`. Nothing written here is shown unless it is a plain short word: tokens end up under any of the keys.

use crate::config::keys::credentials as keys;
use crate::config::section::Section;
use crate::config::tree::Node;
use crate::config::value::{Value, not_available};
use crate::config::values;
use crate::layers::{Credentials, HeaderForwardToken, QueryToken};

/// No value of these keys is longer.
const LONGEST_WORD: usize = 16;

pub(super) fn compile(mut section: Section<'_>) -> Credentials {
    // First, so that no fault of another key shows it.
    if let Some(token) = section.get("token") {
        token.hide();
        if !token.is_null() {
            token.fault(not_available(&token.path, "null"));
        }
    }
    let credentials = Credentials {
        query_token: section.value("query_token", QueryToken::Move, |value| word(value, &keys::QUERY_TOKEN)),
        header_forward_token: section.value("header_forward_token", HeaderForwardToken::Keep, |value| {
            word(value, &keys::HEADER_FORWARD_TOKEN)
        }),
    };
    section.value("mode", (), |value| {
        hide_unless_word(value);
        values::one_available(value, &[("passthrough", ())], &["broker"])
    });
    section.only("token_file", "null", |node| matches!(node, Node::Null));
    section.finish();
    credentials
}

fn word<T: Copy>(value: &Value<'_>, choices: &[(&'static str, T)]) -> Result<T, String> {
    hide_unless_word(value);
    values::one_of(value, choices)
}

fn hide_unless_word(value: &Value<'_>) {
    let short = |text: &str| text.len() <= LONGEST_WORD && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if !matches!(&value.node.value, Node::String(text) if short(text)) {
        value.hide();
    }
}
