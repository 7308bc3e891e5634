//! Messages as they should be, nearly as they should be, and not at all.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};

/// Bytes, and where they are cut.
pub(crate) type Cut = (Vec<u8>, Vec<usize>);

/// Several requests behind each other.
pub(crate) fn requests() -> impl Strategy<Value = Cut> {
    let starts = select(vec![
        "GET /v2/logs HTTP/1.1",
        "POST /v2/publish/https://e.com/?a=b HTTP/1.1",
        "DELETE /v2/messages HTTP/1.1",
        "DELETE /v2/messages?label=a&count=1 HTTP/1.1",
        "HEAD / HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET http://a.example/x HTTP/1.1",
        "POST /old HTTP/1.0",
        "\r\nPUT /after-a-blank HTTP/1.1",
        "GET /no-version",
        "GET /two  blanks HTTP/1.1",
        "get /lower HTTP/1.1",
        "GET relative HTTP/1.1",
        "GET / HTTP/1.2",
    ]);
    cut(vec(message(starts.boxed()), 1..4).prop_map(|all| all.concat()))
}

/// One answer, perhaps behind interim ones.
pub(crate) fn answers() -> impl Strategy<Value = Cut> {
    let starts = select(vec![
        "HTTP/1.1 200 OK",
        "HTTP/1.1 202 ",
        "HTTP/1.1 200",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304 Not Modified",
        "HTTP/1.1 404 N\u{f6}t there",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK",
        "HTTP/1.1 99 Low",
        "HTTP/2 200 OK",
        "ICY 200 OK",
    ]);
    cut(message(starts.boxed()))
}

fn message(starts: impl Strategy<Value = &'static str>) -> impl Strategy<Value = Vec<u8>> {
    let fields = select(vec![
        "Host: a",
        "x-lower: 1",
        "X-UPPER:2",
        "X-Blank:   ",
        "X-Bytes: \u{fc}\u{7f}",
        "X-Tab:\ta\tb\t",
        "Connection: close",
        "Connection: keep-alive",
        "Content-Length: 3",
        "content-length: 3",
        "Content-Length: 0",
        "Content-Length: 03",
        "Content-Length: +3",
        "Content-Length: 3, 3",
        "Content-Length: 18446744073709551616",
        "Content-Length: ",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: Chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Trailer: X-Sum",
        "TE: trailers",
        " folded: 1",
        "no colon",
        ": no name",
        "X-Nul: \0",
        "X-Cr: a\rb",
    ]);
    let bodies = select(vec![
        "",
        "abc",
        "abcdef",
        "3\r\nabc\r\n0\r\n\r\n",
        "3;x=\"y\"\r\nabc\r\n0\r\n\r\n",
        "0003\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
        "1\r\na\r\n2\r\nbc\r\n000\r\n\r\n",
        "A\r\n0123456789\r\n0\r\n\r\n",
        "0\r\n\r\n",
        "3\nabc\n0\n\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "3;\rx\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nabc",
        "10000000000000000\r\nabc",
        "-3\r\nabc\r\n0\r\n\r\n",
        "3\r\nab",
        "\r\n",
    ]);
    let ends = prop_oneof![30 => Just("\r\n"), 1 => Just("\n")];
    (
        starts,
        vec(fields, 0..4),
        ends,
        bodies,
        vec(any::<(Index, u8)>(), 0..2),
        any::<u8>(),
    )
        .prop_map(|(start, fields, end, body, changes, odds)| {
            let mut text = format!("{start}{end}");
            for field in fields {
                text.push_str(field);
                text.push_str(end);
            }
            text.push_str(end);
            text.push_str(body);
            // Latin-1, so that some bytes are no UTF-8.
            let mut bytes: Vec<u8> = text
                .chars()
                .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
                .collect();
            // One in eight is damaged somewhere.
            if odds % 8 == 0 {
                for (at, byte) in changes {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            bytes
        })
}

fn cut(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Cut> {
    (bytes, vec(any::<Index>(), 0..4)).prop_map(|(bytes, cuts)| {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        (bytes, cuts)
    })
}
