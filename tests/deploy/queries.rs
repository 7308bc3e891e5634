//! The dashboard and the alert rules ask for what guards really expose: each name, label and value of a query is looked for
//! in the metrics of guards that had traffic of every kind.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::label::MatchOp;
use serde_json::Value;

use crate::deployed;
use crate::promql::Query;
use crate::support::{Client, Guard, Upstream, request};

/// What Prometheus itself adds to each series, and the one that it makes of each scrape.
const TARGET: [&str; 2] = ["job", "instance"];
const UP: &str = "up";

/// Series by name; of each, labels with all their values.
type Exposed = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// A query, what is made of its labels beside it (`{{label}}`, `$labels.label`), and where it stands.
struct Asked {
    place: String,
    query: String,
    shown: Vec<String>,
}

fn dashboard() -> Value {
    serde_json::from_str(&deployed("grafana/qstash-guard.json")).unwrap()
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// What stands between two marks, wherever it does.
fn between(text: &str, begin: &str, end: &str) -> Vec<String> {
    let mut parts = text.split(begin);
    parts.next();
    parts
        .map(|part| part.split(end).next().unwrap().trim().to_owned())
        .collect()
}

fn of_the_dashboard() -> Vec<Asked> {
    let dashboard = dashboard();
    let mut asked = Vec::new();
    for panel in list(&dashboard, "panels") {
        for target in list(panel, "targets") {
            asked.push(Asked {
                place: format!("panel {}", panel["title"]),
                query: target["expr"].as_str().unwrap().to_owned(),
                shown: between(target["legendFormat"].as_str().unwrap(), "{{", "}}"),
            });
        }
    }
    assert!(asked.len() > 20);
    for annotation in list(&dashboard["annotations"], "list") {
        asked.push(Asked {
            place: format!("annotation {}", annotation["name"]),
            query: annotation["expr"].as_str().unwrap().to_owned(),
            shown: between(annotation["titleFormat"].as_str().unwrap(), "{{", "}}"),
        });
    }
    for variable in list(&dashboard["templating"], "list") {
        if let Some(query) = variable["definition"].as_str() {
            let inner = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
            let (query, label) = inner.rsplit_once(", ").unwrap();
            asked.push(Asked {
                place: format!("variable {}", variable["name"]),
                query: query.to_owned(),
                shown: vec![label.to_owned()],
            });
        }
    }
    asked
}

fn of_the_alerts() -> Vec<Asked> {
    let rules: Value = serde_yaml::from_str(&deployed("prometheus/alerts.yaml")).unwrap();
    let groups = list(&rules, "groups").iter();
    let asked: Vec<_> = groups
        .flat_map(|group| list(group, "rules"))
        .map(|rule| Asked {
            place: format!("alert {}", rule["alert"]),
            query: rule["expr"].as_str().unwrap().to_owned(),
            shown: rule["annotations"]
                .as_object()
                .unwrap()
                .values()
                .flat_map(|text| between(text.as_str().unwrap(), "$labels.", " "))
                .map(|label| label.trim_end_matches('}').to_owned())
                .collect(),
        })
        .collect();
    assert!(asked.len() > 8);
    asked
}

/// Adds what a guard exposes.
fn scrape(guard: &Guard, exposed: &mut Exposed) {
    let (status, text) = guard.admin("/metrics");
    assert_eq!(status, 200);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels_of = exposed.entry(name.to_owned()).or_default();
        for pair in labels
            .strip_suffix('}')
            .unwrap()
            .split("\",")
            .filter(|pair| !pair.is_empty())
        {
            let (label, value) = pair.split_once("=\"").unwrap();
            let values = labels_of.entry(label.to_owned()).or_default();
            values.insert(value.trim_end_matches('"').to_owned());
        }
    }
}

