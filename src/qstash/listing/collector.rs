//! Pages in, ids out.

use std::collections::{HashMap, HashSet};

use super::matching::{self, Match};
use super::page::{Entry, Page};
use crate::qstash::selection::Selection;

/// The most pages that are read for one cancel.
pub const MAX_PAGES: usize = 200;
/// The most entries that are looked at for one cancel; a page may have more than it was asked for.
pub const MAX_ENTRIES: usize = 25_000;
/// The longest cursor that is sent back, in bytes.
const MAX_CURSOR: usize = 2048;

/// Collects the ids that a cancel may take, page by page. What is known of a message is decided over all its entries on
/// all pages read: a listing may repeat entries, or hold them in any order.
#[derive(Debug)]
pub struct Collector {
    selection: Selection,
    count: u64,
    messages: Vec<Message>,
    places: HashMap<String, usize>,
    cursors: HashSet<String>,
    pages: usize,
    entries: usize,
}

/// What comes after a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The page at this cursor.
    Page(String),
    /// Nothing: enough was found, or the listing has ended.
    Done,
}

/// Why a listing cannot be used. Nothing was sent then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListingFault {
    /// An answer is no page of a listing, or holds an id that could mean more than itself.
    #[error("an answer is no page of a listing that could be trusted")]
    Unreadable,
    /// A cursor leads back to a page that was read.
    #[error("it leads back to a page that was read already")]
    Circular,
    /// It did not end within [`MAX_PAGES`] pages or [`MAX_ENTRIES`] entries.
    #[error("it did not end within {MAX_PAGES} pages; narrow the filter, or cancel by messageIds")]
    Endless,
}

/// The filter for which some entry does not show what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolvable(pub String);

/// What its entries say of a message.
#[derive(Debug)]
struct Message {
    id: String,
    is_final: bool,
    matches: bool,
    differs: bool,
    /// The filter that some entry could not answer, by its place.
    lacks: Option<String>,
    created: Option<u64>,
    earliest: Option<u64>,
}

/// Whether a message may be sent.
enum Standing<'m> {
    Selected,
    LeftOut,
    /// It takes an entry that was not read so far: that of its creation.
    Undated(&'static str),
    Lacking(&'m str),
}

impl Collector {
    /// For a cancel of this selection, `count` messages at most.
    pub fn new(selection: Selection, count: u64) -> Self {
        Collector {
            selection,
            count,
            messages: Vec::new(),
            places: HashMap::new(),
            cursors: HashSet::new(),
            pages: 0,
            entries: 0,
        }
    }

    /// Takes in the next page.
    ///
    /// # Errors
    /// [`ListingFault`]: then the listing is of no use.
    pub fn take(&mut self, page: &[u8]) -> Result<Next, ListingFault> {
        let page = Page::read(page).ok_or(ListingFault::Unreadable)?;
        let entries = page.logs.unwrap_or_default();
        self.pages += 1;
        self.entries += entries.len();
        if self.pages > MAX_PAGES || self.entries > MAX_ENTRIES {
            return Err(ListingFault::Endless);
        }
        for entry in entries {
            self.note(entry);
        }
        let cursor = page.cursor.unwrap_or_default();
        if cursor.is_empty() || self.has_enough() {
            return Ok(Next::Done);
        }
        if cursor.len() > MAX_CURSOR {
            return Err(ListingFault::Unreadable);
        }
        if !self.cursors.insert(cursor.clone()) {
            return Err(ListingFault::Circular);
        }
        if self.pages == MAX_PAGES {
            return Err(ListingFault::Endless);
        }
        Ok(Next::Page(cursor))
    }

    /// The ids that may be sent, each once, in the order in which the listing showed them; `count` at most.
    ///
    /// # Errors
    /// [`Unresolvable`] where some message may or may not be one of those selected.
    pub fn finish(self) -> Result<Vec<String>, Unresolvable> {
        let most = usize::try_from(self.count).unwrap_or(usize::MAX);
        let mut selected = Vec::new();
        let mut undated = None;
        for message in &self.messages {
            match message.standing(&self.selection) {
                Standing::Selected => selected.push(message.id.clone()),
                Standing::LeftOut => {}
                Standing::Undated(date) => undated = Some(date),
                Standing::Lacking(filter) => return Err(Unresolvable(filter.to_owned())),
            }
        }
        match undated {
            // The listing ended, or else there were enough others.
            Some(date) if selected.len() < most => Err(Unresolvable(date.to_owned())),
            _ => {
                selected.truncate(most);
                Ok(selected)
            }
        }
    }

    fn has_enough(&self) -> bool {
        let standing = |message: &&Message| matches!(message.standing(&self.selection), Standing::Selected);
        self.messages.iter().filter(standing).count() as u64 >= self.count
    }

    fn note(&mut self, entry: Entry) {
        let matched = matching::entry(&entry, &self.selection.filters);
        let (is_final, is_creation, time) = (entry.is_final(), entry.is_creation(), entry.time.get().copied());
        let place = *self.places.entry(entry.message_id).or_insert_with_key(|id| {
            self.messages.push(Message::new(id.clone()));
            self.messages.len() - 1
        });
        let Some(message) = self.messages.get_mut(place) else {
            return;
        };
        message.is_final |= is_final;
        match matched {
            Match::Yes => message.matches = true,
            Match::No => message.differs = true,
            Match::Lacks(filter) => {
                message.lacks.get_or_insert_with(|| filter.to_owned());
            }
        }
        if let Some(time) = time {
            message.earliest = Some(message.earliest.map_or(time, |earliest| earliest.min(time)));
            if is_creation {
                message.created = Some(message.created.map_or(time, |created| created.min(time)));
            }
        }
    }
}

impl Message {
    fn new(id: String) -> Self {
        Message {
            id,
            is_final: false,
            matches: false,
            differs: false,
            lacks: None,
            created: None,
            earliest: None,
        }
    }

    fn standing(&self, selection: &Selection) -> Standing<'_> {
        // One entry is enough to leave a message out: it is never widened.
        if self.is_final || self.differs {
            return Standing::LeftOut;
        }
        let dated = self.dated(selection);
        match &self.lacks {
            _ if matches!(dated, Standing::LeftOut) => dated,
            Some(filter) if !self.matches => Standing::Lacking(filter),
            _ => dated,
        }
    }

    /// A cancel's dates are those of a message's creation: the time of that entry, and no later than any other.
    fn dated(&self, selection: &Selection) -> Standing<'_> {
        let from = selection.from_date.filter(|from| *from > 0);
        let to = selection.to_date;
        if from.is_none() && to.is_none() {
            return Standing::Selected;
        }
        let before = |time: Option<u64>| time.zip(from).is_some_and(|(time, from)| time < from);
        let is_within = |time: Option<u64>| to.is_none_or(|to| time.is_some_and(|time| time <= to));
        match self.created {
            _ if before(self.earliest) => Standing::LeftOut,
            Some(_) if is_within(self.created) => Standing::Selected,
            Some(_) => Standing::LeftOut,
            None if from.is_some() => Standing::Undated("fromDate"),
            None if is_within(self.earliest) => Standing::Selected,
            None => Standing::Undated("toDate"),
        }
    }
}

#[cfg(test)]
#[path = "collector_tests.rs"]
mod tests;
