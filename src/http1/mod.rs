//! HTTP/1.1 as a proxy needs it: what one side sent is written to the other as it was spelled.
//!
//! hyper keeps the letter case of field names in a second map beside the headers, which nobody else may look into; it
//! gives up their order, and takes a hundred fields at most. Here the bytes of a head stay at hand as long as its message
//! does, so that letter case and order cost no more than reading them again. Heads are read by `httparse`, as hyper's
//! are; what is said about a message's length stands in `framing`, on one page. HTTP/2 is hyper's.
//!
//! [`serve`] is a server's side of a connection, [`Exchange`] a client's. How long a message may take is for whoever polls
//! them; [`serve`] itself only bounds how long it reads on behind an answer.

mod answer;
mod body;
mod chunked;
mod connection;
mod decoder;
mod encoder;
mod exchange;
mod framing;
mod half;
mod head;
mod input;
mod output;
mod spelling;

pub use answer::Spelled;
pub use body::Body;
pub use connection::{Finish, ServeError, serve};
pub use exchange::{Answered, Conversation, Exchange, ExchangeError, Outgoing, Progress};
pub use spelling::Spelling;

/// Why a body cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection ended before it did.
    #[error("the connection ended before the body did")]
    Incomplete,
    /// Its chunks are none (RFC 9112 section 7.1).
    #[error("the chunked coding is broken")]
    Chunks,
    /// The connection broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}
