//! Which fields of a document are kept for whom.

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{DocumentOperations, ExecutableDocument, Field, OperationType, Selection, SelectionSet},
};
use std::collections::HashSet;

/// Adds `__typename` wherever the variables, or the type met, could leave an object without any field: the
/// engine answers null for such an object, as if it were not there.
///
/// `narrows(parent, condition)` says whether an object of the first type may fail to be of the second;
/// `field_type(parent, field)` is the type of a field's object.
pub fn keep_objects(
    document: &mut ExecutableDocument,
    roots: impl Fn(OperationType) -> Option<Name>,
    field_type: &dyn Fn(&str, &str) -> Option<Name>,
    narrows: &dyn Fn(&str, &str) -> bool,
) {
    let names: Vec<Option<Name>> = document.operations.iter().map(|(name, _)| name.cloned()).collect();
    let before = document.clone();
    let keeper = Keeper { document: &before, field_type, narrows };
    for fragment in document.fragments.values_mut() {
        let parent = fragment.node.type_condition.node.on.node.clone();
        keeper.below(&mut fragment.node.selection_set.node, &parent);
    }
    for name in names {
        let operation = match &mut document.operations {
            DocumentOperations::Single(only) => Some(only),
            DocumentOperations::Multiple(all) => name.and_then(|name| all.get_mut(&name)),
        };
        let Some(operation) = operation else { continue };
        let Some(root) = roots(operation.node.ty) else { continue };
        let Positioned { pos, node: set } = &mut operation.node.selection_set;
        match operation.node.ty {
            OperationType::Subscription => keeper.below(set, &root),
            _ => keeper.keep(set, &root, *pos),
        }
    }
}

struct Keeper<'a> {
    document: &'a ExecutableDocument,
    field_type: &'a dyn Fn(&str, &str) -> Option<Name>,
    narrows: &'a dyn Fn(&str, &str) -> bool,
}

impl Keeper<'_> {
    fn keep(&self, set: &mut SelectionSet, parent: &str, pos: Pos) {
        if set.items.is_empty() {
            return;
        }
        if !self.certain(set, parent, &mut HashSet::new()) {
            let field = Field {
                alias: None,
                name: Positioned::new(Name::new("__typename"), pos),
                arguments: Vec::new(),
                directives: Vec::new(),
                selection_set: Positioned::default(),
            };
            set.items.push(Positioned::new(Selection::Field(Positioned::new(field, pos)), pos));
        }
        self.below(set, parent);
    }

    fn below(&self, set: &mut SelectionSet, parent: &str) {
        for selection in &mut set.items {
            match &mut selection.node {
                Selection::Field(field) => {
                    if let Some(ty) = (self.field_type)(parent, field.node.name.node.as_str()) {
                        self.keep(&mut field.node.selection_set.node, &ty, field.pos);
                    }
                }
                Selection::InlineFragment(inline) => {
                    let inner = inline.node.type_condition.as_ref().map(|on| on.node.on.node.clone());
                    let inner = inner.as_deref().unwrap_or(parent).to_owned();
                    self.below(&mut inline.node.selection_set.node, &inner);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    /// At least one field is answered whatever happens.
    fn certain<'a>(&'a self, set: &'a SelectionSet, parent: &str, seen: &mut HashSet<&'a str>) -> bool {
        set.items.iter().any(|selection| {
            if !selection.node.directives().is_empty() {
                return false;
            }
            match &selection.node {
                Selection::Field(_) => true,
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    on.is_none_or(|on| !(self.narrows)(parent, on))
                        && self.certain(&inline.node.selection_set.node, on.unwrap_or(parent), seen)
                }
                Selection::FragmentSpread(spread) => {
                    let Some((name, fragment)) =
                        self.document.fragments.get_key_value(&spread.node.fragment_name.node)
                    else {
                        return true;
                    };
                    let on = fragment.node.type_condition.node.on.node.as_str();
                    seen.insert(name.as_str())
                        && !(self.narrows)(parent, on)
                        && self.certain(&fragment.node.selection_set.node, on, seen)
                }
            }
        })
    }
}
