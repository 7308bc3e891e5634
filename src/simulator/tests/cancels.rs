//! What cancels do to the messages.

use std::time::Duration;

use serde_json::json;

use super::{
    super::{CountHandling, Options, Simulator},
    ask, publish, runtime, send, simulator,
};

/// Each row starts from ten messages: labels 0 to 4 twice each, queues 0, 1, 2 with 2, 2, 1 messages.
#[test]
fn cancels_by_what_a_lenient_server_makes_of_them() {
    let wait = Duration::from_secs(5);
    let all = 10;
    for (target, body, cancelled) in [
        // Nothing that selects.
        ("/v2/messages", "", all),
        ("/v2/messages/", "", all),
        ("/v2//messages/%2e", "", all),
        ("/v2/messages", "{}", all),
        ("/v2/messages", "null", all),
        ("/v2/messages", r#"{"messageIds":[]}"#, all),
        ("/v2/messages?messageIds=", "", all),
        ("/v2/messages?label=", "", all),
        // What looks like a selection and is none.
        ("/v2/messages?lable=label-0", "", all),
        ("/v2/messages?Label=label-0", "", all),
        ("/v2/messages?urlGroup=group-0", "", all),
        ("/v2/messages?messageId=msg_0000000000000000", "", all),
        ("/v2/messages?label=label-0;label-1", "", all),
        ("/v2/messages?label=%zz", "", all),
        ("/v2/messages", r#"{"lable":"label-0"}"#, all),
        ("/v2/messages?fromDate=0", "", all),
        ("/v2/messages?callerIp=127.0.0.1", "", all),
        // Ids.
        (
            "/v2/messages?messageIds=msg_0000000000000000,msg_0000000000000001",
            "",
            2,
        ),
        (
            "/v2/messages?messageIds=msg_0000000000000000&messageIds=msg_00000000000000ff",
            "",
            1,
        ),
        ("/v2/messages?messageIds=nope&label=label-0", "", 0),
        (
            "/v2/messages",
            r#"{"messageIds":["msg_0000000000000003","msg_0000000000000003"]}"#,
            1,
        ),
        ("/v2/messages", r#"{"MESSAGEIDS":["msg_0000000000000003"]}"#, 1),
        // Filters.
        ("/v2/messages?label=label-0", "", 2),
        ("/v2/messages?label=label-0,label-1", "", 4),
        ("/v2/messages?label=label-0&label=label-1", "", 4),
        ("/v2/messages?label=label-0&queueName=queue-0", "", 1),
        ("/v2/messages?queueName=queue-2", "", 1),
        ("/v2/messages?host=HOST-0.example", "", 3),
        ("/v2/messages?path=/hook/3", "", 1),
        ("/v2/messages?url=https%3A%2F%2Fhost-3.example%2Fhook%2F3", "", 1),
        ("/v2/messages?flowControlKey=flow-1", "", 2),
        ("/v2/messages?scheduleId=scd_0", "", 1),
        ("/v2/messages?topicName=group-0", "", 1),
        ("/v2/messages?callerIP=192.0.2.1", "", 0),
        ("/v2/messages?toDate=0", "", 0),
        ("/v2/messages", r#"{"label":"label-9","LABEL":["label-0"]}"#, 2),
        (
            "/v2/messages?label=label-0",
            r#"{"label":"label-1","queueName":"queue-0"}"#,
            1,
        ),
        // A count that is ignored.
        ("/v2/messages?count=1", "", all),
        ("/v2/messages?label=label-0&count=1", "", 2),
        ("/v2/messages?count=x", "", all),
    ] {
        let simulator = simulator(CountHandling::Ignored, 10, wait);
        let (status, answer) = ask(&simulator, "DELETE", target, body);
        assert_eq!(
            (status, &answer["cancelled"]),
            (202, &json!(cancelled)),
            "{target} {body} {answer}"
        );
        assert_eq!(simulator.pending(), 10 - cancelled, "{target} {body}");
    }
}

#[test]
fn a_count_that_is_honoured_caps() {
    for (target, status, cancelled) in [
        ("/v2/messages?count=3", 200, 3),
        ("/v2/messages?label=label-0&count=1", 200, 1),
        ("/v2/messages?count=100", 200, 10),
        ("/v2/messages", 200, 10),
        ("/v2/messages?count=0", 400, 0),
        ("/v2/messages?count=-1", 400, 0),
        ("/v2/messages?count=x", 400, 0),
    ] {
        let simulator = simulator(CountHandling::Honoured, 10, Duration::from_secs(5));
        assert_eq!(ask(&simulator, "DELETE", target, "").0, status, "{target}");
        assert_eq!(simulator.pending(), 10 - cancelled, "{target}");
    }
}

#[test]
fn what_is_no_selection_at_all_is_refused() {
    let simulator = simulator(CountHandling::Ignored, 10, Duration::from_secs(5));
    for (target, body) in [
        ("/v2/messages", "[]"),
        ("/v2/messages", "{"),
        ("/v2/messages", r#"{"label":{}}"#),
        ("/v2/messages?fromDate=yesterday", ""),
        ("/v2/messages/%zz", ""),
    ] {
        let (status, answer) = ask(&simulator, "DELETE", target, body);
        assert_eq!((status, answer["error"].is_string()), (400, true), "{target} {body}");
    }
    assert_eq!(simulator.pending(), 10);
}

#[test]
fn bulk_actions_run_on_after_the_answer() {
    let simulator = simulator(CountHandling::Ignored, 0, Duration::from_millis(20));
    let runtime = runtime();
    for label in ["slow-cancel,a", "slow-cancel", "b"] {
        let target = format!("/v2/publish/https://a.example/?upstash-label={label}");
        assert_eq!(runtime.block_on(send(&simulator, "POST", &target, "")).0, 200);
    }
    let (status, answer) = runtime.block_on(send(&simulator, "DELETE", "/v2/messages?label=slow-cancel", ""));
    assert_eq!((status, answer["error"].is_string()), (429, true));
    assert_eq!(simulator.pending(), 3, "a slow one has done nothing yet");
    // The same filter is the same action; another one is its own.
    let same = runtime
        .block_on(send(
            &simulator,
            "DELETE",
            "/v2/messages?label=slow-cancel&async=true",
            "",
        ))
        .1;
    assert_eq!(same, json!({ "cancelled": 2, "actionId": "ba_0000000000000000" }));
    let quick = runtime
        .block_on(send(&simulator, "DELETE", "/v2/messages?label=b&async=true", ""))
        .1;
    assert_eq!(quick["actionId"], "ba_0000000000000001");
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1100)).await });
    let (status, action) = ask(&simulator, "GET", "/v2/bulkActions/ba_0000000000000000", "");
    assert_eq!(
        (status, &action["state"], &action["processed"]),
        (200, &json!("FINISHED"), &json!(2))
    );
    assert_eq!(action["filter"], json!({ "label": ["slow-cancel"] }));
    assert_eq!(simulator.pending(), 0);
    let (_, list) = ask(&simulator, "GET", "/v2/bulkActions?count=1&state=FINISHED", "");
    assert_eq!(list["bulkActions"][0]["actionId"], "ba_0000000000000001");
    assert_eq!(list["cursor"], "1");
    assert_eq!(ask(&simulator, "GET", "/v2/bulkActions/nope", "").0, 404);
}

#[test]
fn too_many_bulk_actions_are_refused() {
    for max_running in [1000, 2, 0] {
        let simulator = Simulator::new(Options {
            max_running,
            ..Options::default()
        });
        publish(&simulator, "slow-cancel");
        for n in 0..max_running {
            let target = format!("/v2/messages?async=true&label=slow-cancel,{n}");
            assert_eq!(ask(&simulator, "DELETE", &target, "").0, 202);
        }
        assert_eq!(ask(&simulator, "DELETE", "/v2/messages?async=true", "").0, 412);
        // Ids need no bulk action.
        let by_id = ask(&simulator, "DELETE", "/v2/messages?messageIds=msg_0000000000000000", "");
        assert_eq!(by_id, (202, json!({ "cancelled": 1 })));
    }
}
