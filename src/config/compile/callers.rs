//! `callers`. A token that went where its hash belongs is not shown.

use super::credentials::Mode;
use crate::config::section::Section;
use crate::config::source::Place;
use crate::config::tree::Node;
use crate::config::value::Value;
use crate::policy::Callers;
use crate::qstash::credential::TokenHash;

/// What a hash of a token looks like, and how to make one.
const TOKEN_HASH: &str = "the 64 hexadecimal digits that `printf %s \"$TOKEN\" | sha256sum` prints";

/// The same of a guard key.
const KEY_HASH: &str = "the 64 hexadecimal digits that `qstash-guard key` prints beside a new key";

pub(super) fn compile(value: Option<Value<'_>>, mode: &Mode<'_>) -> Callers {
    let items = match value
        .as_ref()
        .map(|value| value.items("a list of callers, or `[]` for none"))
    {
        None => Vec::new(),
        Some(Ok(items)) => items,
        Some(Err(message)) => {
            if let Some(value) = value {
                value.fault(message);
            }
            return Callers::default();
        }
    };
    if let (Mode::Broker(mode), []) = (mode, items.as_slice()) {
        mode.fault(
            "nobody could pass: there are no callers; make a key with `qstash-guard key --name billing`, and put the line \
             that it prints under `callers`",
        );
    }
    let mut known = Vec::new();
    Callers::new(items.into_iter().filter_map(|item| caller(item, mode, &mut known)))
}

/// A caller, told apart from those before it by its hash: two keys may have one name while one takes the other's place.
fn caller(item: Value<'_>, mode: &Mode<'_>, known: &mut Vec<(TokenHash, Place)>) -> Option<(String, TokenHash)> {
    let mut section = Section::of(item);
    let name = section.required("name", "name: billing", name);
    let (key, token) = (section.get("key_sha256"), section.get("token_sha256"));
    let (misplaced, other) = match mode {
        Mode::Passthrough => (
            key.as_ref(),
            "the hash of a guard key, which goes with credentials.mode: broker; in passthrough write `token_sha256`, the \
             hash of the caller's own token",
        ),
        Mode::Broker(_) => (
            token.as_ref(),
            "the hash of a QStash token, which goes with credentials.mode: passthrough; for broker write `key_sha256`, the \
             hash of the caller's guard key",
        ),
        Mode::Unclear => (None, ""),
    };
    for value in key.iter().chain(&token) {
        hide_unless_hash(value);
    }
    let hash = match (misplaced, mode) {
        // What is missing is said already.
        (Some(misplaced), _) => {
            misplaced.fault(format!("`{}` is {other}", misplaced.path));
            None
        }
        (None, Mode::Passthrough) => section.required("token_sha256", "token_sha256: 9f86d081884c7d65…", |value| {
            hash(
                value,
                TOKEN_HASH,
                "two callers have the same token; give each its own",
                known,
            )
        }),
        (None, Mode::Broker(_)) => section.required("key_sha256", "key_sha256: 9f86d081884c7d65…", |value| {
            hash(
                value,
                KEY_HASH,
                "two callers have the same key; give each its own",
                known,
            )
        }),
        (None, Mode::Unclear) => None,
    };
    section.finish();
    Some((name?, hash?))
}

fn hash(
    value: &Value<'_>,
    expected: &str,
    twice: &'static str,
    known: &mut Vec<(TokenHash, Place)>,
) -> Result<TokenHash, String> {
    let hash = TokenHash::from_hex(&value.text(expected)?)
        .ok_or_else(|| format!("this value is no hash for {}; write {expected}", value.path))?;
    if let Some((_, first)) = known.iter().find(|(other, _)| *other == hash) {
        value.fault_beside(*first, "first given here", twice);
    }
    known.push((hash, value.own_place()));
    Ok(hash)
}

fn name(value: &Value<'_>) -> Result<String, String> {
    let name = value.text("a name")?;
    if !Callers::is_name(&name) {
        return Err(format!(
            "{} is no name for a caller; write letters, digits and `-_.@`, at most {} of them",
            value.written(),
            Callers::LONGEST_NAME
        ));
    }
    if Callers::RESERVED.contains(&name.as_str()) {
        return Err(format!(
            "{} is what callers without a name are called; choose another",
            value.written()
        ));
    }
    Ok(name)
}

fn hide_unless_hash(value: &Value<'_>) {
    if !matches!(&value.node.value, Node::String(text) if TokenHash::from_hex(text).is_some()) {
        value.hide();
    }
}
