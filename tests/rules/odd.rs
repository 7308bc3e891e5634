//! Conditions that nobody would write: they are refused or evaluated, and end neither the guard nor its patience.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
use proptest::sample::select;
use qstash_guard::policy::rules::Condition;
use qstash_guard::qstash::operation::Operation;

const TOKENS: &[&str] = &[
    "cancel",
    ".kind",
    ".count",
    ".ids",
    ".filters",
    ".label",
    "caller.name",
    "request.time",
    "operation",
    "x",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    ":",
    "?",
    "==",
    "!=",
    "<",
    "in",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "%",
    "/",
    "1",
    "0",
    "9223372036854775807",
    "1u",
    "1.5e300",
    "'a'",
    "\"ü\"",
    "b'\\xff'",
    "r'\\'",
    "null",
    "true",
    ".all(x, ",
    ".map(x, ",
    ".exists(x, ",
    ".filter(x, ",
    ".matches('a*')",
    ".size()",
    "size(",
    "has(",
    ".getHours('UTC')",
    "duration('1h')",
    "timestamp(",
    "type(",
    "dyn(",
    "int(",
    "string(",
    "`",
    "@",
    "\n",
    "// c",
    "\u{0}",
    "'",
    "\"",
    "\\",
];

fn condition() -> impl Strategy<Value = String> {
    let token = prop_oneof![8 => select(TOKENS).prop_map(str::to_owned), 1 => Just(" ".to_owned()), 1 => "\\PC{0,4}"];
    vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn no_text_ends_more_than_its_own_rule(text in condition()) {
        let operations = [Operation::MessagesBulkCancel, Operation::DlqDelete];
        let compiled = Condition::compile(&text, &operations, |operation| operation == Operation::MessagesBulkCancel);
        match compiled {
            Ok(condition) => assert_eq!(condition.text(), text),
            Err(faults) => {
                assert!(!faults.is_empty(), "refused for nothing: {text:?}");
                for fault in faults {
                    assert!(text.get(fault.place.clone()).is_some(), "{:?} is no part of {text:?}", fault.place);
                    assert!(!fault.message.is_empty());
                }
            }
        }
    }
}
