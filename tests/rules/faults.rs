//! What is said about faulty rules and callers.

use qstash_guard::config;

use crate::with_rules;

fn faults(text: &str) -> String {
    match config::compile("guard.yaml", text, &|_| None) {
        Ok(_) => panic!("valid:\n{text}"),
        Err(faults) => faults.render(false),
    }
}

/// What is said of one faulty key of an otherwise valid rule.
fn said(rules: &[&str]) -> String {
    rules.iter().fold(String::new(), |shown, rule| {
        shown + rule + "\n" + &faults(&with_rules(rule)) + "\n"
    })
}

#[test]
fn of_conditions() {
    insta::assert_snapshot!(said(&[
        "- {name: a, deny: x, when: cancel.cuont > 5}",
        r#"- {name: a, deny: x, when: 'cancel.kind == "filter" && cancel.count > 5'}"#,
        r#"- {name: a, deny: x, when: 'cancel.filters.queuename.all(q, qq == "x")'}"#,
        r#"- {name: a, deny: x, when: 'cancel.filters["lable"] == []'}"#,
        "- {name: a, deny: x, when: 'request.tme == null || user.name == \"x\"'}",
        "- {name: a, deny: x, when: caller.name.first == 1}",
        "- {name: a, deny: x, when: has(cancel.count) || has(cancel.filters.label)}",
        "- {name: a, deny: x, when: cancel == request}",
        r#"- {name: a, deny: x, when: 'caller.name.startWith("x")'}"#,
        "- {name: a, deny: x, when: \"caller.name == \\\"ü\\\" && operation == 5 + \"}",
        "- {name: a, deny: x, when: (operation == 'a'}",
        "- {name: a, deny: x, when: ''}",
        "- {name: a, deny: x, when: size(cancel.ids)}",
        r#"- {name: a, deny: x, when: 'caller.name.matches("a(") || client.ip.matches(caller.name)'}"#,
        r#"- {name: a, deny: x, when: 'request.time.getHours("Europe/Berlim") > 3'}"#,
        "- {name: a, deny: x, when: 'cancel.ids.all(a, cancel.ids.all(b, a == b))'}",
        "- {name: a, deny: x, when: 'cancel.filters.label[0] == \"x\"'}",
        "- {name: a, deny: x, operations: [queues.delete], when: cancel.kind + 1 == 2}",
        "- {name: a, deny: x, when: 'Caller{name: 1} == 2'}",
        "- name: a\n  deny: x\n  when: |\n    cancel.kind == \"ids\" &&\n    cancel.cuont == 5",
        "- name: a\n  deny: x\n  when: |\n\n    cancel.kind == \"ids\" &&\n    cancel.cuont == 5",
        "- name: a\n  deny: x\n  when: >\n    cancel.kind == \"ids\" &&\n    cancel.cuont == 5",
        r#"- {name: a, deny: x, when: 'cancel.filters.label == [] || cancel.filters.queueName[0] == "x"'}"#,
        r#"- {name: a, deny: x, when: 'cancel.kind != "all" || cancel.filters.callerIp == [] || cancel.count > 3'}"#,
    ]));
}

#[test]
fn of_what_would_only_fail_while_it_runs() {
    insta::assert_snapshot!(said(&[
        "- {name: a, deny: x, when: 'cancel.count == null || _foo(1)'}",
        "- {name: a, deny: x, when: 'cancel.ids.exists(i, i == \"x\" && i.nope == 1)'}",
        "- {name: a, deny: x, when: 'true || has(cancel.ids[0].nope)'}",
        "- {name: a, deny: x, when: 'true || size(cancel.ids, cancel.ids, 1) == 1'}",
        "- {name: a, deny: x, when: 'true || contains(caller.name, \"x\")'}",
        "- {name: a, deny: x, when: 'true || request.time.getHours(1, 2) == 1'}",
        "- {name: a, deny: x, when: 'true || caller.name.matches(\"a\", \"b\")'}",
        "- {name: a, deny: x, when: 'cancel.filters.exists(k, v, v.size() > 1)'}",
        "- {name: a, deny: x, when: 'true || has(1, 2)'}",
    ]));
}

