//! The ways in which servers read an odd path.
//!
//! Servers differ in what they undo (layers of encoding, `\`, `;…`, an encoded `?`, white space, dot segments) and in
//! the order in which they do it, and the order matters: `/v2/x%5c../../messages` is `/messages` where `\` is a
//! separator before dot segments go, and `/v2/messages` where it is none. So the readings of a path are whatever any
//! sequence of such rewrites makes of it.

use smallvec::{SmallVec, smallvec};

use super::target::{Target, hex};

/// A rewritten path.
pub(super) type Bytes = SmallVec<[u8; 256]>;

/// A path that has more readings than this, or more bytes in them, counts as one that has every reading: the work done
/// for a request stays bounded, and being twisted enough is no way past the guard.
const MOST_READINGS: usize = 256;
const MOST_BYTES: usize = 1 << 20;

/// One step of some server; `None` where it changes nothing. Each makes the path shorter, or leaves fewer `\` in it, so
/// that rewriting ends.
type Rewrite = fn(&[u8]) -> Option<Bytes>;

const REWRITES: [Rewrite; 7] = [
    decoded_once,
    with_slashes,
    without_parameters,
    without_query,
    without_blanks,
    collapsed,
    without_dots,
];

/// Whether something holds for any reading of the path, or there are too many to tell.
pub(super) fn any(raw: &[u8], mut holds: impl FnMut(&[u8]) -> bool) -> bool {
    if holds(raw) {
        return true;
    }
    let mut found: SmallVec<[Bytes; 16]> = smallvec![Bytes::from_slice(raw)];
    let mut bytes = raw.len();
    let mut next = 0;
    while next < found.len() {
        for rewrite in REWRITES {
            let Some(path) = rewrite(&found[next]) else { continue };
            bytes += path.len();
            if bytes > MOST_BYTES || found.len() == MOST_READINGS {
                return true;
            }
            if !found.contains(&path) {
                if holds(&path) {
                    return true;
                }
                found.push(path);
            }
        }
        next += 1;
    }
    false
}

impl Target<'_> {
    /// Whether some reading of the path has a `..` that leads above its root: behind a prefix, it leads out of that.
    pub fn climbs(&self) -> bool {
        self.oddity().is_some() && self.any_reading(climbs)
    }
}

fn climbs(path: &[u8]) -> bool {
    let mut segments = path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/');
    let depth = segments.try_fold(0_usize, |depth, segment| match segment {
        b"." => Some(depth),
        b".." => depth.checked_sub(1),
        _ => Some(depth + 1),
    });
    depth.is_none()
}

/// The reading that requests are judged by: decoded until nothing changes, `\` as `/`, `;…` cut, dot segments removed.
/// `//` is collapsed only where there are dot segments to remove; readers of segments skip empty ones.
pub(super) fn canonical(raw: &[u8]) -> Bytes {
    let mut path = decoded_fully(raw);
    for rewrite in [with_slashes, without_parameters] {
        path = rewrite(&path).unwrap_or(path);
    }
    let collapsed = collapsed(&path);
    without_dots(collapsed.as_deref().unwrap_or(&path)).unwrap_or(path)
}

/// Whether a decoded path has white space or a control character, of Unicode or of Latin-1.
pub(super) fn has_blank(path: &[u8]) -> bool {
    path.utf8_chunks()
        .any(|chunk| chunk.valid().chars().any(is_blank) || chunk.invalid().iter().copied().any(is_latin_blank))
}

/// Percent-decodes until nothing changes.
///
/// One pass over the input: a byte that completes an escape in the output is folded into it at once. Escapes cannot
/// overlap (`%` is no hexadecimal digit), so this is the fixed point of decoding again and again, in linear time
/// whatever the nesting.
fn decoded_fully(raw: &[u8]) -> Bytes {
    let mut out = Bytes::with_capacity(raw.len());
    for &byte in raw {
        out.push(byte);
        while let [.., b'%', high, low] = out.as_slice() {
            let (Some(high), Some(low)) = (hex(*high), hex(*low)) else {
                break;
            };
            let end = out.len() - 3;
            out.truncate(end);
            out.push(high << 4 | low);
        }
    }
    out
}

/// One layer of percent-encoding undone; a malformed escape stays.
fn decoded_once(path: &[u8]) -> Option<Bytes> {
    let mut out = Bytes::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, behind @ ..] => hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low, behind)),
            _ => None,
        };
        let (byte, behind) = escaped.unwrap_or((*first, tail));
        out.push(byte);
        rest = behind;
    }
    changed(path, out)
}

/// `\` read as `/`.
fn with_slashes(path: &[u8]) -> Option<Bytes> {
    changed(
        path,
        path.iter()
            .map(|&byte| if byte == b'\\' { b'/' } else { byte })
            .collect(),
    )
}

/// `;…` cut from each segment.
fn without_parameters(path: &[u8]) -> Option<Bytes> {
    let mut in_parameter = false;
    let kept = path.iter().copied().filter(|byte| {
        in_parameter = *byte != b'/' && (in_parameter || *byte == b';');
        !in_parameter
    });
    changed(path, kept.collect())
}

/// Cut at the first `?` or `#`, as where a decoded path is parsed as a URL again.
fn without_query(path: &[u8]) -> Option<Bytes> {
    path.iter()
        .position(|byte| matches!(byte, b'?' | b'#'))
        .map(|end| Bytes::from_slice(&path[..end]))
}

/// White space and control characters removed, as URL parsers of browsers do with some.
fn without_blanks(path: &[u8]) -> Option<Bytes> {
    let mut out = Bytes::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        let kept = chunk.valid().char_indices().filter(|(_, c)| !is_blank(*c));
        kept.for_each(|(at, c)| out.extend_from_slice(&chunk.valid().as_bytes()[at..at + c.len_utf8()]));
        out.extend(chunk.invalid().iter().copied().filter(|byte| !is_latin_blank(*byte)));
    }
    changed(path, out)
}

/// `//` read as `/`.
fn collapsed(path: &[u8]) -> Option<Bytes> {
    let mut behind_slash = false;
    let kept = path.iter().copied().filter(|&byte| {
        let doubled = behind_slash && byte == b'/';
        behind_slash = byte == b'/';
        !doubled
    });
    changed(path, kept.collect())
}

/// Dot segments removed as RFC 3986 section 5.2.4 says: `..` may take an empty segment away. Behind [`collapsed`], it is
/// Go's `path.Clean`.
fn without_dots(path: &[u8]) -> Option<Bytes> {
    let segments = || path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/');
    if !segments().any(|segment| matches!(segment, b"." | b"..")) {
        return None;
    }
    let mut kept: SmallVec<[&[u8]; 32]> = SmallVec::new();
    for segment in segments() {
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let mut out = Bytes::with_capacity(path.len());
    for segment in kept {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    Some(out)
}

fn changed(from: &[u8], to: Bytes) -> Option<Bytes> {
    (to.as_slice() != from).then_some(to)
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

fn is_latin_blank(byte: u8) -> bool {
    matches!(byte, 0x80..=0xa0)
}
