//! Waiting for what must come, with a deadline.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use super::guard::Guard;
use super::upstream::PATIENCE;

/// Asks again until `done`; fails with the last answer when that does not come.
#[track_caller]
pub fn until<T: Debug>(mut ask: impl FnMut() -> T, done: impl Fn(&T) -> bool) -> T {
    let started = Instant::now();
    loop {
        let answer = ask();
        if done(&answer) {
            return answer;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "it did not come; the last answer was {answer:#?}"
        );
        // Only so that asking does not take the core from those who are asked.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

impl Guard {
    /// The value of one line of /metrics: the name with its labels as they are written there. 0 where it is not there.
    pub fn metric_line(&self, line: &str) -> u64 {
        let (status, text) = self.admin("/metrics");
        assert_eq!(status, 200);
        text.lines()
            .find_map(|found| found.strip_prefix(line)?.strip_prefix(' '))
            .map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a counter stands at this value.
    #[track_caller]
    pub fn wait_for_metric(&self, line: &str, value: u64) {
        until(|| self.metric_line(line), |found| *found >= value);
        assert_eq!(self.metric_line(line), value, "{line}");
    }

    /// The resident memory of the process, in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }
}

/// What was no HTTP, as /metrics counts it.
pub const MALFORMED: &str =
    r#"qstash_guard_requests_total{code="malformed_request",decision="deny",operation="malformed"}"#;
