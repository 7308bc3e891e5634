//! One tower layer a file, in the order of a request.

mod answer;
pub mod audit_cancel;
pub mod body;
pub mod broker;
pub mod catch_panic;
pub mod classify;
mod conceal;
pub mod credentials;
mod early;
pub mod enforce;
pub mod exchange;
pub mod forward;
pub mod limit;
mod linger;
mod owed;
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
