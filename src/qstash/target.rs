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

use super::operation::{Operation, Verb};
use super::readings::{self, Bytes};

/// A path as judged: its canonical segments, and what was odd about its spelling.
#[derive(Debug)]
pub struct Target<'a> {
    raw: &'a [u8],
    /// The canonical reading, where it differs from the raw segments in more than empty ones. Empty segments stay in it
    /// unless the path is odd.
    canonical: Option<Bytes>,
    oddity: Option<Oddity>,
}

/// What makes servers read a path differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// `.` or `..` as a segment, plain or encoded.
    DotSegment,
    /// A `;`, plain or encoded.
    PathParameter,
    /// A `\`, plain or encoded.
    Backslash,
    /// An encoded `/`, `?` or `#`, or a `?` or `#` that does not end the path.
    EncodedDelimiter,
    /// An encoded `%`: a second layer of encoding.
    DoubleEncoding,
    /// White space or a control character.
    ControlCharacter,
    /// A `%` that two hexadecimal digits do not follow.
    MalformedEscape,
}

impl Oddity {
    /// The oddity in words that follow "the path has".
    pub const fn describe(self) -> &'static str {
        match self {
            Oddity::DotSegment => "a dot segment",
            Oddity::PathParameter => "a `;`",
            Oddity::Backslash => "a `\\`",
            Oddity::EncodedDelimiter => "an encoded `/`, a `?` or a `#`",
            Oddity::DoubleEncoding => "a second layer of percent-encoding",
            Oddity::ControlCharacter => "white space or a control character",
            Oddity::MalformedEscape => "a malformed percent-escape",
        }
    }
}

/// How a path can be read otherwise than the guard reads it; the text of an `ambiguous_request` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// The path has an oddity, and some reading of it leads to what must be judged.
    Odd(Oddity),
    /// `/v2/messages` is followed by a character that no identifier starts with.
    Trailing,
    /// `/v2/messages//id`: one server collapses the slashes, another sees an empty id.
    EmptySegment,
}

