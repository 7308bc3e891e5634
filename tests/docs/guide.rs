//! docs/policy-guide.md: its configurations are read, its tests run, and its commands print what is shown.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use jiff::Timestamp;
use qstash_guard::config;
use regex::Regex;

use crate::markdown::{Block, Document};
use crate::support::{Folder, Guard, Upstream, request};

/// What the guide's `$QSTASH_TOKEN` is: the token whose hash is shown.
const TOKEN: &str = "example-token";

/// What is sent before a trail is looked at: `-` without the token.
const SENT: [&str; 4] = [
    "/v2/messages?label=nightly&count=50",
    "/v2/messages?queueName=billing-mails&count=20",
    "/v2/messages?queueName=search&count=10",
    "- /v2/messages?label=nightly&count=50",
];

/// The guide, read from the top: a configuration is in force for what follows, up to the next.
struct Reader {
    folder: Arc<Folder>,
    config: String,
    wrong: Vec<String>,
    ran: usize,
}

#[test]
fn every_example_holds_and_every_output_is_as_shown() {
    let mut reader = Reader {
        folder: Arc::new(Folder::new()),
        config: String::new(),
        wrong: Vec::new(),
        ran: 0,
    };
    for block in guide() {
        let known = match block.kind.as_str() {
            "yaml" if block.text.starts_with("tests:") => reader.tests(&block),
            "yaml" => reader.configuration(&block),
            "yaml faulty" => reader.faulty(&block),
            "console" => reader.commands(&block),
            "cel" => reader.conditions(&block),
            "promql" => reader.query(&block),
            _ => false,
        };
        assert!(known, "line {}: nothing runs {:?}", block.line, block.kind);
        reader.ran += 1;
    }
    assert!(reader.wrong.is_empty(), "\n{}", reader.wrong.join("\n\n"));
    assert!(reader.ran > 10, "{} blocks were found", reader.ran);
}

/// What a rule can name, as the faults of a condition list it.
#[test]
fn every_variable_is_explained() {
    let text = Document::read("docs/policy-guide.md");
    let mut known = vec!["operation".to_owned()];
    for root in ["caller", "client", "request", "cancel"] {
        let faults = compile(&format!("policy: {{rules: [{{name: a, deny: x, when: {root}}}]}}")).unwrap_err();
        let members = faults.split_once("name a member: ").unwrap().1.lines().next().unwrap();
        known.extend(members.split(", ").map(|member| format!("{root}.{member}")));
    }
    assert!(known.len() > 10, "{known:?}");
    for name in known {
        assert!(text.text().contains(&format!("`{name}`")), "{name} is not explained");
    }
}

/// What is said of a bound, the configuration that has so much, and how much is taken.
type Bound<'a> = (&'a str, &'a dyn Fn(usize) -> String, usize);

/// The numbers of the last table, each at its bound and one beyond.
#[test]
fn bounds_are_where_they_are_said_to_be() {
    let text = Document::read("docs/policy-guide.md");
    let rules = |count: usize| {
        let rules = (0..count).map(|number| format!("    - {{name: r{number}, deny: x}}\n"));
        format!("policy:\n  rules:\n{}", rules.collect::<String>())
    };
    let denying = |text: &str, when: &str| format!("policy: {{rules: [{{name: a, deny: {text}, when: '{when}'}}]}}");
    let condition = |bytes: usize| denying("x", &format!("{}true", " ".repeat(bytes - 4)));
    let loops = |count: usize| denying("x", &vec!["cancel.ids.all(a, true)"; count].join(" && "));
    let nested = |depth: usize| denying("x", &format!("{}{} == []", "[".repeat(depth), "]".repeat(depth)));
    let words = |characters: usize| denying(&"x".repeat(characters), "true");
    let bounds: [Bound<'_>; 5] = [
        ("| rules | 1000;", &rules, 1000),
        ("| a condition | 2048 bytes, ", &condition, 2048),
        (
            "| 100,000 steps together, two for each item, and each list of a request counting as 1000;",
            &loops,
            49,
        ),
        (" 48 levels of nesting |", &nested, 48),
        ("| the text of `deny` | 500 characters,", &words, 500),
    ];
    for (said, yaml, most) in bounds {
        assert!(text.text().contains(said), "{said}");
        assert_eq!(compile(&yaml(most)).err(), None, "{said}");
        assert!(compile(&yaml(most + 1)).is_err(), "{said}");
    }
}

impl Reader {
    fn configuration(&mut self, block: &Block) -> bool {
        self.folder.write("guard.yaml", &block.text);
        self.config.clone_from(&block.text);
        match compile(&block.text) {
            Err(faults) => self.wrong(block, &faults),
            // What has expired by now is the one thing that may be said of an example.
            Ok(warnings) => {
                let other = warnings.iter().find(|said| !said.contains("has expired"));
                if let Some(said) = other {
                    self.wrong(block, said);
                }
            }
        }
        true
    }

    fn faulty(&mut self, block: &Block) -> bool {
        self.folder.write("guard.yaml", &block.text);
        if compile(&block.text).is_ok() {
            self.wrong(block, "it has no fault");
        }
        true
    }

