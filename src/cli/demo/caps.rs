//! One capped cancel before each generation of QStash, with QStash and with the guard to enforce the cap.

use std::io;
use std::path::Path;

use tokio::net::TcpListener;

use super::client::{Answer, Client};
use super::guard::{Folder, Running};
use crate::audit::read::{self, Entry};
use crate::simulator::{CountHandling, Options, Simulator};

/// How many messages are pending each time the cancel is sent; of every five seeded one has the label.
const MESSAGES: usize = 30;
/// How many of them have the label.
pub(super) const MATCHES: usize = MESSAGES / 5;
/// The cancel.
pub(super) const TARGET: &str = "/v2/messages?label=label-1&count=2";

/// Where the cancel is sent, and what should become of it, and of the same once more.
pub(super) struct Case {
    pub(super) qstash: CountHandling,
    pub(super) enforced_by: &'static str,
    expected: [Attempt; 2],
    /// The events of the trail between its start and its end.
    trail: &'static [&'static str],
}

/// What became of the cancel.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Attempt {
    status: u16,
    refused: bool,
    gone: usize,
}

/// A case as it came.
pub(super) struct Came {
    pub(super) case: &'static Case,
    /// Its two attempts: what was answered, and how many messages were gone then.
    pub(super) attempts: [(Answer, usize); 2],
    /// The records between the trail's start and its end.
    pub(super) trail: Vec<Entry>,
    intact: bool,
}

const fn passed(status: u16, gone: usize) -> Attempt {
    Attempt {
        status,
        refused: false,
        gone,
    }
}

const CASES: [Case; 4] = [
    Case {
        qstash: CountHandling::Honoured,
        enforced_by: "qstash",
        expected: [passed(200, 2), passed(200, 2)],
        trail: &["intent", "outcome", "intent", "outcome"],
    },
    Case {
        qstash: CountHandling::Honoured,
        enforced_by: "guard",
        expected: [passed(200, 2), passed(200, 2)],
        trail: &["intent", "outcome", "intent", "outcome"],
    },
    Case {
        qstash: CountHandling::Ignored,
        enforced_by: "qstash",
        // The danger: all that match are gone. It doesn't happen a second time.
        expected: [
            passed(202, MATCHES),
            Attempt {
                status: 403,
                refused: true,
                gone: 0,
            },
        ],
        trail: &["intent", "outcome", "cap_overrun", "denied"],
    },
    Case {
        qstash: CountHandling::Ignored,
        enforced_by: "guard",
        expected: [passed(200, 2), passed(200, 2)],
        trail: &["intent", "outcome", "intent", "outcome"],
    },
];

impl Case {
    /// What QStash makes of the count, in a word.
    pub(super) fn count(&self) -> &'static str {
        match self.qstash {
            CountHandling::Honoured => "honoured",
            CountHandling::Ignored => "ignored",
        }
    }
}

impl Came {
    /// What should have come, in a few words.
    pub(super) fn expected(&self) -> String {
        let attempts = self.case.expected.map(|attempt| {
            let refused = if attempt.refused { " of the guard" } else { "" };
            format!("{}{refused}, {} gone", attempt.status, attempt.gone)
        });
        format!("{}; {}", attempts.join("; "), self.case.trail.join(" "))
    }

    /// Whether the answers, the messages and the trail are as they should be.
    pub(super) fn as_expected(&self) -> bool {
        let attempts = self.attempts.each_ref().map(|(answer, gone)| Attempt {
            status: answer.status,
            refused: answer.code.is_some(),
            gone: *gone,
        });
        let told_right = self
            .attempts
            .iter()
            .all(|(answer, gone)| answer.cancelled.is_none_or(|told| usize::try_from(told) == Ok(*gone)));
        let events = self.trail.iter().map(|entry| entry.event.as_str());
        attempts == self.case.expected && told_right && events.eq(self.case.trail.iter().copied()) && self.intact
    }
}

/// Plays all cases.
pub(super) async fn run() -> io::Result<Vec<Came>> {
    let mut came = Vec::with_capacity(CASES.len());
    for case in &CASES {
        came.push(play(case).await?);
    }
    Ok(came)
}

async fn play(case: &'static Case) -> io::Result<Came> {
    let simulator = Simulator::new(Options {
        messages: MESSAGES,
        count: case.qstash,
        ..Options::default()
    });
    let folder = Folder::new()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let upstream = listener.local_addr()?;
    tokio::spawn(simulator.clone().serve(listener, std::future::pending()));
    let policy = format!("policy: {{bulk_cancel: {{cap_enforced_by: {}}}}}", case.enforced_by);
    let guard = Running::start(upstream, folder.path(), &policy)?;
    let mut client = Client::connect(guard.address).await?;
    let first = attempt(&simulator, &mut client).await?;
    // As many again, so that the second one finds what the first one found, whatever that left.
    simulator.seed(MESSAGES);
    let second = attempt(&simulator, &mut client).await?;
    drop(client);
    guard.stop().await?;
    let (trail, intact) = trail(folder.path())?;
    Ok(Came {
        case,
        attempts: [first, second],
        trail,
        intact,
    })
}

async fn attempt(simulator: &Simulator, client: &mut Client) -> io::Result<(Answer, usize)> {
    let before = simulator.pending();
    let answer = client.send("DELETE", TARGET, "").await?;
    Ok((answer, before - simulator.pending()))
}

/// The records between the trail's start and its end, and whether it is intact.
fn trail(folder: &Path) -> io::Result<(Vec<Entry>, bool)> {
    let inputs = read::inputs(&[folder.to_owned()]).map_err(io::Error::other)?;
    let report = read::verify(&inputs, None).map_err(io::Error::other)?;
    let text = std::fs::read_to_string(folder.join("audit.jsonl"))?;
    let mut entries = Vec::new();
    for line in text.lines() {
        let entry = Entry::parse(line.as_bytes()).map_err(io::Error::other)?;
        if entry.event != "started" && entry.event != "stopped" {
            entries.push(entry);
        }
    }
    Ok((entries, report.exit_code() == 0))
}
