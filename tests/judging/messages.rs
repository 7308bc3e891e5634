//! What clients are told, as one text to be read: each sentence says what is wrong and what to do, and none holds what
//! could be a secret.

use std::fmt::Write;

use qstash_guard::policy::{Judgement, Mode, Policy, Treatment, Verdict};
use qstash_guard::qstash::credential::CredentialFault;
use qstash_guard::qstash::selection::Parameters;

use super::{Sent, bounded, treating};

/// What stands where a secret might, in names and values.
const SECRET: &str = "eyJVc2VySUQiOiJzM2NyM3QiLCJQYXNzd29yZCI6InMzY3IzdCJ9";

fn told(judgement: &Judgement) -> Vec<String> {
    match &judgement.verdict {
        Verdict::Deny(refusal) | Verdict::WouldDeny(_, refusal) => refusal
            .violations()
            .map(|violation| format!("{} {}: {}", violation.code.status(), violation.code, violation.message))
            .collect(),
        Verdict::Allow(_) => panic!("nothing is told of what is allowed"),
    }
}

#[test]
fn every_message() {
    let strict = Policy::default();
    let listed = bounded(|rules| rules.allowed_filters = Some(vec!["queueName".to_owned(), "label".to_owned()]));
    let ids_alone = bounded(|rules| rules.allowed_filters = Some(Vec::new()));
    let denying = treating(&[("keys.*", Treatment::Deny)]);
    let extra = bounded(|rules| rules.parameters = Parameters::messages(vec!["region".to_owned()]));
    let monitoring = Policy {
        mode: Mode::Monitor,
        ..Policy::default()
    };
    let ids = format!("DELETE /v2/messages?messageIds={}", vec!["a"; 101].join(","));
    let bulk = "DELETE /v2/messages";
    let secret_name = format!("{bulk}?{SECRET}=");
    let secret_value = format!("{bulk}?label=%00{SECRET}&count={SECRET}&async={SECRET}&fromDate={SECRET}");
    let secret_body = format!(r#"{{"{SECRET}":1,"{SECRET}":2,"label":["{SECRET}",1],"count":"{SECRET}"}}"#);
    let secret_key = format!(r#"{{"messageIds":["a"],"{SECRET}":1}}"#);
    let cases: &[(&Policy, &str, &str)] = &[
        (&strict, "DELETE /v2/./messages", ""),
        (&strict, "DELETE /v2/messages;x", ""),
        (&strict, "DELETE /v2\\messages", ""),
        (&strict, "DELETE /v2/messages%3F", ""),
        (&strict, "DELETE /v2/%256dessages", ""),
        (&strict, "DELETE /v2/messages/%20", ""),
        (&strict, "DELETE /v2/messages%", ""),
        (&strict, "DELETE /v2/messages+", ""),
        (&strict, "DELETE /v2/messages//id", ""),
        (&denying, "GET /v2/keys", ""),
        (&strict, "POST /v2/publish/https://qstash.upstash.io/v2", ""),
        (&strict, bulk, ""),
        (
            &strict,
            "DELETE /v2/messages?count=1&callerIp=a&fromDate=0&toDate=1",
            "",
        ),
        (
            &strict,
            "DELETE /v2/messages?count=1&label=&messageIds=,&callerIp=a",
            "",
        ),
        (&listed, "DELETE /v2/messages?url=u&host=h&count=1", ""),
        (&ids_alone, "DELETE /v2/messages?label=x&count=1", ""),
        (&strict, "DELETE /v2/messages?label=x", ""),
        (&strict, "DELETE /v2/messages?label=x&count=101", ""),
        (&strict, "DELETE /v2/messages?label=x&count=99999999999999999999", ""),
        (&strict, &ids, ""),
        (
            &strict,
            "DELETE /v2/messages?messageIds=a&lable=x&Count=1&messageId=a&urlGroup=g&api=llm&=x&message+ids=a",
            "",
        ),
        (&extra, "DELETE /v2/messages?messageIds=a&regoin=eu&zzz=1", ""),
        (&strict, "DELETE /v2/messages?messageIds=a&x%0Ay=1&x%22%60=1", ""),
        (&strict, "DELETE /v2/messages?messageIds=a&label=x", ""),
        (&strict, "DELETE /v2/messages?label=%&host=a;b&url=%FF&path=%00", ""),
        (&strict, "DELETE /v2/messages?label=x&count=1&count=2", ""),
        (&strict, "DELETE /v2/messages?label=x&count=0", ""),
        (&strict, "DELETE /v2/messages?label=x&count=1&async=maybe", ""),
        (
            &strict,
            "DELETE /v2/messages?label=x&count=1&fromDate=yesterday&toDate=now",
            "",
        ),
        (&strict, "DELETE /v2/messages?label=x&count=1&fromDate=2&toDate=1", ""),
        (&strict, "DELETE /v2/messages?messageIds=a", "{}"),
        (
            &strict,
            bulk,
            r#"{"messageIds":"a","label":1,"count":"1","async":1,"fromDate":"0"}"#,
        ),
        (&strict, bulk, r#"{"label":"a\u0000b","count":1}"#),
        (&strict, bulk, r#"{"label":"x","count":1,"count":2}"#),
        (&strict, bulk, "[]"),
        (&monitoring, "DELETE /v2/messages;x", ""),
        (&strict, &secret_name, ""),
        (&strict, &secret_value, ""),
        (&strict, bulk, &secret_body),
        (&strict, bulk, &secret_key),
    ];
    let mut text = String::new();
    for (policy, line, body) in cases {
        let shown = if line.len() > 200 { &line[..40] } else { line };
        writeln!(text, "{}", format!("{shown} {body}").trim_end()).unwrap();
        for told in told(
            &Sent {
                body,
                ..Sent::line(line)
            }
            .judged(policy),
        ) {
            let value = told.to_lowercase().contains(&SECRET[..8].to_lowercase());
            assert!(!value, "echoes a value: {told}");
            writeln!(text, "  {told}").unwrap();
        }
    }
    for (what, sent) in [
        (
            "with a method override",
            Sent {
                overridden: true,
                ..Sent::line("POST /v2/messages")
            },
        ),
        (
            "with a Content-Encoding",
            Sent {
                content_encoded: true,
                body: "{}",
                ..Sent::line(bulk)
            },
        ),
    ] {
        writeln!(
            text,
            "{} {what}\n  {}",
            sent.line,
            told(&sent.judged(&strict)).join("\n  ")
        )
        .unwrap();
    }
    for fault in [
        CredentialFault::TwoAuthorizations,
        CredentialFault::TwoQueryTokens,
        CredentialFault::Differing,
        CredentialFault::Malformed,
    ] {
        writeln!(text, "{fault:?}\n  {}", fault.message()).unwrap();
    }
    insta::assert_snapshot!(text);
}
