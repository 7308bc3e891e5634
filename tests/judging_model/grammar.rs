//! Requests made of valid and evil fragments, so that a large share of them is a bulk cancel to some server.

use super::random::Random;

/// A request as a client may write it.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) method: &'static str,
    pub(crate) path: Vec<u8>,
    pub(crate) query: Option<Vec<u8>>,
    pub(crate) body: Vec<u8>,
    pub(crate) overridden: bool,
    pub(crate) content_encoded: bool,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path.escape_ascii())?;
        if let Some(query) = &self.query {
            write!(f, "?{}", query.escape_ascii())?;
        }
        write!(f, " body {:?}", String::from_utf8_lossy(&self.body))?;
        write!(f, " override {} encoded {}", self.overridden, self.content_encoded)
    }
}

const LEADS: &[&str] = &["/", "/", "/", "//", "///"];
const EVIL_LEADS: &[&str] = &[
    "",
    "/./",
    "/../",
    "/x/../",
    "/%2e/",
    "/x/%2e%2e/",
    "\\",
    "/;a/",
    "/%2f",
    "/%5c",
    "/x;y/../",
    "/ ",
    "/%20/..//",
    "/x//..//../",
    "/%252e%252e/",
    "/publish/../",
    "/llm/..;/",
];
const VERSIONS: &[&str] = &["v2", "v2", "v2", "V2", "v1", "v10", "v%32", "%762"];
const EVIL_VERSIONS: &[&str] = &[
    "v",
    "v2;x",
    "v2x",
    "v2%20",
    "v2\\",
    "v%2532",
    "v2%00",
    "v2/publish/https:",
    "v2?",
];
const SEPARATORS: &[&str] = &["/", "/", "/", "//", "///"];
const EVIL_SEPARATORS: &[&str] = &[
    "/./",
    "/x/../",
    "\\",
    "%2f",
    "%5c",
    "%252f",
    "/%2e/",
    "/x%5c../../",
    "/..;/../",
    "/%252e%252e/../",
    "/%2e%2e/../",
    "/x/..%2f",
    "/;/",
    "/;a/",
    "/a//../",
    "/a//..//../",
    "/x%2f../../",
    "/x;/../../",
    "/../v2/",
    "/ ",
    "/%09",
    "/x/.%2e/",
    "/x/%2e./",
    "/a%2fb/../",
    "/x\\..\\",
    "/..\\",
    "/.;/",
    "/x/..;a/",
    "/x%3f/../",
    "/x/..%00/",
    "/x/..%20/",
    "/%c0%ae%c0%ae/",
    "/...//",
    "/%25252e%25252e/../",
    "/%2f../",
    "/x%252f..%252f..%252f",
];
const NAMES: &[&str] = &[
    "messages",
    "messages",
    "messages",
    "messages",
    "Messages",
    "MESSAGES",
    "%6dessages",
    "message%73",
];
const EVIL_NAMES: &[&str] = &[
    "messages;",
    "messages;x=1",
    "messages%3bx",
    "messages%20",
    "messages%00",
    "messages%",
    "messages%2",
    "messages%zz",
    "messages\\",
    "messages%5c",
    "messages%2f",
    "messages%252f",
    "messages%3f",
    "messages%3fx",
    "messages%23",
    "messages#x",
    "me%2573sages",
    "%256dessages",
    "message",
    "messagesx",
    "messages.",
    "messages,",
    "mess%09ages",
    "me%c5%bf%c5%bfages",
    "me\u{17f}sages",
    "messages%c2%a0",
    "messages;%2f..%2f..%2fx",
    "%6dessages;%2f..%2f..%2fx",
    "%6dessages;%252f..%252f..%252fx",
    "messages%3f/../..",
    "%6dessages%3fx/../../y",
    "messages+",
    "messages*",
    "%25%36%64essages",
    "m%65ssages;",
    "queues",
    "dlq",
    "messages/;",
    "messages%0a",
    "messages%c3%a9",
];
const TAILS: &[&str] = &["", "", "", "", "", "/", "//", "/id", "/msg_123", "/a/b"];
const EVIL_TAILS: &[&str] = &[
    "/.",
    "/..",
    "/x/..",
    "/%2e",
    "/x/%2e%2e",
    "/x%2f..",
    "/x%5c..",
    "/x\\..",
    "//id",
    "///id/",
    "/%20",
    "/%09",
    "/+",
    "/%c2%a0",
    "/%a0",
    "/%e3%80%80",
    "/;",
    "/;x",
    "/%3b",
    "/%3f",
    "/%3fx",
    "/%23",
    "/%2f",
    "/%5c",
    "/\\",
    "/%00",
    "/%",
    "/%zz",
    "/x/../",
    "/x/..;",
    "/x/..;/",
    "/%252e%252e/",
    "/%25",
    "/x;/..",
    "/x/.;/..",
    "/%2e%2e/messages",
    "/../messages",
    "/x%252f..",
    "/%2520",
    "/a/../../messages/",
    "/id%3f/..",
    "/%2f/id",
    "/..%5c..%5cx",
    "/ ",
];
const OTHERS: &[&str] = &[
    "/v2/publish/https://example.com/v2/messages",
    "/v2/publish/https://example.com/../../../../v2/messages",
    "/v2/publish/https://example.com/a%2Fb/..;/../c%20d",
    "/v2/topics/a%2Fv2%2Fmessages",
    "/v2/dlq/",
    "/v2/keys",
    "/v2/publish/..%2f..%2fmessages",
    "/v2/queues/..;/../messages",
    "/v2/queues/%252e%252e/../messages",
    "/v2/queues/../messages",
    "/v2/schedules/x%5c../../../v2/messages",
    "/llm/v1/chat/completions",
    "/",
    "*",
    "/v2/workflows/runs",
    "/v2/messages/x/retry",
    "/v2/flowControl/messages/pause",
];
const SPLICES: &[&str] = &[
    "/",
    "//",
    "/..",
    "/../",
    "..",
    ".",
    ";",
    "%2f",
    "%2e",
    "%5c",
    "\\",
    "%",
    "%25",
    "%3b",
    "%3f",
    "%00",
    "%20",
    "?",
    "#",
    " ",
    "\t",
    "%252e",
    "%c2%a0",
    "\u{a0}",
    "%ff",
    "messages",
    "/v2/messages",
    "%c5%bf",
];

