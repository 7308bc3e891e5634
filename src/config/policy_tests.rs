//! Policy tests: requests, and what a policy should say of them.
//!
//! Nothing in such a file comes from the environment, and what a request leaves out has a fixed value: the same file and
//! configuration give the same result everywhere and at any time.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use jiff::Timestamp;

use super::fault::{Fault, Faults};
use super::locate;
use super::section::Section;
use super::source::{Place, Source};
use super::suggest;
use super::tree::{self, Node};
use super::value::{Context, Value};
use super::values;
use crate::audit::Decision;
use crate::policy::Code;
use crate::qstash::selection::{TOKEN_PARAMETER, quoted};

/// A file of tests.
#[derive(Clone, Debug)]
pub struct PolicyTests {
    /// The tests, in the order of the file.
    pub tests: Vec<PolicyTest>,
    /// The name of the file.
    pub name: String,
}

/// One test.
#[derive(Clone, Debug)]
pub struct PolicyTest {
    /// Its name.
    pub name: String,
    /// The line where it begins, from 1.
    pub line: usize,
    /// What is asked.
    pub request: TestRequest,
    /// What should become of it.
    pub expect: Expectation,
}

/// The request of a test.
#[derive(Clone, Debug)]
pub struct TestRequest {
    /// `DELETE` where the file has none.
    pub method: Method,
    /// The path with its query.
    pub target: Uri,
    /// Who asks, in place of whom the credential names.
    pub caller: Option<String>,
    /// Headers; `Host: localhost` where the file has none.
    pub headers: HeaderMap,
    /// The body; a mapping stands here as JSON.
    pub body: Vec<u8>,
    /// When; [`TestRequest::TIME`] where the file has none.
    pub time: Timestamp,
    /// The client's address; 127.0.0.1 where the file has none.
    pub client: IpAddr,
}

impl TestRequest {
    /// The time of a request that says none: noon of the first of January 2026, UTC.
    pub const TIME: Timestamp = Timestamp::constant(1_767_268_800, 0);
}

/// What should become of a request. What is left out may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    /// The decision.
    pub decision: Option<Decision>,
    /// The first violation's code.
    pub code: Option<Code>,
    /// The rule that decides.
    pub rule: Option<String>,
}

impl PolicyTests {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, or why it cannot be read.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let name = path.display().to_string();
        match locate::read_text(path, "name a file of tests", "gateway.test.yaml") {
            Ok(text) => PolicyTests::read(&name, &text),
            Err(message) => Err(Faults::new(Source::new(&name, ""), vec![Fault::of_file(message)])),
        }
    }

    /// Reads the text of a file. No I/O.
    ///
    /// # Errors
    /// Everything that is wrong with it; a syntax error is alone.
    pub fn read(name: &str, text: &str) -> Result<Self, Faults> {
        let mut source = Source::new(name, text);
        let root = match tree::read(source.text()) {
            Ok(root) => root,
            Err(fault) => return Err(Faults::new(source, vec![fault])),
        };
        let context = Context {
            of: "a file of tests",
            ..Context::new(&source, &|_| None)
        };
        let mut section = Section::root(&context, &root);
        let example =
            "tests: [{name: cancel-all is refused, request: {target: /v2/messages}, expect: {decision: deny}}]";
        let tests = section.get("tests").map(|value| tests(&value));
        section.finish();
        if tests.is_none() && context.faults.borrow().is_empty() {
            let fault = Fault::of_file(format!("there are no tests; write `{example}`"));
            context.faults.borrow_mut().push(fault);
        }
        let Context { faults, secrets, .. } = context;
        source.hide(secrets.into_inner());
        let faults = faults.into_inner();
        if faults.is_empty() {
            Ok(PolicyTests {
                tests: tests.unwrap_or_default(),
                name: name.to_owned(),
            })
        } else {
            Err(Faults::new(source, faults))
        }
    }
}

