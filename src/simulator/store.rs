//! All state of a simulator. It grows with what is published, and with nothing else that a client does often.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    actions::Actions,
    answer::Refusal,
    filters::Filter,
    message::{DEAD_HOST, Message, message_id, message_index, now},
    queues::Queue,
    schedules::Schedule,
};

/// How long a deduplication id is remembered, in milliseconds (QStash docs: deduplication, 10 minutes).
const DEDUPLICATION_WINDOW: i64 = 10 * 60 * 1000;

/// Messages and all that belongs to them. Messages are named by their index in publishing order.
#[derive(Default)]
pub(super) struct Store {
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) schedules: BTreeMap<String, Schedule>,
    /// How often the signing keys were rotated.
    pub(super) rotations: u64,
    pub(super) actions: Actions,
    messages: Vec<Message>,
    log: Vec<Entry>,
    pending: BTreeSet<usize>,
    dead: BTreeSet<usize>,
    deduplication: HashMap<String, usize>,
    seeded: usize,
}

/// One entry of the log: a message came into a state.
pub(super) struct Entry {
    pub(super) index: usize,
    pub(super) state: State,
    pub(super) time: i64,
}

/// The states that messages of the simulator go through (QStash API: List logs, `state`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Created,
    Active,
    Cancelled,
    Failed,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Active => "ACTIVE",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }
}

impl Store {
    /// Adds a message and the queue it names, and tells its index. One to [`DEAD_HOST`] goes to the DLQ.
    pub(super) fn add(&mut self, message: Message) -> usize {
        let dead = message.host().0.eq_ignore_ascii_case(DEAD_HOST);
        let index = self.add_waiting(message);
        if dead && self.pending.remove(&index) {
            self.dead.insert(index);
            self.note(index, State::Failed);
        }
        index
    }

    /// Adds a message that waits, wherever it goes.
    pub(super) fn add_waiting(&mut self, message: Message) -> usize {
        let index = self.messages.len();
        if let Some(name) = &message.queue
            && !self.queues.contains_key(name)
        {
            self.queues.insert(name.clone(), Queue::new(1));
        }
        let in_flight = message.is_in_flight();
        self.messages.push(message);
        self.pending.insert(index);
        self.note(index, State::Created);
        if in_flight {
            self.note(index, State::Active);
        }
        index
    }

    /// Adds a message unless one with the same deduplication id was added within ten minutes; then tells that one, and
    /// `true`.
    pub(super) fn add_once(&mut self, message: Message, deduplication_id: Option<String>) -> (usize, bool) {
        let Some(id) = deduplication_id else {
            return (self.add(message), false);
        };
        let earlier = self.deduplication.get(&id).copied();
        if let Some(index) = earlier
            && self
                .message(index)
                .is_some_and(|earlier| message.created_at - earlier.created_at < DEDUPLICATION_WINDOW)
        {
            return (index, true);
        }
        let index = self.add(message);
        self.deduplication.insert(id, index);
        (index, false)
    }

    pub(super) fn message(&self, index: usize) -> Option<&Message> {
        self.messages.get(index)
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The pending message of that id.
    pub(super) fn waiting(&mut self, id: &str) -> Result<(usize, &mut Message), Refusal> {
        let index = message_index(id).filter(|index| self.pending.contains(index));
        index
            .and_then(|index| Some((index, self.messages.get_mut(index)?)))
            .ok_or_else(|| Refusal::not_found("message"))
    }

    /// Pending messages that match, oldest first.
    pub(super) fn matching<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = (usize, &'a Message)> {
        choose(&self.messages, &self.pending, filter)
    }

    /// Messages in the DLQ that match, oldest first.
    pub(super) fn dead<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = (usize, &'a Message)> {
        choose(&self.messages, &self.dead, filter)
    }

    /// Takes a message out of the DLQ; `false` when it isn't there.
    pub(super) fn bury(&mut self, index: usize) -> bool {
        self.dead.remove(&index)
    }

    pub(super) fn is_dead(&self, index: usize) -> bool {
        self.dead.contains(&index)
    }

    /// Whether the message is pending and can't be cancelled.
    pub(super) fn is_in_flight(&self, index: usize) -> bool {
        self.pending.contains(&index) && self.message(index).is_some_and(Message::is_in_flight)
    }

    /// Cancels a message; `false` when it isn't pending, or in flight.
    pub(super) fn cancel(&mut self, index: usize) -> bool {
        let cancelled = !self.is_in_flight(index) && self.pending.remove(&index);
        if cancelled {
            self.note(index, State::Cancelled);
        }
        cancelled
    }

    /// Adds copies of a message, as they would be published now.
    pub(super) fn arrive(&mut self, like: usize, count: usize) {
        for _ in 0..count {
            let Some(message) = self.message(like) else { return };
            let time = now();
            let copy = Message {
                created_at: time,
                not_before: time,
                ..message.clone()
            };
            self.add(copy);
        }
    }

    /// How many messages were ever added, which is also the index of the next one.
    pub(super) fn published(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn log(&self) -> &[Entry] {
        &self.log
    }

    /// The number of the next message to seed.
    pub(super) fn next_seed(&mut self) -> usize {
        self.seeded += 1;
        self.seeded - 1
    }

    fn note(&mut self, index: usize, state: State) {
        let time = now();
        self.log.push(Entry { index, state, time });
    }
}

/// The answer to a publish: the id, and whether it is that of an earlier message.
pub(super) fn published_json(index: usize, deduplicated: bool) -> serde_json::Value {
    let mut shown = serde_json::json!({ "messageId": message_id(index) });
    if deduplicated {
        shown["deduplicated"] = true.into();
    }
    shown
}

fn choose<'a>(
    messages: &'a [Message],
    of: &'a BTreeSet<usize>,
    filter: &'a Filter,
) -> impl Iterator<Item = (usize, &'a Message)> {
    of.iter()
        .filter_map(|index| Some((*index, messages.get(*index)?)))
        .filter(|(index, message)| filter.matches(*index, message))
}