    fn tests(&mut self, block: &Block) -> bool {
        self.folder.write("guard.test.yaml", &block.text);
        let (success, printed) = self.run("qstash-guard test guard.test.yaml");
        if !success || printed.contains("no test reached") {
            self.wrong(block, &printed);
        }
        true
    }

    fn commands(&mut self, block: &Block) -> bool {
        let commands = block.text.split("$ ").filter(|text| !text.is_empty());
        for command in commands {
            let (line, shown) = command.split_once('\n').unwrap();
            if line.ends_with(" audit/") {
                self.record();
            }
            let (_, printed) = self.run(line);
            if !is_shown(&steady(&printed), &steady(shown)) {
                self.wrong(block, &format!("$ {line}\n{printed}"));
            }
        }
        true
    }

    fn conditions(&mut self, block: &Block) -> bool {
        for condition in block.text.lines() {
            let yaml =
                format!("policy:\n  rules:\n    - name: a\n      deny: x\n      when: |-\n        {condition}\n");
            if let Err(faults) = compile(&yaml) {
                self.wrong(block, &faults);
            }
        }
        true
    }

    /// A query names a series that the guard has, once something would have been refused.
    fn query(&mut self, block: &Block) -> bool {
        let upstream = Upstream::json(r#"{"cancelled":1}"#);
        let guard = Guard::start(&upstream.url(), &self.config);
        request(guard.address, "DELETE", SENT[0], &[], b"");
        let (_, metrics) = guard.admin("/metrics");
        let selector = Regex::new(r"(qstash_guard_\w+)\{(.+?)\}").unwrap();
        let selected = selector.captures(&block.text).unwrap();
        let found = metrics
            .lines()
            .find(|line| line.starts_with(&selected[1]) && line.contains(&selected[2]));
        let grouped = Regex::new(r"by \((.+?)\)").unwrap();
        let labels = grouped.captures(&block.text).unwrap();
        let labelled = |line: &str| labels[1].split(", ").all(|label| line.contains(&format!("{label}=\"")));
        if !found.is_some_and(labelled) {
            self.wrong(block, &metrics);
        }
        true
    }

    /// A trail of requests under the configuration that is in force, once.
    fn record(&mut self) {
        if self.folder.path().join("audit").exists() {
            return;
        }
        let upstream = Upstream::json(r#"{"cancelled":1}"#);
        let guard = Guard::start_in(self.folder.clone(), &upstream.url(), &self.config);
        for line in SENT {
            let (target, header) = match line.strip_prefix("- ") {
                Some(target) => (target, None),
                None => (line, Some(format!("Authorization: Bearer {TOKEN}"))),
            };
            let headers: Vec<&str> = header.iter().map(String::as_str).collect();
            let answer = request(guard.address, "DELETE", target, &headers, b"");
            assert_eq!(answer.code(), "", "{line}");
        }
        guard.stop();
    }

    /// Runs a command in the folder; whether it succeeded, and what it printed.
    fn run(&self, line: &str) -> (bool, String) {
        let binaries = Path::new(env!("CARGO_BIN_EXE_qstash-guard")).parent().unwrap();
        let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .args(["-c", &format!("{line} 2>&1")])
            .current_dir(self.folder.path())
            .env("PATH", path)
            .env("QSTASH_TOKEN", TOKEN)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    fn wrong(&mut self, block: &Block, what: &str) {
        self.wrong.push(format!("docs/policy-guide.md:{}\n{what}", block.line));
    }
}

fn guide() -> Vec<Block> {
    let sections = Document::read("docs/policy-guide.md").sections();
    sections.into_iter().flat_map(|section| section.blocks).collect()
}

/// Reads a configuration; its warnings, or its faults.
fn compile(yaml: &str) -> Result<Vec<String>, String> {
    // The defaults are of hosted QStash, of which there is something to be said whatever the example.
    let yaml = format!("upstream: {{url: \"http://127.0.0.1:9\"}}\n{yaml}");
    let loaded = config::compile("guard.yaml", &yaml, &|_| None).map_err(|faults| faults.to_string())?;
    let warnings = loaded.warnings_at(Timestamp::now());
    Ok(warnings.map(|warning| warning.message().to_owned()).collect())
}

/// A text without what differs from run to run or with every new key.
fn steady(text: &str) -> String {
    let time = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").unwrap();
    let digest = Regex::new(r"sha256:[0-9a-f]{12}").unwrap();
    let text = time.replace_all(text, "TIME");
    digest.replace_all(&text, "sha256:DIGEST").trim_end().to_owned()
}

/// Whether a text is printed as shown, where a line `…` stands for any number of lines.
fn is_shown(printed: &str, shown: &str) -> bool {
    let line = |line: &str| match line {
        "…" => r"(?:.*\n)*?".to_owned(),
        line => regex::escape(line) + r"\n",
    };
    let pattern: String = shown.lines().map(line).collect();
    let pattern = Regex::new(&format!(r"\A{pattern}\z")).unwrap();
    pattern.is_match(&format!("{printed}\n"))
}
