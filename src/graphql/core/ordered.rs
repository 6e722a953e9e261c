//! Sorts the fields of a response in the order of the query. The engine returns them in the order in which
//! they finish.

use std::{cell::OnceCell, collections::HashSet};

use async_graphql::{
    Name, Value,
    indexmap::IndexMap,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};

/// Sorts the keys of every object in the order of the document, and removes keys that are not in it.
pub fn order(data: &mut Value, document: &ExecutableDocument, operation: &OperationDefinition) {
    MergedSelections::of(vec![&operation.selection_set.node]).sort(data, document);
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

    fn sort(&self, value: &mut Value, document: &'a ExecutableDocument) {
        match value {
            Value::List(items) => items.iter_mut().for_each(|item| self.sort(item, document)),
            Value::Object(map) if !self.sets.is_empty() => {
                let fields = self.fields.get_or_init(|| self.gather(document));
                if !map.keys().eq(fields.iter().map(|(key, _)| *key)) {
                    let requested: Vec<_> =
                        fields.iter().filter_map(|(key, _)| map.swap_remove_entry(*key)).collect();
                    *map = requested.into_iter().collect();
                }
                for (key, below) in fields.iter().filter(|(_, below)| !below.sets.is_empty()) {
                    if let Some(inner) = map.get_mut(*key) {
                        below.sort(inner, document);
                    }
                }
            }
            _ => {}
        }
    }

    /// Collects the fields. Type conditions are ignored, because keys of a fragment that does not apply are
    /// missing in the object anyway.
    fn gather(&self, document: &'a ExecutableDocument) -> Vec<(&'a Name, Self)> {
        let (mut below, mut seen) = (Below::new(), HashSet::new());
        for set in &self.sets {
            collect(set, document, &mut seen, &mut below);
        }
        below.into_iter().map(|(key, sets)| (key, Self::of(sets))).collect()
    }
}

fn collect<'a>(
    set: &'a SelectionSet,
    document: &'a ExecutableDocument,
    seen: &mut HashSet<&'a Name>,
    below: &mut Below<'a>,
) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => {
                let sets = below.entry(&field.node.response_key().node).or_default();
                let inner = &field.node.selection_set.node;
                if !inner.items.is_empty() {
                    sets.push(inner);
                }
            }
            Selection::InlineFragment(inline) => {
                collect(&inline.node.selection_set.node, document, seen, below);
            }
            Selection::FragmentSpread(spread) => {
                let name = &spread.node.fragment_name.node;
                if let Some(fragment) = document.fragments.get(name)
                    && seen.insert(name)
                {
                    collect(&fragment.node.selection_set.node, document, seen, below);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
