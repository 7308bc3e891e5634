//! Monitor mode: what would be refused is seen in the trail, the metrics and the log, and one command lists it.

use std::process::Command;

use crate::support::{Guard, request};
use crate::{TOKEN, UNLIMITED, cancel, detail, logged, reload, start};

const MONITOR: &str = "policy: {mode: monitor, operations: {keys.rotate: deny}}\n";

fn would_be_denied(guard: &Guard) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qstash-guard"));
    command.args(["audit", "show", "--decision", "would_deny"]);
    let output = command.arg(guard.trail_path().parent().unwrap()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_rehearsal_begins_and_ends_with_a_reload() {
    let enforced = MONITOR.replace("monitor", "enforce");
    let (upstream, guard) = start(&format!("{UNLIMITED}{enforced}"));
    assert_eq!(cancel(&guard, 500).status(), 403);
    upstream.assert_untouched();
    let begun = reload(&guard, &format!("{UNLIMITED}{MONITOR}"));
    assert!(
        detail(&begun).ends_with(", mode monitor: nothing is refused"),
        "{begun}"
    );
    let warning = "policy.mode is monitor: nothing is refused";
    guard.wait_until("the warning", || logged(&guard, warning).len() == 1);

    assert_eq!(cancel(&guard, 500).status(), 202);
    assert_eq!(cancel(&guard, 5).status(), 202);
    let rotate = request(guard.address, "POST", "/v2/keys/rotate", &[TOKEN], b"");
    assert_eq!(rotate.status(), 202);
    let ended = reload(&guard, &format!("{UNLIMITED}{enforced}"));
    assert!(!detail(&ended).contains("monitor"), "{ended}");
    let refused = request(guard.address, "POST", "/v2/keys/rotate", &[TOKEN], b"");
    assert_eq!((refused.status(), upstream.requests().len()), (403, 3));

    let shown = would_be_denied(&guard);
    let lines: Vec<&str> = shown.lines().skip(1).collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert!(
        lines[0].contains("intent") && lines[0].contains("would_deny count_over_cap"),
        "{shown}"
    );
    assert!(
        lines[1].contains("passed") && lines[1].contains("would_deny operation_denied"),
        "{shown}"
    );
    for (operation, code) in [
        ("messages.bulk_cancel", "count_over_cap"),
        ("keys.rotate", "operation_denied"),
    ] {
        let series =
            format!(r#"qstash_guard_requests_total{{code="{code}",decision="would_deny",operation="{operation}"}}"#);
        assert_eq!(guard.metric_line(&series), 1, "{series}");
        let line = logged(&guard, "would be denied")
            .into_iter()
            .find(|line| line["code"] == code);
        assert_eq!(line.unwrap()["operation"], operation);
    }
}

#[test]
fn a_guard_that_starts_in_monitor_mode_says_so() {
    let (_upstream, guard) = start(&format!("{UNLIMITED}{MONITOR}"));
    let started = guard.records_of("started").pop().unwrap();
    assert!(
        detail(&started).contains("mode monitor: nothing is refused"),
        "{started}"
    );
    assert_eq!(logged(&guard, "policy.mode is monitor").len(), 1);
}
