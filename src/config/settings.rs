//! The whole configuration, checked.

use crate::{audit, layers, limits, policy, server, telemetry, upstream};

/// Everything that was configured, every value checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients are served.
    pub listen: server::Listen,
    /// The admin port; `None` where it is off.
    pub admin: Option<server::Admin>,
    /// Where requests go.
    pub upstream: upstream::Settings,
    /// How tokens are treated.
    pub credentials: layers::Credentials,
    /// Where the guard's own token comes from; `None` where clients bring theirs.
    pub token: Option<layers::TokenSource>,
    /// What is allowed.
    pub policy: policy::Policy,
    /// How often.
    pub limits: Vec<limits::Limit>,
    /// Where that is counted.
    pub store: limits::StoreSettings,
    /// How it is recorded.
    pub audit: audit::Settings,
    /// What a request may cost.
    pub resources: server::Resources,
    /// How it is logged.
    pub log: telemetry::Log,
}
