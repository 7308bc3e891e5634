//! The trail over its public interface: what survives restarts, crashes, full disks and slow ones, and what a reader finds.

mod compressed;
mod failures;
mod files;
mod restarts;
mod signed;
mod support;
