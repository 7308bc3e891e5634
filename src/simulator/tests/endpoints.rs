//! What all other requests do, and what they are answered.

use std::time::Duration;

use serde_json::{Value, json};

use super::{super::CountHandling, ask, runtime, send_with, simulator};

#[test]
fn logs_page_newest_first() {
    let simulator = simulator(CountHandling::Ignored, 250, Duration::from_secs(5));
    ask(&simulator, "DELETE", "/v2/messages/msg_0000000000000000", "");
    let (mut cursor, mut pages) = (String::new(), Vec::new());
    loop {
        let (_, page) = ask(&simulator, "GET", &format!("/v2/logs?count=1000{cursor}"), "");
        pages.push(page["logs"].as_array().map_or(0, Vec::len));
        if pages.len() == 1 {
            assert_eq!(page["logs"][0]["state"], "CANCELLED");
            assert_eq!(page["logs"][1]["messageId"], "msg_00000000000000f9");
        }
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, [100, 100, 51]);
    for (target, entries) in [
        ("/v2/logs?state=CANCELLED", 1),
        ("/v2/logs?state=DELIVERED", 0),
        ("/v2/logs?messageId=msg_0000000000000000", 2),
        ("/v2/logs?label=label-0&label=label-1&queueName=queue-0&count=7", 7),
        // Only labels take several values, and none of them with commas.
        ("/v2/logs?label=label-0,label-1", 0),
        ("/v2/logs?queueName=queue-0&queueName=queue-1&count=7", 7),
        ("/v2/logs?queueName=queue-0,queue-1", 0),
        ("/v2/logs?flowControlKey=nope&count=3", 3),
        ("/v2/logs?callerIp=192.0.2.1&count=3", 3),
        ("/v2/logs?toDate=0", 0),
        ("/v2/logs?host=nowhere&count=2", 2),
    ] {
        let (_, page) = ask(&simulator, "GET", target, "");
        assert_eq!(page["logs"].as_array().map(Vec::len), Some(entries), "{target}");
    }
    assert_eq!(
        ask(&simulator, "GET", "/v2/events?host=nowhere", "").1,
        json!({ "events": [] })
    );
    let (_, events) = ask(
        &simulator,
        "GET",
        "/v2/events?host=host-0.example,host-1.example&flowControlKey=flow-1",
        "",
    );
    assert_eq!(events["events"].as_array().map(Vec::len), Some(21));
    for target in ["/v2/logs?count=0", "/v2/logs?cursor=x", "/v2/logs?state=x"] {
        assert_eq!(ask(&simulator, "GET", target, "").0, 400, "{target}");
    }
}

