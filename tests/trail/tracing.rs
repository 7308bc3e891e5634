//! A guard under strace: what it does in which order, and disks that are slow.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use crate::support::{Folder, Guard, Upstream};

/// The guard traced by strace, which follows it as a grandchild: the process that is signalled and waited for is the
/// guard itself. `strace` are further arguments.
pub(crate) fn traced(upstream: &Upstream, yaml: &str, strace: &[&str]) -> (Guard, PathBuf) {
    let folder = Arc::new(Folder::new());
    let trace = folder.path().join("trace");
    let guard = Guard::command(&folder, &upstream.url(), yaml);
    let mut command = Command::new("strace");
    command
        .args(["-D", "-f", "-yy", "-s", "65536", "-o"])
        .arg(&trace)
        .args(strace);
    command
        .arg(guard.get_program())
        .args(guard.get_args())
        .current_dir(folder.path());
    (Guard::spawn(folder, command), trace)
}

/// One line of the trace: the thread and what it did.
pub(crate) struct Call<'t> {
    pub(crate) thread: &'t str,
    pub(crate) text: &'t str,
}

pub(crate) fn calls(trace: &str) -> Vec<Call<'_>> {
    let lines = trace.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(thread, text)| Call {
            thread,
            text: text.trim_start(),
        })
        .collect()
}

impl Call<'_> {
    /// Whether it begins to write bytes that hold `text`, to a file or socket that `place` describes.
    pub(crate) fn writes(&self, place: &str, text: &str) -> bool {
        let write = ["write(", "writev(", "pwrite64(", "sendto(", "sendmsg("]
            .iter()
            .any(|call| self.text.starts_with(call));
        write && self.text.contains(place) && self.text.contains(text)
    }
}

/// Where the sync that follows line `from` on the same thread has returned.
pub(crate) fn synced_after(calls: &[Call<'_>], from: usize) -> usize {
    let thread = calls[from].thread;
    let own = calls
        .iter()
        .enumerate()
        .skip(from + 1)
        .filter(|(_, call)| call.thread == thread);
    let mut begun = false;
    for (at, call) in own {
        begun |= call.text.starts_with("fdatasync(");
        let returned = call.text.starts_with("fdatasync(") && call.text.ends_with("= 0")
            || call.text.starts_with("<... fdatasync resumed>") && call.text.contains("= 0");
        if begun && returned {
            return at;
        }
    }
    panic!("no sync follows: {}", calls[from].text);
}
