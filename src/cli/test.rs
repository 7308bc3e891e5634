//! `qstash-guard test`: does a policy say what its tests expect.

mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use http::Request;

use self::report::Report;
use super::rehearse::{Asked, Rehearsed, rehearse};
use crate::config::{self, Faults, Loaded, Located, PolicyTest, PolicyTests};

/// Run policy tests
///
/// Each test is a request and what should become of it. Without --config, `X.test.yaml` tests the `X.yaml` beside it
/// where there is one, else the configuration that `run` would use; the output says which.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(crate) struct Test {
    /// Files of tests
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The configuration to test
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

const NOTES: &str = "\
tests:
  - name: cancel-all is refused
    request: {method: DELETE, target: /v2/messages, caller: billing}
    expect: {decision: deny, code: unfiltered_cancel}

A request has a target, and may have method (DELETE), caller (whom its credential names, else anonymous), headers, body \
(text, or a mapping that is sent as JSON), time (2026-01-01T12:00:00Z) and client_ip (127.0.0.1). A test expects a decision \
(allow, deny or would_deny), a code, a rule, or several of them; what it leaves out may be anything.

Nothing of this depends on the clock or on other tests: limits count as unused, so that only a request that could never pass \
one is refused by it. Exits with 0 if all pass, 1 otherwise.";

impl Test {
    /// Runs the command.
    pub(crate) fn run(&self) -> ExitCode {
        let mut faulty = false;
        let mut said = |faults: &Faults| {
            let between = if std::mem::replace(&mut faulty, true) { "\n" } else { "" };
            anstream::eprint!("{between}{}", faults.render(true));
        };
        let mut files: Vec<PolicyTests> = Vec::new();
        // Every fault at once: that of one file does not hide another's.
        for path in &self.files {
            match PolicyTests::load(path) {
                Ok(tests) => files.push(tests),
                Err(faults) => said(&faults),
            }
        }
        let mut configurations: BTreeMap<String, Tested> = BTreeMap::new();
        let mut order: Vec<String> = Vec::new();
        let mut wanted = Vec::new();
        for path in &self.files {
            let located = self.located(path);
            let name = located.name();
            wanted.push(name.clone());
            if configurations.contains_key(&name) || order.contains(&name) {
                continue;
            }
            order.push(name.clone());
            match config::load(&located, &config::process_environment) {
                Ok(loaded) => _ = configurations.insert(name, Tested::new(loaded)),
                Err(faults) => said(&faults),
            }
        }
        if faulty {
            return ExitCode::FAILURE;
        }
        let mut report = Report::new(anstream::stdout().lock());
        for (tests, name) in files.iter().zip(&wanted) {
            let Some(tested) = configurations.get_mut(name) else {
                continue;
            };
            report.file(&tests.name, name, &tested.loaded.settings.policy.digest);
            for test in &tests.tests {
                let met = tested.meet(test);
                report.test(&tests.name, test, &met, &tested.loaded.settings.policy.rules);
            }
        }
        for (name, tested) in order.iter().filter_map(|name| Some((name, configurations.get(name)?))) {
            report.unreached(name, order.len() > 1, &tested.unreached());
        }
        report.end()
    }

    /// The configuration of a file of tests.
    fn located(&self, tests: &Path) -> Located {
        let beside = || {
            let name = tests.file_name()?.to_str()?;
            let path = tests.with_file_name(format!("{}.yaml", name.strip_suffix(".test.yaml")?));
            path.is_file().then_some(path)
        };
        match &self.config {
            Some(path) => config::locate(Some(path)),
            None => config::locate(beside().as_deref()),
        }
    }
}

/// A configuration, and which of its rules had a word.
struct Tested {
    loaded: Loaded,
    reached: Vec<String>,
}

impl Tested {
    fn new(loaded: Loaded) -> Self {
        Tested {
            loaded,
            reached: Vec::new(),
        }
    }

    fn meet(&mut self, test: &PolicyTest) -> Rehearsed {
        let request = &test.request;
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = request.method.clone();
        head.uri = request.target.clone();
        head.headers = request.headers.clone();
        let asked = Asked {
            head,
            body: &request.body,
            caller: request.caller.as_deref(),
            client: request.client,
            time: request.time,
        };
        let met = rehearse(asked, &self.loaded.settings);
        let matched = met.tried.iter().filter(|tried| tried.matched());
        self.reached.extend(matched.map(|tried| tried.rule.to_string()));
        met
    }

    /// The rules that never had a word, in the order of the file.
    fn unreached(&self) -> Vec<String> {
        let names = self
            .loaded
            .settings
            .policy
            .rules
            .iter()
            .map(|rule| rule.name.to_string());
        names.filter(|name| !self.reached.contains(name)).collect()
    }
}