#[test]
fn publishing_keeps_what_was_asked_for() {
    let simulator = simulator(CountHandling::Ignored, 0, Duration::from_secs(5));
    let publish = |target: &str, headers: &[(&'static str, &'static str)]| {
        let (status, answer) = runtime().block_on(send_with(&simulator, "POST", target, "hello", headers));
        (
            status,
            answer["messageId"].as_str().unwrap_or_default().to_owned(),
            answer,
        )
    };
    let headers = [
        ("upstash-label", "a, b"),
        ("upstash-flow-control-key", "f"),
        ("upstash-delay", "1h"),
        ("upstash-forward-x-one", "1"),
        ("upstash-deduplication-id", "d"),
    ];
    let (status, id, _) = publish("/v2/enqueue/q.1/https://a.example//b?c=%31&qstash_token=x", &headers);
    assert_eq!(status, 200);
    let (status, again, answer) = publish("/v2/publish/https://a.example", &headers[4..]);
    assert_eq!((status, &again, &answer["deduplicated"]), (202, &id, &json!(true)));
    let (_, message) = ask(&simulator, "GET", &format!("/v2/messages/{id}"), "");
    assert_eq!(message["url"], "https://a.example//b?c=%31");
    assert_eq!(message["labels"], json!(["a", "b"]));
    assert_eq!(message["flowControlKey"], "f");
    assert_eq!(message["queueName"], "q.1");
    assert_eq!(message["header"], json!({ "x-one": ["1"] }));
    assert_eq!(
        (&message["body"], &message["callerIP"]),
        (&json!("hello"), &json!("192.0.2.9"))
    );
    assert_eq!(
        message["notBefore"].as_i64(),
        message["createdAt"].as_i64().map(|time| time + 3_600_000)
    );

    let (_, _, answer) = publish("/v2/publish/group", &[]);
    assert_eq!(answer, json!([{ "messageId": "msg_0000000000000001" }]));
    let (_, message) = ask(&simulator, "GET", "/v2/messages/msg_0000000000000001", "");
    assert_eq!(message["topicName"], "group");
    for target in [
        "/v2/publish/",
        "/v2/publish/ftp://a.example",
        "/v2/publish/a.example/x",
        "/v2/enqueue/q%21/g",
    ] {
        assert_eq!(publish(target, &[]).0, 400, "{target}");
    }
    let batch =
        r#"[{"destination":"https://a.example","queue":"q2","headers":{"Upstash-Label":"z"}},{"Destination":"g"}]"#;
    let (status, answer) = ask(&simulator, "POST", "/v2/batch", batch);
    assert_eq!((status, answer.as_array().map(Vec::len)), (200, Some(2)));
    assert_eq!(
        ask(&simulator, "POST", "/v2/batch", r#"[{"destination":"g"},{}]"#).0,
        400
    );
    assert_eq!(simulator.pending(), 4, "a batch is taken as a whole or not at all");
    assert_eq!(ask(&simulator, "GET", "/v2/queues/q2", "").1["lag"], 1);
}

#[test]
fn single_messages() {
    let simulator = simulator(CountHandling::Ignored, 2, Duration::from_secs(5));
    for (method, target, status) in [
        ("POST", "/v2/messages/msg_0000000000000000/retry", 400),
        ("POST", "/v2/messages/msg_0000000000000001/retry", 200),
        ("DELETE", "/v2/messages/msg_0000000000000001", 202),
        ("DELETE", "/v2/messages/msg_0000000000000001", 404),
        ("GET", "/v2/messages/msg_0000000000000001", 404),
        ("POST", "/v2/messages/msg_0000000000000001/retry", 404),
        ("DELETE", "/v2/messages/%20", 404),
        ("GET", "/v2/messages", 404),
        ("GET", "/", 404),
        ("PUT", "/v2/keys", 404),
    ] {
        assert_eq!(ask(&simulator, method, target, "").0, status, "{method} {target}");
    }
    assert_eq!(simulator.pending(), 1);
}

#[test]
fn dead_letters() {
    let simulator = simulator(CountHandling::Ignored, 0, Duration::from_secs(5));
    for label in ["a", "b", "b", "b"] {
        ask(
            &simulator,
            "POST",
            &format!("/v2/publish/https://dead.example/x?upstash-label={label}"),
            "",
        );
    }
    assert_eq!(simulator.pending(), 0);
    let (_, list) = ask(&simulator, "GET", "/v2/dlq?count=3", "");
    assert_eq!(list["messages"].as_array().map(Vec::len), Some(3));
    let cursor = list["cursor"].as_str().unwrap_or_default();
    let (_, rest) = ask(&simulator, "GET", &format!("/v2/dlq?cursor={cursor}"), "");
    assert_eq!(
        (rest["messages"].as_array().map(Vec::len), &rest["cursor"]),
        (Some(1), &Value::Null)
    );
    let id = "dlq_0000000000000000";
    assert_eq!(
        ask(&simulator, "GET", &format!("/v2/dlq/{id}"), "").1["responseStatus"],
        503
    );
    let (status, answer) = ask(&simulator, "POST", &format!("/v2/dlq/retry/{id}"), "");
    assert_eq!((status, &answer["messageId"]), (201, &json!("msg_0000000000000004")));
    assert_eq!(
        (
            ask(&simulator, "GET", &format!("/v2/dlq/{id}"), "").0,
            simulator.pending()
        ),
        (404, 1)
    );
    let (_, answer) = ask(&simulator, "DELETE", "/v2/dlq?label=b&count=1", "");
    assert_eq!((&answer["deleted"], answer["cursor"].is_string()), (&json!(1), true));
    assert_eq!(
        ask(
            &simulator,
            "DELETE",
            "/v2/dlq",
            r#"{"dlqIds":["dlq_0000000000000002"]}"#
        )
        .1["deleted"],
        1
    );
    assert_eq!(ask(&simulator, "POST", "/v2/dlq/retry?dlqIds=nope", "").0, 404);
    let (status, answer) = ask(&simulator, "POST", "/v2/dlq/retry?responseStatus=503", "");
    assert_eq!((status, answer["responses"].as_array().map(Vec::len)), (201, Some(1)));
}

#[test]
fn queues_schedules_and_keys() {
    let simulator = simulator(CountHandling::Ignored, 10, Duration::from_secs(5));
    let cron = [("upstash-cron", "* * * * *"), ("upstash-schedule-id", "s1")];
    let create = |headers| {
        runtime().block_on(send_with(
            &simulator,
            "POST",
            "/v2/schedules/https://a.example/x",
            "",
            headers,
        ))
    };
    assert_eq!(create(&cron[..]), (200, json!({ "scheduleId": "s1" })));
    assert_eq!(create(&cron[..1]).1, json!({ "scheduleId": "scd_0000000000000001" }));
    assert_eq!(create(&[]).0, 400);
    for (method, target, body, status) in [
        ("PATCH", "/v2/schedules/s1/pause", "", 200),
        ("POST", "/v2/schedules/nope/resume", "", 404),
        ("POST", "/v2/queues", r#"{"queueName":"q","parallelism":2}"#, 200),
        ("POST", "/v2/queues", r#"{"queueName":"no/pe"}"#, 400),
        ("POST", "/v2/queues/q/pause", "", 200),
        ("DELETE", "/v2/queues/queue-0", "", 200),
        ("GET", "/v2/queues/queue-0", "", 404),
    ] {
        assert_eq!(ask(&simulator, method, target, body).0, status, "{method} {target}");
    }
    assert_eq!(ask(&simulator, "GET", "/v2/schedules/s1", "").1["isPaused"], true);
    assert_eq!(ask(&simulator, "DELETE", "/v2/schedules/s1", "").0, 200);
    assert_eq!(
        ask(&simulator, "GET", "/v2/schedules", "").1.as_array().map(Vec::len),
        Some(1)
    );
    let queue = ask(&simulator, "GET", "/v2/queues/q", "").1;
    assert_eq!((&queue["parallelism"], &queue["paused"]), (&json!(2), &json!(true)));
    assert_eq!(simulator.pending(), 8, "a queue's messages go with it");
    let before = ask(&simulator, "GET", "/v2/keys", "").1;
    assert_eq!(
        ask(&simulator, "POST", "/v2/keys/rotate", "").1["current"],
        before["next"]
    );
}
