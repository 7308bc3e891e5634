//! Requests made of valid and evil fragments, so that a large share of them is a bulk cancel to some server.

use super::case::Case;
use super::paths::{
    EVIL_LEADS, EVIL_NAMES, EVIL_SEPARATORS, EVIL_TAILS, EVIL_VERSIONS, LEADS, METHODS, NAMES, OTHERS, SEPARATORS,
    SPLICES, TAILS, VERSIONS,
};
use super::random::Random;
use super::selections::{
    BODY_COUNTS, BODY_FILTERS, BODY_IDS, BODY_WEAK, COUNTS, EVIL_FIELDS, EVIL_PAIRS, FILTERS, IDS, TOKENS, WEAK, WRAPS,
};
use super::server::MESSAGES;

/// The case of one seed.
pub(crate) fn case(seed: u64) -> Case {
    let random = &mut Random::new(seed);
    let (query, body) = match random.below(10) {
        0..6 => (Some(query(random)), Vec::new()),
        6..8 => (None, body(random)),
        8 => (Some(query(random)), body(random)),
        _ if random.chance(50) => (None, Vec::new()),
        _ => (Some(random.pick(TOKENS).into()), body(random)),
    };
    Case {
        api: &MESSAGES,
        method: random.pick(METHODS),
        path: path(random),
        query,
        body,
        overridden: random.chance(3),
        content_encoded: random.chance(2),
    }
}

fn path(random: &mut Random) -> Vec<u8> {
    if random.chance(4) {
        let other = random.pick(OTHERS);
        return if random.chance(30) {
            spliced(random, other)
        } else {
            other.into()
        };
    }
    // Half of the paths are plain, so that what they select is what decides.
    let evil = if random.chance(50) { 0 } else { 22 };
    let mut path = String::new();
    let parts = [
        (LEADS, EVIL_LEADS),
        (VERSIONS, EVIL_VERSIONS),
        (SEPARATORS, EVIL_SEPARATORS),
        (NAMES, EVIL_NAMES),
        (TAILS, EVIL_TAILS),
    ];
    for (plain, evils) in parts {
        let plain = if evil == 0 && random.chance(70) {
            &plain[..1]
        } else {
            plain
        };
        let fragment = if random.chance(evil) {
            random.pick(evils)
        } else {
            random.pick(plain)
        };
        path.push_str(fragment);
    }
    if evil > 0 && random.chance(15) {
        spliced(random, &path)
    } else {
        path.into_bytes()
    }
}

fn query(random: &mut Random) -> Vec<u8> {
    let pairs = parts(random, [IDS, FILTERS, WEAK, COUNTS, EVIL_PAIRS]);
    let mut text = pairs.join(if random.chance(2) { ";" } else { "&" });
    if random.chance(10) {
        let token = random.pick(TOKENS);
        text = if random.chance(50) {
            format!("{token}&{text}")
        } else {
            format!("{text}&{token}")
        };
    }
    if random.chance(4) {
        spliced(random, &text)
    } else {
        text.into_bytes()
    }
}

fn body(random: &mut Random) -> Vec<u8> {
    let fields = parts(random, [BODY_IDS, BODY_FILTERS, BODY_WEAK, BODY_COUNTS, EVIL_FIELDS]);
    let fields: Vec<&str> = fields.into_iter().filter(|field| !field.is_empty()).collect();
    let (open, close) = if random.chance(12) {
        WRAPS[random.below(WRAPS.len())]
    } else {
        ("{", "}")
    };
    format!("{open}{}{close}", fields.join(",")).into_bytes()
}

/// Parts of a selection: by ids, by filter with a count, or anything; each sometimes with an evil one among them.
fn parts<'a>(random: &mut Random, [ids, filters, weak, counts, evil]: [&[&'a str]; 5]) -> Vec<&'a str> {
    let mut parts = Vec::new();
    match random.below(10) {
        0..3 => parts.push(random.pick(ids)),
        3..7 => parts.extend([random.pick(filters), random.pick(counts)]),
        _ => {
            for _ in 0..random.below(4) {
                let from = [ids, filters, weak, counts, evil][random.below(5)];
                parts.push(random.pick(from));
            }
        }
    }
    if random.chance(15) {
        parts.push(random.pick(weak));
    }
    if random.chance(30) {
        let at = random.below(parts.len() + 1);
        parts.insert(at, random.pick(evil));
    }
    parts
}

/// The text with a random fragment put in, or a random character percent-encoded once or twice.
fn spliced(random: &mut Random, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let at = random.below(bytes.len() + 1);
    if random.chance(50) || at == bytes.len() {
        bytes.splice(at..at, random.pick(SPLICES).bytes());
    } else {
        let layer = if random.chance(30) { "%25" } else { "%" };
        let escape = format!("{layer}{:02x}", bytes[at]);
        bytes.splice(at..=at, escape.bytes());
    }
    bytes
}
