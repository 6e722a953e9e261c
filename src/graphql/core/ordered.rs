//! Order: the engine lists an object's fields as they finish; an answer lists them as they were asked for.

use std::{cell::OnceCell, collections::HashSet};

use async_graphql::{
    Name, Value,
    indexmap::IndexMap,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};

/// Puts the keys of every object of an answer in the order of the query, and leaves out what the guard alone
/// asked for.
pub fn order(data: &mut Value, document: &ExecutableDocument, operation: &OperationDefinition) {
    MergedSelections::of(vec![&operation.selection_set.node]).sort(data, document);
}

/// A place in an answer. All items of a list share one, so what is asked for there is gathered once.
struct MergedSelections<'a> {
    sets: Vec<&'a SelectionSet>,
    fields: OnceCell<Vec<(&'a Name, Self)>>,
}

/// What is asked for below each key.
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
                    let asked: Vec<_> =
                        fields.iter().filter_map(|(key, _)| map.swap_remove_entry(*key)).collect();
                    *map = asked.into_iter().collect();
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

    /// The keys of a fragment that does not apply are in no object, so types do not matter.
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
                collect(&inline.node.selection_set.node, document, seen, below)
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
