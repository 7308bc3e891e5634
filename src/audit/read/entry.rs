//! A line, read back.

use serde::Deserialize;

/// What readers use of a record; words are kept as written, so that trails of other versions can be read.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of `Record`, by the same names")]
pub struct Entry {
    pub seq: u64,
    pub time: String,
    pub event: String,
    pub request_id: Option<String>,
    pub caller: Option<String>,
    pub client: Option<String>,
    pub operation: Option<String>,
    pub method: Option<String>,
    pub target: Option<String>,
    pub selection: Option<serde_json::Value>,
    pub decision: Option<String>,
    pub code: Option<String>,
    #[serde(default)]
    pub violations: Vec<Broken>,
    pub rule: Option<String>,
    pub limit: Option<String>,
    pub result: Option<String>,
    pub upstream_status: Option<u16>,
    pub cancelled: Option<u64>,
    pub action_id: Option<String>,
    pub total: Option<u64>,
    pub processed: Option<u64>,
    pub detail: Option<String>,
    pub error: Option<String>,
    pub prev: String,
}

/// A violation, read back.
#[derive(Clone, Debug, Deserialize)]
pub struct Broken {
    /// Its code.
    pub code: String,
    /// Its sentence.
    pub message: String,
}

impl Entry {
    /// Reads a line without its newline.
    ///
    /// # Errors
    /// Why it is no record.
    pub fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }

    /// The number that the detail begins with, as that of `denials_suppressed` does; 0 where it begins with none.
    pub fn leading_number(&self) -> u64 {
        let detail = self.detail.as_deref().unwrap_or_default();
        let digits = detail.find(|c: char| !c.is_ascii_digit()).unwrap_or(detail.len());
        detail[..digits].parse().unwrap_or_default()
    }

    /// The selection in a few words: `filter label=nightly count=50`, `ids 3`.
    pub fn selection_summary(&self) -> Option<String> {
        let selection = self.selection.as_ref()?;
        let mut parts = vec![
            selection
                .get("kind")
                .and_then(|kind| kind.as_str())
                .unwrap_or("?")
                .to_owned(),
        ];
        let number = |name: &str| selection.get(name).and_then(serde_json::Value::as_u64);
        if let Some(total) = number("ids_total") {
            parts.push(total.to_string());
        }
        if let Some(filters) = selection.get("filters").and_then(serde_json::Value::as_object) {
            for (name, values) in filters {
                let values: Vec<&str> = values
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(serde_json::Value::as_str)
                    .collect();
                parts.push(format!("{name}={}", values.join(",")));
            }
        }
        for (name, shown) in [("from_date", "fromDate"), ("to_date", "toDate"), ("count", "count")] {
            if let Some(value) = number(name) {
                parts.push(format!("{shown}={value}"));
            }
        }
        if selection.get("async") == Some(&serde_json::Value::Bool(true)) {
            parts.push("async".to_owned());
        }
        Some(parts.join(" "))
    }
}
