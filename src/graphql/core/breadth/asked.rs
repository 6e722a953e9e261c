//! What a query asks for: its selections, with fragments, directives and variables applied.

use super::{
    Fast, Slow,
    shared::{Key, Keys},
};
use crate::{
    graphql::core::{complete::Types, loaders::BatchLoader, pages::PageArgs},
    wire::Fault,
};
use async_graphql::{
    InputType, Name, Positioned, Value, Variables,
    dataloader::Loader,
    parser::types::{Directive, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet},
};
use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::Arc,
};

/// Nesting of fragments and fields, and fields of one object, that a plan may have. The limits for documents
/// are lower for everything but fragments.
const MAX_DEPTH: u8 = 40;
const MAX_FIELDS: usize = 200;

/// An operation with the values of its variables.
pub struct Asked<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    operation: &'a OperationDefinition,
    variables: &'a Variables,
    types: &'a Types,
    /// Reads that are planned so far.
    reads: Cell<usize>,
    /// The keys that are looked up, by their type.
    keys: RefCell<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

/// A field of the response, with all selection sets below it.
pub struct Wanted<'a> {
    pub key: &'a str,
    pub field: &'a Field,
    pub sets: Vec<&'a SelectionSet>,
}

impl<'a> Asked<'a> {
    pub fn new(
        fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
        operation: &'a OperationDefinition,
        variables: &'a Variables,
        types: &'a Types,
    ) -> Self {
        Self { fragments, operation, variables, types, reads: Cell::new(0), keys: RefCell::default() }
    }

    /// Notes that a read is planned.
    pub fn plan_read(&self) {
        self.reads.set(self.reads.get() + 1);
    }

    /// Notes that a field looks up keys of a batch loader, and returns all that are looked up. Whoever reads
    /// them from the database also notes the read.
    pub fn plan_lookup<K>(&self) -> Arc<Keys<K>>
    where
        K: Key,
        BatchLoader: Loader<K, Error = Fault>,
    {
        let mut all = self.keys.borrow_mut();
        let known = all.entry(TypeId::of::<K>()).or_insert_with(|| Arc::new(Keys::<K>::default()));
        let keys = known.clone().downcast::<Keys<K>>().unwrap_or_default();
        keys.add_field();
        keys
    }

    /// Returns the number of reads that are planned.
    pub fn reads(&self) -> usize {
        self.reads.get()
    }

    /// Returns an argument; `None` if it is left out.
    pub fn argument<T: InputType>(&self, field: &Field, name: &str) -> Fast<Option<T>> {
        let Some(value) = field.get_argument(name) else { return Ok(None) };
        let value = value.node.clone().into_const_with(|name| self.variable(&name).cloned().ok_or(Slow))?;
        T::parse(Some(value)).map(Some).map_err(|_| Slow)
    }

    /// Returns an argument; an argument that is left out is parsed as such.
    pub fn required<T: InputType>(&self, field: &Field, name: &str) -> Fast<T> {
        match self.argument(field, name)? {
            Some(value) => Ok(value),
            None => T::parse(None).map_err(|_| Slow),
        }
    }

    /// Returns the arguments of a connection.
    pub fn page(&self, field: &Field) -> Fast<PageArgs> {
        Ok(PageArgs {
            first: self.required(field, "first")?,
            after: self.required(field, "after")?,
            last: self.required(field, "last")?,
            before: self.required(field, "before")?,
        })
    }

    fn variable(&self, name: &Name) -> Option<&Value> {
        let definitions = &self.operation.variable_definitions;
        let definition = definitions.iter().find(|definition| definition.node.name.node == *name)?;
        self.variables.get(name).or_else(|| definition.node.default_value())
    }

    fn is_skipped(&self, directives: &[Positioned<Directive>]) -> Fast<bool> {
        for directive in directives {
            let skips = match directive.node.name.node.as_str() {
                "skip" => true,
                "include" => false,
                _ => return Err(Slow),
            };
            let condition = directive.node.get_argument("if").ok_or(Slow)?;
            let condition = condition.node.clone();
            match condition.into_const_with(|name| self.variable(&name).cloned().ok_or(Slow))? {
                Value::Boolean(is_true) if is_true == skips => return Ok(true),
                Value::Boolean(_) => {}
                _ => return Err(Slow),
            }
        }
        Ok(false)
    }

    /// Returns the fields that these selection sets select of an object of type `ty`, in the order of the
    /// response, with those of one key merged.
    pub fn fields<'s>(&self, ty: &str, sets: &[&'s SelectionSet]) -> Fast<Vec<Wanted<'s>>>
    where
        'a: 's,
    {
        let mut found = Vec::with_capacity(sets.first().map_or(0, |set| set.items.len()));
        for set in sets {
            self.collect(ty, set, &mut found, 0)?;
        }
        if found.is_empty() {
            return Err(Slow);
        }
        Ok(found)
    }

    fn collect<'s>(&self, ty: &str, set: &'s SelectionSet, found: &mut Vec<Wanted<'s>>, depth: u8) -> Fast<()>
    where
        'a: 's,
    {
        if depth > MAX_DEPTH || found.len() > MAX_FIELDS {
            return Err(Slow);
        }
        for selection in &set.items {
            let directives = selection.node.directives();
            if !directives.is_empty() && self.is_skipped(directives)? {
                continue;
            }
            let (condition, inner) = match &selection.node {
                Selection::Field(field) => {
                    add(&field.node, found)?;
                    continue;
                }
                Selection::InlineFragment(inline) => {
                    (inline.node.type_condition.as_ref(), &inline.node.selection_set.node)
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = self.fragments.get(&spread.node.fragment_name.node).ok_or(Slow)?;
                    (Some(&fragment.node.type_condition), &fragment.node.selection_set.node)
                }
            };
            if condition.is_none_or(|on| self.types.overlaps(ty, on.node.on.node.as_str())) {
                self.collect(ty, inner, found, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// Adds a field, or its selection set to the field with the same key.
fn add<'s>(field: &'s Field, found: &mut Vec<Wanted<'s>>) -> Fast<()> {
    let key = field.response_key().node.as_str();
    let set = &field.selection_set.node;
    let sets = if set.items.is_empty() { Vec::new() } else { vec![set] };
    match found.iter_mut().find(|wanted| wanted.key == key) {
        // Validation ought to refuse such fields, but overlooks some.
        Some(wanted) if wanted.field.name != field.name || wanted.field.arguments != field.arguments => {
            return Err(Slow);
        }
        Some(wanted) => wanted.sets.extend(sets),
        None => found.push(Wanted { key, field, sets }),
    }
    Ok(())
}
