//! The name of a caller who shows a certificate.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::callers;

/// What a certificate calls its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateName<'a> {
    /// A URI, such as a SPIFFE id: the first of its subject alternative names of that kind.
    Uri(&'a str),
    /// A host name: the first of its subject alternative names of that kind.
    Dns(&'a str),
    /// The common name of its subject.
    Common(&'a str),
}

/// Whether a caller of this name was named by its certificate: one that is configured cannot have it, and of those without
/// a name the caller has to know.
pub fn is_of_a_certificate(name: &str) -> bool {
    name.contains([':', '%']) && !callers::stands_for_unnamed(name)
}

impl CertificateName<'_> {
    /// The most bytes of a caller's name: it stands in every record of its caller.
    pub const LONGEST: usize = 512;

    /// The caller's name: letters, digits and `-_.@` as they are, in a URI `:` and `/` too, all other bytes
    /// percent-encoded, a host name in lower case. So no common name looks like a URI, and none matches as a glob.
    ///
    /// `None` for what nobody may be called: nothing, more than [`Self::LONGEST`] bytes, and what stands for callers without a
    /// name.
    pub fn caller(self) -> Option<Arc<str>> {
        let name = match self {
            CertificateName::Uri(uri) => utf8_percent_encode(uri, &OTHERS_IN_A_URI).to_string(),
            CertificateName::Dns(host) => utf8_percent_encode(&host.to_ascii_lowercase(), &OTHERS).to_string(),
            CertificateName::Common(name) => utf8_percent_encode(name, &OTHERS).to_string(),
        };
        let usable = !name.is_empty() && name.len() <= Self::LONGEST && !callers::stands_for_unnamed(&name);
        usable.then(|| name.into())
    }
}

const OTHERS: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'@');

const OTHERS_IN_A_URI: AsciiSet = OTHERS.remove(b':').remove(b'/');

#[cfg(test)]
mod tests {
    use super::CertificateName::{Common, Dns, Uri};
    use super::*;

    #[test]
    fn a_name_is_made_of_what_a_caller_may_be_called() {
        let long = "a".repeat(CertificateName::LONGEST + 1);
        for (name, caller) in [
            (Common("billing"), Some("billing")),
            (Common("ops@example.com"), Some("ops@example.com")),
            (Common("Jane Doe"), Some("Jane%20Doe")),
            (Common("büro"), Some("b%C3%BCro")),
            (Common("a*%20"), Some("a%2A%2520")),
            (Common("spiffe://prod/billing"), Some("spiffe%3A%2F%2Fprod%2Fbilling")),
            (Common("a\r\nb"), Some("a%0D%0Ab")),
            (Dns("Billing.Example.COM"), Some("billing.example.com")),
            (
                Uri("spiffe://prod.example/ns/x/sa/billing-1"),
                Some("spiffe://prod.example/ns/x/sa/billing-1"),
            ),
            (Uri("spiffe://prod/a*"), Some("spiffe://prod/a%2A")),
            (Common(&long[1..]), Some(&long[1..])),
            // Nobody is called so.
            (Common(&long), None),
            (Common(""), None),
            (Common("anonymous"), None),
            (Dns("Other"), None),
            (Uri("token:0123456789ab"), None),
        ] {
            assert_eq!(name.caller().as_deref(), caller, "{name:?}");
        }
    }
}