#[test]
fn of_what_would_take_too_much() {
    let deep = format!("- {{name: a, deny: x, when: '1{} == 2'}}", " + 1".repeat(100));
    let nested = format!(
        "- {{name: a, deny: x, when: '{}true{}'}}",
        "(".repeat(200),
        ")".repeat(200)
    );
    let long = format!("- {{name: a, deny: x, when: 'operation == \"{}\"'}}", "x".repeat(3000));
    let chain = format!("- {{name: a, deny: x, when: 'caller{} == 2'}}", ".name".repeat(390));
    let texts = "- {name: a, deny: x, when: 'cancel.ids.map(a, a + a).map(b, b + \"x\" + b) == []'}".to_owned();
    let lists = "- {name: a, deny: x, when: 'cancel.ids.map(a, [a, a]) == []'}".to_owned();
    let inner = "- {name: a, deny: x, when: 'cancel.ids.all(a, [1, 2].map(b, a) == [])'}".to_owned();
    let longest = format!("- {{name: a, deny: x, when: '1{} == 2'}}", "+1".repeat(1000));
    for rule in [texts, lists, inner] {
        let said = faults(&with_rules(&rule));
        assert!(said.contains("could grow to any size"), "{said}");
    }
    for (rule, expected) in [
        (chain, "`caller.name` has no members"),
        (longest, "nests too deeply"),
        (deep, "nests too deeply"),
        (nested, "nests too deeply"),
        (long, "at most 2048 are taken"),
    ] {
        let said = faults(&with_rules(&rule));
        assert!(said.contains(expected), "{said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
    }
    let many = "- {name: a, deny: x}\n".repeat(1001);
    assert!(faults(&with_rules(&many)).contains("at most 1000 are taken"));
}

#[test]
fn of_the_environment_only_the_name() {
    let yaml = with_rules("- {name: a, deny: x, when: '${WHEN} == 1'}");
    let faults = config::compile("guard.yaml", &yaml, &|_| Some("s3cr3t".to_owned()))
        .map(|_| ())
        .unwrap_err();
    let said = faults.render(false);
    assert!(
        said.starts_with("error: the value of `${WHEN} == 1` is no condition"),
        "{said}"
    );
    assert!(!said.contains("s3cr3t"), "{said}");
}

#[test]
fn of_other_keys() {
    insta::assert_snapshot!(said(&[
        "- {deny: x}",
        "- {name: a, deny: x}\n- {name: a, deny: x}",
        "- {name: a}",
        "- {name: a, allow: true, deny: x}",
        "- {name: a, allow: false}",
        "- {name: a, deny: ''}",
        "- {name: a, bulk_cancel: {}}",
        "- {name: a, bulk_cancel: {max_cuont: 4, max_message_ids: 1001}}",
        "- {name: a, bulk_cancel: {max_count: 4}, operations: [dlq.*]}",
        "- {name: a, deny: x, operations: [messages.bulk_cancl, nothing.*]}",
        "- {name: a, deny: x, operations: []}",
        "- {name: a, deny: x, callers: []}",
        "- {name: a, deny: x, callers: ops}",
        "- {name: a, deny: x, expires: tomorrow}",
        "- {name: a, deny: x, expires: 2026-12-01}",
        "- {name: a, deny: x, mode: shadow}",
        "- {name: a, deny: x, wen: true}",
        "- a",
    ]));
}

#[test]
fn of_callers() {
    let hash = crate::hash("abc");
    let shown = [
        "callers: [{name: a}]".to_owned(),
        format!("callers: [{{name: 'a:b', token_sha256: {hash}}}]"),
        format!("callers: [{{name: other, token_sha256: {hash}}}]"),
        format!("callers:\n- {{name: a, token_sha256: {hash}}}\n- {{name: b, token_sha256: {hash}}}"),
        format!("callers: [{{name: a, key_sha256: {hash}}}]"),
        "callers: [{name: a, token_sha256: s3cr3t-token-of-somebody}]".to_owned(),
        format!("callers: [{{name: a, token: {hash}}}]"),
        "callers: {a: b}".to_owned(),
    ]
    .iter()
    .fold(String::new(), |shown, text| shown + &faults(text) + "\n");
    assert!(!shown.contains("s3cr3t"), "{shown}");
    insta::assert_snapshot!(shown);
}
