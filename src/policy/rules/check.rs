//! The syntax tree of a condition, walked at load: every name must be one that is there, and what it costs is bounded.

use std::collections::BTreeMap;
use std::ops::Range;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo, operators};
use cel::{Context, ExecutionError, IdedExpr, Program, Value};

use super::condition::ConditionFault;
use super::names;
use super::patterns::Patterns;
use super::variables::{ENVIRONMENT, FILTERS};
use crate::policy::nearest::nearest;
use crate::qstash::selection::quoted;

/// How deep an expression may nest: the interpreter recurses.
const DEEPEST: usize = 48;

/// The most steps that macros like `all` may take together, where a list of a request counts as [`LONGEST_LIST`].
const MOST_STEPS: u64 = 20_000;

/// The most items of a list that a request brings into a condition.
const LONGEST_LIST: u64 = 1000;

/// A tree that was checked.
pub(super) struct Checked {
    /// The tree, its names resolved: `cancel.kind` is one identifier.
    pub(super) expression: IdedExpr,
    /// The patterns in it.
    pub(super) patterns: Patterns,
    /// Where each node stands, in bytes of the text.
    pub(super) places: BTreeMap<u64, Range<usize>>,
}

/// Checks a tree.
pub(super) fn check(text: &str, program: &Program) -> Result<Checked, Vec<ConditionFault>> {
    let mut checker = Checker {
        text,
        info: program.source_info(),
        bound: Vec::new(),
        steps: 0,
        patterns: Patterns::default(),
        places: BTreeMap::new(),
        faults: Vec::new(),
    };
    let mut expression = program.expression().clone();
    checker.walk(&mut expression, 0, 1);
    if checker.steps > MOST_STEPS {
        checker.fault(
            0..text.len(),
            "the condition goes through lists within lists, which may take too long; write it with fewer of them",
        );
    }
    if checker.faults.is_empty() {
        Ok(Checked {
            expression,
            patterns: checker.patterns,
            places: checker.places,
        })
    } else {
        Err(checker.faults)
    }
}

struct Checker<'t> {
    text: &'t str,
    info: &'t SourceInfo,
    /// The variables of macros that are known where the walk is.
    bound: Vec<String>,
    steps: u64,
    patterns: Patterns,
    places: BTreeMap<u64, Range<usize>>,
    faults: Vec<ConditionFault>,
}