fn tests(value: &Value<'_>) -> Vec<PolicyTest> {
    match value.items("a list of tests") {
        Ok(items) if items.is_empty() => {
            value.fault("`tests` is empty, and nothing would be tested; write one at least");
        }
        Ok(items) => return items.into_iter().filter_map(test).collect(),
        Err(message) => value.fault(message),
    }
    Vec::new()
}

fn test(item: Value<'_>) -> Option<PolicyTest> {
    let context = item.context;
    let line = context.source.line_and_column(item.own_place().start).0;
    let mut section = Section::of(item);
    let name = section.required("name", "name: cancel-all is refused", |value| {
        let name = text(value, "what is tested, in a line")?;
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(format!(
                "`{}` is not one line of text; write what is tested",
                value.path
            ));
        }
        Ok(name)
    });
    let request = section.required("request", "request: {target: /v2/messages}", |value| Ok(request(value)));
    let expect = section.required("expect", "expect: {decision: deny, code: unfiltered_cancel}", |value| {
        Ok(expectation(value))
    });
    section.finish();
    Some(PolicyTest {
        name: name?,
        line,
        request: request??,
        expect: expect?,
    })
}

fn request(value: &Value<'_>) -> Option<TestRequest> {
    let mut section = Section::of(value.clone());
    let method = section.value("method", Method::DELETE, |value| {
        let method = text(value, "a method like `DELETE`")?;
        Method::from_bytes(method.as_bytes()).map_err(|_| format!("{} is not a method", value.written()))
    });
    let target = section.required("target", "target: /v2/messages?label=nightly&count=50", target);
    let caller = section.value("caller", None, |value| {
        let caller = text(value, "the name of a caller")?;
        let message = || format!("`{}` is empty; leave it out for whom the credential names", value.path);
        (!caller.is_empty()).then_some(Some(caller)).ok_or_else(message)
    });
    let mut headers = HeaderMap::new();
    if let Some(value) = section.get("headers") {
        add_headers(&value, &mut headers);
    }
    headers.entry(HOST).or_insert(HeaderValue::from_static("localhost"));
    let body = section.value("body", Vec::new(), body);
    let time = section.value("time", TestRequest::TIME, |value| {
        let time = text(value, "a time like `2026-11-24T17:00:00Z`")?;
        let expected = "write one like `2026-11-24T17:00:00Z` (RFC 3339)";
        time.parse()
            .map_err(|_| format!("{} is not a time; {expected}", value.written()))
    });
    let client = section.value("client_ip", IpAddr::V4(Ipv4Addr::LOCALHOST), |value| {
        let address = text(value, "an IP address like `192.0.2.7`")?;
        let message = |_| format!("{} is not an IP address; write one like `192.0.2.7`", value.written());
        address.parse().map_err(message)
    });
    section.finish();
    Some(TestRequest {
        method,
        target: target?,
        caller,
        headers,
        body,
        time,
        client,
    })
}

fn target(value: &Value<'_>) -> Result<Uri, String> {
    let target = text(value, "a path like `/v2/messages`")?;
    if target.contains(TOKEN_PARAMETER) {
        value.hide();
    }
    let uri: Uri = target.parse().map_err(|error| {
        let written = value.written();
        format!("{written} cannot be the target of a request ({error}); percent-encode what is not plain")
    })?;
    match uri.path_and_query().map(PathAndQuery::as_str) {
        Some(path) if path.starts_with('/') => Ok(uri),
        _ => Err(format!(
            "{} is not a path; write it from its first slash on",
            value.written()
        )),
    }
}

fn add_headers(value: &Value<'_>, headers: &mut HeaderMap) {
    let section = Section::of(value.clone());
    for (name, place, value) in section.free_entries() {
        // A header may hold a credential.
        value.hide();
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            value.fault_at(place, format!("{} is not the name of a header", quoted(name)));
            continue;
        };
        let lines = match &value.node.value {
            Node::Sequence(_) => value.items("a list of values").unwrap_or_default(),
            _ => vec![value.clone()],
        };
        for line in lines {
            let read = text(
                &line,
                "a value, or a list of values for a header that stands there several times",
            );
            let read = read.and_then(|text| {
                HeaderValue::from_str(&text).map_err(|_| format!("`{}` cannot be the value of a header", line.path))
            });
            match read {
                Ok(text) => _ = headers.append(name.clone(), text),
                Err(message) => line.fault(message),
            }
        }
    }
    section.finish_free("names of headers and their values");
}

