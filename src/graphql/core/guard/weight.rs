//! Complexity: the number of objects that a response can contain, computed from its page sizes.
//!
//! A page of n items counts as n objects plus n times the objects in each item. Scalars, `edges`, `node`,
//! `nodes`, `pageInfo` and introspection, which has its own limit, count as zero. A chart counts as a page of
//! the maximum size.

use std::{collections::HashMap, convert::Infallible};

use async_graphql::{
    Value, Variables,
    parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};

use super::{CONNECTION, Limits, Refused, TOO_COMPLEX};

/// Field with a long list that has no page size.
const CHART: &str = "bars";
/// Number of objects that a chart counts as, if pages have no maximum size.
const MAX_CHART: u64 = 100;

/// Returns the complexity, or `None` if it depends on variables. Fails if it exceeds the limit.
pub fn fixed(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    limits: &Limits,
) -> Result<Option<u64>, Refused> {
    let variables = Variables::default();
    let mut calculator = Calculator::new(document, operation, &variables, limits);
    let weight = calculator.set(&operation.selection_set.node).objects;
    if calculator.varies {
        return Ok(None);
    }
    check(weight, limits)?;
    Ok(Some(weight))
}

/// Returns the complexity for these variables.
pub fn of(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    limits: &Limits,
) -> u64 {
    Calculator::new(document, operation, variables, limits).set(&operation.selection_set.node).objects
}

/// Fails if the complexity exceeds the limit.
pub fn check(weight: u64, limits: &Limits) -> Result<(), Refused> {
    if weight <= limits.complexity {
        return Ok(());
    }
    let message = format!(
        "The response could contain {weight} objects; at most {} are allowed. Request smaller pages.",
        limits.complexity
    );
    Err(Refused::new(TOO_COMPLEX, message))
}

#[derive(Clone, Copy, Default)]
struct Weight {
    objects: u64,
    /// Whether it directly contains `edges` or `nodes`, so that the field around it is a page.
    page: bool,
}

struct Calculator<'a> {
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    variables: &'a Variables,
    limits: &'a Limits,
    fragments: HashMap<&'a str, Weight>,
    /// Whether the value of a variable was used.
    varies: bool,
}

impl<'a> Calculator<'a> {
    fn new(
        document: &'a ExecutableDocument,
        operation: &'a OperationDefinition,
        variables: &'a Variables,
        limits: &'a Limits,
    ) -> Self {
        Self { document, operation, variables, limits, fragments: HashMap::new(), varies: false }
    }

    fn set(&mut self, set: &'a SelectionSet) -> Weight {
        let mut all = Weight::default();
        for selection in &set.items {
            let weight = match &selection.node {
                Selection::Field(field) => self.field(&field.node),
                Selection::InlineFragment(inline) => self.set(&inline.node.selection_set.node),
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node),
            };
            all.objects = all.objects.saturating_add(weight.objects);
            all.page |= weight.page;
        }
        all
    }

    fn field(&mut self, field: &'a Field) -> Weight {
        let name = field.name.node.as_str();
        let whole = field.get_argument("ids").is_none();
        let page = whole && matches!(name, "edges" | "nodes");
        if field.selection_set.node.items.is_empty() || name.starts_with("__") {
            return Weight { objects: 0, page };
        }
        let below = self.set(&field.selection_set.node);
        if CONNECTION.contains(&name) && whole {
            return Weight { objects: below.objects, page };
        }
        let default = match name {
            CHART => self.limits.page_most.min(MAX_CHART),
            _ if below.page => self.limits.page,
            _ => 1,
        };
        let size = self.size(field).unwrap_or(default);
        let size = size.min(self.limits.page_most).max(1);
        Weight { objects: size.saturating_mul(below.objects.saturating_add(1)), page }
    }

    /// Returns the number of objects requested by `first`, `last` or `ids`, if one of them is given.
    fn size(&mut self, field: &Field) -> Option<u64> {
        let arguments = ["first", "last", "ids"].into_iter().filter_map(|name| field.get_argument(name));
        arguments
            .filter_map(|value| {
                let value = value.node.clone().into_const_with(|name| {
                    self.varies = true;
                    Ok::<_, Infallible>(self.variable(&name))
                });
                match value {
                    Ok(Value::Number(number)) => number.as_u64(),
                    Ok(Value::List(items)) => u64::try_from(items.len()).ok(),
                    _ => None,
                }
            })
            .max()
    }

    fn variable(&self, name: &str) -> Value {
        let default = || {
            let mut definitions = self.operation.variable_definitions.iter();
            definitions.find(|one| one.node.name.node == *name)?.node.default_value()
        };
        self.variables.get(name).or_else(default).cloned().unwrap_or_default()
    }

    /// Returns the weight of a fragment. Cycles were refused before.
    fn fragment(&mut self, name: &'a str) -> Weight {
        if let Some(weight) = self.fragments.get(name) {
            return *weight;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Weight::default() };
        let weight = self.set(&fragment.node.selection_set.node);
        self.fragments.insert(name, weight);
        weight
    }
}
