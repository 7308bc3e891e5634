//! A policy-enforcing HTTP reverse proxy for Upstash QStash.
//!
//! Modules are declared in the order of their dependencies: each may import those above it, none those below.

pub mod qstash;
pub mod policy;
pub mod limits;
pub mod audit;
pub mod telemetry;
pub mod http1;
pub mod upstream;
pub mod layers;
pub mod stack;
pub mod server;
pub mod config;
pub mod app;
pub mod simulator;
pub mod cli;
