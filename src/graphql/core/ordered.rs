//! Sorts the fields of a response in the order of the query. The engine returns them in the order in which
//! they finish.

use std::{cell::OnceCell, collections::HashSet};

use async_graphql::{
    Name, Value, Variables,
    indexmap::IndexMap,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};

/// Sorts the keys of every object in the order of the document, and removes keys that are not in it.
pub fn order(
    data: &mut Value,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) {
    let request = Requested { document, variables };
    MergedSelections::of(vec![&operation.selection_set.node]).sort(data, &request);
}

/// The document of a request with the values of its variables, defaults included.
struct Requested<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
}

impl Requested<'_> {
    /// Whether `@skip` or `@include` leaves a selection out.
    fn leaves_out(&self, selection: &Selection) -> bool {
        selection.directives().iter().any(|directive| {
            let skips = match directive.node.name.node.as_str() {
                "skip" => true,
                "include" => false,
                _ => return false,
            };
            let condition = directive.node.get_argument("if").map(|value| value.node.clone());
            let value = condition.and_then(|value| {
                value.into_const_with(|name| self.variables.get(&name).cloned().ok_or(())).ok()
            });
            value == Some(Value::Boolean(skips))
        })
    }
}

/// All selections on one path of the response. The items of a list share it, so their fields are collected
/// only once.
struct MergedSelections<'a> {
    sets: Vec<&'a SelectionSet>,
    fields: OnceCell<Vec<(&'a Name, Self)>>,
}

/// Selection sets below each key.
type Below<'a> = IndexMap<&'a Name, Vec<&'a SelectionSet>>;

impl<'a> MergedSelections<'a> {
    fn of(sets: Vec<&'a SelectionSet>) -> Self {
        Self { sets, fields: OnceCell::new() }
    }

    fn sort(&self, value: &mut Value, request: &Requested<'a>) {
        match value {
            Value::List(items) => items.iter_mut().for_each(|item| self.sort(item, request)),
            Value::Object(map) if !self.sets.is_empty() => {
                let fields = self.fields.get_or_init(|| self.gather(request));
                if !map.keys().eq(fields.iter().map(|(key, _)| *key)) {
                    let requested: Vec<_> =
                        fields.iter().filter_map(|(key, _)| map.swap_remove_entry(*key)).collect();
                    *map = requested.into_iter().collect();
                }
                for (key, below) in fields.iter().filter(|(_, below)| !below.sets.is_empty()) {
                    if let Some(inner) = map.get_mut(*key) {
                        below.sort(inner, request);
                    }
                }
            }
            _ => {}
        }
    }

    /// Collects the fields. Type conditions are ignored, because keys of a fragment that does not apply are
    /// missing in the object anyway.
    fn gather(&self, request: &Requested<'a>) -> Vec<(&'a Name, Self)> {
        let (mut below, mut seen) = (Below::new(), HashSet::new());
        for set in &self.sets {
            collect(set, request, &mut seen, &mut below);
        }
        below.into_iter().map(|(key, sets)| (key, Self::of(sets))).collect()
    }
}

fn collect<'a>(
    set: &'a SelectionSet,
    request: &Requested<'a>,
    seen: &mut HashSet<&'a Name>,
    below: &mut Below<'a>,
) {
    for selection in set.items.iter().filter(|selection| !request.leaves_out(&selection.node)) {
        match &selection.node {
            Selection::Field(field) => {
                let sets = below.entry(&field.node.response_key().node).or_default();
                let inner = &field.node.selection_set.node;
                if !inner.items.is_empty() {
                    sets.push(inner);
                }
            }
            Selection::InlineFragment(inline) => {
                collect(&inline.node.selection_set.node, request, seen, below);
            }
            Selection::FragmentSpread(spread) => {
                let name = &spread.node.fragment_name.node;
                if let Some(fragment) = request.document.fragments.get(name)
                    && seen.insert(name)
                {
                    collect(&fragment.node.selection_set.node, request, seen, below);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
