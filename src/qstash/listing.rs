//! Finding the messages that a cancel selects, by QStash's own listing (QStash API: List logs): what to ask it for, what its
//! pages say, which ids may be sent, and how they are parted into cancels. Nothing here sends anything.
//!
//! The pages come from outside and decide what is cancelled: an answer that is no page of a listing is a [`ListingFault`],
//! and an id that could mean more than itself in a list of ids is never taken.

mod ask;
mod chunks;
mod collector;
mod matching;
mod page;

pub use ask::{PAGE, target};
pub use chunks::{Chunk, MAX_TARGET, chunks};
pub use collector::{Collector, ListingFault, MAX_ENTRIES, MAX_PAGES, Next, Unresolvable};
pub use page::MAX_ID;
