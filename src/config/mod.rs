//! The configuration: a file read into one tree with places, then compiled into settings with all faults collected.

mod settings;

pub use settings::Settings;
