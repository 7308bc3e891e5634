//! QStash's own clients, each a real process that is told what to call.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::PATIENCE;

/// A client in one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sdk {
    /// `@upstash/qstash`; cancels several ids with a JSON body.
    Npm290,
    /// `@upstash/qstash`; cancels with a query, and refuses empty ids by itself.
    Npm2120,
    /// `qstash` for Python; cancels several ids with a JSON body.
    Pypi340,
}

impl Sdk {
    /// What it calls the error of a rate limit.
    pub(crate) fn rate_limit_error(self) -> &'static str {
        match self {
            Sdk::Npm290 | Sdk::Npm2120 => "QstashRatelimitError",
            Sdk::Pypi340 => "RateLimitExceededError",
        }
    }

    /// Whether it refuses an empty id or list of ids itself. The others send it, and for QStash it is every message.
    pub(crate) fn minds_empty_ids(self) -> bool {
        self == Sdk::Npm2120
    }

    fn command(self) -> Command {
        // Cargo gives tests a folder in its target folder, where `install` puts the clients too.
        let clients = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients");
        let drivers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let folder = clients.join(match self {
            Sdk::Npm290 => "npm-2.9.0",
            Sdk::Npm2120 => "npm-2.12.0",
            Sdk::Pypi340 => "pypi",
        });
        assert!(
            folder.join(".installed").is_file(),
            "the client is missing from {}: run tests/clients/install",
            folder.display()
        );
        let mut command;
        if self == Sdk::Pypi340 {
            command = Command::new(folder.join("bin/python3"));
            command.arg(drivers.join("driver.py"));
        } else {
            command = Command::new("node");
            command.arg(drivers.join("driver.mjs")).arg(folder);
        }
        command
    }
}

/// A client process; killed by its id when dropped.
pub(crate) struct Client {
    child: Child,
    calls: ChildStdin,
    answers: Receiver<String>,
}

/// The error that a call raised.
#[derive(Debug)]
pub(crate) struct Raised(Value);

impl Raised {
    /// The name of its class.
    pub(crate) fn class(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    /// What a person reads.
    pub(crate) fn message(&self) -> &str {
        self.0["message"].as_str().unwrap()
    }

    /// The limit that a rate limit error tells.
    pub(crate) fn limit(&self) -> &str {
        self.0["limit"].as_str().unwrap()
    }
}

impl Client {
    /// A client that takes this address for QStash, and has this token.
    pub(crate) fn start(sdk: Sdk, qstash: SocketAddr, token: &str) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut child = sdk
            .command()
            // Nothing else of this environment: a region, a proxy or a development server would lead elsewhere.
            .env_clear()
            .env("PATH", path)
            .env("QSTASH_URL", format!("http://{qstash}"))
            .env("QSTASH_TOKEN", token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{sdk:?} does not start ({error}): run tests/clients/install"));
        let calls = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (answered, answers) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if answered.send(line).is_err() {
                    return;
                }
            }
        });
        Client { child, calls, answers }
    }

    /// Publishes to a destination; the message's id.
    pub(crate) fn publish(&mut self, url: &str, label: &str) -> String {
        let published = self.call(&json!({"call": "publish", "url": url, "label": label}));
        published.unwrap().as_str().unwrap().to_owned()
    }

    /// Cancels these; how many were.
    pub(crate) fn cancel_ids(&mut self, ids: &[&str]) -> Result<u64, Raised> {
        self.cancel(&json!({"call": "cancel_ids", "ids": ids}))
    }

    /// Cancels what has a label, at most so many.
    pub(crate) fn cancel_label(&mut self, label: &str, count: u32) -> Result<u64, Raised> {
        self.cancel(&json!({"call": "cancel_label", "label": label, "count": count}))
    }

    /// Cancels everything.
    pub(crate) fn cancel_all(&mut self) -> Result<u64, Raised> {
        self.cancel(&json!({"call": "cancel_all"}))
    }

    /// Cancels one message.
    pub(crate) fn cancel_one(&mut self, id: &str) -> Result<(), Raised> {
        self.call(&json!({"call": "cancel_one", "id": id})).map(drop)
    }

    fn cancel(&mut self, call: &Value) -> Result<u64, Raised> {
        self.call(call)
            .map(|value| value.as_u64().unwrap_or_else(|| panic!("{call}: {value}")))
    }

    fn call(&mut self, call: &Value) -> Result<Value, Raised> {
        writeln!(self.calls, "{call}").unwrap();
        let answer = self.answers.recv_timeout(PATIENCE);
        let answer = answer.unwrap_or_else(|error| panic!("{call} was not answered: {error}"));
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        match answer["error"].take() {
            Value::Null => Ok(answer["value"].take()),
            error => Err(Raised(error)),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
