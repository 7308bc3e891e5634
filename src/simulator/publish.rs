//! Publish, enqueue and batch (QStash API: Publish a message, Enqueue a message, Batch messages).

use std::net::IpAddr;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{
    answer::{Answer, Outcome, Refusal},
    fields::Members,
    message::Message,
    queues::{check_name, is_name},
    routes::Call,
    store::{Store, published_json},
};

/// A message about to be published, and the settings that came with it.
pub(super) struct Draft {
    message: Message,
    settings: Vec<(String, String)>,
}

impl Draft {
    /// The message of a request: its settings come from the headers, then from the query.
    pub(super) fn of_call(call: &Call, destination: &str, queue: Option<&str>) -> Result<Self, Refusal> {
        let mut settings = header_settings(&call.headers);
        settings.extend(call.query.settings());
        let query = call.query.for_destination();
        let destination = match (is_url(destination), query.is_empty()) {
            (true, false) => format!("{destination}?{query}"),
            _ => destination.to_owned(),
        };
        Self::new(&destination, queue, settings, &call.body, call.caller)
    }

    /// The first value of a setting, named in lower case, unless it is empty.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        setting(&self.settings, name)
    }

    /// The URL, or the URL group.
    pub(super) fn destination(&self) -> &str {
        self.message.topic.as_deref().unwrap_or(&self.message.url)
    }

    pub(super) fn into_message(self) -> Message {
        self.message
    }

    fn new(
        destination: &str,
        queue: Option<&str>,
        settings: Vec<(String, String)>,
        body: &[u8],
        caller: IpAddr,
    ) -> Result<Self, Refusal> {
        let mut message = Message::new(caller);
        if is_url(destination) {
            destination.clone_into(&mut message.url);
        } else if is_name(destination) {
            message.topic = Some(destination.to_owned());
        } else {
            return Err(Refusal::bad_request(
                "invalid destination url: endpoint has invalid scheme, add http:// or https://",
            ));
        }
        if let Some(queue) = queue {
            check_name(queue)?;
            message.queue = Some(queue.to_owned());
        }
        let owned = |name: &str| setting(&settings, name).map(str::to_owned);
        message.flow_control_key = owned("upstash-flow-control-key");
        message.schedule_id = owned("upstash-schedule-id");
        message.callback = owned("upstash-callback");
        message.failure_callback = owned("upstash-failure-callback");
        message.body = body.into();
        if let Some(labels) = setting(&settings, "upstash-label") {
            let labels = labels.split(',').map(str::trim).filter(|label| !label.is_empty());
            message.labels = labels.map(str::to_owned).collect();
        }
        if let Some(method) = owned("upstash-method") {
            message.method = method;
        }
        if let Some(retries) = setting(&settings, "upstash-retries") {
            message.max_retries = retries
                .parse()
                .map_err(|_| Refusal::bad_request("invalid Upstash-Retries"))?;
        }
        if let Some(delay) = setting(&settings, "upstash-delay") {
            let delay = milliseconds(delay).ok_or_else(|| Refusal::bad_request("invalid Upstash-Delay"))?;
            message.not_before = message.created_at.saturating_add(delay);
        }
        // Wins over the delay (QStash API: Publish a message).
        if let Some(seconds) = setting(&settings, "upstash-not-before") {
            let seconds: i64 = seconds
                .parse()
                .map_err(|_| Refusal::bad_request("invalid Upstash-Not-Before"))?;
            message.not_before = seconds.saturating_mul(1000);
        }
        message.headers = settings
            .iter()
            .filter_map(|(name, value)| match name.strip_prefix("upstash-forward-") {
                Some(name) => Some((name.to_owned(), value.clone())),
                None => (name == "content-type").then(|| (name.clone(), value.clone())),
            })
            .collect();
        Ok(Self { message, settings })
    }

    /// Publishes, and tells the answer and whether the message is an earlier one's duplicate. A URL group answers with a
    /// list as official clients expect; its endpoints are not simulated, so the list has one item.
    fn publish(self, store: &mut Store) -> (Value, bool) {
        let id = self.setting("upstash-deduplication-id").map(str::to_owned);
        let to_group = self.message.topic.is_some();
        let (index, deduplicated) = store.add_once(self.message, id);
        let answer = published_json(index, deduplicated);
        let answer = if to_group { Value::Array(vec![answer]) } else { answer };
        (answer, deduplicated)
    }
}

/// `POST /v2/publish/{destination}` and `POST /v2/enqueue/{queueName}/{destination}`.
pub(super) fn publish(store: &mut Store, call: &Call, destination: &str, queue: Option<&str>) -> Outcome {
    let (answer, deduplicated) = Draft::of_call(call, destination, queue)?.publish(store);
    let status = if deduplicated {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok(Answer::with(status, answer))
}

/// `POST /v2/batch`. One message that is no good refuses them all.
pub(super) fn batch(store: &mut Store, call: &Call) -> Outcome {
    let items: Vec<Members> =
        serde_json::from_slice(&call.body).map_err(|_| Refusal::bad_request("invalid request body"))?;
    let drafts = items
        .iter()
        .map(|item| batched(item, call.caller))
        .collect::<Result<Vec<_>, _>>()?;
    let answers = drafts.into_iter().map(|draft| draft.publish(store).0);
    Ok(Answer::ok(answers.collect()))
}

fn batched(item: &Members, caller: IpAddr) -> Result<Draft, Refusal> {
    let text = |name: &str| item.get(name).and_then(Value::as_str);
    let headers = item.get("headers").and_then(Value::as_object).into_iter().flatten();
    let settings = headers.filter_map(|(name, value)| Some((name.to_ascii_lowercase(), value.as_str()?.to_owned())));
    let queue = text("queue").filter(|queue| !queue.is_empty());
    let body = text("body").unwrap_or_default().as_bytes();
    Draft::new(
        text("destination").unwrap_or_default(),
        queue,
        settings.collect(),
        body,
        caller,
    )
}

fn header_settings(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("upstash-") || *name == http::header::CONTENT_TYPE)
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

fn setting<'a>(settings: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = settings
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.trim());
    found.filter(|value| !value.is_empty())
}

fn is_url(destination: &str) -> bool {
    destination.split_once("://").is_some_and(|(scheme, rest)| {
        (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")) && !rest.is_empty()
    })
}

/// A delay such as `1d10h30m` in milliseconds (QStash API: Publish a message, `Upstash-Delay`).
fn milliseconds(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut digits = String::new();
    for letter in text.chars() {
        let unit = match letter {
            '0'..='9' => {
                digits.push(letter);
                continue;
            }
            's' => 1000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(digits.parse::<i64>().ok()?.checked_mul(unit)?)?;
        digits.clear();
    }
    digits.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays() {
        for (text, expected) in [
            ("50s", Some(50_000)),
            ("1d10h30m", Some(124_200_000)),
            ("10", None),
            ("s", None),
            ("1w", None),
            ("99999999999999999999d", None),
            ("9999999999999999d", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }
}
