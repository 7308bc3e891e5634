//! Where the parts of a condition stand in its text.

use std::ops::Range;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, SourceInfo};

/// The text of a condition, and what the parser knows of places in it.
pub(super) struct Places<'t> {
    pub(super) text: &'t str,
    pub(super) info: &'t SourceInfo,
    /// How deep an expression may nest.
    pub(super) deepest: usize,
}

impl Places<'_> {
    /// Where a node stands. The parser only knows a part of it: the operator, the dot, the parenthesis.
    pub(super) fn of(&self, node: &IdedExpr, depth: usize) -> Range<usize> {
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
        if depth > self.deepest {
            return own;
        }
        match &node.expr {
            Expr::Select(select) if !select.test => {
                let end = own.end + select.field.len();
                let field = self.text.get(own.end..end) == Some(select.field.as_str());
                self.of(&select.operand, depth + 1).start..if field { end } else { own.end }
            }
            Expr::Select(_) => own.start.saturating_sub("has".len())..own.end,
            Expr::Call(call) => {
                let all = call.target.as_deref().into_iter().chain(&call.args);
                all.fold(own, |place, part| {
                    let part = self.of(part, depth + 1);
                    place.start.min(part.start)..place.end.max(part.end)
                })
            }
            Expr::Comprehension(comprehension) => self.of(&comprehension.iter_range, depth + 1).start..own.end,
            _ => own,
        }
    }

    /// Where the name of a function stands in its call.
    pub(super) fn of_function(&self, call: &CallExpr, place: &Range<usize>) -> Range<usize> {
        let name = format!("{}(", call.func_name);
        // A call without a target is known by its parenthesis.
        let before = self.text.get(..place.start).unwrap_or_default();
        if call.target.is_none() && before.ends_with(&call.func_name) {
            return place.start - call.func_name.len()..place.start;
        }
        let within = self.text.get(place.clone()).and_then(|text| text.rfind(&name));
        within.map_or_else(
            || place.clone(),
            |at| place.start + at..place.start + at + call.func_name.len(),
        )
    }
}
