//! Large bodies pass at the pace of the slower side, and never lie in memory.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::{Client, Guard, PATIENCE, Upstream, request};

const MIB: u64 = 1024 * 1024;
/// More than all socket buffers between the two ends hold.
const LENGTH: u64 = 50 * MIB;
/// What the guard may need above its rest: buffers of its own, and none that grows with the body.
const SLACK: u64 = 16 * MIB;

/// Writes `LENGTH` bytes and tells, once, when the other side takes no more. Gives whether it ever did.
fn write_all_telling(stream: &mut TcpStream, held_back: &mpsc::Sender<u64>) -> bool {
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let chunk = [b'x'; 16 * 1024];
    let (mut written, mut told) = (0, false);
    while written < LENGTH {
        let most = usize::try_from(LENGTH - written).unwrap().min(chunk.len());
        match stream.write(&chunk[..most]) {
            Ok(length) => written += length as u64,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if !told {
                    held_back.send(written).unwrap();
                    told = true;
                }
            }
            Err(error) => panic!("after {written} bytes: {error}"),
        }
    }
    told
}

/// Reads this many bytes and nothing else.
fn read_exactly(stream: &mut impl Read, length: u64) {
    let read = std::io::copy(&mut stream.take(length), &mut std::io::sink()).unwrap();
    assert_eq!(read, length);
}

/// Reads up to the empty line, byte by byte; `None` at the end of the connection.
fn read_head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A guard that has answered before, so that what it needs once is part of its rest.
fn warm_guard(upstream: &Upstream) -> (Guard, u64) {
    let guard = Guard::start(&upstream.url(), "");
    for _ in 0..4 {
        let answer = request(guard.address, "GET", "/warm", &[], b"");
        assert_eq!(answer.text(), "ok");
    }
    let rest = guard.resident();
    (guard, rest)
}

#[test]
fn an_upload_waits_for_a_slow_upstream() {
    let (go, told) = mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let upstream = Upstream::with(move |mut connection| {
        let stream = &mut connection.stream;
        while let Some(head) = read_head(stream) {
            if head.starts_with("POST") {
                told.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                read_exactly(stream, LENGTH);
            }
            stream.write_all(OK).unwrap();
        }
    });
    let (guard, rest) = warm_guard(&upstream);
    let mut client = Client::connect(guard.address);
    client.send(format!(
        "POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"
    ));
    let (held_back, holding) = mpsc::channel();
    let mut stream = client.stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || write_all_telling(&mut stream, &held_back));
    let written = holding.recv_timeout(PATIENCE).expect("the client must be held back");
    assert!(written < LENGTH);
    let grown = guard.resident().saturating_sub(rest);
    assert!(grown < SLACK, "{written} bytes were taken, and memory grew by {grown}");
    go.send(()).unwrap();
    assert!(writing.join().unwrap());
    assert_eq!(client.answer().text(), "ok");
    let grown = guard.resident().saturating_sub(rest);
    assert!(grown < SLACK, "memory grew by {grown}");
}

#[test]
fn a_download_waits_for_a_slow_client() {
    for head in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nX-Ends-With: the connection\r\n\r\n".to_owned(),
    ] {
        let (held_back, holding) = mpsc::channel();
        let length_known = head.contains("Content-Length");
        let upstream = Upstream::with(move |mut connection| {
            let stream = &mut connection.stream;
            while let Some(asked) = read_head(stream) {
                if asked.starts_with("GET /warm") {
                    stream.write_all(OK).unwrap();
                    continue;
                }
                stream.write_all(head.as_bytes()).unwrap();
                write_all_telling(stream, &held_back);
                return;
            }
        });
        let (guard, rest) = warm_guard(&upstream);
        let mut client = Client::connect(guard.address);
        client.send("GET /v2/logs HTTP/1.1\r\nHost: a\r\n\r\n");
        let written = holding.recv_timeout(PATIENCE).expect("the upstream must be held back");
        assert!(written < LENGTH);
        let grown = guard.resident().saturating_sub(rest);
        assert!(grown < SLACK, "{written} bytes were taken, and memory grew by {grown}");
        read_head(&mut client.stream).unwrap();
        if length_known {
            read_exactly(&mut client.stream, LENGTH);
        } else {
            read_chunks(&mut client.stream, LENGTH);
        }
        let grown = guard.resident().saturating_sub(rest);
        assert!(grown < SLACK, "memory grew by {grown}");
    }
}

/// Reads a chunked body of this length to its end.
fn read_chunks(stream: &mut TcpStream, length: u64) {
    let mut stream = std::io::BufReader::new(stream);
    let mut left = length;
    loop {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut stream, &mut line).unwrap();
        let size = u64::from_str_radix(line.trim_end(), 16).unwrap();
        if size == 0 {
            assert_eq!(left, 0);
            return;
        }
        left -= size;
        read_exactly(&mut stream, size + 2);
    }
}

#[test]
fn what_arrives_goes_on_before_more_comes() {
    let upstream = Upstream::with(|mut connection| {
        // What comes on a connection before a request is no answer to it.
        let mut seen = vec![0; 1024];
        let length = connection.stream.read(&mut seen).unwrap();
        seen.truncate(length);
        connection
            .stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .unwrap();
        // Answers each part of the body before the next one is sent.
        loop {
            let mut buffer = [0; 1024];
            let length = connection.stream.read(&mut buffer).unwrap();
            if length == 0 {
                return;
            }
            seen.extend_from_slice(&buffer[..length]);
            if seen.ends_with(b"ping\r\n") {
                seen.clear();
                connection.stream.write_all(b"4\r\npong\r\n").unwrap();
            } else if seen.ends_with(b"0\r\n\r\n") {
                connection.stream.write_all(b"0\r\n\r\n").unwrap();
                return;
            }
        }
    });
    let guard = Guard::start(&upstream.url(), "");
    let mut client = Client::connect(guard.address);
    client.send("POST /v2/publish/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    read_head(&mut client.stream).unwrap();
    for _ in 0..3 {
        client.send("4\r\nping\r\n");
        let mut pong = [0; 9];
        client.stream.read_exact(&mut pong).unwrap();
        assert_eq!(&pong, b"4\r\npong\r\n");
    }
    client.send("0\r\n\r\n");
    let mut end = [0; 5];
    client.stream.read_exact(&mut end).unwrap();
    assert_eq!(&end, b"0\r\n\r\n");
}
