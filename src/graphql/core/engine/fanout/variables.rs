//! Variables of a subscription that can change its responses.

use super::Plan;
use async_graphql::{
    Name, Positioned, Value,
    parser::types::{Directive, ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};
use std::convert::Infallible;

/// Argument that tells where a subscription resumes. It does not change the response to an event.
const RESUME_ARGUMENT: &str = "after";

/// Returns the variables as JSON, without one that only tells where to resume, so that clients with different
/// positions receive the same responses.
pub fn key(plan: &Plan) -> String {
    let mut variables = plan.variables.clone();
    let document = &plan.checked.document;
    if let Some(definition) = plan.checked.definition(&plan.operation)
        && let Some(name) = resume_variable(document, definition)
    {
        variables.remove(&name);
    }
    serde_json::to_string(&variables).unwrap_or_default()
}

/// Whether a document selects a field of this name anywhere.
pub fn selects(document: &ExecutableDocument, field: &str) -> bool {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    operations.chain(fragments).any(|set| has_field(set, field))
}

fn has_field(set: &SelectionSet, name: &str) -> bool {
    set.items.iter().any(|selection| match &selection.node {
        Selection::Field(field) => {
            field.node.name.node == *name || has_field(&field.node.selection_set.node, name)
        }
        Selection::InlineFragment(inline) => has_field(&inline.node.selection_set.node, name),
        Selection::FragmentSpread(_) => false,
    })
}

/// Returns the variable that is used as `after` of the root field and nowhere else.
fn resume_variable(document: &ExecutableDocument, operation: &OperationDefinition) -> Option<Name> {
    let root = operation.selection_set.node.items.iter().find_map(|selection| match &selection.node {
        Selection::Field(field) => Some(&field.node),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
    })?;
    let (_, after) = root.arguments.iter().find(|(name, _)| name.node.as_str() == RESUME_ARGUMENT)?;
    let mut used = Uses::default();
    used.add_directives(&operation.directives);
    used.add_selections(&operation.selection_set.node);
    for fragment in document.fragments.values() {
        used.add_directives(&fragment.node.directives);
        used.add_selections(&fragment.node.selection_set.node);
    }
    let is_after = |name: &Name| after.node.to_string() == format!("${name}");
    let name = used.0.iter().find(|name| is_after(name))?;
    (used.0.iter().filter(|other| *other == name).count() == 1).then(|| name.clone())
}

/// Variables in the order of their uses. The guard limits how deep selections and values are nested.
#[derive(Default)]
struct Uses(Vec<Name>);

impl Uses {
    fn add(&mut self, variable: Name) -> Value {
        self.0.push(variable);
        Value::Null
    }

    fn add_selections(&mut self, selections: &SelectionSet) {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => {
                    for (_, value) in &field.node.arguments {
                        let Ok(_) = value
                            .node
                            .clone()
                            .into_const_with(|variable| Ok::<_, Infallible>(self.add(variable)));
                    }
                    self.add_directives(&field.node.directives);
                    self.add_selections(&field.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => self.add_directives(&spread.node.directives),
                Selection::InlineFragment(fragment) => {
                    self.add_directives(&fragment.node.directives);
                    self.add_selections(&fragment.node.selection_set.node);
                }
            }
        }
    }

    fn add_directives(&mut self, directives: &[Positioned<Directive>]) {
        for (_, value) in directives.iter().flat_map(|directive| &directive.node.arguments) {
            let Ok(_) =
                value.node.clone().into_const_with(|variable| Ok::<_, Infallible>(self.add(variable)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;

    fn found(text: &str) -> Option<String> {
        let document = parse_query(text).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        resume_variable(&document, &operation.node).map(|name| name.to_string())
    }

    #[test]
    fn a_variable_that_only_tells_where_to_resume_is_found() {
        let with = |selection: &str| format!("subscription($a: String, $b: ID) {{ {selection} }}");
        assert_eq!(found(&with("events(after: $a) { id }")), Some("a".into()));
        assert_eq!(found(&with("x: orderChanged(accountId: $b, after: $a) { id }")), Some("a".into()));
        for other in [
            "events { id }",
            "events(after: \"1\") { id }",
            "orderChanged(after: $a, accountId: $a) { id }",
            "events(after: $a) { id @skip(if: $a) }",
            "events(after: $a) { order { fills(after: $a) { id } } }",
            "events(after: $a) { order { f(x: { y: [$a] }) } }",
            "events(after: $a) { ... on A @include(if: $a) { id } }",
            "events(after: $a) { ... on A { f(x: $a) } }",
        ] {
            assert_eq!(found(&with(other)), None, "{other}");
        }
        let fragment = format!("{} fragment F on E {{ f(x: $a) }}", with("events(after: $a) { ...F }"));
        assert_eq!(found(&fragment), None);
    }
}
