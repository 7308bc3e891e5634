//! Pages that are compressed although nobody asked for that.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::json;

use crate::listing::assert_unlisted;
use crate::script::{done, parameter, waiting};
use crate::support::{Guard, RawRequest, Upstream, request};
use crate::{TOKEN, cancelled, delete, start};

/// An upstream whose listing is in this coding.
fn upstream(coding: &'static str, page: impl Fn(&RawRequest) -> Vec<u8> + Send + Sync + 'static) -> Upstream {
    Upstream::answering(move |request| {
        if request.line().starts_with("DELETE") {
            return done(request);
        }
        // Nobody asked for it.
        assert_eq!(request.header("accept-encoding"), ["identity"]);
        let page = page(request);
        let head = format!("HTTP/1.1 200 OK\r\n{coding}Content-Length: {}\r\n\r\n", page.len());
        [head.into_bytes(), page].concat()
    })
}

fn cancel(guard: &Guard) -> crate::Answer {
    let target = "/v2/messages?label=a&count=10";
    request(guard.address, "DELETE", target, &[TOKEN, "Accept-Encoding: gzip"], b"")
}

fn page() -> Vec<u8> {
    json!({"logs": waiting(0..2)}).to_string().into_bytes()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn a_page_is_read_in_every_coding_that_answers_may_be_in() {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&page()).unwrap();
    for (coding, packed) in [
        ("Content-Encoding: gzip\r\n", gzip(&page())),
        ("content-encoding: X-GZIP \r\n", gzip(&page())),
        ("Content-Encoding: deflate\r\n", zlib.finish().unwrap()),
        ("Content-Encoding: br\r\n", brotli(&page())),
        ("Content-Encoding: zstd\r\n", zstd(&page())),
        ("Content-Encoding: identity\r\n", page()),
        ("Content-Encoding:\r\n", page()),
    ] {
        let upstream = upstream(coding, move |_| packed.clone());
        let guard = start(&upstream);
        assert_eq!(cancel(&guard).json(), json!({"cancelled": 2}), "{coding}");
        assert_eq!(cancelled(&upstream), [["msg_000", "msg_001"]], "{coding}");
    }
}

#[test]
fn what_cannot_be_unpacked_is_a_failure() {
    let unknown = "it answered in a coding that nobody asked for";
    let broken = "an answer is not in the coding that it names";
    for (coding, packed, why) in [
        ("Content-Encoding: lzma\r\n", page(), unknown),
        ("Content-Encoding: gzip, gzip\r\n", gzip(&gzip(&page())), unknown),
        (
            "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n",
            gzip(&gzip(&page())),
            unknown,
        ),
        ("Content-Encoding: gzip\r\n", page(), broken),
        ("Content-Encoding: br\r\n", page(), broken),
        ("Content-Encoding: zstd\r\n", page(), broken),
        ("Content-Encoding: gzip\r\n", gzip(&page())[..20].to_vec(), broken),
    ] {
        let upstream = upstream(coding, move |_| packed.clone());
        let guard = start(&upstream);
        assert_unlisted(&upstream, &guard, &cancel(&guard), why);
    }
}

#[test]
fn a_page_that_becomes_too_long_is_asked_for_with_fewer_entries() {
    // As long as it may not be, whatever it was sent as.
    let long = |request: &RawRequest| {
        let size: usize = parameter(request, "count").unwrap().parse().unwrap();
        let blanks = if size > 1 { 4 * 1024 * 1024 } else { 0 };
        let entries = json!({"logs": waiting(0..2), "more": " ".repeat(blanks)});
        gzip(entries.to_string().as_bytes())
    };
    let upstream = upstream("Content-Encoding: gzip\r\n", long);
    let guard = start(&upstream);
    let answer = delete(&guard, "/v2/messages?label=a&count=10");
    assert_eq!(answer.json(), json!({"cancelled": 2}), "{answer:?}");
    let sizes: Vec<String> = upstream
        .requests()
        .iter()
        .filter_map(|request| parameter(request, "count").map(str::to_owned))
        .collect();
    assert_eq!(sizes, ["100", "25", "6", "1"]);
}

#[test]
fn a_bomb_is_not_unpacked() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let blanks = vec![b' '; 1024 * 1024];
    (0..256).for_each(|_| bomb.write_all(&blanks).unwrap());
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 1024 * 1024);
    let upstream = upstream("Content-Encoding: gzip\r\n", move |_| bomb.clone());
    let guard = start(&upstream);
    assert_unlisted(
        &upstream,
        &guard,
        &cancel(&guard),
        "one entry alone is longer than 4 MiB",
    );
}

/// As one uncompressed meta-block (RFC 7932 section 9.2), which every decoder has to read.
fn brotli(text: &[u8]) -> Vec<u8> {
    // WBITS 16 (0), ISLAST 0, MNIBBLES 4 (00), MLEN - 1 in 16 bits, ISUNCOMPRESSED 1; then the last, empty one (11).
    let length = u32::try_from(text.len() - 1).unwrap();
    assert!(length < 1 << 16);
    let head = length << 4 | 1 << 20;
    [&head.to_le_bytes()[..3], text, &[0b11]].concat()
}

/// As one raw block (RFC 8878 section 3.1.1.2).
fn zstd(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    // A window of 8 KiB, no checksum; a block that is the last (1) and raw (00).
    let head = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 3 << 3];
    [&head[..], &(length << 3 | 1).to_le_bytes()[..3], text].concat()
}
