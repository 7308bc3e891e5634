//! The syntax tree of a condition, walked at load: every name must be one that is there, and what it costs is bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::{IdedExpr, Program};

use super::condition::ConditionFault;
use super::cost::{Amount, Extent, LONGEST_LIST, MOST_STEPS};
use super::patterns::{Patterns, Weight};
use super::places::Places;
use super::scope::{Bound, is_short, may_hold_maps, spelled};
use super::variables::{FILTERS, IDS, PATH, filters};
use super::{functions, names};
use crate::qstash::selection::quoted;
use crate::qstash::target::folded;

/// How deep an expression may nest: the interpreter recurses.
const DEEPEST: usize = 48;

/// A tree that was checked.
pub(super) struct Checked {
    /// The tree, its names resolved: `cancel.kind` is one identifier.
    pub(super) expression: IdedExpr,
    /// The patterns in it.
    pub(super) patterns: Patterns,
    /// Where each node stands, in bytes of the text.
    pub(super) places: BTreeMap<u64, Range<usize>>,
    /// The full names of the variables in it.
    pub(super) uses: BTreeSet<String>,
    /// What it takes to evaluate it.
    pub(super) steps: Amount,
}

/// Checks a tree.
pub(super) fn check(text: &str, program: &Program) -> Result<Checked, Vec<ConditionFault>> {
    let mut checker = Checker {
        places: Places {
            text,
            info: program.source_info(),
            deepest: DEEPEST,
        },
        bound: Vec::new(),
        steps: Amount::default(),
        patterns: Patterns::default(),
        found: BTreeMap::new(),
        uses: BTreeSet::new(),
        faults: Vec::new(),
    };
    let mut expression = program.expression().clone();
    checker.walk(&mut expression, 0, Amount::ONE);
    if checker.faults.is_empty() && checker.steps.at(LONGEST_LIST) > MOST_STEPS {
        checker.fault(0..text.len(), TOO_LONG);
    }
    if checker.faults.is_empty() {
        Ok(Checked {
            expression,
            patterns: checker.patterns,
            places: checker.found,
            uses: checker.uses,
            steps: checker.steps,
        })
    } else {
        Err(checker.faults)
    }
}

struct Checker<'t> {
    places: Places<'t>,
    /// The variables of macros that are known where the walk is.
    bound: Vec<Bound>,
    steps: Amount,
    patterns: Patterns,
    /// Where each node stands.
    found: BTreeMap<u64, Range<usize>>,
    uses: BTreeSet<String>,
    faults: Vec<ConditionFault>,
}

