//! docs/refusals.md: each code has its section, and its examples meet what they say.

use std::collections::BTreeSet;
use std::process::Command;

use qstash_guard::policy::Code;
use serde_json::Value;

use crate::markdown::{Block, Document, Section};
use crate::support::Folder;

/// The sections of codes.
fn sections() -> Vec<Section> {
    let mut sections = Document::read("docs/refusals.md").sections();
    sections.retain(|section| section.level == 3);
    sections
}

fn code(section: &Section) -> Code {
    let named = Code::ALL.iter().find(|code| code.as_str() == section.title);
    *named.unwrap_or_else(|| panic!("docs/refusals.md has a section {:?}, which is no code", section.title))
}

#[test]
fn every_code_has_its_heading_where_answers_point_to() {
    let documented: BTreeSet<Code> = sections().iter().map(code).collect();
    let missing: Vec<&Code> = Code::ALL.iter().filter(|code| !documented.contains(code)).collect();
    assert!(missing.is_empty(), "docs/refusals.md says nothing of {missing:?}");
    assert_eq!(documented.len(), sections().len(), "a code has two sections");
    let links = Document::read("docs/refusals.md").links();
    for section in sections() {
        let listed = links.iter().any(|(to, _)| *to == format!("#{}", section.anchor));
        assert!(listed, "the table at the top does not lead to {}", section.title);
        let pointer = format!("docs/refusals.md#{}", section.anchor);
        assert_eq!(code(&section).documentation(), pointer);
    }
}

#[test]
fn every_section_says_what_it_means_why_it_is_dangerous_what_to_change_and_who_acts() {
    for section in sections() {
        let code = code(&section);
        let mut left = section.text.trim_start();
        let first = left.lines().next().unwrap();
        let who = first.strip_prefix(&format!("`{}` · ", code.status()));
        let who = who.unwrap_or_else(|| panic!("{code} begins with its status and who acts: {first}"));
        let acts = ["the caller ", "the policy's keeper ", "the operator "];
        assert!(acts.iter().any(|actor| who.starts_with(actor)), "{code}: {who}");
        for part in ["\n**Meaning.** ", "\n**Danger.** ", "\n**Change.** "] {
            let at = left.find(part).unwrap_or_else(|| panic!("{code} lacks {part:?}"));
            left = &left[at + part.len()..];
        }
    }
}

/// No request shows these by itself: they are of the time, the network, the disk or a defect.
const NOT_OF_A_REQUEST: [Code; 12] = [
    Code::StoreUnavailable,
    Code::Unauthenticated,
    Code::CapNotHonoured,
    Code::FilterNotResolvable,
    Code::CapUnresolvable,
    Code::BodyTimeout,
    Code::RateLimited,
    Code::AuditUnavailable,
    Code::UpstreamUnreachable,
    Code::UpstreamFailed,
    Code::UpstreamTimeout,
    Code::InternalError,
];

#[test]
fn what_is_shown_as_refused_is_and_what_is_shown_instead_passes() {
    for section in sections() {
        let code = code(&section);
        let of = |kind: &str| {
            section
                .blocks
                .iter()
                .filter(|block| block.kind == kind)
                .collect::<Vec<_>>()
        };
        let (configurations, examples) = (of("yaml"), of("diff"));
        assert_eq!(
            examples.is_empty(),
            NOT_OF_A_REQUEST.contains(&code),
            "examples of {code}"
        );
        assert_eq!(configurations.len() + examples.len(), section.blocks.len(), "{code}");
        assert!(configurations.len() <= 1, "{code}");
        let yaml = configurations.first().map_or("", |block| &block.text);
        for (sign, example) in examples.into_iter().flat_map(requests) {
            let explained = example.explain(yaml);
            let met = (&explained["decision"], &explained["code"]);
            let expected = match sign {
                '-' => (&Value::from("deny"), &Value::from(code.as_str())),
                _ => (&Value::from("allow"), &Value::Null),
            };
            assert_eq!(met, expected, "{sign} {example:?} in the section of {code}");
        }
    }
}

#[derive(Debug)]
struct Example {
    method: String,
    target: String,
    body: String,
    headers: Vec<String>,
}

/// The requests of a block: `METHOD TARGET BODY` behind the sign, headers in lines below.
fn requests(block: &Block) -> Vec<(char, Example)> {
    let mut examples: Vec<(char, Example)> = Vec::new();
    for line in block.text.lines() {
        let sign = line.chars().next().unwrap();
        let rest = line[1..].strip_prefix(' ').unwrap();
        assert!(matches!(sign, '-' | '+'), "{line}");
        if rest.split(' ').next().unwrap().ends_with(':') {
            examples.last_mut().unwrap().1.headers.push(rest.to_owned());
            continue;
        }
        let mut parts = rest.splitn(3, ' ').map(str::to_owned);
        let example = Example {
            method: parts.next().unwrap(),
            target: parts.next().unwrap(),
            body: parts.next().unwrap_or_default(),
            headers: Vec::new(),
        };
        examples.push((sign, example));
    }
    assert!(examples.iter().any(|(sign, _)| *sign == '-') && examples.iter().any(|(sign, _)| *sign == '+'));
    examples
}

impl Example {
    fn explain(&self, yaml: &str) -> Value {
        let folder = Folder::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_qstash-guard"));
        command.args(["explain", "--json", "-X", &self.method, &self.target, "--config"]);
        command.arg(folder.write("guard.yaml", yaml));
        if !self.body.is_empty() {
            command.args(["--data", &self.body]);
        }
        command.args(self.headers.iter().flat_map(|header| ["-H", header]));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{self:?}: {error}\n{said}"))
    }
}