impl Ambiguity {
    /// One sentence for the client: what is wrong and what to write instead.
    pub fn message(self) -> Cow<'static, str> {
        match self {
            Ambiguity::Odd(oddity) => Cow::Owned(format!(
                "The path has {}, which servers read differently; write it plainly, like /v2/messages or /v2/messages/ID.",
                oddity.describe()
            )),
            Ambiguity::Trailing => Cow::Borrowed(
                "Right behind /v2/messages stands a character that may be read as part of it or not; \
                 write /v2/messages or /v2/messages/ID.",
            ),
            Ambiguity::EmptySegment => Cow::Borrowed(
                "An empty segment follows /v2/messages, as an empty id would leave it; write /v2/messages/ID with one slash.",
            ),
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
    /// anything under `/v{n}/messages`.
    pub fn reaches(&self, guards: impl Fn(Operation) -> bool) -> bool {
        self.any_reading(|path| {
            let path = Segments::of(path);
            path.is_under_messages() || Operation::on_path(&path).any(&guards)
        })
    }

    /// Why the request cannot be judged on one reading, if so. `guards` tells which operations the policy guards or
    /// denies: only paths that lead to one of those, or a `DELETE` under `/v{n}/messages`, have to be unambiguous.
    pub fn is_ambiguous(&self, verb: Verb, guards: impl Fn(Operation) -> bool) -> Option<Ambiguity> {
        let delete = verb == Verb::Delete;
        if let Some(oddity) = self.oddity {
            let reaches = self.any_reading(|path| {
                let path = Segments::of(path);
                (delete && (path.is_under_messages() || path.has_messages_with_tail()))
                    || Operation::on_path(&path).any(&guards)
            });
            return reaches.then_some(Ambiguity::Odd(oddity));
        }
        if !delete {
            None
        } else if self.any_reading(|path| Segments::of(path).has_messages_with_tail()) {
            Some(Ambiguity::Trailing)
        } else {
            self.any_reading(has_empty_segment_behind_messages)
                .then_some(Ambiguity::EmptySegment)
        }
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

/// The segments of a path, empty ones left out. Holds the first [`Segments::KEPT`] of them: no operation needs more.
#[derive(Debug)]
pub struct Segments<'a> {
    kept: [&'a [u8]; Segments::KEPT],
    len: usize,
}

impl<'a> Segments<'a> {
    /// How many leading segments are kept.
    pub const KEPT: usize = 6;

    /// The segments of a path that is taken as it is written, empty ones left out.
    pub(super) fn of(path: &'a [u8]) -> Self {
        let mut segments = Segments {
            kept: [b""; Self::KEPT],
            len: 0,
        };
        for segment in path.split(|&b| b == b'/').filter(|s| !s.is_empty()) {
            if segments.len < Self::KEPT {
                segments.kept[segments.len] = segment;
            }
            segments.len += 1;
        }
        segments
    }

    /// How many segments the path has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the path is `/`.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether segment `index` is `name`, letter case ignored.
    pub fn at(&self, index: usize, name: &str) -> bool {
        index < self.len && behind_name(self.kept[index], name).is_some_and(<[u8]>::is_empty)
    }

    /// Whether the path is exactly these segments.
    pub fn is(&self, names: &[&str]) -> bool {
        self.len == names.len() && names.iter().enumerate().all(|(index, name)| self.at(index, name))
    }

    /// Whether the first segment is an API version: `v` and digits.
    pub fn starts_with_version(&self) -> bool {
        match self.kept[0] {
            [b'v' | b'V', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
            _ => false,
        }
    }

    /// Whether the path is `/v{n}/messages` or below it.
    pub fn is_under_messages(&self) -> bool {
        self.starts_with_version() && self.at(1, "messages")
    }

    /// Whether all that the path could lead to is a publish, an enqueue, a trigger or a batch.
    fn is_under_publishing(&self) -> bool {
        let publishing = ["publish", "enqueue", "trigger", "batch"];
        self.starts_with_version() && publishing.iter().any(|name| self.at(1, name))
    }

    /// Whether the second segment is `messages` and something that is no identifier character right behind it.
    fn has_messages_with_tail(&self) -> bool {
        self.starts_with_version()
            && self.len > 1
            && behind_name(self.kept[1], "messages")
                .and_then(<[u8]>::first)
                .is_some_and(|behind| !is_identifier_byte(*behind))
    }
}

/// What stands behind a name that the segment starts with, letter case ignored as Unicode's simple folding does: `ſ` is
/// an `s` and the Kelvin sign a `k`.
fn behind_name<'a>(segment: &'a [u8], name: &str) -> Option<&'a [u8]> {
    if let Some((head, tail)) = segment.split_at_checked(name.len())
        && head.eq_ignore_ascii_case(name.as_bytes())
    {
        return Some(tail);
    }
    if segment.is_ascii() {
        return None;
    }
    let mut rest = segment;
    for wanted in name.bytes() {
        let (letter, tail) = match rest {
            [0xc5, 0xbf, tail @ ..] => (b's', tail),
            [0xe2, 0x84, 0xaa, tail @ ..] => (b'k', tail),
            [letter, tail @ ..] => (*letter, tail),
            [] => return None,
        };
        if !letter.eq_ignore_ascii_case(&wanted) {
            return None;
        }
        rest = tail;
    }
    Some(rest)
}

/// A text in lower case, as the judged copy of a path has it: with what [`behind_name`] folds, too.
pub fn folded(text: &str) -> String {
    text.to_lowercase().replace('ſ', "s")
}

/// The first oddity of a raw path, and whether it has anything but plain ASCII.
fn scan(raw: &[u8]) -> (Option<Oddity>, bool) {
    if is_plain(raw) {
        return (None, false);
    }
    let mut oddity = None;
    let mut spelled = false;
    let mut note = |found: Oddity| {
        oddity.get_or_insert(found);
    };
    let mut rest = raw;
    let mut segment_start = true;
    while let [byte, tail @ ..] = rest {
        match byte {
            b';' => note(Oddity::PathParameter),
            b'\\' => note(Oddity::Backslash),
            b'?' | b'#' => note(Oddity::EncodedDelimiter),
            0x80.. => spelled = true,
            0..=b' ' | 0x7f => note(Oddity::ControlCharacter),
            b'%' => {
                spelled = true;
                match tail {
                    [high, low, ..] if hex(*high).is_some() && hex(*low).is_some() => {
                        match hex(*high).zip(hex(*low)).map(|(h, l)| h << 4 | l) {
                            Some(b'/' | b'?' | b'#') => note(Oddity::EncodedDelimiter),
                            Some(b'\\') => note(Oddity::Backslash),
                            Some(b';') => note(Oddity::PathParameter),
                            Some(b'%') => note(Oddity::DoubleEncoding),
                            Some(0..=b' ' | 0x7f) => note(Oddity::ControlCharacter),
                            _ => {}
                        }
                    }
                    _ => note(Oddity::MalformedEscape),
                }
            }
            _ => {}
        }
        if segment_start && starts_with_dot_segment(rest) {
            note(Oddity::DotSegment);
        }
        segment_start = matches!(byte, b'/' | b'\\');
        rest = tail;
    }
    (oddity, spelled)
}

/// Whether nothing in the path needs a second look, as in most paths.
fn is_plain(raw: &[u8]) -> bool {
    let mut before = b'/';
    raw.iter().all(|&byte| {
        let starts_with_dot = byte == b'.' && before == b'/';
        before = byte;
        PLAIN[usize::from(byte)] && !starts_with_dot
    })
}

/// The bytes that mean the same to every server: visible ASCII but `%`, `;`, `\`, `?` and `#`.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        plain[byte as usize] = !matches!(byte, b'%' | b';' | b'\\' | b'?' | b'#');
        byte += 1;
    }
    plain
};

/// Whether the text starts with a segment that is `.` or `..`, each dot plain or as `%2e`. (Deeper encodings of a dot
/// are a second layer of encoding, and odd as that.)
fn starts_with_dot_segment(mut rest: &[u8]) -> bool {
    for dots in 0.. {
        rest = match rest {
            [b'.', tail @ ..] | [b'%', b'2', b'e' | b'E', tail @ ..] => tail,
            _ => return (1..=2).contains(&dots) && matches!(rest, [] | [b'/' | b'\\' | b';' | b'%', ..]),
        };
    }
    false
}

/// Whether `//` stands right behind `/v{n}/messages` with more than slashes after it.
fn has_empty_segment_behind_messages(path: &[u8]) -> bool {
    let (_, behind_version) = first_segment(path);
    let (_, behind_name) = first_segment(behind_version);
    let leading = &path[..path.len() - behind_name.len()];
    Segments::of(leading).is_under_messages()
        && behind_name.starts_with(b"//")
        && behind_name.iter().any(|&byte| byte != b'/')
}

/// The first segment that is not empty, and what stands behind it.
pub(super) fn first_segment(path: &[u8]) -> (&[u8], &[u8]) {
    let start = path.iter().position(|&byte| byte != b'/').unwrap_or(path.len());
    let end = path[start..]
        .iter()
        .position(|&byte| byte == b'/')
        .map_or(path.len(), |end| start + end);
    (&path[start..end], &path[end..])
}

fn is_identifier_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// The value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}
