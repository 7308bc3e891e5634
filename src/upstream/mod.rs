//! The one upstream: connections to it, and what is sent over them.

mod body;
mod bulk;
mod bulk_action;
mod client;
mod client_body;
mod coding;
mod connect;
mod fetch;
mod headers;
mod number;
mod pool;
mod settings;
mod talk;
mod tls;

pub use body::{BodyFault, Download, Source, Upload};
pub use bulk::{ListError, list};
pub use bulk_action::{ActionTarget, BulkAction, NoAction};
pub use client::{Client, SendError, Sending};
pub use client_body::ClientBody;
pub use coding::decoded;
pub use connect::ConnectError;
pub use fetch::{FetchError, Lent, read_to_end};
pub use headers::prepare_response;
pub use number::whole_number;
pub use settings::{Origin, Scheme, Settings};
pub use tls::{TlsError, client_config};
