//! Destinations that are QStash itself: a message there would make it send a request that the guard never sees.

use qstash_guard::policy::Policy;
use qstash_guard::qstash::destination::is_qstash_host;

use super::{Sent, named_and_said, said};

const LEADS: [&str; 4] = [
    "POST /v2/publish/",
    "POST /v2/enqueue/queue/",
    "POST /v2/schedules/",
    "POST /v2/trigger/",
];

fn outcome(line: &str) -> String {
    said(&Sent::line(line).judged(&Policy::default()))
}

#[test]
fn qstash_itself_in_many_spellings() {
    for destination in [
        "https://qstash.upstash.io/v2/messages",
        "https://qstash.upstash.io",
        "http://qstash.upstash.io/",
        "HTTPS://QStash.Upstash.IO/v2/messages",
        "https://qstash.upstash.io./v2",
        "https://qstash.upstash.io:443/v2",
        "https://qstash.upstash.io:/v2",
        "https://user:pass@qstash.upstash.io/v2",
        "https://a@b@qstash.upstash.io/v2",
        "https://qstash-eu-central-1.upstash.io/v2",
        "https://qstash-us-east-1.upstash.io:443/v2",
        "https://QSTASH-.upstash.io/",
        "https:/qstash.upstash.io/v2",
        "https:///qstash.upstash.io/v2",
        "https:qstash.upstash.io/v2",
        "/https://qstash.upstash.io/v2",
        "https:\\\\qstash.upstash.io\\v2",
        "https:%5C%5Cqstash.upstash.io/v2",
        "https%3A%2F%2Fqstash.upstash.io%2Fv2",
        "https%253A%252F%252Fqstash.upstash.io/v2",
        "%68ttps://q%73tash.upstash.io/v2",
        "https://qstash%2Eupstash%2Eio/v2",
        "https://qstash.upstash.io%2Fv2",
        "https://qstash.upstash.io%3Fx",
        "https://qstash.upstash.io%23x",
        "https://%20qstash.upstash.io/v2",
        "https://qstash%09.upstash.io/v2",
        "ht%0Atps://qstash.upstash.io/v2",
        "https://qstash.upstash.io?x=1",
        // The user info of one parser is the host and path of another.
        "https://example.com%2F@qstash.upstash.io/v2",
        "https://example.com%3F@qstash.upstash.io/v2",
        "https://example.com%23@qstash.upstash.io/v2",
        "https://example.com\\@qstash.upstash.io/v2",
        "https://qstash.upstash.io\\@example.com/v2",
        "./https://qstash.upstash.io/v2",
        "%2e/https://qstash.upstash.io/v2",
        "x/../https://qstash.upstash.io/v2",
    ] {
        for lead in LEADS {
            assert_eq!(
                outcome(&format!("{lead}{destination}")),
                "destination_is_qstash",
                "{lead}{destination}"
            );
        }
    }
}

/// QStash is written in Go, whose HTTP client maps a host by the rules for international names before it connects.
#[test]
fn qstash_itself_in_other_characters() {
    for host in [
        "qstash%E3%80%82upstash.io",
        "qstash\u{3002}upstash.io",
        "\u{ff51}stash.upstash.io",
        "\u{ff51}\u{ff53}\u{ff54}\u{ff41}\u{ff53}\u{ff48}\u{ff0e}upstash\u{ff61}\u{ff49}\u{ff4f}",
        "qst%C2%ADash.upstash.io",
        "q\u{17f}tash.upstash.io",
        "qstash.upstash.io\u{3002}",
        "qstash.upstash.io%E3%80%82:443",
        "user@QSTASH.UPSTASH.\u{2148}o",
        "qstash-eu-central-1\u{3002}upstash.io",
        "\u{1d5ca}stash-us-east-1.upstash.io.",
    ] {
        for lead in LEADS {
            let line = format!("{lead}https://{host}/v2/messages");
            assert_eq!(outcome(&line), "destination_is_qstash", "{line}");
        }
    }
    let policy = Policy {
        upstream_host: "gateway.foss.internal".to_owned(),
        ..Policy::default()
    };
    let line = "POST /v2/publish/http://gateway.fo\u{df}.internal:8080/x";
    assert_eq!(said(&Sent::line(line).judged(&policy)), "destination_is_qstash");
    for host in [
        "b\u{fc}cher.example",
        "b%C3%BCcher.example",
        "qst\u{e4}sh.upstash.io",
        "\u{65e5}\u{672c}\u{3002}\u{6771}\u{4eac}",
        "\u{30d1}\u{30d6}.\u{307f}\u{3093}\u{306a}",
        "\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.\u{440}\u{444}",
        "example\u{3002}com",
        "qstash\u{3002}upstash.example",
        "example\u{3002}upstash.io",
        "%FF.upstash.io",
    ] {
        let line = format!("POST /v2/publish/https://{host}/x");
        assert_eq!(outcome(&line), "allow", "{line}");
    }
}

