//! `callers`. A token that went where its hash belongs is not shown.

use crate::config::section::Section;
use crate::config::source::Place;
use crate::config::tree::Node;
use crate::config::value::Value;
use crate::policy::{Callers, stands_for_unnamed};
use crate::qstash::credential::TokenHash;
use crate::qstash::selection::quoted;

const LONGEST_NAME: usize = 64;

/// What a hash looks like, and how to make one.
const HASH: &str = "the 64 hexadecimal digits that `printf %s \"$TOKEN\" | sha256sum` prints";

pub(super) fn compile(value: Option<Value<'_>>) -> Callers {
    let Some(value) = value else { return Callers::default() };
    let items = match value.items("a list of callers, or `[]` for none") {
        Ok(items) => items,
        Err(message) => {
            value.fault(message);
            return Callers::default();
        }
    };
    let mut known = Known::default();
    Callers::new(items.into_iter().filter_map(|item| caller(item, &mut known)))
}

/// What earlier callers have.
#[derive(Default)]
struct Known {
    names: Vec<(String, Place)>,
    hashes: Vec<(TokenHash, Place)>,
}

fn caller(item: Value<'_>, known: &mut Known) -> Option<(String, TokenHash)> {
    let Known { names, hashes } = known;
    let mut section = Section::of(item);
    let key = section.get("key_sha256");
    if let Some(key) = &key {
        hide_unless_hash(key);
        key.fault(format!(
            "`{}` is the hash of a guard key, which goes with credentials.mode: broker, and that is not available in \
             this version; write `token_sha256`, the hash of the caller's own token",
            key.path
        ));
    }
    let name = section.required("name", "name: billing", |value| {
        let name = name(value)?;
        if let Some((_, first)) = names.iter().find(|(known, _)| *known == name) {
            let message = format!("two callers are named {}; rename one", quoted(&name));
            value.fault_beside(*first, "first given here", message);
        }
        names.push((name.clone(), value.own_place()));
        Ok(name)
    });
    let hash = |value: &Value<'_>| {
        hide_unless_hash(value);
        let hash = TokenHash::from_hex(&value.text(HASH)?)
            .ok_or_else(|| format!("this value is no hash for {}; write {HASH}", value.path))?;
        if let Some((_, first)) = hashes.iter().find(|(known, _)| *known == hash) {
            let message = "two callers have the same token; give each its own";
            value.fault_beside(*first, "first given here", message);
        }
        hashes.push((hash, value.own_place()));
        Ok(hash)
    };
    let hash = match key {
        // What is missing is said already.
        Some(_) => section.value("token_sha256", None, |value| value.text(HASH).map(|_| None)),
        None => section.required("token_sha256", "token_sha256: 9f86d081884c7d65…", hash),
    };
    section.finish();
    Some((name?, hash?))
}

fn name(value: &Value<'_>) -> Result<String, String> {
    let name = value.text("a name")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
        return Err(format!(
            "{} is no name for a caller; write letters, digits and `-_.@`, at most {LONGEST_NAME} of them",
            value.written()
        ));
    }
    if stands_for_unnamed(&name) {
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
