//! No record, log line, metric or answer ever holds a credential, whole or in part.

use std::collections::HashSet;
use std::io::Write;
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::percent_encoded;
use crate::support::upstream::answer;
use crate::support::{Client, Guard, Upstream};

/// Letters that no other text of a run is made of in a row.
const LETTERS: &[u8; 64] = b"GHJKLMNPQRSTUVWXYZghjkmnpqrstuvwxyzGHJKLMNPQRSTUVWXYZghjkmnpqrst";

/// Parts of this length count as found.
const PART: usize = 8;

/// The tokens of a run, each different from all others in every part.
#[derive(Default)]
struct Tokens(Vec<String>);

impl Tokens {
    fn next(&mut self) -> String {
        let digest = Sha256::digest(format!("token {}", self.0.len()));
        let token: String = digest
            .iter()
            .map(|byte| char::from(LETTERS[usize::from(byte % 64)]))
            .collect();
        self.0.push(token.clone());
        token
    }
}

/// Requests with a token in them: `$T` as it is, `$P` percent-encoded, `$B` as the password of Basic.
const REQUESTS: &[(&str, &str)] = &[
    // Where it belongs.
    ("GET /v2/keys", "Authorization: Bearer $T"),
    ("DELETE /v2/messages", "Authorization: Bearer $T"),
    ("DELETE /v2/messages?label=a&count=5", "Authorization: Bearer $T"),
    ("GET /v2/keys", "Authorization:    bearer   $T"),
    ("GET /v2/keys?qstash_token=$T", ""),
    ("DELETE /v2/messages?label=a&count=5&qstash_token=$T", ""),
    ("DELETE /v2/messages?qstash_token=$T", ""),
    ("DELETE /v2/messages?qstash_token=$P", ""),
    (
        "POST /v2/publish/https://example.com/?qstash_token=$T",
        "Upstash-Header-Forward: true",
    ),
    (
        "DELETE /v2/messages?label=a&count=5&qstash_token=$T",
        "Upstash-Header-Forward: true",
    ),
    // Double, malformed, in another scheme.
    ("GET /v2/keys?qstash_token=$T&qstash_token=$T", ""),
    ("GET /v2/keys?qstash_token=$T", "Authorization: Bearer other"),
    ("GET /v2/keys?qstash_token=other", "Authorization: Bearer $T"),
    ("GET /v2/keys?qstash_token=$T%20", ""),
    ("DELETE /v2/messages?qstash_token=%zz$T", ""),
    ("GET /v2/keys?qstash_token=$T;a", ""),
    ("GET /v2/keys?qstash_token=%250a$T", ""),
    ("GET /v2/keys", "Authorization: Basic $B"),
    ("GET /v2/keys?qstash_token=$T", "Authorization: Basic $B"),
    ("GET /v2/keys", "Authorization: $T"),
    ("DELETE /v2/messages", "Cookie: session=$T"),
    ("DELETE /v2/messages", "X-Api-Key: $T"),
    (
        "POST /v2/publish/https://example.com",
        "Upstash-Forward-Authorization: Bearer $T",
    ),
    ("DELETE /v2/messages?label=a&count=5", "X-HTTP-Method: $T"),
    // In the URL of a destination.
    ("POST /v2/publish/https://user:$T@example.com/a", ""),
    ("POST /v2/publish/https://$T@example.com/a", ""),
    ("POST /v2/publish/https://$T:@example.com", ""),
    ("POST /v2/publish/https%3A%2F%2Fuser:$T@example.com/a", ""),
    ("POST /v2/publish/https%3A%2F%2Fuser%3AT%40example.com", ""),
    ("POST /v2/publish/https:/user:$T@example.com/a", ""),
    ("POST /v2/publish/https:\\\\user:$T@example.com/a", ""),
    ("POST /v2/publish/https://example.com/hooks/$T", ""),
    ("POST /v2/publish/https://example.com/?key=$T", ""),
    ("POST /v2/publish/https://example.com/?label=$T&url=$T", ""),
    (
        "POST /v2/publish/https://qstash.upstash.io/v2/publish/https://u:$T@example.com/",
        "",
    ),
    ("POST /v2/publish/https://user:$T@qstash.upstash.io/", ""),
    ("POST /v2/enqueue/q/https://user:$T@example.com/z/", ""),
    ("POST /v2/enqueue/q/https://example.com/$T", ""),
    ("POST /v2/schedules/https://user:$T@example.com/", ""),
    ("POST /v2/trigger/https://user:$T@example.com/$T?key=$T", ""),
    ("POST /v2//publish//https://user:$T@example.com/", ""),
    ("POST /V2/%70ublish/https://user:$T@example.com/", ""),
    // Configuration in the query.
    (
        "POST /v2/publish/https://example.com/?upstash-forward-authorization=Bearer+$T",
        "",
    ),
    ("POST /v2/publish/group?upstash-forward-authorization=Bearer%20$T", ""),
    ("DELETE /v2/messages?upstash-forward-authorization=$T", ""),
    // Parameters.
    ("DELETE /v2/messages?url=https://user:$T@example.com/x&count=5", ""),
    (
        "DELETE /v2/messages?url=https%3A%2F%2Fuser%3AT%40example.com%2Fx&count=5",
        "",
    ),
    (
        "DELETE /v2/messages?url=https%253A%252F%252Fuser%253AT%2540example.com%252Fx&count=5",
        "",
    ),
    ("DELETE /v2/messages?url=a,https://user:$T@example.com/x", ""),
    ("DELETE /v2/messages?host=user:$T@example.com&count=500", ""),
    ("DELETE /v2/messages?label=https://user:$T@example.com/&count=5", ""),
    ("DELETE /v2/messages?label=a%26qstash_token=$T&count=5", ""),
    ("DELETE /v2/messages?label=a?qstash_token=$T&count=5", ""),
    ("DELETE /v2/messages?label=a;qstash_token=$T&count=5", ""),
    ("DELETE /v2/messages?messageIds=a%3Fqstash_token%3DT", ""),
    ("DELETE /v2/messages?messageIds=a%253Fqstash_token%253DT", ""),
    ("DELETE /v2/messages?qstash_tokn=$T", ""),
    ("DELETE /v2/messages?QSTASH_TOKEN=$T", ""),
    ("DELETE /v2/messages?token=$T&label=a&count=5", ""),
    ("DELETE /v2/messages?qstash%255Ftoken=$T", ""),
    ("DELETE /v2/messages?$T", ""),
    ("DELETE /v2/messages?$T=", ""),
    ("DELETE /v2/messages?$T==", ""),
    ("DELETE /v2/messages?a=b=$T", ""),
    // Other paths.
    ("GET /v2/brand-new/https://user:$T@example.com/", ""),
    ("GET /v9/callback/https://example.com/hook/$T?a=$T", ""),
    ("GET /user:$T@example.com/", ""),
    ("GET /v2/messages/qstash_token=$T", ""),
    ("DELETE /v2/messages/../qstash_token=$T", ""),
    ("DELETE /v2/messages%3fqstash_token=$T", ""),
    ("GET http://user:$T@elsewhere.test/v2/keys", ""),
    ("DELETE http://user:$T@elsewhere.test/v2/messages", ""),
    ("TRACE /v2/keys?qstash_token=$T", "Authorization: Bearer $T"),
    ("GET /v2/fails?qstash_token=$T", "Authorization: Bearer $T"),
    ("GET /v2/garbage?qstash_token=$T", "Authorization: Bearer $T"),
];

