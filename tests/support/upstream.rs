//! An upstream that keeps every byte that arrives, connection by connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A recording upstream on a free loopback port. Its threads end with the test process.
pub struct Upstream {
    pub address: SocketAddr,
    received: Arc<Received>,
}

/// What arrived, in the order in which it did.
#[derive(Default)]
struct Received {
    connections: AtomicUsize,
    /// Each read with the number of its connection.
    reads: Mutex<Vec<(usize, Vec<u8>)>>,
}

/// One request as it arrived: the bytes of its head (with the empty line) and of its body (chunks as framed).
#[derive(Clone, Debug)]
pub struct RawRequest {
    pub head: String,
    pub body: Vec<u8>,
}

impl RawRequest {
    /// The request line without its end.
    pub fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap()
    }

    /// The target of the request line.
    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap()
    }

    /// The header lines as they were written.
    pub fn headers(&self) -> Vec<&str> {
        self.head
            .split("\r\n")
            .skip(1)
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// The values of a header, its name in any case.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let named = |line: &&str| line.split(':').next().unwrap().eq_ignore_ascii_case(name);
        self.headers()
            .into_iter()
            .filter(named)
            .map(|line| line.split_once(':').unwrap().1.trim())
            .collect()
    }
}

impl Upstream {
    /// Answers each request with the bytes that `answer` gives.
    pub fn answering(answer: impl Fn(&RawRequest) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Upstream::with(move |mut connection| {
            while let Some(request) = connection.read_request() {
                if connection.stream.write_all(&answer(&request)).is_err() {
                    return;
                }
            }
        })
    }

    /// The same, and closes the connection behind an answer that is shorter than it says.
    pub fn breaking_off(answer: impl Fn(&RawRequest) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Upstream::with(move |mut connection| {
            while let Some(request) = connection.read_request() {
                let answer = answer(&request);
                let is_short = String::from_utf8_lossy(&answer).contains(SHORT);
                if connection.stream.write_all(&answer).is_err() || is_short {
                    return;
                }
            }
        })
    }

    /// Answers every request with 202 and this JSON.
    pub fn json(body: &'static str) -> Self {
        Upstream::answering(move |_| answer("202 Accepted", body))
    }

    /// Hands each connection to `serve`, on a thread of its own.
    pub fn with(serve: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Received> = Arc::default();
        let (all, serve) = (Arc::clone(&received), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let number = all.connections.fetch_add(1, Ordering::SeqCst);
                let (serve, received, stream) = (Arc::clone(&serve), Arc::clone(&all), stream.unwrap());
                std::thread::spawn(move || {
                    serve(Connection {
                        stream,
                        number,
                        received,
                        read: Vec::new(),
                    });
                });
            }
        });
        Upstream { address, received }
    }

    /// All bytes received so far, over all connections in the order they were opened.
    pub fn bytes(&self) -> Vec<u8> {
        self.by_connection().concat()
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.received.connections.load(Ordering::SeqCst)
    }

    /// The requests received so far, in the order in which their ends arrived.
    pub fn requests(&self) -> Vec<RawRequest> {
        let mut requests = Vec::new();
        // Counted behind the lock: whatever was read by then came over a connection that is counted.
        let reads = self.received.reads.lock().unwrap();
        let mut open: Vec<Vec<u8>> = vec![Vec::new(); self.connections()];
        for (connection, read) in reads.iter() {
            let bytes = &mut open[*connection];
            bytes.extend_from_slice(read);
            while let Some((request, length)) = first_request(bytes) {
                requests.push(request);
                bytes.drain(..length);
            }
        }
        requests
    }

    fn by_connection(&self) -> Vec<Vec<u8>> {
        let reads = self.received.reads.lock().unwrap();
        let mut connections = vec![Vec::new(); self.connections()];
        for (connection, read) in reads.iter() {
            connections[*connection].extend_from_slice(read);
        }
        connections
    }

    /// Waits until this many requests were received; gives the last of them.
    #[track_caller]
    pub fn wait_for(&self, number: usize) -> RawRequest {
        let started = Instant::now();
        loop {
            let requests = self.requests();
            if requests.len() >= number {
                return requests[number - 1].clone();
            }
            assert!(started.elapsed() < PATIENCE, "only {requests:#?} arrived");
            std::thread::yield_now();
        }
    }

    /// The authority of its URL.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The one request received.
    pub fn request(&self) -> RawRequest {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "the upstream got {requests:#?}");
        requests.remove(0)
    }

    /// Asserts that nothing arrived: no denial may reach the upstream with a single byte.
    #[track_caller]
    pub fn assert_untouched(&self) {
        assert_eq!(
            String::from_utf8_lossy(&self.bytes()),
            "",
            "the upstream must have got nothing"
        );
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A connection of the upstream; what is read through it is recorded.
pub struct Connection {
    pub stream: TcpStream,
    number: usize,
    received: Arc<Received>,
    read: Vec<u8>,
}

impl Connection {
    /// Reads the next whole request; `None` at the end of the connection.
    pub fn read_request(&mut self) -> Option<RawRequest> {
        loop {
            if let Some((request, length)) = first_request(&self.read) {
                self.read.drain(..length);
                return Some(request);
            }
            self.read_some()?;
        }
    }

    /// Reads what there is, and gives how much; `None` at the end.
    pub fn read_some(&mut self) -> Option<usize> {
        let mut buffer = [0; 16 * 1024];
        let length = self.stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        let read = (self.number, buffer[..length].to_vec());
        self.received.reads.lock().unwrap().push(read);
        self.read.extend_from_slice(&buffer[..length]);
        Some(length)
    }
}

/// An answer with this status and JSON body.
pub fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// An answer with 202 that ends behind this JSON, and says that there is more.
pub fn broken_off(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 202 Accepted\r\n{SHORT}\r\n\r\n{body}").into_bytes()
}

const SHORT: &str = "Content-Length: 999";

/// The first whole request of these bytes, and its length.
fn first_request(bytes: &[u8]) -> Option<(RawRequest, usize)> {
    let end = find(bytes, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut request = RawRequest { head, body: Vec::new() };
    let length = if request.header("transfer-encoding").is_empty() {
        request
            .header("content-length")
            .first()
            .map_or(0, |length| length.parse().unwrap())
    } else {
        chunked_length(&bytes[end..])?
    };
    let body = bytes.get(end..end + length)?;
    request.body = body.to_vec();
    Some((request, end + length))
}

/// The length of a whole chunked body, its trailers included.
fn chunked_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line_end = at + find(&bytes[at..], b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..line_end])
            .unwrap()
            .split(';')
            .next()
            .unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        at = line_end + 2;
        if size == 0 {
            // Trailers end with an empty line, which is the first one where there are none.
            let mut from = at;
            loop {
                let end = from + find(&bytes[from..], b"\r\n")?;
                if end == from {
                    return Some(end + 2);
                }
                from = end + 2;
            }
        }
        at += size + 2;
        bytes.get(..at)?;
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// How long tests wait for what must come; long, since it is only spent on a failure.
pub const PATIENCE: Duration = Duration::from_secs(20);
