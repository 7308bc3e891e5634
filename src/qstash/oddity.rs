//! What makes servers read a path differently, found in its raw bytes.

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

/// The first oddity of a raw path, and whether it has anything but plain ASCII.
pub(super) fn scan(raw: &[u8]) -> (Option<Oddity>, bool) {
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

/// The value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}
