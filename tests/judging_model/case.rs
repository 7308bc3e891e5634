//! A request as it is judged and as the model reads it.

use std::fmt;

use super::server::Api;

/// A request as a client may write it.
#[derive(Debug)]
pub(crate) struct Case {
    /// The bulk operation that it may be taken for.
    pub(crate) api: &'static Api,
    pub(crate) method: &'static str,
    pub(crate) path: Vec<u8>,
    pub(crate) query: Option<Vec<u8>>,
    pub(crate) body: Vec<u8>,
    pub(crate) overridden: bool,
    pub(crate) content_encoded: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path.escape_ascii())?;
        if let Some(query) = &self.query {
            write!(f, "?{}", query.escape_ascii())?;
        }
        write!(f, " body {:?}", String::from_utf8_lossy(&self.body))?;
        write!(f, " override {} encoded {}", self.overridden, self.content_encoded)
    }
}