/// Everything that guards expose after traffic of every kind.
fn exposed() -> Exposed {
    let mut exposed = Exposed::new();
    let limits = "rate_limits: [{name: cancels, applies_to: [messages.bulk_cancel], per: caller, unit: requests, \
                  rate: 1/h, burst: 1}]";

    let upstream = Upstream::json(r#"{"cancelled":3}"#);
    let guard = Guard::start(&upstream.url(), limits);
    let ask = |method: &str, target: &str| request(guard.address, method, target, &[], b"").status();
    assert_eq!(ask("GET", "/v2/logs?qstash_token=token"), 202);
    assert_eq!(ask("DELETE", "/v2/messages"), 403);
    assert_eq!(ask("DELETE", "/v2/messages?label=a&count=3"), 202);
    assert_eq!(ask("DELETE", "/v2/messages?label=a&count=3"), 429);
    let mut client = Client::connect(guard.address);
    client.send(b"no HTTP\r\n\r\n");
    assert_eq!(client.answer().status(), 400);
    guard.folder.write("guard.yaml", "not: valid");
    guard.signal("HUP");
    guard.wait_for("policy_rejected", 1);
    scrape(&guard, &mut exposed);

    // In monitor mode, and nobody behind it.
    let guard = Guard::start("http://127.0.0.1:1", "policy: {mode: monitor}");
    let ask = |method: &str, target: &str| request(guard.address, method, target, &[], b"").status();
    assert_eq!(ask("DELETE", "/v2/messages"), 502);
    assert_eq!(ask("GET", "/v2/logs"), 502);
    scrape(&guard, &mut exposed);
    exposed
}

/// What is wrong with a query, given what is exposed.
fn faults(asked: &Asked, exposed: &Exposed) -> Vec<String> {
    let mut faults = Vec::new();
    let query = Query::read(&asked.query);
    let nothing = BTreeMap::new();
    let mut known: BTreeSet<&str> = TARGET.into();
    for (name, matchers) in &query.series {
        let labels = match exposed.get(name) {
            Some(labels) => labels,
            None if name == UP => &nothing,
            None => {
                faults.push(format!("{}: no series {name}", asked.place));
                continue;
            }
        };
        known.extend(labels.keys().map(String::as_str));
        for matcher in matchers
            .iter()
            .filter(|matcher| !TARGET.contains(&matcher.name.as_str()))
        {
            let met = |value: &String| match &matcher.op {
                MatchOp::Equal | MatchOp::NotEqual => *value == matcher.value,
                MatchOp::Re(pattern) | MatchOp::NotRe(pattern) => pattern.is_match(value),
            };
            if !labels.get(&matcher.name).is_some_and(|values| values.iter().any(met)) {
                faults.push(format!("{}: no {matcher} in {name}", asked.place));
            }
        }
    }
    for label in query.labels.iter().chain(&asked.shown) {
        if !known.contains(label.as_str()) {
            faults.push(format!("{}: no label {label}", asked.place));
        }
    }
    faults
}

#[test]
fn every_query_asks_for_what_a_guard_exposes() {
    let exposed = exposed();
    let asked = of_the_dashboard().into_iter().chain(of_the_alerts());
    let wrong: Vec<_> = asked.flat_map(|asked| faults(&asked, &exposed)).collect();
    assert!(wrong.is_empty(), "{}\n{exposed:#?}", wrong.join("\n"));

    // And what is asked in vain is found.
    for query in [
        "qstash_guard_request_total",
        "qstash_guard_requests_total{status=\"200\"}",
        "qstash_guard_requests_total{code=\"unfiltered\"}",
        "sum by (caller) (rate(qstash_guard_requests_total[5m]))",
    ] {
        let asked = Asked {
            place: String::new(),
            query: query.to_owned(),
            shown: Vec::new(),
        };
        assert_eq!(faults(&asked, &exposed).len(), 1, "{query}");
    }
}

/// Nothing that is exposed is left out of the dashboard.
#[test]
fn the_dashboard_shows_every_metric() {
    let asked = of_the_dashboard();
    let shown: BTreeSet<_> = asked
        .iter()
        .flat_map(|asked| Query::read(&asked.query).series)
        .map(|(name, _)| name.trim_end_matches("_bucket").to_owned())
        .collect();
    let upstream = Upstream::json("{}");
    let guard = Guard::start(&upstream.url(), "");
    let (_, text) = guard.admin("/metrics");
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(shown.contains(name), "{name} is in no panel");
    }
}

#[test]
fn panels_have_a_place_and_a_source_of_their_own() {
    let dashboard = dashboard();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in list(&dashboard, "panels") {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for x in at("x")..at("x") + at("w") {
            assert!(x < 24, "{panel}");
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{panel} covers another");
            }
        }
        for target in list(panel, "targets") {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }
}
