//! What a guarded request would select, as records hold it.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::redact;
use crate::qstash::selection::{Kind, Selection};

/// The `selection` of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectionRecord {
    /// How it reaches.
    pub kind: Kind,
    /// The ids, as many as the record holds.
    pub ids: Vec<String>,
    /// How many ids there were.
    pub ids_total: usize,
    /// Filters with their values, without user info.
    pub filters: Vec<(String, Vec<String>)>,
    /// Inclusive start, unix milliseconds.
    pub from_date: Option<u64>,
    /// Inclusive end, unix milliseconds.
    pub to_date: Option<u64>,
    /// The cap.
    pub count: Option<u64>,
    /// Whether QStash should answer before it is done.
    pub r#async: Option<bool>,
}

impl SelectionRecord {
    /// How many ids the record of a denial holds. An intent holds all.
    pub const IDS_OF_A_DENIAL: usize = 100;

    /// A selection with its first `max_ids` ids; values are cut at 1 KiB each, and user info is cut from URLs.
    pub fn new(selection: &Selection, kind: Kind, max_ids: usize) -> Self {
        SelectionRecord {
            kind,
            ids: shown(&selection.ids, max_ids),
            ids_total: selection.ids.len(),
            filters: selection
                .filters
                .iter()
                .map(|(name, values)| (name.clone(), values.iter().map(|v| redact::value(name, v)).collect()))
                .collect(),
            from_date: selection.from_date,
            to_date: selection.to_date,
            count: selection.count,
            r#async: selection.r#async,
        }
    }

    /// The same with the ids that the filter was found to select, the first `max_ids` of them.
    #[must_use]
    pub fn with_ids(self, ids: &[String], max_ids: usize) -> Self {
        SelectionRecord {
            ids: shown(ids, max_ids),
            ids_total: ids.len(),
            ..self
        }
    }
}

fn shown(ids: &[String], most: usize) -> Vec<String> {
    ids.iter().take(most).map(|id| redact::cut(id).into_owned()).collect()
}

impl Serialize for SelectionRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Filters<'a>(&'a [(String, Vec<String>)]);
        impl Serialize for Filters<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(name, values)| (name, values)))
            }
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", self.kind.as_str())?;
        if !self.ids.is_empty() {
            map.serialize_entry("ids", &self.ids)?;
        }
        if self.ids_total > 0 {
            map.serialize_entry("ids_total", &self.ids_total)?;
        }
        if !self.filters.is_empty() {
            map.serialize_entry("filters", &Filters(&self.filters))?;
        }
        if let Some(date) = self.from_date {
            map.serialize_entry("from_date", &date)?;
        }
        if let Some(date) = self.to_date {
            map.serialize_entry("to_date", &date)?;
        }
        if let Some(count) = self.count {
            map.serialize_entry("count", &count)?;
        }
        if let Some(value) = self.r#async {
            map.serialize_entry("async", &value)?;
        }
        map.end()
    }
}
