//! An in-memory QStash for trying and testing.
