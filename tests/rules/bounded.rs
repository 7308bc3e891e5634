//! What conditions may cost: what takes too long is a fault, or fails for the request.

use qstash_guard::config;
use qstash_guard::policy::rules::Attempt;

use crate::{NOON, judged, policy, said, with_rules};

fn faults(when: &str) -> String {
    let yaml = with_rules(&format!("- {{name: a, deny: x, when: '{when}'}}"));
    match config::compile("guard.yaml", &yaml, &|_| None) {
        Ok(_) => String::new(),
        Err(faults) => faults.render(false),
    }
}

#[test]
fn work_on_whole_lists_is_counted_for_each_item() {
    let sum = ["cancel.ids"; 12].join("+");
    for when in [
        format!("cancel.ids.all(i, size({sum}) > 1)"),
        "cancel.ids.all(i, cancel.ids + cancel.ids == cancel.ids + cancel.ids)".to_owned(),
        "cancel.ids.all(i, size(cancel.ids + [\"x\"]) > 1)".to_owned(),
        "cancel.ids.all(i, i in cancel.ids)".to_owned(),
        "cancel.ids.all(i, cancel.filters.label == cancel.ids)".to_owned(),
        "cancel.ids.all(i, [cancel.ids, []] == [])".to_owned(),
        "cancel.ids.all(i, size(i + request.path) > 1)".to_owned(),
        "cancel.ids.map(i, cancel.ids) == []".to_owned(),
        "cancel.ids.map(i, i).all(a, cancel.ids.exists(b, a == b))".to_owned(),
        "dyn(cancel.ids).all(a, (true ? cancel.ids : []).exists(b, a == b))".to_owned(),
        format!("cancel.ids.exists(i, [{}].exists(a, i == \"z\"))", ["1"; 60].join(",")),
    ] {
        let said = faults(&when);
        assert!(
            said.contains("may take too long") || said.contains("could grow to any size"),
            "{when}: {said}"
        );
    }
}

#[test]
fn what_people_write_is_taken() {
    for when in [
        r#"size(cancel.filters.queueName) > 0 && cancel.filters.queueName.all(q, q.startsWith("billing-"))"#,
        r#"cancel.filters.queueName.all(q, ["a-", "b-", "c-", "d-", "e-", "f-"].exists(p, q.startsWith(p)))"#,
        r#"cancel.filters.all(k, k in ["label", "queueName"] || size(cancel.filters[k]) == 0)"#,
        r#"cancel.filters.all(k, cancel.filters[k].all(v, v.startsWith("x")))"#,
        r#"cancel.filters.label.all(l, l.startsWith(caller.name + "-"))"#,
        "cancel.filters.label.all(l, l == cancel.filters.label[0])",
        r#"cancel.filters.label.all(l, l.matches("^[\\w.-]+$"))"#,
        r#"cancel.filters.label.exists_one(l, l in ["a", "b"])"#,
        r#"size(cancel.filters.label.filter(l, l != "a").map(l, l + "!")) < 3"#,
        r#"cancel.filters.label == [] || cancel.filters.label == ["nightly"]"#,
        r#"[{"a": "x"}].exists(m, m.a == caller.name)"#,
        r#"cancel.ids.map(i, {"id": i}).exists(m, m.id == "x")"#,
    ] {
        assert_eq!(faults(when), "", "{when}");
    }
}

#[test]
fn a_pattern_that_repeats_too_much_is_a_fault() {
    let when = r#"cancel.filters.label.exists(l, l.matches("([a-z]?){30}([a-z]?){2000}[0-9]{5}"))"#;
    assert!(
        faults(when).contains("the pattern cannot be used: it repeats too much"),
        "{}",
        faults(when)
    );
}

/// Judges a cancel by so many ids, each of so many bytes; what became of each rule.
fn attempts(rules: &str, ids: usize, bytes: usize) -> (String, Vec<Attempt>) {
    let policy = policy(&format!(
        "{}  bulk_cancel: {{max_message_ids: 1000}}\n",
        with_rules(rules)
    ));
    let line = format!(
        "DELETE /v2/messages?messageIds={}",
        vec!["m".repeat(bytes); ids].join(",")
    );
    let judgement = judged(&policy, "", &line, NOON);
    let tried = judgement.rules.iter().map(|tried| tried.attempt.clone()).collect();
    (said(&judgement), tried)
}

#[test]
fn all_rules_together_stay_within_a_bound_for_one_request() {
    let ones = ["1"; 18].join(",");
    let rules: Vec<String> = (0..50)
        .map(|number| {
            format!("- {{name: r{number}, deny: x, when: 'cancel.ids.exists(i, [{ones}].exists(a, i == \"z\"))'}}\n")
        })
        .collect();
    let (verdict, attempts_of_few) = attempts(&rules.concat(), 100, 4);
    assert_eq!((verdict.as_str(), attempts_of_few.len()), ("allow", 50));
    let (verdict, attempts_of_many) = attempts(&rules.concat(), 1000, 4);
    let evaluated = attempts_of_many
        .iter()
        .filter(|attempt| **attempt == Attempt::NotNow)
        .count();
    assert!((1..20).contains(&evaluated), "{evaluated}");
    assert_eq!(verdict, format!("denied_by_rule by r{evaluated}"));
    let failed = "the rules would take too long over so many ids or values of filters";
    assert_eq!(attempts_of_many.last(), Some(&Attempt::Failed(failed.to_owned())));
}

#[test]
fn a_thousand_rules_with_a_loop_each_are_within_the_bound_for_a_usual_request() {
    let rules: Vec<String> = (0..1000)
        .map(|number| format!("- {{name: r{number}, deny: x, when: 'cancel.ids.exists(i, i == \"z{number}\")'}}\n"))
        .collect();
    assert_eq!(attempts(&rules.concat(), 100, 4).0, "allow");
}

#[test]
fn a_text_that_is_too_long_fails_only_the_rules_that_look_at_it() {
    let looks = "- {name: looks, deny: x, when: 'cancel.ids.exists(i, i == \"z\")'}";
    let other = "- {name: other, deny: x, when: 'caller.name == \"z\"'}";
    assert_eq!(attempts(looks, 2, 4096).0, "allow");
    assert_eq!(attempts(looks, 2, 4097).0, "denied_by_rule by looks");
    assert_eq!(attempts(other, 2, 4097).0, "allow");
}
