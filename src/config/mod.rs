//! The configuration: a file read into one tree with places, then compiled into settings with all faults collected.
//!
//! [`locate()`] finds the file, [`load`] reads and compiles it, [`compile()`] compiles a text without any I/O. Between the
//! text and the [`Settings`] stands a tree whose keys and values know their places; each section of it is read key by
//! key, and what was never asked for is an unknown key. What is wrong becomes [`Faults`], which render with the line, a
//! caret and what to write; a value that may be a credential is in none of them. [`Watched`] reads it again while the
//! guard runs; what cannot change by then is put back by [`Loaded::hold`].

mod compile;
mod digest;
mod environment;
mod excerpt;
mod fault;
mod files;
mod keys;
mod locate;
mod looks;
mod overrides;
mod policy_tests;
mod restart;
mod scalar;
mod schema;
mod secret;
mod section;
mod settings;
mod source;
mod suggest;
mod tree;
mod value;
mod values;
mod watch;

pub use compile::{Loaded, compile};
pub use environment::{Lookup, process as process_environment};
pub use fault::{Fault, Faults, Warning};
pub use locate::{BUILT_IN, Located, load, locate};
pub use looks::{Look, Looks};
pub use overrides::Overrides;
pub use policy_tests::{Expectation, PolicyTest, PolicyTests, TestRequest};
pub use schema::schema;
pub use settings::Settings;
pub use source::Source;
pub use watch::Watched;
