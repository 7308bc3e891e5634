//! One canonical reading of a request's path, and whether another server might read it differently.
//!
//! The guard judges a copy and forwards the original bytes. The judged copy is
//! 1. percent-decoded until nothing changes,
//! 2. with `\` read as `/` and `;…` cut from each segment,
//! 3. with `//` collapsed, then dot segments removed (RFC 3986 section 5.2.4), the trailing `/` dropped,
//! 4. compared without regard to letter case.
//!
//! A path is *odd* when servers are known to disagree about spellings like its own: dot segments, `;`, `\`, encoded
//! separators, malformed or repeated encoding. Odd alone is no fault (a publish destination may hold any of it); odd
//! and leading to a guarded operation under any of its readings is
//! [`ambiguous`](Target::is_ambiguous).

use std::borrow::Cow;

use super::oddity::scan;
use super::operation::{BulkPath, Operation, Verb};
use super::readings::{self, Bytes};
use super::segments::behind;

pub use super::oddity::Oddity;
pub use super::segments::{Segments, folded};

/// A path as judged: its canonical segments, and what was odd about its spelling.
#[derive(Debug)]
pub struct Target<'a> {
    raw: &'a [u8],
    /// The canonical reading, where it differs from the raw segments in more than empty ones. Empty segments stay in it
    /// unless the path is odd.
    canonical: Option<Bytes>,
    oddity: Option<Oddity>,
}

/// How a path can be read otherwise than the guard reads it; the text of an `ambiguous_request` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// The path has an oddity, and some reading of it leads to what must be judged.
    Odd(Oddity),
    /// The path of a bulk operation is followed by a character that no identifier starts with.
    Trailing(BulkPath),
    /// `/v2/messages//id`: one server collapses the slashes, another sees an empty id.
    EmptySegment(BulkPath),
}

impl Ambiguity {
    /// One sentence for the client: what is wrong and what to write instead.
    pub fn message(self) -> Cow<'static, str> {
        match self {
            Ambiguity::Odd(oddity) => Cow::Owned(format!(
                "The path has {}, which servers read differently; write it plainly, like /v2/messages or /v2/messages/ID.",
                oddity.describe()
            )),
            Ambiguity::Trailing(BulkPath { shown, .. }) => Cow::Owned(format!(
                "Right behind {shown} stands a character that may be read as part of it or not; \
                 write {shown} or {shown}/ID.",
            )),
            Ambiguity::EmptySegment(BulkPath { shown, .. }) => Cow::Owned(format!(
                "An empty segment follows {shown}, as an empty id would leave it; write {shown}/ID with one slash.",
            )),
        }
    }
}

impl<'a> Target<'a> {
    /// Reads a path (origin-form, without its query). Allocates nothing for a path that is not odd and whose canonical
    /// form fits in 256 bytes, nor for an odd one that has few readings as short.
    pub fn read(raw: &'a [u8]) -> Self {
        let (oddity, spelled) = scan(raw);
        let canonical = (spelled || oddity.is_some()).then(|| readings::canonical(raw));
        let blank = || canonical.as_ref().is_some_and(|path| readings::has_blank(path));
        let oddity = oddity.or_else(|| blank().then_some(Oddity::ControlCharacter));
        Target { raw, canonical, oddity }
    }