fn body(value: &Value<'_>) -> Result<Vec<u8>, String> {
    match &value.node.value {
        Node::Mapping(_) => json(value).map(|json| json.to_string().into_bytes()),
        Node::String(text) => Ok(text.clone().into_bytes()),
        _ => Err(value.wrong_kind("text as it is sent, or a mapping that is sent as JSON")),
    }
}

/// A value as JSON. The places of its parts are not told: they are those of the body.
fn json(value: &Value<'_>) -> Result<serde_json::Value, String> {
    Ok(match &value.node.value {
        Node::Null => serde_json::Value::Null,
        Node::Bool(value) => (*value).into(),
        Node::String(text) => text.clone().into(),
        Node::Integer(_) | Node::Float => {
            let written = value.context.source.slice(Place::of_definition(value.node)).trim();
            let number = serde_json::from_str::<serde_json::Number>(written);
            let message = |_| format!("{} is no number of JSON; write the body as text", value.written());
            number.map_err(message)?.into()
        }
        Node::Sequence(_) => {
            let items = value.items("a list")?;
            items.iter().map(json).collect::<Result<Vec<_>, _>>()?.into()
        }
        Node::Mapping(_) => {
            let section = Section::of(value.clone());
            let fields = section.free_entries();
            let fields = fields.map(|(name, _, value)| Ok((name.to_owned(), json(&value)?)));
            fields.collect::<Result<serde_json::Map<_, _>, String>>()?.into()
        }
    })
}

fn expectation(value: &Value<'_>) -> Expectation {
    let mut section = Section::of(value.clone());
    let decision = section.value("decision", None, |value| {
        let words: Vec<_> = Decision::ALL.iter().map(|word| (word.as_str(), *word)).collect();
        values::one_of(value, &words).map(Some)
    });
    let code = section.value("code", None, |value| {
        let code = code(value)?;
        match decision {
            Some(Decision::Allow) => {
                Err("an allowed request has no code; take it out, or write `decision: deny`".to_owned())
            }
            _ => Ok(Some(code)),
        }
    });
    let rule = section.value("rule", None, |value| text(value, "the name of a rule").map(Some));
    let faulty = !value.context.faults.borrow().is_empty();
    section.finish();
    let expectation = Expectation { decision, code, rule };
    if expectation == Expectation::default() && !faulty {
        value.fault(format!(
            "`{}` says nothing; write `decision: allow`, or `decision: deny` and a code",
            value.path
        ));
    }
    expectation
}

fn code(value: &Value<'_>) -> Result<Code, String> {
    let written = text(value, "a code like `unfiltered_cancel`")?;
    if let Some(code) = Code::ALL.iter().find(|code| code.as_str() == written) {
        return Ok(*code);
    }
    let denials = Code::ALL.iter().filter(|code| code.is_denial());
    let names: Vec<&str> = denials.map(|code| code.as_str()).collect();
    Err(match suggest::nearest(&written, names.iter().copied()) {
        Some(near) => format!("{} is not a code; did you mean `{near}`?", value.written()),
        None => format!("{} is not a code; codes are {}", value.written(), suggest::list(&names)),
    })
}

/// The text of a scalar as it stands there: nothing comes from the environment.
fn text(value: &Value<'_>, expected: &str) -> Result<String, String> {
    match &value.node.value {
        Node::String(text) => Ok(text.clone()),
        Node::Bool(_) | Node::Integer(_) | Node::Float => {
            Ok(value.context.source.slice(Place::of_definition(value.node)).to_owned())
        }
        Node::Null | Node::Sequence(_) | Node::Mapping(_) => Err(value.wrong_kind(expected)),
    }
}
