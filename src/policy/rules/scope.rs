//! The variables of macros, and what a value can be told to be without evaluating it.

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue, operators};

use super::cost::Extent;
use super::names;
use super::variables::{FILTERS, IDS, METHOD, PATH};

/// The variable of a macro.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) name: String,
    /// How much it holds.
    pub(super) extent: Extent,
    /// Whether it may be a map, or have one in it.
    pub(super) maps: bool,
}

/// The segments of the name that a node spells: `a.b`, and `cancel.filters["x"]` too. `None` where it is none, or
/// begins with the variable of a macro.
pub(super) fn spelled(node: &IdedExpr, bound: &[Bound]) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    let mut node = node;
    loop {
        match &node.expr {
            Expr::Ident(name) => {
                let name = name.strip_prefix('.').unwrap_or(name);
                if name.starts_with('@') || bound.iter().any(|bound| bound.name == name) {
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
                let whole = spelled(of, bound)?;
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

/// Whether a value, its names resolved, is no list of a request and no text of a length that clients choose: then it may
/// be put together with others in a loop. What a macro gathers is bounded by what it adds.
pub(super) fn is_short(node: &IdedExpr, bound: &[Bound]) -> bool {
    match &node.expr {
        Expr::Literal(_) => true,
        Expr::Ident(name) if name.starts_with('@') => true,
        Expr::Ident(name) => {
            let is_long = name == IDS || name == PATH || name == METHOD || name.starts_with(FILTERS);
            !is_long && !bound.iter().any(|bound| bound.name == *name)
        }
        Expr::Call(call) => {
            let mut parts = call.target.as_deref().into_iter().chain(&call.args);
            parts.all(|part| is_short(part, bound))
        }
        Expr::List(list) => list.elements.iter().all(|item| is_short(item, bound)),
        _ => false,
    }
}

/// Whether a value, its names resolved, may be a map or have one in it; `true` where it nests deeper than is looked.
pub(super) fn may_hold_maps(node: &IdedExpr, bound: &[Bound], depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return true };
    let holds = |part: &IdedExpr| may_hold_maps(part, bound, depth);
    match &node.expr {
        Expr::Map(_) => true,
        Expr::Ident(name) => match bound.iter().rev().find(|bound| bound.name == *name) {
            Some(bound) => bound.maps,
            None => name == FILTERS,
        },
        Expr::Select(select) => holds(&select.operand),
        Expr::List(list) => list.elements.iter().any(holds),
        Expr::Comprehension(comprehension) => holds(&comprehension.iter_range) || holds(&comprehension.loop_step),
        Expr::Call(call) => match call.func_name.as_str() {
            operators::CONDITIONAL | operators::ADD | operators::INDEX | "dyn" => call.args.iter().any(holds),
            _ => false,
        },
        Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => false,
    }
}