    /// The canonical segments: the judged copy.
    pub fn segments(&self) -> Segments<'_> {
        Segments::of(self.canonical.as_deref().unwrap_or(self.raw))
    }

    /// The path under the canonical reading as text, in lower case: `/v2/messages`. Bytes that are no UTF-8 stand as `�`.
    pub fn judged(&self) -> String {
        let path = self.canonical.as_deref().unwrap_or(self.raw);
        let mut judged = String::new();
        for segment in path.split(|&byte| byte == b'/').filter(|segment| !segment.is_empty()) {
            judged.push('/');
            judged.push_str(&folded(&String::from_utf8_lossy(segment)));
        }
        if judged.is_empty() { "/".to_owned() } else { judged }
    }

    /// What is odd about the spelling, if anything.
    pub fn oddity(&self) -> Option<Oddity> {
        self.oddity
    }

    /// The operation that the method names on the judged copy.
    pub fn operation(&self, verb: Verb) -> Operation {
        Operation::of(verb, &self.segments())
    }

    /// Whether some reading of the path leads to an operation for which `guards` holds (whatever the method), or to
    /// anything under `/v{n}/messages`, or beside such an operation's path.
    pub fn reaches(&self, guards: impl Fn(Operation) -> bool) -> bool {
        self.any_reading(|path| {
            let segments = Segments::of(path);
            segments.is_under_messages()
                || Operation::on_path(&segments).any(&guards)
                || beside_bulk(None, path, &guards).is_some()
        })
    }

    /// Why the request cannot be judged on one reading, if so. `guards` tells which operations the policy guards or
    /// denies: only paths that lead to one of those, or a `DELETE` under `/v{n}/messages`, have to be unambiguous.
    pub fn is_ambiguous(&self, verb: Verb, guards: impl Fn(Operation) -> bool) -> Option<Ambiguity> {
        if let Some(oddity) = self.oddity {
            let reaches = self.any_reading(|path| {
                let segments = Segments::of(path);
                (verb == Verb::Delete && segments.is_under_messages())
                    || Operation::on_path(&segments).any(&guards)
                    || beside_bulk(Some(verb), path, &guards).is_some()
            });
            return reaches.then_some(Ambiguity::Odd(oddity));
        }
        let mut found = None;
        self.any_reading(|path| {
            found = beside_bulk(Some(verb), path, &guards);
            found.is_some()
        });
        found
    }

    /// Whether some reading of the path makes QStash call destinations of the caller's choice: with this method, or with
    /// any but GET where the API has no such method there, or nothing where a destination would stand.
    pub fn calls_out(&self, verb: Verb) -> bool {
        self.any_reading(|path| {
            let path = Segments::of(path);
            let operation = Operation::of(verb, &path);
            let in_doubt = verb != Verb::Get && operation == Operation::Unknown;
            operation.calls_out()
                || (in_doubt && (path.is_under_publishing() || Operation::on_path(&path).any(Operation::calls_out)))
        })
    }

    /// Whether something holds for a reading of the path: as sent, as judged, and where it is odd in every other way
    /// that servers are known for.
    pub(super) fn any_reading(&self, mut holds: impl FnMut(&[u8]) -> bool) -> bool {
        match self.oddity {
            Some(_) => readings::any(self.raw, holds),
            None => holds(self.raw) || self.canonical.as_deref().is_some_and(holds),
        }
    }
}

/// How a path leads past a guarded bulk operation of this method, or of any, such that a server may take it for the
/// operation itself. A bulk cancel of messages counts whatever the policy says of it.
fn beside_bulk(verb: Option<Verb>, path: &[u8], guards: impl Fn(Operation) -> bool) -> Option<Ambiguity> {
    let of_verb = |bulk: &&BulkPath| verb.is_none_or(|verb| bulk.verb == verb);
    BulkPath::ALL.iter().filter(of_verb).find_map(|bulk| {
        let (tail, rest) = behind(path, bulk.names)?;
        let ambiguity = if has_tail(tail) {
            Ambiguity::Trailing(*bulk)
        } else if has_empty_segment(tail, rest) {
            Ambiguity::EmptySegment(*bulk)
        } else {
            return None;
        };
        (bulk.operation == Operation::MessagesBulkCancel || guards(bulk.operation)).then_some(ambiguity)
    })
}

/// Whether what stands behind a name is nothing that an identifier goes on with.
fn has_tail(tail: &[u8]) -> bool {
    tail.first()
        .is_some_and(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_' | b'.'))
}

/// Whether `//` stands right behind a name with more than slashes after it.
fn has_empty_segment(tail: &[u8], rest: &[u8]) -> bool {
    tail.is_empty() && rest.starts_with(b"//") && rest.iter().any(|&byte| byte != b'/')
}
