//! What the QStash API is: how a target is read, which operation it names, what a bulk cancel selects, how a credential
//! travels. Pure functions over bytes: no I/O, no async, no configuration.

pub mod body;
pub mod credential;
pub mod destination;
pub mod listing;
pub mod narrowing;
mod oddity;
pub mod operation;
pub mod parameters;
pub mod query;
mod readings;
mod segments;
pub mod selection;
pub mod target;
