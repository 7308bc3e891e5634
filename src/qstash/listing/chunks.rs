//! Ids parted into cancels.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The longest target of a cancel that the guard writes itself, in bytes; what stands before every path is not counted.
pub const MAX_TARGET: usize = 6 * 1024;

/// What is percent-encoded in a value: all but the unreserved characters (RFC 3986 section 2.3).
pub(super) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const CANCEL: &str = "/v2/messages?messageIds=";

/// One cancel by ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk<'i> {
    /// Its ids; at least one.
    pub ids: &'i [String],
    /// Its target.
    pub target: String,
}

/// Parts ids into cancels of at most `most` ids and [`MAX_TARGET`] bytes of target each, in order; no ids make no cancel.
/// `credential` is a query pair to be kept as it is.
pub fn chunks<'i>(ids: &'i [String], most: usize, credential: Option<&str>) -> Vec<Chunk<'i>> {
    let tail = credential.map(|pair| format!("&{pair}")).unwrap_or_default();
    let mut chunks = Vec::new();
    let mut rest = ids;
    while !rest.is_empty() {
        let mut target = CANCEL.to_owned();
        let mut taken = 0;
        for id in rest.iter().take(most.max(1)) {
            let encoded = utf8_percent_encode(id, ENCODED).to_string();
            let fits = target.len() + 1 + encoded.len() + tail.len() <= MAX_TARGET;
            if taken > 0 && !fits {
                break;
            }
            if taken > 0 {
                target.push(',');
            }
            target.push_str(&encoded);
            taken += 1;
        }
        target.push_str(&tail);
        let (ids, later) = rest.split_at(taken);
        chunks.push(Chunk { ids, target });
        rest = later;
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(number: usize, length: usize) -> Vec<String> {
        (0..number).map(|index| format!("{index:0>length$}")).collect()
    }

    #[test]
    fn no_ids_make_no_cancel() {
        assert_eq!(chunks(&[], 100, Some("qstash_token=t")), []);
    }

    #[test]
    fn ids_are_parted_by_number_and_by_length() {
        let few = ids(5, 1);
        let targets: Vec<String> = chunks(&few, 2, None).into_iter().map(|chunk| chunk.target).collect();
        assert_eq!(
            targets,
            [
                "/v2/messages?messageIds=0,1",
                "/v2/messages?messageIds=2,3",
                "/v2/messages?messageIds=4"
            ]
        );
        let long = ids(100, 200);
        let parted = chunks(&long, 1000, None);
        assert!(parted.len() > 1 && parted.iter().all(|chunk| chunk.target.len() <= MAX_TARGET));
        assert_eq!(parted.iter().map(|chunk| chunk.ids.len()).sum::<usize>(), 100);
    }

    #[test]
    fn ids_are_encoded_and_a_credential_stays() {
        let ids = ["a/b=".to_owned(), "c+d".to_owned()];
        let parted = chunks(&ids, 10, Some("qstash_token=x%3D"));
        assert_eq!(
            parted[0].target,
            "/v2/messages?messageIds=a%2Fb%3D,c%2Bd&qstash_token=x%3D"
        );
    }
}
