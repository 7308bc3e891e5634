//! `qstash-guard explain`: what would become of one request, offline.

mod judged;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Uri, request};
use serde::Serialize;

use judged::{Judged, judge};

use super::fail;
use crate::audit::{Decision, SelectionRecord, redact};
use crate::config::{self, Settings};
use crate::layers::exchange::caller;
use crate::layers::{credentials, well_formed};
use crate::policy::{self, Refusal, Ruling, Treatment, Tried, Verdict};
use crate::qstash::operation::Verb;
use crate::qstash::target::Target;

/// Show what would become of one request, offline
///
/// Exits with 0 if it would go on, 3 if it would be denied, 1 if the question makes no sense. Limits count as unused:
/// only a request that could never pass one is denied by it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Explain {
    /// The method
    #[arg(short = 'X', long = "request", value_name = "METHOD", default_value = "DELETE")]
    method: String,
    /// A header; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The body, or @FILE to take it from a file
    #[arg(short = 'd', long, value_name = "BODY")]
    data: Option<String>,
    /// The caller to judge it for, in place of the one that its token names
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// The configuration; found as `run` finds it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The target: a path with its query, or a whole URL
    target: String,
}

impl Explain {
    /// Runs the command.
    pub(crate) fn run(&self) -> ExitCode {
        let located = config::locate(self.config.as_deref());
        let settings = match config::load(&located, &config::process_environment) {
            Ok(loaded) => loaded.settings,
            Err(faults) => {
                anstream::eprint!("{}", faults.render(true));
                return ExitCode::FAILURE;
            }
        };
        let (head, body) = match self.request() {
            Ok(request) => request,
            Err(error) => return fail(&error),
        };
        let explained = Explained::of(head, &body, self.caller.clone(), &settings);
        let mut out = anstream::stdout().lock();
        // A closed pipe changes nothing about the answer.
        let _ = if self.json {
            explained.write_json(&mut out)
        } else {
            explained.write_text(&mut out)
        };
        match explained.facts.decision {
            Decision::Deny => ExitCode::from(DENIED),
            Decision::Allow | Decision::WouldDeny => ExitCode::SUCCESS,
        }
    }

    fn request(&self) -> Result<(request::Parts, Vec<u8>), String> {
        let uri: Uri = self
            .target
            .parse()
            .map_err(|error| format!("the target cannot be part of a request: {error}"))?;
        let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        if !target.starts_with('/') {
            return Err(format!("the target starts with a slash: /{target}"));
        }
        let mut request = Request::builder().method(self.method.as_str()).uri(target);
        for line in &self.headers {
            let Some((name, value)) = line.split_once(':') else {
                return Err(format!(
                    "a header has a name, a colon and a value, like -H 'Name: value'; this has no colon: {line}"
                ));
            };
            let name: HeaderName = name
                .trim()
                .parse()
                .map_err(|error| format!("{name} is no header name: {error}"))?;
            let value: HeaderValue = value
                .trim()
                .parse()
                .map_err(|error| format!("the value of {name}: {error}"))?;
            request = request.header(name, value);
        }
        let (mut head, ()) = request
            .body(())
            .map_err(|error| format!("{} is no method: {error}", self.method))?
            .into_parts();
        head.headers
            .entry(HOST)
            .or_insert(HeaderValue::from_static("localhost"));
        let body = match self.data.as_deref().map(|data| (data, data.strip_prefix('@'))) {
            None => Vec::new(),
            Some((data, None)) => data.as_bytes().to_vec(),
            Some((_, Some(file))) => std::fs::read(file).map_err(|error| format!("{file}: {error}"))?,
        };
        Ok((head, body))
    }
}

/// The answer, in the fields of `--json`.
#[derive(Serialize)]
struct Explained {
    operation: &'static str,
    decision: &'static str,
    code: Option<&'static str>,
    violations: Vec<Broken>,
    rule: Option<String>,
    caller: String,
    selection: Option<SelectionRecord>,
    rules: Vec<TriedRule>,
    forwarded_target: Option<String>,
    #[serde(skip)]
    facts: Facts,
}

#[derive(Serialize)]
struct Broken {
    code: &'static str,
    message: String,
}

/// A rule up to the one that decided.
#[derive(Serialize)]
struct TriedRule {
    name: String,
    mode: &'static str,
    matched: bool,
    why: String,
}

/// What is told in the text alone.
struct Facts {
    decision: Decision,
    status: Option<u16>,
    method: String,
    target: String,
    judged: String,
    treatment: Treatment,
    policy: String,
    /// Whether the policy only monitors.
    monitored: bool,
    /// What the guard would ask for and how many it would cancel, where it enforces the cap.
    listing: Option<(String, u64)>,
}