/// Bodies of a bulk cancel with a token in them.
const BODIES: &[&str] = &[
    "$T",
    r#"{"qstash_token":"$T"}"#,
    r#"{"messageIds":["a"],"token":"$T"}"#,
    r#"{"messageIds":"$T"}"#,
    r#"{"label":1,"$T":1}"#,
    r#"{"url":"https://user:$T@example.com/","count":5}"#,
    r#"{"url":["https://user:$T@example.com/"],"count":500}"#,
    r#"{"messageIds":["a"]}$T"#,
];

fn upstream() -> Upstream {
    Upstream::with(|mut connection| {
        while let Some(request) = connection.read_request() {
            let bytes = match request.target() {
                target if target.contains("/fails") => return,
                target if target.contains("/garbage") => b"no HTTP at all\r\n\r\n".to_vec(),
                _ => answer("202 Accepted", r#"{"cancelled":1}"#),
            };
            if connection.stream.write_all(&bytes).is_err() {
                return;
            }
        }
    })
}

/// Sends it all; gives what came back.
fn send_all(guard: &Guard, tokens: &mut Tokens) -> Vec<u8> {
    let mut answers = Vec::new();
    let mut exchange = |head: &str, body: &str| {
        let mut client = Client::connect(guard.address);
        client.send(format!("{head}Connection: close\r\n\r\n{body}"));
        if let Some(answer) = client.read_answer(true) {
            answers.extend_from_slice(answer.head.as_bytes());
            answers.extend_from_slice(&answer.body);
        }
    };
    for (line, header) in REQUESTS {
        let token = tokens.next();
        let percent = percent_encoded(&token).to_uppercase();
        let basic = base64(format!("user:{token}").as_bytes());
        let filled = |text: &str| text.replace("$T", &token).replace("$P", &percent).replace("$B", &basic);
        let (line, header) = (filled(line), filled(header));
        let header = if header.is_empty() {
            header
        } else {
            format!("{header}\r\n")
        };
        exchange(&format!("{line} HTTP/1.1\r\nHost: guard.test\r\n{header}"), "");
    }
    for body in BODIES {
        let body = body.replace("$T", &tokens.next());
        let length = body.len();
        exchange(
            &format!("DELETE /v2/messages HTTP/1.1\r\nHost: guard.test\r\nContent-Length: {length}\r\n"),
            &body,
        );
    }
    for head in [
        "DELETE /v2/messages HTTP/1.1\r\nHost: guard.test\r\nHost: $T\r\n",
        "DELETE /v2/messages HTTP/1.1\r\nHost: guard.test\r\nAuth orization: Bearer $T\r\n",
        "DELETE /v2/messages HTTP/1.1\r\nHost: guard.test\r\nTransfer-Encoding: $T\r\n",
        "GET /v2/keys?qstash_token=$T HTTP/9.9\r\n",
    ] {
        exchange(&head.replace("$T", &tokens.next()), "");
    }
    let mut admin = Client::connect(guard.admin);
    let token = tokens.next();
    admin.send(format!(
        "GET /audit/head?token={token} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    ));
    answers.extend_from_slice(&admin.answer().body);
    answers
}

#[test]
fn no_token_is_found_where_it_does_not_belong() {
    for mode in ["enforce", "monitor"] {
        let upstream = upstream();
        let mut tokens = Tokens::default();
        let guard = Guard::start(
            &upstream.url(),
            &format!("rate_limits: []\nlog: {{level: trace}}\naudit: {{record: all}}\npolicy: {{mode: {mode}}}\n"),
        );
        let answers = send_all(&guard, &mut tokens);
        let metrics = guard.admin("/metrics").1;
        let trail = std::fs::read(guard.trail_path()).unwrap();
        let shown = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
            .args(["audit", "show"])
            .arg(guard.trail_path())
            .output()
            .unwrap();
        assert!(shown.status.success(), "{shown:?}");
        let (status, log) = guard.stop();
        assert!(status.success());
        // There is something to search: tokens did arrive, and records and lines were written.
        let arrived = String::from_utf8_lossy(&upstream.bytes()).into_owned();
        let seen = tokens.0.iter().filter(|token| arrived.contains(token.as_str())).count();
        assert!(seen > 15, "only {seen} tokens went on");
        let records = String::from_utf8_lossy(&trail).lines().count();
        assert!(
            records > REQUESTS.len() && log.lines().count() > REQUESTS.len(),
            "{records} records, {log}"
        );
        for (place, text) in [
            ("the answers", answers.as_slice()),
            ("the metrics", metrics.as_bytes()),
            ("the trail", &trail),
            ("audit show", &shown.stdout),
            ("the log", log.as_bytes()),
        ] {
            assert_nothing_of(&tokens, mode, place, text);
        }
    }
}

/// Asserts that no part of a token, nor of its encodings, is in a text.
#[track_caller]
fn assert_nothing_of(tokens: &Tokens, mode: &str, place: &str, text: &[u8]) {
    let parts: HashSet<&[u8]> = text.windows(PART).collect();
    let long: HashSet<&[u8]> = text.windows(3 * PART).collect();
    for token in &tokens.0 {
        let user = format!("user:{token}");
        let encodings = [token.clone(), base64(token.as_bytes()), base64(user.as_bytes())];
        for encoded in &encodings[..1] {
            let found = encoded.as_bytes().windows(PART).find(|part| parts.contains(part));
            assert_eq!(
                found.map(String::from_utf8_lossy),
                None,
                "part of {token} in {place} ({mode}): {}",
                around(text, token)
            );
        }
        for encoded in &encodings[1..] {
            // The first letters are those of `user:`.
            let found = encoded.as_bytes()[8..].windows(PART).find(|part| parts.contains(part));
            assert_eq!(
                found.map(String::from_utf8_lossy),
                None,
                "base64 of {token} in {place} ({mode})"
            );
        }
        for percent in [percent_encoded(token).to_uppercase(), percent_encoded(token)] {
            let found = percent.as_bytes().windows(3 * PART).find(|part| long.contains(part));
            assert_eq!(
                found.map(String::from_utf8_lossy),
                None,
                "{token} percent-encoded in {place} ({mode})"
            );
        }
    }
}

/// The line that holds a part of the token.
fn around(text: &[u8], token: &str) -> String {
    let text = String::from_utf8_lossy(text);
    let parts: Vec<&str> = (0..=token.len() - PART).map(|at| &token[at..at + PART]).collect();
    let line = text.lines().find(|line| parts.iter().any(|part| line.contains(part)));
    line.unwrap_or_default().to_owned()
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .chain(&[0, 0])
            .take(3)
            .fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
        for letter in 0..4 {
            if letter <= chunk.len() {
                text.push(char::from(ALPHABET[word >> (18 - 6 * letter) & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}