impl Checker<'_> {
    fn fault(&mut self, place: Range<usize>, message: impl Into<String>) {
        self.faults.push(ConditionFault {
            message: message.into(),
            place,
        });
    }

    fn takes(&mut self, steps: Amount) {
        self.steps = self.steps.plus(steps);
    }

    /// Checks a node that is evaluated up to `times` times; how much its value holds.
    fn walk(&mut self, node: &mut IdedExpr, depth: usize, times: Amount) -> Extent {
        let place = self.places.of(node, depth);
        self.found.insert(node.id, place.clone());
        if depth > DEEPEST {
            if !self.faults.iter().any(|fault| fault.message == TOO_DEEP) {
                self.fault(place, TOO_DEEP);
            }
            return Extent::SINGLE;
        }
        if let Some(segments) = spelled(node, &self.bound) {
            let tested = matches!(&node.expr, Expr::Select(select) if select.test);
            match names::resolve(&segments.iter().map(String::as_str).collect::<Vec<_>>()) {
                Ok(name) if tested => self.fault(place, always_there(&name)),
                Ok(name) => {
                    let extent = match name.as_str() {
                        FILTERS => Extent::FILTERS,
                        IDS => Extent::LIST,
                        name if name.starts_with(FILTERS) => Extent::LIST,
                        _ => Extent::SINGLE,
                    };
                    self.uses.insert(name.clone());
                    node.expr = Expr::Ident(name);
                    return extent;
                }
                Err(message) => self.fault(place, message),
            }
            return Extent::SINGLE;
        }
        match &mut node.expr {
            Expr::Ident(name) => {
                let bound = self.bound.iter().rev().find(|bound| bound.name == *name);
                bound.map_or(Extent::SINGLE, |bound| bound.extent)
            }
            Expr::Literal(_) | Expr::Unspecified => Extent::SINGLE,
            Expr::Select(select) => {
                self.takes(times);
                let extent = self.walk(&mut select.operand, depth + 1, times);
                if !may_hold_maps(&select.operand, &self.bound, DEEPEST) {
                    let message = format!(
                        "only a map has members, and this is none; take `.{}` out",
                        select.field.escape_debug()
                    );
                    self.fault(place, message);
                }
                extent.item()
            }
            Expr::Call(call) => self.call(call, &place, depth, times),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, &place, depth, times),
            Expr::List(list) => {
                self.grows(&list.elements.iter().collect::<Vec<_>>(), &place);
                let walk = |extent: Extent, item| extent.with(self.walk(item, depth + 1, times));
                let extent = list.elements.iter_mut().fold(Extent::EMPTY, walk);
                self.takes(times.times(extent.total));
                extent
            }
            Expr::Map(map) => {
                let values = map.entries.iter().filter_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Some(&entry.value),
                    EntryExpr::StructField(_) => None,
                });
                self.grows(&values.collect::<Vec<_>>(), &place);
                let mut extent = Extent::EMPTY;
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        extent = extent.with(self.walk(&mut entry.key, depth + 1, times));
                        extent = extent.with(self.walk(&mut entry.value, depth + 1, times));
                    }
                }
                self.takes(times.times(extent.total));
                extent
            }
            Expr::Struct(structure) => {
                let message = format!("there is no type {}", quoted(&structure.type_name));
                self.fault(place, message);
                Extent::SINGLE
            }
        }
    }

    fn call(&mut self, call: &mut CallExpr, place: &Range<usize>, depth: usize, times: Amount) -> Extent {
        if let Some(message) = functions::fault(call) {
            self.fault(self.places.of_function(call, place), message);
            if functions::is_macro(&call.func_name) {
                return Extent::SINGLE;
            }
        }
        let name = call.func_name.clone();
        let mut weight = Amount::ONE;
        if name == "matches"
            && let Some(pattern) = call.args.last_mut()
        {
            weight = match self.pattern(pattern, depth) {
                Weight::Light => Amount::of(2),
                // The whole of a long text may stand in one item.
                Weight::Heavy => Amount::of(if self.bound.is_empty() { 4096 } else { 64 }),
            };
        }
        let mut extents = Vec::new();
        for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
            let is_pattern = matches!(&part.expr, Expr::Ident(name) if name.starts_with("@pattern"));
            if !is_pattern {
                extents.push(self.walk(part, depth + 1, times));
            }
        }
        if name == operators::ADD && !self.bound.is_empty() {
            let long = call.args.iter().filter(|part| !is_short(part, &self.bound));
            if long.count() > 1 {
                self.fault(place.clone(), GROWS);
            }
        }
        self.compares_path(call, depth);
        let all = extents.iter().copied();
        let (first, last) = (extents.first().copied(), extents.last().copied());
        let (worked, extent) = match name.as_str() {
            operators::ADD => {
                let sum = all.fold(Extent::EMPTY, Extent::plus);
                (sum.total, sum)
            }
            operators::EQUALS | operators::NOT_EQUALS => {
                let least = all.map(|extent| extent.total).reduce(Amount::lesser);
                (least.unwrap_or_default(), Extent::SINGLE)
            }
            operators::IN => (last.map(|list| list.total).unwrap_or_default(), Extent::SINGLE),
            operators::INDEX => (Amount::ONE, first.map_or(Extent::SINGLE, Extent::item)),
            operators::CONDITIONAL => {
                let either = extents.iter().skip(1).copied().reduce(Extent::or);
                (Amount::ONE, either.unwrap_or(Extent::SINGLE))
            }
            "dyn" => (Amount::ONE, first.unwrap_or(Extent::SINGLE)),
            _ => (Amount::ONE, Extent::SINGLE),
        };
        self.takes(times.times(weight.or(worked)));
        extent
    }

    /// Refuses a text that the judged copy of a path never holds.
    fn compares_path(&mut self, call: &CallExpr, depth: usize) {
        let parts = || call.target.as_deref().into_iter().chain(&call.args);
        let is_path = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if name == PATH);
        if !parts().any(is_path) {
            return;
        }
        let texts: Vec<&IdedExpr> = parts()
            .flat_map(|part| match &part.expr {
                Expr::List(list) => list.elements.iter().collect(),
                _ => vec![part],
            })
            .collect();
        for node in texts {
            let Expr::Literal(LiteralValue::String(text)) = &node.expr else {
                continue;
            };
            let judged = as_judged(text.inner());
            if judged != text.inner() {
                let message = format!(
                    "`{PATH}` is the judged copy, in lower case and with `//` as `/`, and never holds this; write {}",
                    quoted(&judged)
                );
                self.fault(self.places.of(node, depth), message);
            }
        }
    }

    /// Compiles a pattern and puts the variable that stands for it in its place.
    fn pattern(&mut self, node: &mut IdedExpr, depth: usize) -> Weight {
        let place = self.places.of(node, depth);
        let Expr::Literal(LiteralValue::String(pattern)) = &node.expr else {
            self.fault(
                place,
                "the pattern of `matches` is compiled once, at load; write it out as a string",
            );
            return Weight::Light;
        };
        match self.patterns.add(pattern.inner()) {
            Ok((name, weight)) => {
                node.expr = Expr::Ident(name);
                return weight;
            }
            Err(reason) => self.fault(place, format!("the pattern cannot be used: {reason}")),
        }
        Weight::Light
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
        let mut written = self.bound.iter().filter(|bound| !bound.name.starts_with('@'));
        written.any(|bound| references.has_variable(&bound.name))
    }

    fn comprehension(
        &mut self,
        comprehension: &mut ComprehensionExpr,
        place: &Range<usize>,
        depth: usize,
        times: Amount,
    ) -> Extent {
        let gathers = matches!(comprehension.accu_init.expr, Expr::List(_));
        if gathers && !self.bound.is_empty() {
            self.fault(place.clone(), GROWS);
        }
        let over = self.walk(&mut comprehension.iter_range, depth + 1, times);
        let counted = |items: usize| Amount::of(items.max(1) as u64);
        let (items, item) = match &comprehension.iter_range.expr {
            Expr::List(list) => (counted(list.elements.len()), over.item()),
            // A map is gone through by its keys.
            Expr::Map(map) => (counted(map.entries.len()), Extent::SINGLE),
            Expr::Ident(name) if name == FILTERS => (counted(filters().len()), Extent::SINGLE),
            _ => (over.total, over.item()),
        };
        let maps = may_hold_maps(&comprehension.iter_range, &self.bound, DEEPEST)
            && !matches!(&comprehension.iter_range.expr, Expr::Ident(name) if name == FILTERS);
        self.walk(&mut comprehension.accu_init, depth + 1, times);
        let inner = times.times(items);
        self.takes(inner);
        let outer = self.bound.len();
        let names = [Some(&comprehension.iter_var), comprehension.iter_var2.as_ref()];
        let bound = |name: &String| Bound {
            name: name.clone(),
            extent: item,
            maps,
        };
        self.bound.extend(names.into_iter().flatten().map(bound));
        self.bound.push(Bound {
            name: comprehension.accu_var.clone(),
            extent: if gathers { Extent::EMPTY } else { Extent::SINGLE },
            maps,
        });
        // Whether to go on is asked by the macro itself, and part of the step for each item.
        self.walk(&mut comprehension.loop_cond, depth + 1, Amount::default());
        let step = self.walk(&mut comprehension.loop_step, depth + 1, inner);
        self.walk(&mut comprehension.result, depth + 1, times);
        self.bound.truncate(outer);
        if !gathers {
            return Extent::SINGLE;
        }
        Extent {
            total: items.times(step.total),
            within: step.within,
        }
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

const TOO_LONG: &str = "the condition goes through lists within lists or compares whole lists for each item, which may \
                        take too long; write it with fewer of them";

/// A text as it stands in the judged copy of a path.
fn as_judged(text: &str) -> String {
    let mut judged = folded(text);
    while judged.contains("//") {
        judged = judged.replace("//", "/");
    }
    judged
}
