//! The configuration from outside: what a file becomes, and what is said about a faulty one.

#[path = "config/schema.rs"]
mod schema;

use qstash_guard::config::{self, BUILT_IN, Loaded};

/// An environment with two variables.
fn environment(name: &str) -> Option<String> {
    match name {
        "MAX" => Some("250".to_owned()),
        "WORD" => Some("not-a-number-s3cr3t".to_owned()),
        "PORT" => Some("9999".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn valid(text: &str) -> Loaded {
    let loaded = config::compile("guard.yaml", text, &environment);
    let loaded = loaded.unwrap_or_else(|faults| panic!("not valid:\n{faults}"));
    let refused = schema::refusals(text);
    assert!(refused.as_ref().is_ok_and(Vec::is_empty), "{text}\n{refused:?}");
    loaded
}

fn faults(text: &str) -> String {
    match config::compile("guard.yaml", text, &environment) {
        Ok(loaded) => panic!("valid: {:?}", loaded.settings),
        Err(faults) => faults.render(false),
    }
}

/// Settings have no equality of their own; their debug form shows every one of them.
fn shown(loaded: &Loaded) -> String {
    format!("{:#?}", loaded.settings)
}

/// Faulty files and what is said about them, as one snapshot a topic.
macro_rules! faulty {
    ($topic:ident; $($name:ident: $text:expr;)*) => {
        pub(super) fn files() -> Vec<(&'static str, String)> {
            vec![$((stringify!($name), $text.to_owned()),)*]
        }

        #[test]
        fn what_is_said() {
            let mut shown = String::new();
            for (name, text) in files() {
                shown.push_str(&entry(name, &text));
            }
            insta::assert_snapshot!(concat!("faults_", stringify!($topic)), shown);
        }
    };
}

fn entry(name: &str, text: &str) -> String {
    let name = name.replace('_', " ");
    // Long lines are there to be cropped, and say nothing themselves.
    let shown = if text.len() > 600 { "(long)\n" } else { text };
    format!(
        "=== {name}\n{}\n{}\n",
        shown.escape_debug().to_string().replace("\\n", "\n"),
        faults(text)
    )
}

mod defaults {
    use super::*;

    #[test]
    fn the_shipped_file_says_what_an_empty_one_means() {
        let shipped = valid(BUILT_IN);
        for empty in [
            "",
            "# nothing but a comment\n",
            "---\n",
            "policy:\naudit:\n",
            "policy: {}\n",
        ] {
            assert_eq!(shown(&valid(empty)), shown(&shipped), "{empty:?}");
        }
    }

    #[test]
    fn the_shipped_file_is_the_built_in_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/guard.yaml");
        assert_eq!(std::fs::read_to_string(path).expect("the shipped file"), BUILT_IN);
        let loaded = config::load(&config::Located::BuiltIn, &environment).expect("valid");
        assert_eq!(loaded.source.name(), "built-in defaults");
    }

    #[test]
    fn the_hosted_service_is_warned_of() {
        let loaded = valid("policy:\n  bulk_cancel:\n    cap_enforced_by: qstash\n");
        let warnings: Vec<String> = loaded
            .warnings
            .iter()
            .map(|w| w.render(&loaded.source, false))
            .collect();
        insta::assert_snapshot!(warnings.join("\n"), @r##"
        warning: hosted QStash has ignored `count` on filter cancels since September 2026, and nothing else would enforce it; write `guard` or `auto`
         --> guard.yaml:3:22
          |
        3 |     cap_enforced_by: qstash
          |                      ^^^^^^
        "##);
        for text in [
            "",
            "policy: {bulk_cancel: {cap_enforced_by: guard}}\n",
            "policy: {bulk_cancel: {cap_enforced_by: qstash}}\nupstream: {url: http://127.0.0.1:8080}\n",
        ] {
            assert!(valid(text).warnings.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_warning_of_the_hosted_service_follows_the_upstream_of_the_command_line() {
        let hosted = "https://qstash-us-east-1.upstash.io";
        for (text, upstream, warned) in [
            (
                "policy: {bulk_cancel: {cap_enforced_by: qstash}}\n",
                "http://127.0.0.1:8080",
                false,
            ),
            (
                "policy: {bulk_cancel: {cap_enforced_by: qstash}}\nupstream: {url: http://127.0.0.1:8080}\n",
                hosted,
                true,
            ),
            ("policy: {bulk_cancel: {cap_enforced_by: guard}}\n", hosted, false),
            ("upstream: {url: http://127.0.0.1:8080}\n", hosted, false),
        ] {
            let mut loaded = valid(text);
            loaded.set_upstream(upstream).expect("a URL");
            assert_eq!(loaded.warnings.len(), usize::from(warned), "{text} {upstream}");
        }
    }
}

mod digest {
    use super::*;

    fn digest(text: &str) -> String {
        valid(text).settings.policy.digest
    }

    #[test]
    fn it_is_that_of_the_effective_policy() {
        let plain = digest("");
        assert_eq!(plain.len(), "sha256:".len() + 12);
        assert_eq!(digest(BUILT_IN), plain);
        assert_eq!(
            digest("# a comment\nlog: {level: debug}\npolicy: {mode: enforce}\n"),
            plain
        );
        assert_eq!(
            digest("policy: {bulk_cancel: {max_count: 5}, mode: monitor}\n"),
            digest("policy:\n  mode: monitor\n  bulk_cancel:\n    # few\n    max_count: 5\n")
        );
    }

    #[test]
    fn whatever_decides_changes_it() {
        let changes = [
            "policy: {mode: monitor}",
            "policy: {qstash_destinations: allow}",
            "policy: {operations: {keys.rotate: deny}}",
            "policy: {bulk_cancel: {require_filter: false}}",
            "policy: {bulk_cancel: {require_cap: false}}",
            "policy: {bulk_cancel: {max_count: 99}}",
            "policy: {bulk_cancel: {max_message_ids: 99}}",
            "policy: {bulk_cancel: {allowed_filters: [label]}}",
            "policy: {bulk_cancel: {narrowing_filters: [label]}}",
            "policy: {bulk_cancel: {extra_parameters: [region]}}",
            "rate_limits: []",
            "credentials: {query_token: reject}",
            "credentials: {header_forward_token: move}",
        ];
        let mut digests: Vec<String> = changes.iter().map(|text| digest(text)).collect();
        digests.push(digest(""));
        let all = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), all);
    }
}

mod values {
    use super::*;

    #[test]
    fn the_environment_is_put_in() {
        let loaded = valid(
            "listen: {address: \"127.0.0.1:${PORT}\"}\n\
             policy:\n  mode: ${MODE:-monitor}\n  bulk_cancel:\n    max_count: ${MAX}\n    require_cap: ${CAP:-false}\n\
             audit: {path: \"${EMPTY:-here}/$$/audit.jsonl\"}\n",
        );
        let settings = loaded.settings;
        assert_eq!(settings.listen.address.to_string(), "127.0.0.1:9999");
        assert_eq!(settings.policy.mode, qstash_guard::policy::Mode::Monitor);
        assert_eq!(settings.policy.bulk_cancel.max_count, 250);
        assert!(!settings.policy.bulk_cancel.require_cap);
        assert_eq!(
            settings.audit.sink,
            qstash_guard::audit::Sink::File("here/$$/audit.jsonl".into())
        );
    }

    #[test]
    fn a_path_of_the_api_is_no_path_of_the_upstream() {
        for path in [
            "/v2",
            "/V2/",
            "/gateway/v1",
            "/v2/messages",
            "/a/v2/workflows/runs",
            "/llm/v1",
        ] {
            let text = format!("upstream: {{url: \"https://qstash.example{path}\"}}\n");
            assert!(faults(&text).contains("part of QStash's own"), "{path}");
        }
        for path in ["/v", "/v2x", "/gateway", "/v1/qstash", "/messages"] {
            valid(&format!("upstream: {{url: \"https://qstash.example{path}\"}}\n"));
        }
    }

    #[test]
    fn urls_become_origins() {
        let origin = |url: &str| {
            let origin = valid(&format!("upstream: {{url: \"{url}\"}}\n"))
                .settings
                .upstream
                .origin;
            format!(
                "{:?} {} {} {:?}",
                origin.scheme, origin.host, origin.port, origin.prefix
            )
        };
        assert_eq!(origin("https://QStash.upstash.io"), r#"Https qstash.upstash.io 443 """#);
        assert_eq!(origin("http://localhost/"), r#"Http localhost 80 """#);
        assert_eq!(origin("http://[::1]:8080/a/b/"), r#"Http ::1 8080 "/a/b""#);
    }

    #[test]
    fn limits_take_globs() {
        let loaded = valid(
            "rate_limits:\n  - {name: a, applies_to: [\"bulk_actions.*\"], per: global, unit: requests, rate: 10/s, burst: 1}\n",
        );
        insta::assert_snapshot!(format!("{:?}", loaded.settings.limits), @r##"[Limit { name: "a", applies_to: Operations([BulkActionsList, BulkActionsGet]), per: Global, unit: Requests, rate: Rate { events: 10, period: 1s }, burst: 1 }]"##);
    }

    #[test]
    fn aliases_are_values_like_others() {
        let loaded = valid("listen: {idle_timeout: &long 90s}\nupstream: {response_timeout: *long}\n");
        assert_eq!(loaded.settings.upstream.response_timeout.as_secs(), 90);
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_taken() {
        let loaded = valid("\u{feff}policy:\r\n  mode: monitor\r\n");
        assert_eq!(loaded.settings.policy.mode, qstash_guard::policy::Mode::Monitor);
    }

    #[test]
    fn null_turns_things_off() {
        let settings = valid("admin: null\naudit: {path: null}\nrate_limits: []\n").settings;
        assert!(settings.admin.is_none() && settings.limits.is_empty());
        assert_eq!(settings.audit.sink, qstash_guard::audit::Sink::None);
        assert_eq!(
            valid("audit: {path: \"-\"}\n").settings.audit.sink,
            qstash_guard::audit::Sink::Stdout
        );
    }
}

mod keys {
    use super::*;

    faulty! {
        keys;
        misspelt: "policy:\n  bulk_cancel:\n    max_cout: 100\n";
        in_the_wrong_section: "policy:\n  max_count: 100\nresponse_timeout: 90s\n";
        unlike_any: "listen: {zzz: 1}\n";
        top_level: "polcy: {}\nrate_limit: []\n";
        other_spellings: "policy:\n  bulkCancel: {max_count: 5}\n  qstash-destinations: deny\n";
        in_a_list: "rate_limits:\n  - name: a\n    aplies_to: [messages.bulk_cancel]\n    per: caller\n    unit: requests\n    rate: 1/s\n    burst: 1\n    period: 1s\n";
        of_a_list: "burst: 5\nlisten: {certificate: cert.pem}\n";
        section_twice: "policy: {mode: monitor}\nlog: {level: debug}\npolicy: {qstash_destinations: allow}\n";
        twice: "policy:\n  mode: enforce\n  # much later\n  qstash_destinations: deny\n  mode: monitor\n";
        merged: "policy:\n  <<: {mode: monitor}\n";
        section_that_is_text: "policy: enforce\nlisten: [a]\n";
        file_that_is_a_list: "- policy\n";
        left_empty: "admin:\nlisten:\n  address:\nrate_limits:\naudit: {path: }\n";
    }
}

mod single_values {
    use super::*;

    faulty! {
        single_values;
        enumeration: "policy:\n  mode: enforced\n  qstash_destinations: yes\n  bulk_cancel: {allowed_filters: any}\n";
        yaml_1_1_booleans: "policy:\n  bulk_cancel:\n    require_filter: yes\n    require_cap: Off\naudit: {rotate: {compress: \"false\"}}\n";
        more_yaml_1_1_booleans: "policy:\n  bulk_cancel:\n    require_filter: on\n    require_cap: n\naudit: {rotate: {compress: 1}, follow_bulk_actions: maybe}\n";
        units_as_elsewhere: "listen: {idle_timeout: 5min}\nupstream: {connect_timeout: 10 s, idle_timeout: 1h30m}\nresources: {body_idle_timeout: 90sec, max_inspected_body: 64}\naudit: {rotate: {max_size: 10 MB}}\n";
        more_numbers: "policy:\n  bulk_cancel:\n    max_count: 1.5\n    max_message_ids: -5\nresources: {max_connections: 1.5}\naudit: {rotate: {keep: 0}}\n";
        wrong_kinds: "policy:\n  bulk_cancel:\n    max_count: null\n    max_message_ids: [5]\n    narrowing_filters: label\n    require_cap: {a: 1}\naudit: {path: [stdout]}\nupstream: {url: }\n";
        more_addresses: "listen: {address: \":8089\"}\nadmin: {address: \"127.0.0.1:90890\"}\n";
        near_words: "log: {level: warning, format: JSON}\naudit: {durability: synch, record: al}\n";
        durations: "listen: {idle_timeout: 75}\nupstream:\n  connect_timeout: 1.5s\n  idle_timeout: 0s\nresources: {shutdown_grace: 2d}\n";
        response_timeout_too_short: "upstream:\n  response_timeout: 30s\n";
        sizes: "resources:\n  max_inspected_body: 64KB\n  max_header_bytes: 4KiB\naudit: {rotate: {max_size: big}}\n";
        numbers: "policy:\n  bulk_cancel:\n    max_count: 0\n    max_message_ids: 1001\nresources: {max_connections: \"100\"}\naudit: {rotate: {keep: few}}\n";
        networks: "listen:\n  trusted_proxies: [\"::ffff:10.0.0.0/104\", \"::ffff:192.0.2.1\", 10.0.0.5/8]\n";
        addresses: "listen: {address: \"localhost:8089\"}\nadmin: {address: 9089}\n";
        the_same_address_twice: "admin: {address: \"127.0.0.1:8089\"}\n";
        urls: "upstream: {url: qstash.upstash.io}\n";
        url_with_a_password: "upstream: {url: \"https://user:hunter2@qstash.upstash.io\"}\n";
        url_within_the_api: "upstream: {url: \"https://qstash.upstash.io/v2/\"}\n";
        url_with_a_query: "upstream: {url: \"https://qstash.upstash.io/v2?x=1\"}\n";
    }
}

mod policy {
    use super::*;

    faulty! {
        policy;
        unknown_operation: "policy:\n  operations:\n    message.bulk_cancel: deny\n    queues.drop: deny\n    \"dql.*\": deny\n    everything: deny\n";
        treatments: "policy:\n  operations:\n    keys.rotate: dney\n    queues.delete: yes\n    \"dlq.bulk_*\": [deny]\n    logs.list:\n";
        misspelt_globs: "policy:\n  operations:\n    \"message.*\": deny\n    \"*.drop\": deny\n";
        unguardable_operation: "policy:\n  operations:\n    dlq.bulk_delete: guard\n";
        operations_as_a_list: "policy:\n  operations: [keys.rotate]\n";
        unknown_filter: "policy:\n  bulk_cancel:\n    narrowing_filters: [queueNames, fromDate]\n    extra_parameters: [count]\n";
        not_available: "policy:\n  bulk_cancel: {cap_enforced_by: qstash, on_missing_cap: apply_max_count}\n";
    }
}

mod tls {
    use super::*;

    faulty! {
        tls;
        left_empty: "listen:\n  tls:\n";
        half_of_it: "listen:\n  tls: {certificate: tls.crt}\n";
        nothing_in_it: "listen: {tls: {}}\n";
        empty_names: "listen:\n  tls: {certificate: \"\", private_key: null, client_ca: \"\"}\n";
        misspelt: "listen:\n  tls: {certificat: tls.crt, private_key: tls.key, ca: roots.pem}\n";
        no_mapping: "listen: {tls: true}\n";
    }

    #[test]
    fn is_off_by_default_and_may_be_said_to_be() {
        assert!(valid("").settings.listen.tls.is_none());
        assert!(valid("listen: {tls: null}\n").settings.listen.tls.is_none());
    }

    #[test]
    fn callers_of_a_rule_may_be_named_by_certificates() {
        let long = format!("spiffe://prod.example/{}/*", "a".repeat(200));
        let rule = format!("policy: {{rules: [{{name: a, deny: not today, callers: ['{long}']}}]}}\n");
        let warned = |text: &str| {
            let warnings = valid(text).warnings;
            warnings
                .iter()
                .any(|warning| warning.message().contains("matches none of `callers`"))
        };
        let tls = |more: &str| format!("listen: {{tls: {{certificate: a, private_key: b{more}}}}}\n{rule}");
        assert!(warned(&rule) && warned(&tls("")));
        assert!(!warned(&tls(", client_ca: c")));
    }
}

mod limits {
    use super::*;

    faulty! {
        limits;
        bad_rate: "rate_limits:\n  - {name: a, applies_to: [messages.bulk_cancel], per: caller, unit: requests, rate: 10/minute, burst: 5}\n";
        rates_as_elsewhere: "rate_limits:\n  - {name: a, applies_to: [messages.publish], per: caller, unit: requests, rate: 10/m, burst: 5}\n  - {name: b, applies_to: [messages.publish], per: caller, unit: requests, rate: 5 / hour, burst: 5}\n  - {name: c, applies_to: [messages.publish], per: caller, unit: requests, rate: 10, burst: 5}\n";
        misspelt_names: "rate_limits:\n  - {name: a, applies_to: [message.bulk_cancel, denid], per: callers, unit: message, rate: 10/s, burst: 5}\n";
        incomplete: "rate_limits:\n  - name: a\n    applies_to: [messages.bulk_cancel]\n    rate: 0/s\n    burst: 0\n";
        stores: "rate_limit_store: {url: \"redis://:hunter2@store/x\", timeout: 0ms, on_error: retry}\n";
        no_stores: "rate_limit_store:\n  url: redis\n  timeout: 100\n  on_error: block\n";
        tls_that_is_not_verified: "rate_limit_store: {url: \"rediss://store:6379#insecure\"}\n";
        denied_beside_others: "rate_limits:\n  - name: a\n    applies_to: [denied, messages.publish]\n    per: caller\n    unit: requests\n    rate: 1/s\n    burst: 1\n";
        messages_of_others: "rate_limits:\n  - name: a\n    applies_to: [messages.*]\n    per: caller\n    unit: messages\n    rate: 1/s\n    burst: 1\n";
        same_name: "rate_limits:\n  - {name: a, applies_to: [denied], per: caller, unit: requests, rate: 1/s, burst: 1}\n  - {name: a, applies_to: [denied], per: caller, unit: requests, rate: 1/d, burst: 1000}\n";
        a_mapping: "rate_limits: {a: 1}\n";
    }
}

mod environment {
    use super::*;

    faulty! {
        environment;
        unset: "upstream:\n  url: ${QSTASH_URL}\n";
        unclosed: "upstream:\n  url: https://${HOST\naudit: {path: \"${a b}\"}\n";
        faulty_default: "policy: {mode: \"${MODE:-enforced}\"}\nlisten: {address: \"${EMPTY}\"}\n";
        in_the_place_of_more: "listen: ${LISTEN}\nrate_limits: ${LIMITS}\n${KEY}: 1\n";
        filter_is_not_guessed: "policy: {bulk_cancel: {narrowing_filters: [\"${FILTER:-lable}\"]}}\n";
        value_is_not_shown: "policy:\n  mode: ${WORD}\n  bulk_cancel: {max_count: \"${WORD}\"}\nlisten: {address: \"${WORD}\"}\n";
    }
}

mod secrets {
    use super::*;

    faulty! {
        secrets;
        token: "credentials:\n  token: eyJhbGciOi.s3cr3t\n  query_token: eyJhbGciOi.s3cr3t\n";
        token_from_the_environment: "credentials: {token: \"${QSTASH_TOKEN}\"}\n";
        misspelt_key: "credentials:\n  tokn: eyJhbGciOi.s3cr3t\nqstash_token: eyJhbGciOi.s3cr3t\n";
        beside_another_fault: "credentials: {mode: brokr, token: s3cr3t}\n";
        block: "credentials:\n  token: |\n    eyJhbGciOi.s3cr3t\n  mod: a\n";
        in_broken_yaml: "credentials:\n  token: \"eyJhbGciOi.s3cr3t\n";
        in_broken_yaml_below: "credentials:\n  token:\n    @eyJhbGciOi.s3cr3t\n";
    }

    #[test]
    fn no_rendering_holds_one() {
        for text in [
            "policy: {rules: [{name: \"${WORD}\", deny: x}, {name: \"${WORD}\", deny: x}]}\n",
            "rate_limits: [{name: \"${WORD}\"}, {name: \"${WORD}\"}]\n",
            "callers: [{name: \"${WORD}\"}, {name: \"${WORD}\"}]\n",
            "credentials: {token: s3cr3t}\n",
            "credentials: {token: [s3cr3t]}\n",
            "credentials: {token: {a: s3cr3t}}\n",
            "credentials:\n  token: >\n    s3cr3t\n    s3cr3t\n",
            "credentials: {broker: {token: s3cr3t-1}}\n",
            "credentials: {token: ${A:-s3cr3t}}\n",
            "credentials: {token: \"${A:-s3cr3t}\"}\n",
            "credentials: {header_forward_token: s3cr3t}\n",
            "credentials: &c {token: s3cr3t}\nlisten: *c\n",
            "audit: {path: &t s3cr3t}\ncredentials: {token: *t}\nlog: {level: x}\n",
            "redis_password: s3cr3t\n",
            "rate_limit_store: {url: \"redis://u:s3cr3t@h/x\"}\n",
            "rate_limit_store: {url: \"redis://u:p/s3cr3t@h\"}\n",
            "rate_limit_store: {url: \"${X:-redis://u:s3cr3t@h:x}\"}\n",
            "upstream: {url: \"ftp://s3cr3t@h\"}\n",
            "upstream: {url: \"${X:-ftp://s3cr3t@h}\"}\n",
            "credentials: {'token': s3cr3t, }}\n",
            "token: s3cr3t: x\n",
        ] {
            let shown = faults(text);
            assert!(!shown.contains("s3cr3t"), "{text}{shown}");
        }
    }
}

mod syntax {
    use super::*;

    faulty! {
        syntax;
        alone: "polcy: {}\nlisten: {idle_timeout: 75}\nlog: {level: debug\n";
        no_space: "policy:\n  mode:monitor\n";
        no_colon: "policy\n  mode: monitor\n";
        unclosed_quote: "audit:\n  path: 'trail.jsonl\nlog: {level: debug}\n";
        unknown_anchor: "listen: {idle_timeout: *long}\n";
        unclosed_bracket: "policy:\n  operations: [a\nlog: {level: debug}\n";
        bad_indentation: "policy:\n  mode: enforce\n bulk_cancel: {}\n";
        tab: "policy:\n\tmode: enforce\n";
        two_documents: "policy: {}\n---\npolicy: {}\n";
        unquoted_ipv6: "listen:\n  address: [::1]:8089\n";
        unquoted_dash: "audit:\n  path: -\n";
        unquoted_glob: "policy:\n  operations:\n    *: deny\n";
        colon_in_text: "listen: a: b\n";
        tag: "log: {level: debug}\npolicy: !!python/object {}\n";
        tag_of_a_word: "policy: {mode: !secret monitor}\n";
    }

    #[test]
    fn what_multiplies_is_stopped() {
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, before) in ('b'..='z').zip('a'..='y') {
            let repeated = vec![format!("*{before}"); 9].join(", ");
            bomb.extend([&format!("{name}: &{name} [{repeated}]"), "\n"]);
        }
        for text in [
            bomb,
            format!("a: {}", "[".repeat(100_000)),
            format!("a: {}{}", "[".repeat(50), "]".repeat(50)),
        ] {
            let shown = faults(&text);
            assert!(
                shown.starts_with("error: the file nests or repeats more than a configuration can"),
                "{shown}"
            );
            assert!(shown.len() < 1_000, "{shown}");
        }
    }
}

mod rendering {
    use super::*;

    faulty! {
        rendering;
        several_in_the_order_of_the_file: "log: {level: verbose}\npolicy:\n  mode: on\n  bulk_cancel:\n    max_cout: 5\nlisten:\n  idle_timeout: soon\n";
        wide_text_and_tabs: "log: {\t\"水水\": 1, levl: 2, e\u{301}: 3}\n";
        long_lines: &format!("policy: {{bulk_cancel: {{narrowing_filters: [{}, lable, {}]}}}}\n", ["label"; 60].join(", "), ["url"; 60].join(", "));
        what_a_terminal_would_obey: "log: {level: \"\u{202e}a\\e[31m\"}\n";
        line_numbers_of_two_widths: "policy:\n  mode: enforce\n\n\n\n\n\n\n\n\n  mode: enforce\n";
    }

    #[test]
    fn colour_is_only_around_what_is_plain_otherwise() {
        let faults = config::compile("guard.yaml", "policy: {mode: x}\n", &environment).expect_err("faulty");
        let coloured = faults.render(true);
        assert!(coloured.contains("\u{1b}["));
        assert_eq!(
            anstream::adapter::strip_str(&coloured).to_string(),
            faults.render(false)
        );
        assert_eq!(faults.to_string(), faults.render(false).trim_end());
    }

    #[test]
    fn many_faults_are_cut_short() {
        let text = (0..80).map(|n| format!("key-{n}: 1")).collect::<Vec<_>>().join("\n");
        assert!(faults(&text).ends_with("\n… and 30 more\n"));
    }

    #[test]
    fn what_was_meant_is_looked_for_only_where_it_is_shown() {
        let many = |line: &dyn Fn(usize) -> String| (0..80).map(line).collect::<String>();
        for text in [
            many(&|n| format!("polic{n}: 1\n")),
            format!(
                "policy:\n  operations:\n{}",
                many(&|n| format!("    keys.rotat{n}: deny\n"))
            ),
        ] {
            let faults = config::compile("guard.yaml", &text, &environment).expect_err("faulty");
            let guesses = faults.iter().filter(|fault| fault.message().contains("did you mean"));
            assert_eq!((faults.len(), guesses.count()), (80, 50), "{text}");
            assert_eq!(faults.render(false).matches("did you mean").count(), 50);
        }
    }

    #[test]
    fn a_key_that_is_given_often_points_to_the_first() {
        let shown = faults("log: {}\nlog: {}\nlog: {}\n");
        assert_eq!(shown.matches("`log` is given twice").count(), 2, "{shown}");
        assert_eq!(
            shown.matches("1 | log: {}\n  | --- first given here").count(),
            2,
            "{shown}"
        );
    }
}

mod files {
    use super::*;
    use qstash_guard::config::Located;
    use std::path::{Path, PathBuf};

    fn file(bytes: &[u8]) -> (PathBuf, String) {
        let path = std::env::temp_dir().join(format!("qstash-guard-config-{}.yaml", uuid::Uuid::now_v7()));
        std::fs::write(&path, bytes).expect("a new file");
        let outcome = config::load(&Located::File(path.clone()), &environment);
        std::fs::remove_file(&path).expect("the file goes");
        let shown = outcome.map_or_else(|faults| faults.render(false), |loaded| loaded.settings.policy.digest);
        (path.clone(), shown.replace(&path.display().to_string(), "guard.yaml"))
    }

    #[test]
    fn what_cannot_be_read_is_said_plainly() {
        let missing = config::load(&Located::File("/nowhere/guard.yaml".into()), &environment).expect_err("missing");
        insta::assert_snapshot!(missing.render(false), @r##"error: there is no file /nowhere/guard.yaml; name one with --config or $QSTASH_GUARD_CONFIG, or name none for the built-in defaults"##);
        let folder = config::load(&Located::File("/".into()), &environment).expect_err("a folder");
        insta::assert_snapshot!(folder.render(false), @r##"error: / is a folder; name the file in it, like /guard.yaml"##);
        insta::assert_snapshot!(file(b"policy: {}\n# caf\xe9\n").1, @r##"error: guard.yaml is not UTF-8: line 2 holds other bytes; save it as UTF-8"##);
        insta::assert_snapshot!(file(&vec![b'#'; 2 << 20]).1, @r##"error: guard.yaml is larger than 1MiB, the most that is read"##);
        assert!(file(b"policy: {}\n").1.starts_with("sha256:"));
    }

    #[test]
    fn a_named_file_comes_first() {
        let named = Path::new("elsewhere.yaml");
        assert_eq!(config::locate(Some(named)), Located::File(named.to_owned()));
    }
}

mod whatever_it_is {
    use super::*;
    use proptest::prelude::*;

    /// Pieces that files are made of, and some that break them.
    const PIECES: [&str; 44] = [
        "policy",
        "bulk_cancel",
        "credentials",
        "token",
        "listen",
        "address",
        "rate_limits",
        "name",
        "operations",
        "mode",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "\n- ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "\"",
        "'",
        "|",
        ">",
        "&a ",
        "*a",
        "<<",
        "${",
        "${A}",
        "${A:-",
        "://",
        "@",
        "#",
        " # ",
        "\t",
        "\r\n",
        "é",
        "水",
        "\u{301}",
        "\u{feff}",
        "---\n",
        "12",
    ];

    proptest! {
        #[test]
        fn it_is_read_and_shown_without_a_panic(
            pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..40),
        ) {
            match config::compile("guard.yaml", &pieces.concat(), &environment) {
                Ok(loaded) => loaded.warnings.iter().for_each(|w| drop(w.render(&loaded.source, true))),
                Err(faults) => {
                    prop_assert!(!faults.is_empty());
                    prop_assert!(faults.render(false).starts_with("error: "));
                }
            }
        }

        #[test]
        fn a_faulty_copy_of_the_shipped_file_is_shown_without_a_panic(at in 0..BUILT_IN.len(), piece in "[ -~]{1,3}|\\PC") {
            prop_assume!(BUILT_IN.is_char_boundary(at));
            let text = format!("{}{piece}{}", &BUILT_IN[..at], &BUILT_IN[at..]);
            if let Err(faults) = config::compile("guard.yaml", &text, &environment) {
                prop_assert!(faults.render(true).contains("guard.yaml:"));
            }
        }
    }
}
