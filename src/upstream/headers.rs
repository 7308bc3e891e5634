//! What is changed in a message's headers on its way: hop-by-hop fields go, `Host` is the upstream's. Nothing is added.

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Uri, Version};
use http_body::Body;

/// Makes a request fit for the upstream: origin-form target behind `prefix`, HTTP/1.1, its own `Host`, no hop-by-hop
/// fields, framing made anew for the body.
pub(crate) fn prepare_request(request: &mut Request<impl Body>, host: &HeaderValue, prefix: &str) {
    let chunked = !request.body().is_end_stream() && request.body().size_hint().exact().is_none();
    let from_http2 = request.version() == Version::HTTP_2;
    let headers = request.headers_mut();
    strip_hop_by_hop(headers);
    headers.insert(HOST, host.clone());
    if from_http2 {
        join_cookies(headers);
    }
    if chunked {
        // Whatever the method: a GET may have a body.
        headers.remove(CONTENT_LENGTH);
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    *request.version_mut() = Version::HTTP_11;
    if request.uri().authority().is_some() || !prefix.is_empty() {
        *request.uri_mut() = origin_form(request.uri(), prefix);
    }
}

/// Makes an answer's head fit for the client: no hop-by-hop fields, and no length that another framing overruled
/// (RFC 9112 section 6.3).
pub fn prepare_response(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    strip_hop_by_hop(headers);
}

/// Removes the fields that belong to one connection: those that `Connection` names, and those of RFC 9110 section
/// 7.6.1. `Trailer` stays, as the trailers themselves do.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Most messages have none: one pass over the names is cheaper than a look-up of each.
    if !headers
        .keys()
        .any(|name| *name == CONNECTION || HOP_BY_HOP.contains(name))
    {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
}

/// HTTP/2 may split cookies into several fields; HTTP/1.1 has one (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_some() {
        let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
            headers.insert(COOKIE, joined);
        }
    }
}

fn origin_form(uri: &Uri, prefix: &str) -> Uri {
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if target == "*" {
        return uri.clone();
    }
    // An absolute target may have a query and no path: `http://host?x`.
    let slash = if target.starts_with('/') { "" } else { "/" };
    // A target that was read once, behind a checked prefix, is one again; the fallback cannot lead anywhere else.
    PathAndQuery::try_from(format!("{prefix}{slash}{target}")).map_or_else(|_| uri.clone(), Uri::from)
}

/// The fields of RFC 9110 section 7.6.1 beside `Connection`.
static HOP_BY_HOP: [HeaderName; 5] = [
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_connection_go_and_others_stay() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-One"),
            ("connection", "x-two"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("trailer", "x-sum"),
            ("x-kept", "a"),
            ("x-kept", "b"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut headers);
        let left: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        assert_eq!(left, [("trailer", &b"x-sum"[..]), ("x-kept", b"a"), ("x-kept", b"b")]);
    }

    #[test]
    fn a_target_keeps_its_bytes_behind_the_prefix() {
        let of = |uri: &str, prefix| origin_form(&uri.parse().unwrap(), prefix).to_string();
        assert_eq!(
            of("/v2/publish/https://e.com//a/../?x=%2f", "/q"),
            "/q/v2/publish/https://e.com//a/../?x=%2f"
        );
        assert_eq!(
            of("http://evil.example/v2/messages?label=a", ""),
            "/v2/messages?label=a"
        );
        assert_eq!(of("*", "/q"), "*");
    }
}
