//! Starts both sides, sends the steps, and puts everything away again.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, HOST};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::steps::{Expected, MOST_REPEATS, STEPS, Step, TokenIn};
use super::tell::{Met, Teller};
use crate::app::Guard;
use crate::config;
use crate::simulator::{CountHandling, DEV_TOKEN, Options, Simulator};

/// How many messages the simulator holds at the start.
const MESSAGES: usize = 40;

/// Runs the demo on standard output: whether everything met what it should.
pub(super) fn run() -> io::Result<bool> {
    let mut teller = Teller::new(anstream::stdout());
    let options = Options {
        messages: MESSAGES,
        count: CountHandling::Honoured,
        ..Options::default()
    };
    let simulator = Simulator::new(options);
    let folder = Folder::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let upstream = listener.local_addr()?;
        tokio::spawn(simulator.clone().serve(listener, std::future::pending()));
        let guard = Running::start(&format!("http://{upstream}"), folder.path())?;
        teller.begin(MESSAGES, upstream, guard.address)?;
        let mut client = connect(guard.address).await?;
        let mut as_expected = true;
        for (index, step) in STEPS.iter().enumerate() {
            let before = simulator.requests();
            let met = meet(&mut client, step).await?;
            let untouched = simulator.requests() - before == met.passed;
            let ok = met.is(step.expected) && untouched;
            as_expected &= ok;
            teller.step(index + 1, step, &met, simulator.pending(), ok)?;
        }
        drop(client);
        let stopped = tokio::task::spawn_blocking(move || guard.stop())
            .await
            .map_err(io::Error::other)?;
        stopped?;
        as_expected &= teller.trail(folder.path())?;
        teller.end(as_expected)?;
        Ok(as_expected)
    })
}

/// Sends a step, more than once where it says so.
async fn meet(client: &mut SendRequest<Full<Bytes>>, step: &Step) -> io::Result<Met> {
    let mut met = send(client, step).await?;
    if let Expected::RefusedInTheEnd(_) = step.expected {
        for _ in 1..MOST_REPEATS {
            if met.code.is_some() {
                break;
            }
            let next = send(client, step).await?;
            met = Met {
                passed: met.passed + next.passed,
                ..next
            };
        }
    }
    Ok(met)
}

async fn send(client: &mut SendRequest<Full<Bytes>>, step: &Step) -> io::Result<Met> {
    let target = match step.token {
        TokenIn::Header => step.target.to_owned(),
        TokenIn::Query => format!("{}?qstash_token={DEV_TOKEN}", step.target),
    };
    let mut request = Request::builder()
        .method(step.method)
        .uri(target)
        .header(HOST, "qstash.demo");
    if step.token == TokenIn::Header {
        request = request.header(AUTHORIZATION, format!("Bearer {DEV_TOKEN}"));
    }
    let request = request.body(Full::from(step.body)).map_err(io::Error::other)?;
    client.ready().await.map_err(io::Error::other)?;
    let response = client.send_request(request).await.map_err(io::Error::other)?;
    let status = response.status().as_u16();
    let code = response
        .headers()
        .get("qstash-guard-code")
        .and_then(|code| code.to_str().ok())
        .map(str::to_owned);
    let text = response
        .into_body()
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes();
    let error = serde_json::from_slice::<serde_json::Value>(&text)
        .ok()
        .and_then(|json| json.get("error").and_then(|error| error.as_str()).map(str::to_owned));
    Ok(Met {
        status,
        passed: u64::from(code.is_none()),
        code,
        error,
    })
}

async fn connect(address: std::net::SocketAddr) -> io::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    let (client, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(client)
}

/// A guard on a thread of its own.
struct Running {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), crate::app::GuardError>>,
}

impl Running {
    fn start(upstream: &str, folder: &Path) -> io::Result<Self> {
        let trail = serde_json::Value::from(folder.join("audit.jsonl").to_string_lossy());
        let text = format!(
            "listen: {{address: '127.0.0.1:0'}}\nadmin: null\nupstream: {{url: '{upstream}'}}\naudit: {{path: {trail}}}\n"
        );
        let loaded = config::compile("demo", &text, &|_| None).map_err(io::Error::other)?;
        let guard = Guard::start(loaded.settings, 1).map_err(io::Error::other)?;
        let (stop, told) = oneshot::channel();
        let address = guard.address();
        let thread = std::thread::Builder::new().name("guard".to_owned()).spawn(move || {
            guard.run_until(async {
                let _ = told.await;
            })
        })?;
        Ok(Running { address, stop, thread })
    }

    fn stop(self) -> io::Result<()> {
        let _ = self.stop.send(());
        match self.thread.join() {
            Ok(stopped) => stopped.map_err(io::Error::other),
            Err(_) => Err(io::Error::other("the guard ended by a panic")),
        }
    }
}

/// The folder of the demo's trail, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("qstash-guard-demo-{}", Uuid::now_v7()));
        std::fs::create_dir(&path)?;
        Ok(Folder(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            let _ = writeln!(io::stderr(), "{} could not be removed: {error}", self.0.display());
        }
    }
}
