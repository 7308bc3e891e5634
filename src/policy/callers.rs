//! Who asks: the name that records, limits and rules know a caller by.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use crate::qstash::credential::{Fingerprint, TokenHash};

/// The callers that have names, found by the SHA-256 of their tokens or guard keys; a name may have several.
///
/// How long a lookup takes says nothing about any token: the table is keyed by hashes, it hashes them once more with a
/// secret of its own, and two of them are compared in constant time.
#[derive(Clone, Debug, Default)]
pub struct Callers(HashMap<TokenHash, Arc<str>>);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name; without one `token:` and the fingerprint, and `anonymous` where no token is shown.
    pub name: Arc<str>,
    /// The fingerprint of the token shown.
    pub fingerprint: Option<Fingerprint>,
}

impl Caller {
    /// Somebody who shows no token.
    pub fn anonymous() -> Self {
        static NAME: LazyLock<Arc<str>> = LazyLock::new(|| ANONYMOUS.into());
        Caller {
            name: Arc::clone(&NAME),
            fingerprint: None,
        }
    }
}

/// The name of whoever shows no token.
const ANONYMOUS: &str = "anonymous";

impl Callers {
    /// What guard keys begin with, so that people and scanners for leaked secrets know one when they see it.
    pub const KEY_PREFIX: &str = "qg_";

    /// The longest name, in bytes.
    pub const LONGEST_NAME: usize = 64;

    /// Names that stand for those who have none: in records and rules, and in metrics.
    pub const RESERVED: [&str; 2] = [ANONYMOUS, "other"];

    /// Whether a caller may have this name, unless it is [reserved](Callers::RESERVED).
    pub fn is_name(name: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        (1..=Self::LONGEST_NAME).contains(&name.len()) && name.chars().all(plain)
    }

    /// The table of these names and the hashes of their tokens. Of two names for one token the last one counts.
    pub fn new(named: impl IntoIterator<Item = (String, TokenHash)>) -> Self {
        Callers(named.into_iter().map(|(name, hash)| (hash, name.into())).collect())
    }

    /// Whether no caller is configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The configured caller who shows this token; `None` for a stranger.
    pub fn known(&self, token: TokenHash) -> Option<Caller> {
        self.0.get(&token).map(|name| Caller {
            name: Arc::clone(name),
            fingerprint: Some(token.fingerprint()),
        })
    }

    /// The caller who shows this token, or none.
    pub fn identify(&self, token: Option<TokenHash>) -> Caller {
        let Some(token) = token else {
            return Caller::anonymous();
        };
        let fingerprint = token.fingerprint();
        self.known(token).unwrap_or_else(|| Caller {
            name: format!("token:{fingerprint}").into(),
            fingerprint: Some(fingerprint),
        })
    }

    /// Whether a caller of this name is configured; other names are unbounded in number.
    pub fn is_named(&self, name: &str) -> bool {
        self.0.values().any(|known| **known == *name)
    }

    /// Every name and the hash of a token of its, sorted.
    pub fn sorted(&self) -> Vec<(&str, TokenHash)> {
        let mut all: Vec<_> = self.0.iter().map(|(hash, name)| (&**name, *hash)).collect();
        all.sort_by_cached_key(|(name, hash)| (*name, hash.to_hex()));
        all
    }
}
