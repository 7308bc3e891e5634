//! The chain: each line carries the hash of the one before it, so that none can be changed, dropped or moved unseen.

use std::fmt;

use sha2::{Digest, Sha256};

/// SHA-256 of a line's bytes without its newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LineHash([u8; 32]);

impl LineHash {
    /// What stands before the very first line: 64 zeros.
    pub const GENESIS: Self = LineHash([0; 32]);

    /// The hash of a line; its newline must not be part of it.
    pub fn of(line: &[u8]) -> Self {
        LineHash(Sha256::digest(line).into())
    }

    /// Reads 64 hexadecimal digits, letter case ignored.
    pub fn parse(hex: &str) -> Option<Self> {
        let digits = hex.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(value(pair[0])? << 4 | value(pair[1])?).ok()?;
        }
        Some(LineHash(bytes))
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The newest line of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; the first line has 1.
    pub seq: u64,
    /// Its hash.
    pub hash: LineHash,
}

impl Head {
    /// The head of a chain without lines.
    pub const GENESIS: Self = Head {
        seq: 0,
        hash: LineHash::GENESIS,
    };

    /// The head once `line` (without newline) follows.
    #[must_use]
    pub fn followed_by(self, line: &[u8]) -> Self {
        Head {
            seq: self.seq + 1,
            hash: LineHash::of(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_plain_sha256() {
        // FIPS 180-2, appendix B.1
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(LineHash::of(b"abc").to_string(), abc);
        assert_eq!(LineHash::parse(&abc.to_uppercase()), Some(LineHash::of(b"abc")));
        assert_eq!(LineHash::GENESIS.to_string(), "0".repeat(64));
    }

    #[test]
    fn only_hashes_parse() {
        for wrong in [
            "",
            "0",
            &"0".repeat(63),
            &"0".repeat(65),
            &"g".repeat(64),
            &"é".repeat(32),
        ] {
            assert_eq!(LineHash::parse(wrong), None, "{wrong}");
        }
    }
}
