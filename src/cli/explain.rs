//! `qstash-guard explain`: what would become of one request, offline.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Uri, request};
use jiff::Timestamp;
use serde::Serialize;

use super::fail;
use super::rehearse::{Asked, Rehearsed, rehearse};
use crate::audit::{Decision, SelectionRecord, redact};
use crate::config::{self, Settings};
use crate::layers::prefix;
use crate::policy::{self, Code, Refusal, Treatment, Tried};
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
        let explained = Explained::of(head, &body, self.caller.as_deref(), &settings);
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
        // What is said of a header never shows it: it may be a credential that went wrong.
        for (number, line) in (1..).zip(&self.headers) {
            let Some((name, value)) = line.split_once(':') else {
                return Err(format!(
                    "a header has a name, a colon and a value, like -H 'Name: value'; number {number} has no colon"
                ));
            };
            let name: HeaderName = name
                .trim()
                .parse()
                .map_err(|error| format!("the name of header number {number}: {error}"))?;
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
    /// Why it is refused, or would be.
    refused: Option<Code>,
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
    fn of(head: request::Parts, body: &[u8], named: Option<&str>, settings: &Settings) -> Self {
        let policy = &settings.policy;
        // Outside the prefix nothing is judged: the refusal says so.
        let mut behind_prefix = head.uri.clone();
        let _ = prefix::cut(&mut behind_prefix, &settings.listen.path_prefix);
        let target = Target::read(behind_prefix.path().as_bytes());
        let operation = target.operation(Verb::read(head.method.as_str()));
        let judged = target.judged();
        let written = redact::target(head.uri.path_and_query().map_or("/", PathAndQuery::as_str), operation);
        let mut facts = Facts {
            decision: Decision::Allow,
            refused: None,
            method: head.method.to_string(),
            target: written,
            judged,
            treatment: policy.operations.of(operation),
            policy: policy.digest.clone(),
            monitored: false,
            listing: None,
        };
        let rehearsed = rehearse(
            Asked {
                head,
                body,
                caller: named,
                client: Ipv4Addr::LOCALHOST.into(),
                time: Timestamp::now(),
            },
            settings,
        );
        let Rehearsed {
            head,
            caller,
            selected,
            listing,
            decision,
            refusal,
            rule,
            tried,
        } = rehearsed;
        facts.monitored = policy.mode == policy::Mode::Monitor;
        let forwarded = match &listing {
            Some(_) => CANCEL_BY_IDS.to_owned(),
            None => redact::target(head.uri.path_and_query().map_or("/", PathAndQuery::as_str), operation),
        };
        facts.listing = listing;
        facts.decision = decision;
        facts.refused = refusal.as_ref().map(Refusal::code);
        Explained {
            operation: operation.as_str(),
            decision: decision.as_str(),
            code: facts.refused.map(Code::as_str),
            violations: refusal.iter().flat_map(Refusal::violations).map(Broken::of).collect(),
            rule: rule.map(|rule| rule.to_string()),
            caller: caller.name.to_string(),
            selection: selected.map(|selected| selected.to_record(usize::MAX)),
            rules: tried.iter().map(TriedRule::of).collect(),
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
            refused,
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
        let with = refused.map_or_else(String::new, |code| format!(" with {} {code}", code.status()));
        for (index, TriedRule { name, why, .. }) in self.rules.iter().enumerate() {
            line(if index == 0 { "rules" } else { "" }, &format!("{name}: {why}"))?;
        }
        line("decision", &format!("{style}{word}{style:#}{with}"))?;
        if let Some(rule) = &self.rule {
            line("by rule", rule)?;
        }
        if let Some(code) = refused {
            line("more in", code.documentation())?;
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