const METHODS: &[&str] = &[
    "DELETE", "DELETE", "DELETE", "DELETE", "DELETE", "DELETE", "DELETE", "DELETE", "DELETE", "Delete", "delete",
    "GET", "POST", "PATCH", "PUT", "DELET",
];

const IDS: &[&str] = &[
    "messageIds=msg_1",
    "messageIds=a,b",
    "messageIds=a%2Cb",
    "message%49ds=a",
    "messageIds=,a,",
];
const FILTERS: &[&str] = &[
    "label=nightly",
    "queueName=a+b",
    "queueName=c%2Cd",
    "url=https%3A%2F%2Fexample.com",
    "topicName=t",
    "host=h",
    "path=/p",
    "flowControlKey=k",
    "scheduleId=s",
    "l%61bel=x",
    "label=x,",
    "label=%2Cx",
    "label=%3B",
    "label=a=b",
];
const WEAK: &[&str] = &[
    "fromDate=0",
    "toDate=9",
    "callerIp=1.2.3.4",
    "callerIP=::1",
    "async=true",
    "async=",
    "&",
    "",
];
const COUNTS: &[&str] = &["count=1", "count=100", "count=50", "co%75nt=7", "count=%35"];
const EVIL_PAIRS: &[&str] = &[
    "count=",
    "count",
    "count=0",
    "count=101",
    "count=1e2",
    "count=+5",
    "count=%2B5",
    "count=-1",
    "count=05",
    "count=5;",
    "count=18446744073709551617",
    "count=4294967297",
    "count=5%00",
    "count=%ef%bc%95",
    "count=5.0",
    "count=0x5",
    "label=",
    "label=%20",
    "label=%C2%A0",
    "label=,",
    "label=%2C",
    "label=%2C+%2C",
    "label=%",
    "label=a;b",
    "label=%ff",
    "label=%00",
    "label=%0A",
    "Label=x",
    "LABEL=x",
    "label%20=x",
    "label%00=x",
    "label[]=x",
    "label.0=x",
    "api=llm",
    "urlGroup=g",
    "messageId=x",
    "messageIds=",
    "messageIds=,",
    "messageIds=%20",
    "messageIds[]=a",
    "MessageIds=a",
    "cursor=x",
    "=x",
    "=",
    ";",
    ";label=x",
    "label=x;count=1",
    "label%3Dx",
    "%6cabel=%2520",
    "label=%E3%80%80",
    "queueName",
    "async=1",
    "fromDate=x",
    "fromDate=9&toDate=1",
    "qstash_token",
    "%",
    "%zz=1",
    "label=\u{a0}",
    "count=5&count=500",
    "count=5&co%75nt=",
    "label=x&label=",
    "me\u{17f}sageIds=a",
    "+label=x",
    "label+=x",
];
const TOKENS: &[&str] = &[
    "qstash_token=abc==",
    "qstash%5Ftoken=abc",
    "qstash_token=",
    "qstash_token",
];

