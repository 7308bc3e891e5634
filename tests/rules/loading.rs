//! Rules as they are loaded: warnings, and the policy's digest.

use qstash_guard::config::{self, Loaded};

use crate::{callers, hash, policy, time, with_rules};

fn loaded(yaml: &str) -> Loaded {
    config::compile("guard.yaml", yaml, &|_| None).unwrap()
}

fn warnings(yaml: &str, now: &str) -> Vec<String> {
    let loaded = loaded(yaml);
    loaded
        .warnings_at(time(now))
        .map(|warning| warning.render(&loaded.source, false))
        .collect()
}

#[test]
fn a_rule_that_is_over_is_warned_of_from_then_on() {
    let yaml = with_rules("- {name: brief, allow: true, callers: [ops-*], expires: 2026-12-01T00:00:00Z}");
    assert_eq!(warnings(&yaml, "2026-11-30T23:59:59Z"), [""; 0]);
    let [warning] = warnings(&yaml, "2026-12-01T00:00:00Z").try_into().unwrap();
    assert!(
        warning.starts_with("warning: the rule `brief` has expired and is skipped"),
        "{warning}"
    );
    assert!(warning.contains("guard.yaml:5:61"), "{warning}");
}

#[test]
fn what_a_rule_hardly_means_is_warned_of() {
    let warned = |rule: &str| warnings(&with_rules(rule), "2026-11-24T00:00:00Z").concat();
    for allowed in [
        "- {name: a, allow: true}",
        "- {name: a, allow: true, callers: ['ops-*', '*']}",
        "- {name: a, allow: true, when: 'true'}",
        "- {name: a, allow: true, callers: ['**'], when: '(true)'}",
    ] {
        assert!(warned(allowed).contains("lets every bulk cancel through"), "{allowed}");
    }
    assert!(warned("- {name: a, bulk_cancel: {require_filter: false}}").contains("a cancel of every message"));
    assert!(warned("- {name: a, deny: x, callers: [opps-*]}").contains("`opps-*` matches none of `callers`"));
    for fine in [
        "- {name: a, deny: x, callers: [ops-*, anonymous, 'token:0123*', '*']}",
        "- {name: a, allow: true, when: cancel.count != null}",
        "- {name: a, allow: true, mode: monitor}",
        "- {name: a, allow: true, when: 'false'}",
        "- {name: a, bulk_cancel: {require_cap: false}}",
    ] {
        assert_eq!(warned(fine), "", "{fine}");
    }
}

#[test]
fn a_rule_behind_one_that_always_decides_is_warned_of() {
    let first = |rest: &str| format!("- {{name: first, deny: x{rest}}}\n");
    let second = "- {name: second, deny: x, when: cancel.count == 4}\n";
    let other = "- {name: other, operations: [messages.bulk_cancel, queues.delete], deny: x}\n";
    let warned = |rules: String| warnings(&with_rules(rules.trim_end()), "2026-11-24T00:00:00Z");
    for always in ["", ", callers: ['*']", ", when: 'true'"] {
        let [warning] = warned(first(always) + other + second).try_into().unwrap();
        let expected = "warning: this rule is never reached: `first`, which stands before it, is for everybody";
        assert!(warning.starts_with(expected), "{warning}");
        assert!(warning.contains("guard.yaml:7:14"), "{warning}");
    }
    for sometimes in [
        ", callers: ['ops-*']",
        ", when: cancel.count == 3",
        ", mode: monitor",
        ", expires: 2036-12-01T00:00:00Z",
        ", operations: [queues.delete]",
    ] {
        assert_eq!(warned(first(sometimes) + second), [""; 0], "{sometimes}");
    }
    assert_eq!(warned(first("") + other), [""; 0]);
}

#[test]
fn a_name_from_the_environment_is_not_shown_when_the_rule_is_over() {
    let yaml = with_rules("- {name: '${NAME}', deny: x, expires: 2026-01-01T00:00:00Z}");
    let loaded = config::compile("guard.yaml", &yaml, &|_| Some("s3cr3t".to_owned())).unwrap();
    let warnings: Vec<String> = loaded
        .warnings_at(time("2026-11-24T00:00:00Z"))
        .map(|warning| warning.render(&loaded.source, false))
        .collect();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains("`${NAME}` has expired") && !warnings[0].contains("s3cr3t"),
        "{warnings:?}"
    );
}

#[test]
fn the_digest_covers_rules_and_callers() {
    let of = |rule: &str| policy(&with_rules(rule)).digest;
    let base = of("- {name: a, deny: x}");
    assert_eq!(
        base,
        of("- name: a\n  operations: [messages.bulk_cancel]\n  mode: enforce\n  deny: x # as it is")
    );
    let mut seen = vec![base, policy(&callers()).digest, policy("").digest];
    for other in [
        "- {name: b, deny: x}",
        "- {name: a, deny: y}",
        "- {name: a, allow: true}",
        "- {name: a, bulk_cancel: {max_count: 7}}",
        "- {name: a, bulk_cancel: {max_count: 8}}",
        "- {name: a, deny: x, mode: monitor}",
        "- {name: a, deny: x, callers: [ops-*]}",
        "- {name: a, deny: x, operations: [queues.delete]}",
        "- {name: a, deny: x, when: 'true'}",
        "- {name: a, deny: x, when: 'false'}",
        "- {name: a, deny: x, expires: 2026-12-01T00:00:00Z}",
        "- {name: a, deny: x}\n- {name: b, deny: x}",
        "- {name: b, deny: x}\n- {name: a, deny: x}",
    ] {
        let digest = of(other);
        assert!(!seen.contains(&digest), "{other}");
        seen.push(digest);
    }
    let named =
        |name: &str, token: &str| policy(&format!("callers: [{{name: {name}, token_sha256: {}}}]", hash(token)));
    assert_ne!(named("a", "x").digest, named("b", "x").digest);
    assert_ne!(named("a", "x").digest, named("a", "y").digest);
    assert_eq!(
        named("a", "x").digest,
        policy(&format!(
            "callers: [{{token_sha256: {}, name: a}}]",
            hash("x").to_uppercase()
        ))
        .digest
    );
}

#[test]
fn a_thousand_rules_are_a_valid_configuration() {
    let rules: Vec<String> = (0..1000)
        .map(|number| {
            format!(
                "- name: rule-{number}\n  callers: [ops-*, billing-*]\n  operations: [messages.bulk_cancel, 'dlq.*']\n  \
                 when: cancel.count != null && cancel.count > {number}\n  deny: Too many.\n  \
                 expires: 2036-12-01T00:00:00Z\n  mode: monitor\n"
            )
        })
        .collect();
    let rules = rules.concat();
    assert_eq!(policy(&with_rules(&rules)).rules.iter().count(), 1000);
}