impl Checker<'_> {
    fn fault(&mut self, place: Range<usize>, message: impl Into<String>) {
        self.faults.push(ConditionFault {
            message: message.into(),
            place,
        });
    }

    /// Checks a node that is evaluated up to `times` times.
    fn walk(&mut self, node: &mut IdedExpr, depth: usize, times: u64) {
        let place = self.place(node, depth);
        self.places.insert(node.id, place.clone());
        if depth > DEEPEST {
            if !self.faults.iter().any(|fault| fault.message == TOO_DEEP) {
                self.fault(place, TOO_DEEP);
            }
            return;
        }
        if let Some(segments) = self.name(node) {
            let tested = matches!(&node.expr, Expr::Select(select) if select.test);
            match names::resolve(&segments.iter().map(String::as_str).collect::<Vec<_>>()) {
                Ok(name) if tested => self.fault(place, always_there(&name)),
                Ok(name) => node.expr = Expr::Ident(name),
                Err(message) => self.fault(place, message),
            }
            return;
        }
        match &mut node.expr {
            Expr::Literal(_) | Expr::Ident(_) | Expr::Unspecified => {}
            Expr::Select(select) => self.walk(&mut select.operand, depth + 1, times),
            Expr::Call(call) => self.call(call, &place, depth, times),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, &place, depth, times),
            Expr::List(list) => {
                self.grows(&list.elements.iter().collect::<Vec<_>>(), &place);
                for item in &mut list.elements {
                    self.walk(item, depth + 1, times);
                }
            }
            Expr::Map(map) => {
                let values = map.entries.iter().filter_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Some(&entry.value),
                    EntryExpr::StructField(_) => None,
                });
                self.grows(&values.collect::<Vec<_>>(), &place);
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.walk(&mut entry.key, depth + 1, times);
                        self.walk(&mut entry.value, depth + 1, times);
                    }
                }
            }
            Expr::Struct(structure) => {
                let message = format!("there is no type {}", quoted(&structure.type_name));
                self.fault(place, message);
            }
        }
    }

    fn call(&mut self, call: &mut CallExpr, place: &Range<usize>, depth: usize, times: u64) {
        let is_operator = call.func_name.contains(['_', '@']) && !call.func_name.starts_with(char::is_alphabetic);
        if !is_operator && !is_function(&call.func_name) {
            let name = quoted(&call.func_name);
            let message = match nearest(&call.func_name, FUNCTIONS.iter().copied()) {
                Some(near) => format!("there is no function {name}; did you mean `{near}`?"),
                None => format!("there is no function {name}"),
            };
            self.fault(self.function_place(call, place), message);
        }
        if call.func_name == operators::ADD {
            self.grows(&call.args.iter().collect::<Vec<_>>(), place);
        }
        if let Some(target) = &mut call.target {
            self.walk(target, depth + 1, times);
        }
        if call.func_name == "matches"
            && let Some(pattern) = call.args.last_mut()
        {
            self.pattern(pattern, depth);
        }
        for argument in &mut call.args {
            let is_pattern = matches!(&argument.expr, Expr::Ident(name) if name.starts_with('@'));
            if !is_pattern {
                self.walk(argument, depth + 1, times);
            }
        }
    }

    /// Compiles a pattern and puts the variable that stands for it in its place.
    fn pattern(&mut self, node: &mut IdedExpr, depth: usize) {
        let place = self.place(node, depth);
        let Expr::Literal(LiteralValue::String(pattern)) = &node.expr else {
            self.fault(
                place,
                "the pattern of `matches` is compiled once, at load; write it out as a string",
            );
            return;
        };
        match self.patterns.add(pattern.inner()) {
            Ok(name) => node.expr = Expr::Ident(name),
            Err(reason) => self.fault(place, format!("the pattern is not a regular expression: {reason}")),
        }
    }

    /// Refuses parts of a loop that are put together: what is put together twice in each of many loops may grow to any
    /// size.
    fn grows(&mut self, parts: &[&IdedExpr], place: &Range<usize>) {
        let looped = parts.iter().filter(|part| self.mentions_bound(part)).count();
        if looped > 1 {
            self.fault(place.clone(), GROWS);
        }
    }

    /// Whether the variable of a macro, not what it gathers, is somewhere in an expression.
    fn mentions_bound(&self, node: &IdedExpr) -> bool {
        let references = node.references();
        self.bound
            .iter()
            .any(|bound| !bound.starts_with('@') && references.has_variable(bound))
    }

    fn comprehension(&mut self, comprehension: &mut ComprehensionExpr, place: &Range<usize>, depth: usize, times: u64) {
        let gathers = matches!(comprehension.accu_init.expr, Expr::List(_));
        if gathers && !self.bound.is_empty() {
            self.fault(place.clone(), GROWS);
        }
        let items = match &comprehension.iter_range.expr {
            Expr::List(list) => list.elements.len() as u64,
            Expr::Map(map) => map.entries.len() as u64,
            _ => LONGEST_LIST,
        };
        self.walk(&mut comprehension.iter_range, depth + 1, times);
        self.walk(&mut comprehension.accu_init, depth + 1, times);
        let inner = times.saturating_mul(items.max(1));
        self.steps = self.steps.saturating_add(inner);
        let outer = self.bound.len();
        self.bound.push(comprehension.iter_var.clone());
        self.bound.extend(comprehension.iter_var2.clone());
        self.bound.push(comprehension.accu_var.clone());
        self.walk(&mut comprehension.loop_cond, depth + 1, inner);
        self.walk(&mut comprehension.loop_step, depth + 1, inner);
        self.walk(&mut comprehension.result, depth + 1, times);
        self.bound.truncate(outer);
    }

    /// The segments of the name that a node spells: `a.b`, and `cancel.filters["x"]` too. `None` where it is none, or
    /// begins with the variable of a macro.
    fn name(&self, node: &IdedExpr) -> Option<Vec<String>> {
        let mut segments = Vec::new();
        let mut node = node;
        loop {
            match &node.expr {
                Expr::Ident(name) => {
                    let name = name.strip_prefix('.').unwrap_or(name);
                    if name.starts_with('@') || self.bound.iter().any(|bound| bound == name) {
                        return None;
                    }
                    segments.push(name.to_owned());
                    segments.reverse();
                    return Some(segments);
                }
                Expr::Select(select) => {
                    segments.push(select.field.clone());
                    node = &select.operand;
                }
                Expr::Call(call) if call.func_name == operators::INDEX && segments.is_empty() => {
                    let [of, key] = call.args.as_slice() else { return None };
                    let Expr::Literal(LiteralValue::String(key)) = &key.expr else {
                        return None;
                    };
                    let whole = self.name(of)?;
                    let name = whole.join(".");
                    if name != FILTERS && names::is_variable(&name) {
                        return None;
                    }
                    return Some([whole, vec![key.inner().to_owned()]].concat());
                }
                _ => return None,
            }
        }
    }

    /// Where a node stands. The parser only knows a part of it: the operator, the dot, the parenthesis.
    fn place(&self, node: &IdedExpr, depth: usize) -> Range<usize> {
        let whole = 0..self.text.len();
        let Some((start, stop)) = self.info.offset_for(node.id) else {
            return whole;
        };
        let (start, stop) = (start as usize, stop as usize + 1);
        let own = if self.text.get(start..stop).is_some() {
            start..stop
        } else {
            whole
        };
        // What nests too deeply is shown by a part of it.
        if depth > DEEPEST {
            return own;
        }
        match &node.expr {
            Expr::Select(select) if !select.test => {
                let end = own.end + select.field.len();
                let field = self.text.get(own.end..end) == Some(select.field.as_str());
                self.place(&select.operand, depth + 1).start..if field { end } else { own.end }
            }
            Expr::Select(_) => own.start.saturating_sub("has".len())..own.end,
            Expr::Call(call) => {
                let all = call.target.as_deref().into_iter().chain(&call.args);
                all.fold(own, |place, part| {
                    let part = self.place(part, depth + 1);
                    place.start.min(part.start)..place.end.max(part.end)
                })
            }
            Expr::Comprehension(comprehension) => self.place(&comprehension.iter_range, depth + 1).start..own.end,
            _ => own,
        }
    }

    /// Where the name of a function stands in its call.
    fn function_place(&self, call: &CallExpr, place: &Range<usize>) -> Range<usize> {
        let name = format!("{}(", call.func_name);
        let within = self.text.get(place.clone()).and_then(|text| text.rfind(&name));
        within.map_or_else(
            || place.clone(),
            |at| place.start + at..place.start + at + call.func_name.len(),
        )
    }
}

/// What to write in the place of `has(…)`, which would always be true.
fn always_there(name: &str) -> String {
    if name.starts_with(FILTERS) {
        format!("`{name}` is always there, as a list; write `size({name}) > 0`")
    } else {
        format!("`{name}` is always there; what was not given is null or empty, so compare it")
    }
}

const GROWS: &str = "lists and texts may not be built within a loop, where they could grow to any size; compare the \
                     items one by one, with `exists` or `all`";

const TOO_DEEP: &str = "the condition nests too deeply; split the rule";

/// Whether the library has a function of this name: called without arguments, it then misses them.
fn is_function(name: &str) -> bool {
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

/// The functions that are probably meant by a name that is none.
const FUNCTIONS: &[&str] = &[
    "all",
    "contains",
    "duration",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "has",
    "int",
    "map",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
];
