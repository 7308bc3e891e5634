//! Clients that must show a certificate, and what they are called by it.

use qstash_guard::qstash::credential::TokenHash;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use rustls::version::{TLS12, TLS13};

use crate::peer::{Peer, refused};
use crate::support::tls::{Authority, Issued};
use crate::support::wait::MALFORMED;
use crate::support::{Folder, Upstream, assert_denied, assert_forwarded};
use crate::{Secured, secured_in};

/// A guard that lets in clients of the second authority.
fn secured(upstream: &Upstream, yaml: &str) -> (Secured, Authority) {
    let clients = Authority::new("client roots");
    let folder = std::sync::Arc::new(Folder::new());
    folder.write("clients.pem", &clients.pem);
    let secured = secured_in(folder, &upstream.url(), ", client_ca: clients.pem", yaml);
    (secured, clients)
}

fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(text).unwrap())
}

/// The content of a certificate with these names.
fn named(common: Option<&str>, others: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Some(name) = common {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params.subject_alt_names = others;
    params
}

const BILLING: &str = "spiffe://prod.example/ns/pay/sa/billing";

fn billing(clients: &Authority) -> Issued {
    clients.issue(&named(Some("ignored"), vec![uri(BILLING)]))
}

const CANCEL: &str = "/v2/messages?label=a&count=5";

#[test]
fn who_shows_no_certificate_or_a_wrong_one_is_refused() {
    let upstream = Upstream::json("{}");
    let (secured, clients) = secured(&upstream, "");
    let (guard, anybody) = (&secured.guard, Peer::of(&secured.authority));
    let stranger = Authority::new("other roots").issue(&named(Some("billing"), vec![]));
    let mut late = named(Some("billing"), vec![]);
    (late.not_before, late.not_after) = (rcgen::date_time_ymd(2000, 1, 1), rcgen::date_time_ymd(2020, 1, 1));
    let late = clients.issue(&late);
    let mut counted = 0;
    for version in [&TLS12, &TLS13] {
        let versions = &[version];
        let anybody = Peer { versions, ..anybody };
        for (peer, why) in [
            (anybody, ["CertificateRequired", "HandshakeFailure"].as_slice()),
            (anybody.showing(&stranger), &["UnknownCA", "DecryptError"]),
            (anybody.showing(&late), &["CertificateExpired"]),
        ] {
            let alert = refused(&peer, guard.address);
            assert!(why.iter().any(|why| alert.contains(why)), "{alert}");
            counted += 1;
            guard.wait_for_metric(MALFORMED, counted);
        }
    }
    assert_eq!(upstream.connections(), 0);
    assert_eq!(guard.records().len(), 1, "started, and no more");
}

#[test]
fn the_name_of_a_certificate_is_the_caller_of_rules_records_and_limits() {
    let upstream = Upstream::json(r#"{"cancelled":5}"#);
    let yaml = "policy:\n  rules:\n  - {name: not-billing, callers: ['spiffe://prod.example/ns/*/sa/billing'], deny: Cancels are not for billing.}\n\
                rate_limits:\n- {name: one, applies_to: [messages.bulk_cancel], per: caller, unit: requests, rate: 1/d, burst: 1}\n";
    let (secured, clients) = secured(&upstream, yaml);
    let (guard, anybody) = (&secured.guard, Peer::of(&secured.authority));
    let token = ["Authorization: Bearer shared-token"];

    let billing = billing(&clients);
    let mut client = anybody.showing(&billing).connect(guard.address).unwrap();
    let answer = client.request("DELETE", CANCEL, &token, b"");
    let denied = assert_denied(guard, 1, &answer, 403, &["denied_by_rule"]);
    assert_eq!(
        (denied["caller"].as_str(), denied["rule"].as_str()),
        (Some(BILLING), Some("not-billing"))
    );
    assert_eq!(upstream.connections(), 0, "nothing went on");

    // Two others with one token: each has a name, and a limit, of its own.
    let mut before = 2;
    for name in ["ops@example.com", "drain-1"] {
        let issued = clients.issue(&named(Some(name), vec![]));
        let mut client = anybody.showing(&issued).connect(guard.address).unwrap();
        assert_eq!(client.request("DELETE", CANCEL, &token, b"").status(), 202);
        let (intent, outcome) = assert_forwarded(guard, before);
        assert_eq!(
            (intent["caller"].as_str(), outcome["caller"].as_str()),
            (Some(name), Some(name))
        );
        let answer = client.request("DELETE", CANCEL, &token, b"");
        let denied = assert_denied(guard, before + 2, &answer, 429, &["rate_limited"]);
        assert_eq!(denied["caller"], name);
        before += 3;
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_certificate_may_name_a_caller_that_is_configured() {
    let upstream = Upstream::json(r#"{"cancelled":5}"#);
    let yaml = format!(
        "callers:\n- {{name: billing, token_sha256: {}}}\n- {{name: ops, token_sha256: {}}}\n",
        TokenHash::of(b"billing-token").to_hex(),
        TokenHash::of(b"ops-token").to_hex()
    );
    let (secured, clients) = secured(&upstream, &yaml);
    let issued = clients.issue(&named(Some("billing"), vec![]));
    let mut client = Peer::of(&secured.authority)
        .showing(&issued)
        .connect(secured.guard.address)
        .unwrap();
    for header in [&[][..], &["Authorization: Bearer ops-token"]] {
        let before = secured.guard.records().len();
        assert_eq!(client.request("DELETE", CANCEL, header, b"").status(), 202);
        assert_eq!(assert_forwarded(&secured.guard, before).0["caller"], "billing");
    }
    let cancelled = r#"qstash_guard_cancelled_messages_total{caller="billing"}"#;
    assert_eq!(secured.guard.metric_line(cancelled), 10);
}

#[test]
fn a_uri_comes_before_a_host_name_before_the_common_name() {
    let upstream = Upstream::json("{}");
    let (secured, clients) = secured(&upstream, "audit: {record: all}");
    for (common, others, caller) in [
        (
            Some("cn"),
            vec![dns("b.example"), uri(BILLING), uri("spiffe://x/y")],
            BILLING,
        ),
        (Some("cn"), vec![dns("B.Example"), dns("a.example")], "b.example"),
        (Some("Jane *"), vec![], "Jane%20%2A"),
        (Some("spiffe://x/y"), vec![], "spiffe%3A%2F%2Fx%2Fy"),
        (
            Some("cn"),
            vec![SanType::Rfc822Name(Ia5String::try_from("a@b.example").unwrap())],
            "cn",
        ),
    ] {
        let issued = clients.issue(&named(common, others));
        let before = secured.guard.records().len();
        let peer = Peer::of(&secured.authority).showing(&issued);
        let mut client = peer.connect(secured.guard.address).unwrap();
        assert_eq!(client.request("GET", "/v2/logs", &[], b"").status(), 202);
        let passed = secured.guard.wait_for("passed", before);
        assert_eq!(passed[before - 1]["caller"], caller);
    }
}

#[test]
fn a_certificate_that_names_nobody_is_refused() {
    let upstream = Upstream::json("{}");
    let (secured, clients) = secured(&upstream, "");
    let guard = &secured.guard;
    for (number, (common, others)) in [
        (None, vec![]),
        (Some("anonymous"), vec![]),
        // What counts is the first kind that is there.
        (Some("billing"), vec![uri("token:0123456789ab")]),
        (Some("billing"), vec![dns("other")]),
    ]
    .into_iter()
    .enumerate()
    {
        let issued = clients.issue(&named(common, others));
        let mut client = Peer::of(&secured.authority)
            .showing(&issued)
            .connect(guard.address)
            .unwrap();
        client.send(format!("DELETE {CANCEL} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(client.is_closed());
        drop(client);
        guard.wait_for_metric(MALFORMED, number as u64 + 1);
    }
    assert!(guard.log().contains("holds no name for a caller"), "{}", guard.log());
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_replay_knows_callers_by_their_certificates() {
    let upstream = Upstream::json(r#"{"cancelled":5}"#);
    let (secured, clients) = secured(&upstream, "");
    let (guard, issued) = (secured.guard, billing(&clients));
    let peer = Peer::of(&secured.authority).showing(&issued);
    let mut client = peer.connect(guard.address).unwrap();
    assert_eq!(client.request("DELETE", CANCEL, &[], b"").status(), 202);
    drop(client);
    let folder = std::sync::Arc::clone(&guard.folder);
    assert!(guard.stop().0.success());
    let rule = "policy: {rules: [{name: none-of-prod, callers: ['spiffe://prod.example/*'], deny: Not from prod.}]}\n";
    folder.write("new.yaml", rule);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_qstash-guard"))
        .args(["audit", "replay", "--json", "--config", "new.yaml", "audit"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let change: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(output.status.code(), Some(6), "{text}");
    assert_eq!(change["after"]["rule"], "none-of-prod", "{text}");
}
