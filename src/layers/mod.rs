//! One tower layer a file, in the order of a request.

mod answer;
pub mod audit_cancel;
pub mod body;
pub mod broker;
pub mod capped;
pub mod catch_panic;
pub mod classify;
mod collect;
mod conceal;
mod credential;
pub mod credentials;
mod early;
pub mod enforce;
pub mod exchange;
pub mod follow;
pub mod forward;
mod guarded;
pub mod limit;
pub mod list;
pub mod masked;
pub mod overrun;
mod owed;
mod pace;
pub mod passage;
mod permitted;
pub mod prefix;
pub mod record_denial;
pub mod respond;
mod settings;
pub mod suppressed;
pub mod trace;
pub mod well_formed;

pub use settings::{CredentialMode, Credentials, HeaderForwardToken, QueryToken, TokenSource};
