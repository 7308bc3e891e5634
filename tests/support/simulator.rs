//! A simulator process: the in-memory QStash of the real binary, on a free loopback port.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use qstash_guard::simulator::DEV_TOKEN;

/// A running simulator; killed by its id when dropped.
pub struct Simulator {
    pub address: SocketAddr,
    child: Child,
}

impl Simulator {
    /// One with these arguments after `simulate`.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
            .args(["simulate", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It greets with its address, and writes nothing after that.
        let mut greeting = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut greeting)
            .unwrap();
        let address = greeting
            .split_once("http://")
            .and_then(|(_, rest)| rest.split(',').next())
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("no simulator: {greeting:?}"));
        Simulator { address, child }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The ids of the messages that are still to be delivered, asked of the simulator itself.
    pub fn pending(&self) -> BTreeSet<String> {
        let (created, cancelled) = (self.messages("CREATED"), self.messages("CANCELLED"));
        created.difference(&cancelled).cloned().collect()
    }

    /// The message with this id as the simulator holds it.
    pub fn message(&self, id: &str) -> serde_json::Value {
        self.get(&format!("/v2/messages/{id}"))
    }

    /// The ids of the messages that came into this state. One page is enough for a test.
    fn messages(&self, state: &str) -> BTreeSet<String> {
        let answer = self.get(&format!("/v2/logs?state={state}"));
        assert!(answer["cursor"].is_null(), "more than a page of {state}");
        let entries = answer["logs"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["messageId"].as_str().unwrap().to_owned())
            .collect()
    }

    fn get(&self, target: &str) -> serde_json::Value {
        let authorization = format!("Authorization: Bearer {DEV_TOKEN}");
        let answer = super::request(self.address, "GET", target, &[&authorization], b"");
        assert_eq!(answer.status(), 200, "{target}: {answer:?}");
        answer.json()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
