//! Who asks: the name that records, limits and rules know a caller by.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use crate::qstash::credential::{Fingerprint, TokenHash};

/// The callers that have names, found by the SHA-256 of their tokens. The table is keyed by hashes, so that how long a
/// lookup takes says nothing about any token.
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

/// Whether a name stands for callers who have none, in records and rules or in metrics: nobody may be called so.
pub fn stands_for_unnamed(name: &str) -> bool {
    name == ANONYMOUS || name == "other" || name.starts_with("token:")
}

impl Callers {
    /// The table of these names and the hashes of their tokens. Of two names for one token the last one counts.
    pub fn new(named: impl IntoIterator<Item = (String, TokenHash)>) -> Self {
        Callers(named.into_iter().map(|(name, hash)| (hash, name.into())).collect())
    }

    /// The caller who shows this token, or none.
    pub fn identify(&self, token: Option<TokenHash>) -> Caller {
        let Some(token) = token else {
            return Caller::anonymous();
        };
        let fingerprint = token.fingerprint();
        Caller {
            name: match self.0.get(&token) {
                Some(name) => Arc::clone(name),
                None => format!("token:{fingerprint}").into(),
            },
            fingerprint: Some(fingerprint),
        }
    }

    /// Whether a caller of this name is configured; other names are unbounded in number.
    pub fn is_named(&self, name: &str) -> bool {
        self.0.values().any(|known| **known == *name)
    }

    /// Every name and the hash of its token, sorted by name.
    pub fn sorted(&self) -> Vec<(&str, TokenHash)> {
        let mut all: Vec<_> = self.0.iter().map(|(hash, name)| (&**name, *hash)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }
}
