//! A guard process: the real binary, on free loopback ports.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;

use super::folder::Folder;
use super::upstream::PATIENCE;

/// A running guard; killed by its id when dropped.
pub struct Guard {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    /// Its folder: `guard.yaml`, `audit/`.
    pub folder: Arc<Folder>,
    pub child: Child,
    log: Arc<Mutex<String>>,
    reading: Option<std::thread::JoinHandle<()>>,
}

impl Guard {
    /// A guard before this upstream, with further configuration (YAML, whole sections; `listen`, `admin` and
    /// `upstream.url` are set by command line).
    pub fn start(upstream: &str, yaml: &str) -> Self {
        Guard::start_in(Arc::new(Folder::new()), upstream, yaml)
    }

    /// The same in a folder that may hold an earlier trail.
    pub fn start_in(folder: Arc<Folder>, upstream: &str, yaml: &str) -> Self {
        let command = Guard::command(&folder, upstream, yaml);
        Guard::spawn(folder, command)
    }

    /// The command that starts it, to be changed or wrapped.
    pub fn command(folder: &Folder, upstream: &str, yaml: &str) -> Command {
        let config = folder.write("guard.yaml", yaml);
        let mut command = Command::new(env!("CARGO_BIN_EXE_qstash-guard"));
        command.args([
            "run",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--upstream",
            upstream,
            "--config",
        ]);
        command.arg(config).current_dir(folder.path());
        command
    }

    /// Runs a command and waits until it says that it listens.
    pub fn spawn(folder: Arc<Folder>, mut command: Command) -> Self {
        command.stdout(Stdio::null());
        Guard::spawn_with_stdout(folder, command)
    }

    /// The same, standard output being the command's own.
    pub fn spawn_with_stdout(folder: Arc<Folder>, mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let (mut address, mut admin) = (None, None);
        while address.is_none() {
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("no guard: {}", log.lock().unwrap()))
                .unwrap();
            writeln!(log.lock().unwrap(), "{line}").unwrap();
            let Ok(entry) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            if entry["message"] == "listening" {
                let of = |name: &str| entry[name].as_str().map(|text| text.parse::<SocketAddr>().unwrap());
                (address, admin) = (of("address"), of("admin"));
            }
        }
        let all = Arc::clone(&log);
        let reading = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                writeln!(all.lock().unwrap(), "{line}").unwrap();
            }
        });
        Guard {
            address: address.unwrap(),
            admin: admin.unwrap(),
            folder,
            child,
            log,
            reading: Some(reading),
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The path of its trail.
    pub fn trail_path(&self) -> PathBuf {
        self.folder.path().join("audit/audit.jsonl")
    }

    /// The records of its trail.
    pub fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.trail_path()).unwrap();
        // A line that is being written has no end yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The records of one event.
    pub fn records_of(&self, event: &str) -> Vec<Value> {
        self.records()
            .into_iter()
            .filter(|record| record["event"] == event)
            .collect()
    }

    /// Waits until there are this many records of an event; fails when they do not come.
    #[track_caller]
    pub fn wait_for(&self, event: &str, number: usize) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let records = self.records_of(event);
            if records.len() >= number {
                return records;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "only {records:#?} of {event}; log: {}",
                self.log()
            );
            std::thread::yield_now();
        }
    }

    /// An answer of the admin port: status and text.
    pub fn admin(&self, path: &str) -> (u16, String) {
        let answer = super::request(self.admin, "GET", path, &[], b"");
        (answer.status(), answer.text())
    }

    /// The sum of a metric's series that have all these labels (`name="value"`).
    pub fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        let (status, text) = self.admin("/metrics");
        assert_eq!(status, 200);
        let series = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
                && labels.iter().all(|l| line.contains(l))
        });
        series
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < PATIENCE, "{what} never came; log: {}", self.log());
            std::thread::yield_now();
        }
    }

    /// Runs `qstash-guard audit verify` over its folder of records; exit code and output.
    pub fn verify(&self) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
            .args(["audit", "verify"])
            .arg(self.trail_path().parent().unwrap())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Stops it with SIGTERM; its exit and whole log.
    pub fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for its end; its exit and whole log.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let ended = super::wait::until(|| self.child.try_wait().unwrap(), Option::is_some);
        let status = ended.unwrap();
        self.reading.take().unwrap().join().unwrap();
        (status, self.log())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
