//! An in-memory QStash for trying and testing.
//!
//! It holds messages and never delivers one: a message stays pending until it is cancelled. It is for tests, the demo and
//! benchmarks, and no replacement for QStash or its local development server.
//!
//! It is as lenient as the real server is believed to be, because it is there to show what a careless request does:
//!
//! 1. A query is read as Go's `url.ParseQuery` reads it: a pair that holds `;` or a bad escape is dropped in silence, so
//!    `DELETE /v2/messages?label=a;b` cancels everything.
//! 2. A path is decoded and cleaned, so `/v2/messages/`, `/v2//messages` and `/v2/messages/%2e` are all the bulk cancel.
//!    Only a destination that is a URL (publish, enqueue, schedules) is kept byte for byte.
//! 3. A JSON body is read as Go's `encoding/json` reads it: names match in any case, the last duplicate wins, `null` is
//!    as good as absent and what follows the first value is not looked at.
//! 4. Unknown parameters are ignored and empty values are absent: `messageIds=` or `{"messageIds": []}` cancels all.
//!
//! Where a query and a body both name the same filter the query wins; otherwise both apply. QStash documents neither.
//!
//! It is either generation of QStash, before and since September 2026: [`CountHandling`] says what differs.
//!
//! Three reserved values bring about what otherwise would never happen in memory:
//!
//! * A bulk action that matches a message labelled [`SLOW_LABEL`] takes a second longer than [`Options::wait`], so the
//!   cancel answers 429 and goes on running. With `async=true` it is how bulk actions pile up to the 412.
//! * A message labelled [`IN_FLIGHT_LABEL`] is on its way to its destination for good, so no cancel takes it.
//! * A message to the host [`DEAD_HOST`] counts as failed at once and lies in the DLQ, with response status 503.
//!
//! Not simulated: URL group and flow control endpoints, workflows, the daily and burst limits, `bodyBase64`,
//! content-based deduplication, bodies in base64 in the logs, and the firing of schedules.

mod actions;
mod answer;
mod cancel;
mod dlq;
mod fields;
mod filters;
mod handle;
mod logs;
mod message;
mod options;
mod publish;
mod query;
mod queues;
mod routes;
mod schedules;
mod serve;
mod store;
mod target;
#[cfg(test)]
mod tests;

pub use handle::Simulator;
pub use message::{DEAD_HOST, IN_FLIGHT_LABEL, SLOW_LABEL};
pub use options::{CountHandling, DEV_TOKEN, Options, UnknownCountHandling};