#[test]
fn spellings_of_the_way_there() {
    for line in [
        "POST /v2/publish//https://qstash.upstash.io/v2",
        "POST //V2//Publish/https://qstash.upstash.io/v2",
        "post /v1/publi%73h/https://qstash.upstash.io/v2",
        "POST /x/../v2/publish/https://qstash.upstash.io/v2",
        "POST /v2;x/publish;y/https://qstash.upstash.io/v2",
        "POST /v2%2fpublish%2fhttps://qstash.upstash.io/v2",
        "POST /v2/x%5c../../publish/https://qstash.upstash.io/v2",
        "POST \\v2\\publish\\https://qstash.upstash.io/v2",
        "POST /v2/enqueue/a%2Fb/https://qstash.upstash.io/v2",
        "POST /v2/enqueue/a;b/https://qstash.upstash.io/v2",
        "POST /v2/enqueue/a\\b/https://qstash.upstash.io/v2",
        "POST /v2/enqueue//https://qstash.upstash.io/v2",
        "POST /v2/publish/https://example.com/../../../publish/https://qstash.upstash.io/v2",
    ] {
        assert_eq!(outcome(line), "destination_is_qstash", "{line}");
    }
    let overridden = Sent {
        overridden: true,
        ..Sent::line("GET /v2/publish/https://qstash.upstash.io/v2")
    };
    assert_eq!(said(&overridden.judged(&Policy::default())), "destination_is_qstash");
}

#[test]
fn other_destinations_pass() {
    for destination in [
        "https://example.com/https://qstash.upstash.io/v2",
        "https://example.com/?u=https://qstash.upstash.io",
        "https://qstash.upstash.io.example.com/",
        "https://notqstash.upstash.io/",
        "https://console.upstash.io/",
        "https://qstash-x.upstash.io.example/",
        "https://qstash-x.example/upstash.io",
        "https://qstash.upstash.io@example.com/",
        "https://example.com:443/qstash.upstash.io",
        "https://example.com/@qstash.upstash.io",
        "qstash.upstash.io",
        "ftp://qstash.upstash.io/",
        "https://",
        "https:",
        "group-https",
    ] {
        for lead in LEADS {
            let line = format!("{lead}{destination}");
            assert_eq!(outcome(&line), "allow", "{line}");
        }
    }
    // What sends to no destination of its path.
    for line in [
        "GET /v2/schedules/https://qstash.upstash.io",
        "DELETE /v2/schedules/https://qstash.upstash.io",
        "POST /v2/topics/https://qstash.upstash.io/endpoints",
        "POST /v2/notify/https://qstash.upstash.io",
    ] {
        assert_eq!(outcome(line), "allow", "{line}");
    }
}

#[test]
fn the_upstream_counts_as_qstash() {
    let policy = Policy {
        upstream_host: "Gateway.Internal.".to_owned(),
        ..Policy::default()
    };
    let outcome = |line| named_and_said(&Sent::line(line).judged(&policy));
    assert_eq!(
        outcome("POST /v2/publish/http://gateway.internal:8080/x"),
        "messages.publish: destination_is_qstash"
    );
    assert_eq!(
        outcome("POST /v2/publish/http://gateway.internal./x"),
        "messages.publish: destination_is_qstash"
    );
    assert_eq!(
        outcome("POST /v2/publish/https://qstash.upstash.io"),
        "messages.publish: destination_is_qstash"
    );
    assert_eq!(
        outcome("POST /v2/publish/http://other.internal/x"),
        "messages.publish: allow"
    );
    let ip = Policy {
        upstream_host: "::1".to_owned(),
        ..Policy::default()
    };
    let outcome = |line| said(&Sent::line(line).judged(&ip));
    assert_eq!(outcome("POST /v2/publish/http://[::1]:8080/x"), "destination_is_qstash");
    assert_eq!(outcome("POST /v2/publish/http://[::1]/x"), "destination_is_qstash");
    assert_eq!(
        outcome("POST /v2/publish/http://[0:0:0:0:0:0:0:1]:8080/x"),
        "destination_is_qstash"
    );
    assert_eq!(outcome("POST /v2/publish/http://[::2]/x"), "allow");
    let ip = Policy {
        upstream_host: "127.0.0.1".to_owned(),
        ..Policy::default()
    };
    let outcome = |line| said(&Sent::line(line).judged(&ip));
    assert_eq!(
        outcome("POST /v2/publish/http://[::ffff:127.0.0.1]:8080/x"),
        "destination_is_qstash"
    );
    assert_eq!(outcome("POST /v2/publish/http://127.0.0.2/x"), "allow");
    assert!(is_qstash_host(b"127.0.0.1", "127.0.0.1"));
    assert!(!is_qstash_host(b"", "127.0.0.1"));
}

#[test]
fn the_policy_may_allow_it() {
    let policy = Policy {
        qstash_destinations: true,
        ..Policy::default()
    };
    let line = "POST /v2/publish/https://qstash.upstash.io/v2/messages";
    assert_eq!(
        named_and_said(&Sent::line(line).judged(&policy)),
        "messages.publish: allow"
    );
}
