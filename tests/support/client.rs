//! A client that writes raw bytes and reads one answer.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::upstream::PATIENCE;

/// A connection to the guard, over TCP or what stands on it.
pub struct Client<S = TcpStream> {
    pub stream: S,
    read: Vec<u8>,
}

/// An answer as it arrived: its head as text, its body without chunk framing.
#[derive(Debug)]
pub struct Answer {
    pub head: String,
    pub body: Vec<u8>,
    /// The trailer lines of a chunked answer.
    pub trailers: Vec<String>,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of the guard's own answer; empty where it is the upstream's.
    pub fn code(&self) -> String {
        self.header("qstash-guard-code")
            .first()
            .map_or_else(String::new, |code| (*code).to_owned())
    }

    pub fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.split("\r\n").skip(1).filter(|line| !line.is_empty());
        lines
            .filter(|line| line.split(':').next().unwrap().eq_ignore_ascii_case(name))
            .map(|line| line.split_once(':').unwrap().1.trim())
            .collect()
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Client::over(TcpStream::connect(address).unwrap())
    }

    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client::on(stream)
    }

    /// A connection from another address of this machine.
    pub fn connect_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Client::over(socket.into())
    }
}

impl<S: Read + Write> Client<S> {
    /// A connection over what is open already.
    pub fn on(stream: S) -> Self {
        Client {
            stream,
            read: Vec::new(),
        }
    }

    /// Writes raw bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Reads an answer with a body.
    pub fn answer(&mut self) -> Answer {
        self.read_answer(true).expect("an answer")
    }

    /// Reads an answer without a body, as to HEAD.
    pub fn answer_without_body(&mut self) -> Answer {
        self.read_answer(false).expect("an answer")
    }

    /// Reads an answer; `None` where the guard closed the connection instead.
    pub fn read_answer(&mut self, with_body: bool) -> Option<Answer> {
        let head_end = self.until(b"\r\n\r\n")?;
        let head: Vec<u8> = self.read.drain(..head_end).collect();
        let mut answer = Answer {
            head: String::from_utf8_lossy(&head).into_owned(),
            body: Vec::new(),
            trailers: Vec::new(),
        };
        if answer.status() < 200 {
            return self.read_answer(with_body);
        }
        if !with_body || matches!(answer.status(), 204 | 304) {
            return Some(answer);
        }
        if !answer.header("transfer-encoding").is_empty() {
            loop {
                let line = self.line()?;
                let size = usize::from_str_radix(line.split(';').next().unwrap(), 16).unwrap();
                if size == 0 {
                    break;
                }
                let chunk = self.exactly(size + 2)?;
                answer.body.extend_from_slice(&chunk[..size]);
            }
            loop {
                let line = self.line()?;
                if line.is_empty() {
                    break;
                }
                answer.trailers.push(line);
            }
        } else if let Some(length) = answer.header("content-length").first().copied() {
            answer.body = self.exactly(length.parse().unwrap())?;
        } else {
            while self.fill() {}
            answer.body = std::mem::take(&mut self.read);
        }
        Some(answer)
    }

    /// Sends a request and reads its answer: method, target, further header lines, body.
    pub fn request(&mut self, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: guard.test\r\n");
        for line in headers {
            text.push_str(line);
            text.push_str("\r\n");
        }
        if !body.is_empty() {
            write!(text, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        text.push_str("\r\n");
        self.send(text);
        self.send(body);
        if method == "HEAD" {
            self.answer_without_body()
        } else {
            self.answer()
        }
    }

    /// Whether the guard has closed the connection, once everything before is read.
    pub fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !self.fill()
    }

    fn line(&mut self) -> Option<String> {
        let end = self.until(b"\r\n")?;
        let line: Vec<u8> = self.read.drain(..end).collect();
        Some(String::from_utf8_lossy(&line[..end - 2]).into_owned())
    }

    fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.read.len() < length {
            if !self.fill() {
                return None;
            }
        }
        Some(self.read.drain(..length).collect())
    }

    fn until(&mut self, wanted: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.read.windows(wanted.len()).position(|window| window == wanted) {
                return Some(at + wanted.len());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.read.extend_from_slice(&buffer[..length]);
                true
            }
            // TLS tells an end without its own goodbye.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => false,
            Err(error) => panic!("the guard did not answer: {error}"),
        }
    }
}

/// A request over a connection of its own: method, target, further header lines, body.
pub fn request(address: SocketAddr, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Answer {
    Client::connect(address).request(method, target, headers, body)
}