impl Explained {
    fn of(mut head: request::Parts, body: &[u8], named: Option<String>, settings: &Settings) -> Self {
        let policy = &settings.policy;
        let target = Target::read(head.uri.path().as_bytes());
        let operation = target.operation(Verb::read(head.method.as_str()));
        let judged = target.judged();
        let written = redact::target(head.uri.path_and_query().map_or("/", PathAndQuery::as_str), operation);
        let mut caller = caller(&policy.callers, &head.headers, &head.uri);
        if let Some(named) = named {
            caller.name = named.into();
        }
        let mut facts = Facts {
            decision: Decision::Allow,
            status: None,
            method: head.method.to_string(),
            target: written,
            judged,
            treatment: policy.operations.of(operation),
            policy: policy.digest.clone(),
            monitored: false,
            listing: None,
        };
        let refused = well_formed::verify(&head)
            .err()
            .or_else(|| credentials::settle(&mut head, settings.credentials).err());
        let judged = match refused {
            Some(refusal) => Judged {
                ruling: Ruling::without_rules(Verdict::Deny(refusal)),
                selection: None,
                listing: None,
                rules: Vec::new(),
            },
            None => judge(&head, body, &caller, operation, settings),
        };
        let (selection, rules) = (judged.selection, judged.rules);
        let (decision, refusal, allowed_by) = match (judged.ruling.verdict, judged.ruling.rehearsed) {
            (Verdict::Allow(_), None) => (Decision::Allow, None, judged.ruling.rule),
            (Verdict::Allow(_), Some(refusal)) | (Verdict::WouldDeny(_, refusal), _) => {
                (Decision::WouldDeny, Some(refusal), None)
            }
            (Verdict::Deny(refusal), _) => (Decision::Deny, Some(refusal), None),
        };
        let rule = refusal.as_ref().map_or(allowed_by, |refusal| refusal.rule().cloned());
        facts.monitored = policy.mode == policy::Mode::Monitor;
        let forwarded = match &judged.listing {
            Some(_) => CANCEL_BY_IDS.to_owned(),
            None => redact::target(head.uri.path_and_query().map_or("/", PathAndQuery::as_str), operation),
        };
        facts.listing = judged.listing;
        facts.decision = decision;
        facts.status = refusal.as_ref().map(|refusal| refusal.code().status());
        Explained {
            operation: operation.as_str(),
            decision: decision.as_str(),
            code: refusal.as_ref().map(|refusal| refusal.code().as_str()),
            violations: refusal.iter().flat_map(Refusal::violations).map(Broken::of).collect(),
            rule: rule.map(|rule| rule.to_string()),
            caller: caller.name.to_string(),
            selection,
            rules: rules.iter().map(TriedRule::of).collect(),
            forwarded_target: (decision != Decision::Deny).then_some(forwarded),
            facts,
        }
    }

    fn write_json(&self, out: &mut impl Write) -> std::io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    fn write_text(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Facts {
            decision,
            status,
            method,
            target,
            judged,
            treatment,
            policy,
            monitored,
            listing,
        } = &self.facts;
        let mut line = |name: &str, value: &str| writeln!(out, "{name:<11}{value}");
        line("request", &format!("{method} {target}"))?;
        line("judged as", judged)?;
        let treatment = match treatment {
            Treatment::Allow => "passes unread",
            Treatment::Guard => "guarded",
            Treatment::Deny => "denied by policy.operations",
        };
        line("operation", &format!("{} ({treatment})", self.operation))?;
        line("caller", &self.caller)?;
        if let Some(selection) = &self.selection {
            line("selects", &serde_json::to_string(selection)?)?;
        }
        line("policy", policy)?;
        match (&self.forwarded_target, listing) {
            (Some(target), Some((listing, count))) => {
                line("lists", &format!("GET {listing}"))?;
                line(
                    "cancels",
                    &format!("DELETE {target} ({count} at most, as the guard enforces the cap)"),
                )?;
            }
            (Some(target), None) => line("forwards", &format!("{method} {target}"))?,
            (None, _) => {}
        }
        let (colour, word) = match decision {
            Decision::Allow => (AnsiColor::Green, "allow"),
            Decision::WouldDeny if *monitored => (AnsiColor::Yellow, "would deny, but policy.mode is monitor"),
            Decision::WouldDeny => (AnsiColor::Yellow, "would deny, but the rule's mode is monitor"),
            Decision::Deny => (AnsiColor::Red, "deny"),
        };
        let style = Style::new().bold().fg_color(Some(colour.into()));
        let code = self
            .code
            .zip(*status)
            .map_or_else(String::new, |(code, status)| format!(" with {status} {code}"));
        for (index, TriedRule { name, why, .. }) in self.rules.iter().enumerate() {
            line(if index == 0 { "rules" } else { "" }, &format!("{name}: {why}"))?;
        }
        line("decision", &format!("{style}{word}{style:#}{code}"))?;
        if let Some(rule) = &self.rule {
            line("by rule", rule)?;
        }
        for Broken { code, message } in &self.violations {
            writeln!(out, "\n  {code}\n    {message}")?;
        }
        Ok(())
    }
}

impl Broken {
    fn of(violation: &policy::Violation) -> Self {
        Broken {
            code: violation.code.as_str(),
            message: violation.message.clone(),
        }
    }
}

impl TriedRule {
    fn of(tried: &Tried) -> Self {
        TriedRule {
            name: tried.rule.to_string(),
            mode: match tried.mode {
                policy::Mode::Enforce => "enforce",
                policy::Mode::Monitor => "monitor",
            },
            matched: tried.matched(),
            why: tried.why(),
        }
    }
}

/// What is sent in the place of a cancel whose cap the guard enforces.
const CANCEL_BY_IDS: &str = "/v2/messages?messageIds=…";

/// The exit code of a denied request.
const DENIED: u8 = 3;
