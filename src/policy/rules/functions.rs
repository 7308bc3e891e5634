//! The functions and macros that conditions can call, and how.

use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use cel::{Context, ExecutionError, IdedExpr, Value};

use super::variables::ENVIRONMENT;
use crate::policy::nearest::nearest;
use crate::qstash::selection::quoted;

/// A function: how many arguments it takes by itself, and how many behind a value and a dot.
struct Function {
    name: &'static str,
    alone: &'static [usize],
    behind: &'static [usize],
    usage: &'static str,
}

const fn function(
    name: &'static str,
    alone: &'static [usize],
    behind: &'static [usize],
    usage: &'static str,
) -> Function {
    Function {
        name,
        alone,
        behind,
        usage,
    }
}

/// `{}` stands for the name.
const OF_TEXT: &str = "one text, behind another and a dot, like `caller.name.{}(\"billing-\")`";
const OF_TIME: &str = "a zone or nothing, behind a time and a dot, like `request.time.{}(\"Europe/Berlin\")`";
const OF_ONE: &str = "one value, like `{}(cancel.count)`";

/// Those of CEL's standard library.
const FUNCTIONS: &[Function] = &[
    function("bool", &[1], &[], OF_ONE),
    function("bytes", &[1], &[], OF_ONE),
    function("contains", &[], &[1], OF_TEXT),
    function("double", &[1], &[], OF_ONE),
    function("duration", &[1], &[], "a text, like `duration(\"1h\")`"),
    function("dyn", &[1], &[], OF_ONE),
    function("endsWith", &[], &[1], OF_TEXT),
    function("getDate", &[], &[0, 1], OF_TIME),
    function("getDayOfMonth", &[], &[0, 1], OF_TIME),
    function("getDayOfWeek", &[], &[0, 1], OF_TIME),
    function("getDayOfYear", &[], &[0, 1], OF_TIME),
    function("getFullYear", &[], &[0, 1], OF_TIME),
    function("getHours", &[], &[0, 1], OF_TIME),
    function("getMilliseconds", &[], &[0, 1], OF_TIME),
    function("getMinutes", &[], &[0, 1], OF_TIME),
    function("getMonth", &[], &[0, 1], OF_TIME),
    function("getSeconds", &[], &[0, 1], OF_TIME),
    function("int", &[1], &[], OF_ONE),
    function(
        "matches",
        &[2],
        &[1],
        "a text and a pattern, like `caller.name.matches(\"^ops-\")`",
    ),
    function(
        "size",
        &[1],
        &[0],
        "one value, like `size(cancel.ids)` or `cancel.ids.size()`",
    ),
    function("startsWith", &[], &[1], OF_TEXT),
    function("string", &[1], &[], OF_ONE),
    function(
        "timestamp",
        &[1],
        &[],
        "a text, like `timestamp(\"2026-12-01T00:00:00Z\")`",
    ),
    function("type", &[1], &[], OF_ONE),
    function("uint", &[1], &[], OF_ONE),
];

const OF_LIST: &str = "a list, a name and a condition, like `cancel.ids.{}(id, id.startsWith(\"msg_\"))`";

/// What the parser writes out, where it is called as it should be.
const MACROS: &[(&str, &str)] = &[
    (operators::ALL, OF_LIST),
    (operators::EXISTS, OF_LIST),
    (operators::EXISTS_ONE, OF_LIST),
    (operators::FILTER, OF_LIST),
    (operators::HAS, "a member, like `has(a.b)`"),
    (
        operators::MAP,
        "a list, a name and a value, like `cancel.ids.map(id, size(id))`",
    ),
];

/// What the parser makes calls of.
const OPERATORS: &[&str] = &[
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::NOT_STRICTLY_FALSE,
    operators::IN,
];

/// What is wrong with the name of a call or the number of its arguments.
pub(super) fn fault(call: &CallExpr) -> Option<String> {
    let name = call.func_name.as_str();
    if OPERATORS.contains(&name) {
        return None;
    }
    if let Some((_, usage)) = MACROS.iter().find(|(known, _)| *known == name) {
        return Some(wrong(name, usage));
    }
    if let Some(known) = FUNCTIONS.iter().find(|known| known.name == name) {
        let takes = if call.target.is_some() {
            known.behind
        } else {
            known.alone
        };
        return (!takes.contains(&call.args.len())).then(|| wrong(name, known.usage));
    }
    if is_known(name) {
        return None;
    }
    let names = FUNCTIONS.iter().map(|function| function.name);
    let names = names.chain(MACROS.iter().map(|(name, _)| *name));
    let name = quoted(name);
    Some(match nearest(&call.func_name, names) {
        Some(near) => format!("there is no function {name}; did you mean `{near}`?"),
        None => format!("there is no function {name}"),
    })
}

fn wrong(name: &str, usage: &str) -> String {
    format!("`{name}` takes {}", usage.replace("{}", name))
}

/// Whether a call is of a macro that is not called as it should be: then what stands in it is not looked at.
pub(super) fn is_macro(name: &str) -> bool {
    MACROS.iter().any(|(known, _)| *known == name)
}

/// Whether the library has a function of this name: called without arguments, it then misses them.
fn is_known(name: &str) -> bool {
    let call = |target| IdedExpr {
        id: 0,
        expr: Expr::Call(CallExpr {
            func_name: name.to_owned(),
            target,
            args: Vec::new(),
        }),
    };
    let context = Context::with_env(ENVIRONMENT.clone());
    let known = |call: &IdedExpr| {
        !matches!(
            Value::resolve(call, &context),
            Err(ExecutionError::UndeclaredReference(_))
        )
    };
    let null = IdedExpr {
        id: 0,
        expr: Expr::Literal(LiteralValue::Null),
    };
    known(&call(None)) || known(&call(Some(Box::new(null))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_has_every_function_of_the_table() {
        for function in FUNCTIONS {
            assert!(is_known(function.name), "{}", function.name);
        }
        assert!(!is_known("_foo") && !is_known("exists"));
    }
}
