//! The tree compiled into settings, every fault collected.

mod audit;
mod callers;
mod credentials;
mod limits;
mod log;
mod policy;
mod rules;
mod server;
mod upstream;

use jiff::Timestamp;

use super::digest;
use super::environment::Lookup;
use super::fault::{Fault, Faults, Warning};
use super::section::Section;
use super::settings::Settings;
use super::source::{Place, Source};
use super::tree;
use super::value::Context;
use crate::policy::CapEnforcedBy;

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Every value, checked.
    pub settings: Settings,
    /// What is valid and worth knowing, in the order of the file.
    pub warnings: Vec<Warning>,
    /// What will be worth knowing, and from when on.
    later: Vec<(Timestamp, Warning)>,
    /// The keys that name files, and where those names stand.
    pub(super) files: Vec<(String, Place)>,
    /// The file it came from.
    pub source: Source,
}

/// Compiles the text of a configuration. No I/O; the environment comes through `lookup`.
///
/// # Errors
/// Everything that is wrong with it; a syntax error is alone.
pub fn compile(name: &str, text: &str, lookup: Lookup<'_>) -> Result<Loaded, Faults> {
    let mut source = Source::new(name, text);
    let root = match tree::read(source.text()) {
        Ok(root) => root,
        Err(fault) => return Err(Faults::new(source, vec![fault])),
    };
    let context = Context::new(&source, lookup);
    let settings = settings(Section::root(&context, &root));
    let Context {
        faults,
        warnings,
        later,
        secrets,
        files,
        ..
    } = context;
    source.hide(secrets.into_inner());
    let (faults, mut warnings): (Vec<Fault>, _) = (faults.into_inner(), warnings.into_inner());
    if !faults.is_empty() {
        return Err(Faults::new(source, faults));
    }
    warnings.sort_by_key(|warning| warning.place);
    Ok(Loaded {
        settings,
        warnings,
        later: later.into_inner(),
        files: files.into_inner(),
        source,
    })
}

impl Loaded {
    /// What is worth knowing at this time: the warnings, and which rules are over.
    pub fn warnings_at(&self, now: Timestamp) -> impl Iterator<Item = &Warning> {
        let due = self.later.iter().filter(move |(from, _)| *from <= now);
        self.warnings.iter().chain(due.map(|(_, warning)| warning))
    }

    /// Puts another upstream in the place of `upstream.url`, as a command line may name one; warnings follow it.
    ///
    /// # Errors
    /// What is wrong with the URL, in the words that the key would get.
    pub fn set_upstream(&mut self, url: &str) -> Result<(), Faults> {
        let mut text = format!("upstream: {{url: {}}}\n", serde_json::Value::from(url));
        if self.settings.policy.caps.enforced_by == CapEnforcedBy::Qstash {
            // So that it is warned of where this upstream does not honour it.
            text.push_str("policy: {bulk_cancel: {cap_enforced_by: qstash}}\n");
        }
        let given = compile("--upstream", &text, &|_| None)?;
        self.settings.policy.upstream_host = given.settings.policy.upstream_host;
        self.settings.policy.upstream_has_path = given.settings.policy.upstream_has_path;
        self.settings.upstream.origin = given.settings.upstream.origin;
        let of_upstream = |warning: &Warning| warning.message() == policy::HOSTED_IGNORES_COUNT;
        self.warnings.retain(|warning| !of_upstream(warning));
        let of_this = given.warnings.into_iter().filter(of_upstream);
        self.warnings.extend(of_this.map(Warning::without_place));
        Ok(())
    }

    /// Leaves the policy with the upstream that is running, about which was warned at the start.
    pub(super) fn keep_upstream(&mut self, running: &Settings) {
        let host = &running.policy.upstream_host;
        self.settings.policy.upstream_host.clone_from(host);
        self.settings.policy.upstream_has_path = running.policy.upstream_has_path;
        self.warnings
            .retain(|warning| warning.message() != policy::HOSTED_IGNORES_COUNT);
    }
}

fn settings(mut root: Section<'_>) -> Settings {
    let listen = server::listen(root.section("listen"));
    let admin = server::admin(root.get("admin"), listen.address);
    let upstream = upstream::compile(root.section("upstream"));
    let credentials::Compiled {
        credentials,
        token,
        mode,
    } = credentials::compile(root.section("credentials"));
    let callers = callers::compile(root.get("callers"), &mode);
    let certificates = listen.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    let mut policy = policy::compile(root.section("policy"), &upstream.origin, callers, certificates);
    let limits = limits::compile(root.get("rate_limits"));
    let store = limits::store(root.section("rate_limit_store"));
    let audit = audit::compile(root.section("audit"));
    let resources = server::resources(root.section("resources"));
    let log = log::compile(root.section("log"));
    root.finish();
    policy.digest = digest::of(&policy, &limits, credentials);
    Settings {
        listen,
        admin,
        upstream,
        credentials,
        token,
        policy,
        limits,
        store,
        audit,
        resources,
        log,
    }
}
