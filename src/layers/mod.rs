//! One tower layer a file, in the order of a request.

mod settings;

pub use settings::{Credentials, HeaderForwardToken, QueryToken};
