//! Adds `__typename` to selection sets that could otherwise be empty.

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{DocumentOperations, ExecutableDocument, Field, OperationType, Selection, SelectionSet},
};
use std::collections::HashSet;

/// Adds `__typename` wherever variables or type conditions could leave an object without any field. The
/// engine returns null for such an object, as if it did not exist.
///
/// `narrows(parent, condition)` returns whether an object of type `parent` may not be of type `condition`.
/// `field_type(parent, field)` returns the object type of a field.
pub fn add_typenames(
    document: &mut ExecutableDocument,
    roots: impl Fn(OperationType) -> Option<Name>,
    field_type: &dyn Fn(&str, &str) -> Option<Name>,
    narrows: &dyn Fn(&str, &str) -> bool,
) {
    let names: Vec<Option<Name>> = document.operations.iter().map(|(name, _)| name.cloned()).collect();
    let before = document.clone();
    let pass = Pass { document: &before, field_type, narrows };
    for fragment in document.fragments.values_mut() {
        let parent = fragment.node.type_condition.node.on.node.clone();
        pass.visit_children(&mut fragment.node.selection_set.node, &parent);
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
            OperationType::Subscription => pass.visit_children(set, &root),
            _ => pass.visit(set, &root, *pos),
        }
    }
}

/// One pass over a document.
struct Pass<'a> {
    document: &'a ExecutableDocument,
    field_type: &'a dyn Fn(&str, &str) -> Option<Name>,
    narrows: &'a dyn Fn(&str, &str) -> bool,
}

impl Pass<'_> {
    fn visit(&self, set: &mut SelectionSet, parent: &str, pos: Pos) {
        if set.items.is_empty() {
            return;
        }
        if !self.never_empty(set, parent, &mut HashSet::new()) {
            let field = Field {
                alias: None,
                name: Positioned::new(Name::new("__typename"), pos),
                arguments: Vec::new(),
                directives: Vec::new(),
                selection_set: Positioned::default(),
            };
            set.items.push(Positioned::new(Selection::Field(Positioned::new(field, pos)), pos));
        }
        self.visit_children(set, parent);
    }

    fn visit_children(&self, set: &mut SelectionSet, parent: &str) {
        for selection in &mut set.items {
            match &mut selection.node {
                Selection::Field(field) => {
                    if let Some(ty) = (self.field_type)(parent, field.node.name.node.as_str()) {
                        self.visit(&mut field.node.selection_set.node, &ty, field.pos);
                    }
                }
                Selection::InlineFragment(inline) => {
                    let inner = inline.node.type_condition.as_ref().map(|on| on.node.on.node.clone());
                    let inner = inner.as_deref().unwrap_or(parent).to_owned();
                    self.visit_children(&mut inline.node.selection_set.node, &inner);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    /// Returns whether at least one field is always in the result.
    fn never_empty<'a>(&'a self, set: &'a SelectionSet, parent: &str, seen: &mut HashSet<&'a str>) -> bool {
        set.items.iter().any(|selection| {
            if !selection.node.directives().is_empty() {
                return false;
            }
            match &selection.node {
                Selection::Field(_) => true,
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    on.is_none_or(|on| !(self.narrows)(parent, on))
                        && self.never_empty(&inline.node.selection_set.node, on.unwrap_or(parent), seen)
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
                        && self.never_empty(&fragment.node.selection_set.node, on, seen)
                }
            }
        })
    }
}