const BODY_IDS: &[&str] = &[
    r#""messageIds":["a"]"#,
    r#""messageIds":["a","b,c"]"#,
    r#""message\u0049ds":["a",""]"#,
];
const BODY_FILTERS: &[&str] = &[
    r#""label":"x""#,
    r#""queueName":["a","b"]"#,
    r#""url":"https://example.com""#,
    r#""l\u0061bel":"x,""#,
    r#""scheduleId":["s",""]"#,
    r#""topicName":" t ""#,
];
const BODY_WEAK: &[&str] = &[
    r#""fromDate":0"#,
    r#""toDate":9"#,
    r#""async":true"#,
    r#""host":null"#,
    r#""path":[]"#,
];
const BODY_COUNTS: &[&str] = &[r#""count":1"#, r#""count":100"#, r#""count":50"#, r#""co\u0075nt":7"#];
const EVIL_FIELDS: &[&str] = &[
    r#""messageIds":[]"#,
    r#""messageIds":null"#,
    r#""messageIds":"a""#,
    r#""messageIds":[null]"#,
    r#""messageIds":[""]"#,
    r#""messageIds":[","]"#,
    r#""messageIds":[["a"]]"#,
    r#""messageIds":{"a":1}"#,
    r#""MessageIds":["a"]"#,
    r#""messageIds":["\u0000"]"#,
    r#""label":"""#,
    r#""label":" ""#,
    r#""label":["",","]"#,
    r#""label":null"#,
    r#""label":1"#,
    r#""label":true"#,
    r#""label":"\u00a0""#,
    r#""Label":"x""#,
    r#""label ":"x""#,
    r#""":"x""#,
    r#""count":null"#,
    r#""count":0"#,
    r#""count":101"#,
    r#""count":1e2"#,
    r#""count":5.0"#,
    r#""count":"5""#,
    r#""count":-1"#,
    r#""count":99999999999999999999"#,
    r#""Count":5"#,
    r#""COUNT":500"#,
    r#""count":[5]"#,
    r#""count":05"#,
    r#""qstash_token":"x""#,
    r#""async":"true""#,
    r#""fromDate":"1""#,
    r#""api":"llm""#,
    r#""label":"\ud800""#,
    r#""count":5,"count":500"#,
    r#""label":"x","label":"""#,
    r#""messageIds":["a"],"messageIds":[]"#,
];
const WRAPS: &[(&str, &str)] = &[
    ("[{", "}]"),
    ("{", "} {}"),
    ("{", "}x"),
    ("{}{", "}"),
    ("\u{feff}{", "}"),
    ("{", ""),
    ("", ""),
    (" {", "}\n"),
    ("{", ",}"),
    ("{", "}\0"),
    ("null{", "}"),
    ("{\"x\":{", "}}"),
    ("//c\n{", "}"),
    ("{/**/", "}"),
];

/// The case of one seed.
pub(crate) fn case(seed: u64) -> Case {
    let random = &mut Random::new(seed);
    let (query, body) = match random.below(10) {
        0..6 => (Some(query(random)), Vec::new()),
        6..8 => (None, body(random)),
        8 => (Some(query(random)), body(random)),
        _ if random.chance(50) => (None, Vec::new()),
        _ => (Some(random.pick(TOKENS).into()), body(random)),
    };
    Case {
        method: random.pick(METHODS),
        path: path(random),
        query,
        body,
        overridden: random.chance(3),
        content_encoded: random.chance(2),
    }
}

fn path(random: &mut Random) -> Vec<u8> {
    if random.chance(4) {
        let other = random.pick(OTHERS);
        return if random.chance(30) {
            spliced(random, other)
        } else {
            other.into()
        };
    }
    // Half of the paths are plain, so that what they select is what decides.
    let evil = if random.chance(50) { 0 } else { 22 };
    let mut path = String::new();
    let parts = [
        (LEADS, EVIL_LEADS),
        (VERSIONS, EVIL_VERSIONS),
        (SEPARATORS, EVIL_SEPARATORS),
        (NAMES, EVIL_NAMES),
        (TAILS, EVIL_TAILS),
    ];
    for (plain, evils) in parts {
        let plain = if evil == 0 && random.chance(70) {
            &plain[..1]
        } else {
            plain
        };
        let fragment = if random.chance(evil) {
            random.pick(evils)
        } else {
            random.pick(plain)
        };
        path.push_str(fragment);
    }
    if evil > 0 && random.chance(15) {
        spliced(random, &path)
    } else {
        path.into_bytes()
    }
}

fn query(random: &mut Random) -> Vec<u8> {
    let pairs = parts(random, [IDS, FILTERS, WEAK, COUNTS, EVIL_PAIRS]);
    let mut text = pairs.join(if random.chance(2) { ";" } else { "&" });
    if random.chance(10) {
        let token = random.pick(TOKENS);
        text = if random.chance(50) {
            format!("{token}&{text}")
        } else {
            format!("{text}&{token}")
        };
    }
    if random.chance(4) {
        spliced(random, &text)
    } else {
        text.into_bytes()
    }
}

fn body(random: &mut Random) -> Vec<u8> {
    let fields = parts(random, [BODY_IDS, BODY_FILTERS, BODY_WEAK, BODY_COUNTS, EVIL_FIELDS]);
    let fields: Vec<&str> = fields.into_iter().filter(|field| !field.is_empty()).collect();
    let (open, close) = if random.chance(12) {
        WRAPS[random.below(WRAPS.len())]
    } else {
        ("{", "}")
    };
    format!("{open}{}{close}", fields.join(",")).into_bytes()
}

/// Parts of a selection: by ids, by filter with a count, or anything; each sometimes with an evil one among them.
fn parts<'a>(random: &mut Random, [ids, filters, weak, counts, evil]: [&[&'a str]; 5]) -> Vec<&'a str> {
    let mut parts = Vec::new();
    match random.below(10) {
        0..3 => parts.push(random.pick(ids)),
        3..7 => parts.extend([random.pick(filters), random.pick(counts)]),
        _ => {
            for _ in 0..random.below(4) {
                let from = [ids, filters, weak, counts, evil][random.below(5)];
                parts.push(random.pick(from));
            }
        }
    }
    if random.chance(15) {
        parts.push(random.pick(weak));
    }
    if random.chance(30) {
        let at = random.below(parts.len() + 1);
        parts.insert(at, random.pick(evil));
    }
    parts
}

/// The text with a random fragment put in, or a random character percent-encoded once or twice.
fn spliced(random: &mut Random, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let at = random.below(bytes.len() + 1);
    if random.chance(50) || at == bytes.len() {
        bytes.splice(at..at, random.pick(SPLICES).bytes());
    } else {
        let layer = if random.chance(30) { "%25" } else { "%" };
        let escape = format!("{layer}{:02x}", bytes[at]);
        bytes.splice(at..=at, escape.bytes());
    }
    bytes
}
