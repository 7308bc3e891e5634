//! What a query asks for: its series, and the labels that it goes by.

use promql_parser::label::Matcher;
use promql_parser::parser::{self, Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};

/// A query's parts, as far as they depend on what a guard exposes.
#[derive(Default)]
pub(crate) struct Query {
    /// Names of series, and what their labels are matched against.
    pub(crate) series: Vec<(String, Vec<Matcher>)>,
    /// Labels that are grouped or joined by.
    pub(crate) labels: Vec<String>,
}

impl Query {
    /// Reads a query; Grafana's variables stand for something.
    pub(crate) fn read(text: &str) -> Self {
        let text = text.replace("$__rate_interval", "5m").replace("$__range", "1h");
        let expression = parser::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut query = Query::default();
        walk_expr(&mut query, &expression).unwrap();
        query
    }

    fn select(&mut self, selector: &VectorSelector) {
        assert!(selector.matchers.or_matchers.is_empty(), "{selector}");
        let name = selector.name.clone().unwrap_or_else(|| panic!("no name: {selector}"));
        self.series.push((name, selector.matchers.matchers.clone()));
    }
}

impl ExprVisitor for Query {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
        match expression {
            Expr::VectorSelector(selector) => self.select(selector),
            Expr::MatrixSelector(matrix) => self.select(&matrix.vs),
            Expr::Aggregate(aggregate) => {
                let by = aggregate
                    .modifier
                    .iter()
                    .flat_map(|modifier| modifier.labels().labels.iter());
                self.labels.extend(by.cloned());
            }
            Expr::Binary(binary) => {
                let matching = binary.modifier.iter().filter_map(|modifier| modifier.matching.as_ref());
                let on = matching.flat_map(|matching| matching.labels().labels.iter());
                self.labels.extend(on.cloned());
            }
            _ => {}
        }
        Ok(true)
    }
}
