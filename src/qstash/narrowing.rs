//! What narrows a bulk operation: by ids, by a filter, or not at all. Of a bulk cancel of messages the policy says which
//! filters narrow; of the others their table does.

use percent_encoding::percent_decode_str;

use super::parameters::{EXACT_MATCH, WORKFLOW_URL};
use super::selection::Selection;

/// Filters that narrow nothing: what failed together has one status, and all that went through a gateway one address.
const WEAK: &[&str] = &[
    "responseStatus",
    "callerIp",
    "callerIP",
    EXACT_MATCH,
    "workflowCreatedAt",
    "failureFunctionState",
];

/// Whether a filter narrows, where no policy says which do.
pub fn narrows(name: &str, selection: &Selection) -> bool {
    match name {
        WORKFLOW_URL => {
            selection.filter(EXACT_MATCH) == ["true"] || selection.filter(name).iter().all(|url| is_narrow_prefix(url))
        }
        _ => !WEAK.contains(&name),
    }
}

/// Whether the name may narrow for some value.
pub fn may_narrow(name: &str) -> bool {
    !WEAK.contains(&name)
}

/// Whether a URL that is taken as a prefix has more than `/` behind its host. One with dot segments may come to `/`, and
/// what is no URL says nothing of hosts.
fn is_narrow_prefix(url: &str) -> bool {
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let Some(behind) = scheme.map(|scheme| &url[scheme.len()..]) else {
        return false;
    };
    let Some(end) = behind.find(['/', '\\', '?', '#']).filter(|end| *end > 0) else {
        return false;
    };
    let rest = behind[end..].split('#').next().unwrap_or_default();
    let decoded = percent_decode_str(rest).decode_utf8_lossy();
    let mut segments = decoded.split(['/', '\\', '?']);
    decoded.chars().any(char::is_alphanumeric) && !segments.any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_narrows_behind_its_host() {
        for url in [
            "https://example.com/api",
            "HTTPS://example.com:8443/api/",
            "http://[::1]/w",
            "https://example.com//a",
            "https://example.com/?tenant=a",
            "https://example.com?tenant=a",
            "https://example.com/%61",
            "https://example.com/ä",
        ] {
            assert!(is_narrow_prefix(url), "{url}");
        }
        for url in [
            "",
            "h",
            "https",
            "https://",
            "https:///",
            "https:///api",
            "https://example.com",
            "https://example.com:8443",
            "https://example.com/",
            "https://example.com//",
            "https://example.com/?",
            "https://example.com/#api",
            "https://example.com/%2f",
            "https://example.com/.",
            "https://example.com/%2e/",
            "https://example.com/api/..",
            "https://example.com/api/%2E%2e",
            "https://example.com\\",
            "https:/example.com/api",
            "example.com/api",
            "//example.com/api",
            "ftp://example.com/api",
            " https://example.com/api",
            "/api",
        ] {
            assert!(!is_narrow_prefix(url), "{url}");
        }
    }
}
