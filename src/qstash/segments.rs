//! The segments of a path, and their names.

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
        is_version(self.kept[0])
    }

    /// Whether the path is `/v{n}/messages` or below it.
    pub fn is_under_messages(&self) -> bool {
        self.starts_with_version() && self.at(1, "messages")
    }

    /// Whether all that the path could lead to is a publish, an enqueue, a trigger or a batch.
    pub(super) fn is_under_publishing(&self) -> bool {
        let publishing = ["publish", "enqueue", "trigger", "batch"];
        self.starts_with_version() && publishing.iter().any(|name| self.at(1, name))
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

/// A text in lower case, as the judged copy of a path has it: with what `behind_name` folds, too.
pub fn folded(text: &str) -> String {
    text.to_lowercase().replace('ſ', "s")
}

/// A path below `/v{n}/` as far as it leads through these names, letter case ignored: what stands behind the last of them
/// in its segment, and what follows that segment. Empty segments before it are passed over.
pub(super) fn behind<'p>(path: &'p [u8], names: &[&str]) -> Option<(&'p [u8], &'p [u8])> {
    let (version, mut rest) = first_segment(path);
    if !is_version(version) {
        return None;
    }
    let (last, through) = names.split_last()?;
    for name in through {
        let (segment, behind) = first_segment(rest);
        behind_name(segment, name).filter(|tail| tail.is_empty())?;
        rest = behind;
    }
    let (segment, rest) = first_segment(rest);
    Some((behind_name(segment, last)?, rest))
}

fn is_version(segment: &[u8]) -> bool {
    match segment {
        [b'v' | b'V', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
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
