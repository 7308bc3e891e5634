//! Links lead somewhere, and what is YAML in any document is a configuration or tests that can be read.

use std::path::PathBuf;

use qstash_guard::config::{self, PolicyTests};
use qstash_guard::policy::Code;

use crate::markdown::{Document, top};

/// Every document of the project, by its path from the top.
fn documents() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["", "docs", "deploy"] {
        for entry in std::fs::read_dir(top().join(folder)).unwrap() {
            let path = PathBuf::from(folder).join(entry.unwrap().file_name());
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    assert!(found.len() > 6, "{found:?}");
    found
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut wrong = Vec::new();
    for path in documents() {
        let document = Document::read(&path);
        for (link, line) in document.links() {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => document.path.clone(),
                file => document.path.parent().unwrap().join(file),
            };
            let leads = target.exists()
                && (anchor.is_empty() || {
                    let sections = Document::read(target.to_str().unwrap()).sections();
                    sections.iter().any(|section| section.anchor == anchor)
                });
            if !leads {
                wrong.push(format!("{path}:{line}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn all_yaml_can_be_read() {
    let mut read = 0;
    for path in documents() {
        let sections = Document::read(&path).sections();
        for block in sections.iter().flat_map(|section| &section.blocks) {
            let name = format!("{path}:{}", block.line);
            let fault = match block.kind.as_str() {
                "yaml" if block.text.starts_with("tests:") => PolicyTests::read(&name, &block.text).err(),
                "yaml" => config::compile(&name, &block.text, &|_| None).err(),
                _ => continue,
            };
            assert!(fault.is_none(), "{name}:\n{}", fault.unwrap());
            read += 1;
        }
    }
    assert!(read > 15, "{read}");
}

#[test]
fn the_readme_names_every_code() {
    let readme = Document::read("README.md");
    for code in Code::ALL {
        let row = format!("[`{code}`]({})", code.documentation());
        assert!(readme.text().contains(&row), "README.md has no {row}");
    }
}
