//! Completion: what the engine leaves out of an answer that has errors.
//!
//! The engine drops a failed field's key and never passes its null to the parent. Here every failed place
//! becomes null, and the null climbs to the nearest place that may be null, as the specification says. Costs
//! nothing where nothing failed.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, PathSegment, Positioned, Response, ServerError, Value,
    parser::{
        Error as ParseError, parse_schema,
        types::{
            BaseType, ExecutableDocument, Field, FieldDefinition, OperationDefinition, OperationType,
            Selection, SelectionSet, Type, TypeKind, TypeSystemDefinition,
        },
    },
};

use super::{
    answer,
    guard::{self, BAD_USER_INPUT, TOO_COMPLEX, VALIDATION_FAILED},
};

/// The output types of the schema, read from its own text.
#[derive(Debug, Default)]
pub struct Types {
    fields: HashMap<Name, HashMap<Name, Type>>,
    /// For each interface and union, the objects that are one.
    members: HashMap<Name, HashSet<Name>>,
    query: Option<Name>,
    mutation: Option<Name>,
    subscription: Option<Name>,
}

impl Types {
    pub fn read(sdl: &str) -> Result<Self, ParseError> {
        let mut types = Self::default();
        for definition in parse_schema(sdl)?.definitions {
            match definition {
                TypeSystemDefinition::Schema(schema) => {
                    let named = |name: Option<Positioned<Name>>| name.map(|name| name.node);
                    types.query = named(schema.node.query);
                    types.mutation = named(schema.node.mutation);
                    types.subscription = named(schema.node.subscription);
                }
                TypeSystemDefinition::Type(ty) => types.add(ty.node.name.node, ty.node.kind),
                TypeSystemDefinition::Directive(_) => {}
            }
        }
        Ok(types)
    }

    fn add(&mut self, name: Name, kind: TypeKind) {
        match kind {
            TypeKind::Object(object) => {
                for interface in object.implements {
                    self.members.entry(interface.node).or_default().insert(name.clone());
                }
                self.fields.insert(name, fields_of(object.fields));
            }
            TypeKind::Interface(interface) => {
                self.members.entry(name.clone()).or_default();
                self.fields.insert(name, fields_of(interface.fields));
            }
            TypeKind::Union(union) => {
                let members = union.members.into_iter().map(|member| member.node);
                self.members.entry(name).or_default().extend(members);
            }
            TypeKind::Scalar | TypeKind::Enum(_) | TypeKind::InputObject(_) => {}
        }
    }

    fn root(&self, kind: OperationType) -> Option<&Name> {
        match kind {
            OperationType::Query => self.query.as_ref(),
            OperationType::Mutation => self.mutation.as_ref(),
            OperationType::Subscription => self.subscription.as_ref(),
        }
    }

    fn field(&self, parent: &str, field: &str) -> Option<&Type> {
        self.fields.get(parent)?.get(field)
    }

    /// An object of type `parent` may fail to be of type `condition`.
    fn narrows(&self, parent: &str, condition: &str) -> bool {
        if parent == condition {
            return false;
        }
        match (self.members.get(parent), self.members.get(condition)) {
            (None, Some(wide)) => !wide.contains(parent),
            (Some(all), Some(wide)) => !all.is_subset(wide),
            _ => true,
        }
    }

    /// An object of type `parent` may be of type `condition`.
    fn overlaps(&self, parent: &str, condition: &str) -> bool {
        if parent == condition {
            return true;
        }
        match (self.members.get(parent), self.members.get(condition)) {
            (None, None) => false,
            (None, Some(members)) => members.contains(parent),
            (Some(members), None) => members.contains(condition),
            (Some(one), Some(other)) => !one.is_disjoint(other),
        }
    }

    /// See `guard::keep_objects`.
    pub fn keep_objects(&self, document: &mut ExecutableDocument) {
        guard::keeping::keep_objects(
            document,
            |kind| self.root(kind).cloned(),
            &|parent, field| self.field(parent, field).map(|ty| base(ty).clone()),
            &|parent, condition| self.narrows(parent, condition),
        );
    }
}

fn fields_of(fields: Vec<Positioned<FieldDefinition>>) -> HashMap<Name, Type> {
    fields.into_iter().map(|field| (field.node.name.node, field.node.ty.node)).collect()
}

fn base(ty: &Type) -> &Name {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => base(inner),
    }
}

/// Puts an answer right: nulls where fields failed, a code on every error, at most `most` errors.
pub fn complete(
    mut response: Response,
    document: &ExecutableDocument,
    operation: Option<&OperationDefinition>,
    types: &Types,
    most: usize,
) -> Response {
    if response.errors.is_empty() {
        return response;
    }
    if let Some(operation) = operation
        && !answer::never_ran(&response)
    {
        let walk = Walk { document, types };
        let root = walk.root(operation);
        let paths: Vec<Vec<PathSegment>> =
            response.errors.iter().map(|error| error.path.clone()).filter(|path| !path.is_empty()).collect();
        for path in &paths {
            mark(&mut response.data, path);
        }
        for path in &paths {
            walk.settle(&mut response.data, &root, path);
        }
    }
    response.errors.truncate(most);
    response.errors.iter_mut().for_each(classify);
    response
}

/// Gives the engine's own errors a code, and takes a caller's values out of their words; an error of ours
/// always has a code.
fn classify(error: &mut ServerError) {
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_some() {
        return;
    }
    let code = match error.message.as_str() {
        text if text.starts_with("The recursion depth of the query") => TOO_COMPLEX,
        _ if error.path.is_empty() => VALIDATION_FAILED,
        _ => BAD_USER_INPUT,
    };
    extensions.set("code", code);
    error.message = without_values(&error.message);
}

/// The engine's words up to where they quote what was sent, which may be a secret in the wrong place.
fn without_values(message: &str) -> String {
    for (before, end) in [
        ("\", found ", "\"."),
        (" does not contain value ", " does not contain the value."),
        (" does not contain the value ", " does not contain the value."),
    ] {
        if let Some((said, _)) = message.split_once(before) {
            return format!("{said}{end}");
        }
    }
    message.to_owned()
}

/// Writes null at the end of the path, and the objects on the way that the engine left out.
fn mark(value: &mut Value, path: &[PathSegment]) {
    match (path.split_first(), &mut *value) {
        (None, _) => *value = Value::Null,
        (Some((PathSegment::Field(key), rest)), Value::Object(map)) => {
            mark(map.entry(Name::new(key)).or_default(), rest);
        }
        (Some((PathSegment::Field(key), rest)), Value::Null) => {
            let mut inner = Value::Null;
            mark(&mut inner, rest);
            *value = Value::Object([(Name::new(key), inner)].into_iter().collect());
        }
        (Some((PathSegment::Index(index), rest)), Value::List(items)) => {
            if let Some(item) = items.get_mut(*index) {
                mark(item, rest);
            }
        }
        _ => {}
    }
}

/// A place in an answer: its type, and the selections made on it.
struct TypedSelections<'a> {
    ty: Type,
    sets: Vec<(&'a str, &'a SelectionSet)>,
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    types: &'a Types,
}

impl<'a> Walk<'a> {
    fn root(&self, operation: &'a OperationDefinition) -> TypedSelections<'a> {
        let name = self.types.root(operation.ty);
        let ty = Type { base: BaseType::Named(name.cloned().unwrap_or(Name::new(""))), nullable: true };
        let parent = name.map(Name::as_str).unwrap_or_default();
        TypedSelections { ty, sets: vec![(parent, &operation.selection_set.node)] }
    }

    /// Lets the nulls along the path climb; the place itself may stay null only if its type allows.
    fn settle(&self, value: &mut Value, place: &TypedSelections<'a>, path: &[PathSegment]) {
        let failed = match (path.split_first(), &mut *value) {
            (Some((PathSegment::Field(key), rest)), Value::Object(map)) => {
                let runtime = match map.get("__typename") {
                    Some(Value::String(name)) => Some(name.clone()),
                    _ => None,
                };
                let below = self.below(place, key, runtime.as_deref());
                match (below, map.get_mut(key.as_str())) {
                    (Some(below), Some(inner)) => {
                        self.settle(inner, &below, rest);
                        *inner == Value::Null && !below.ty.nullable
                    }
                    _ => false,
                }
            }
            (Some((PathSegment::Index(index), rest)), Value::List(items)) => {
                match (&place.ty.base, items.get_mut(*index)) {
                    (BaseType::List(ty), Some(item)) => {
                        let below = TypedSelections { ty: (**ty).clone(), sets: place.sets.clone() };
                        self.settle(item, &below, rest);
                        *item == Value::Null && !below.ty.nullable
                    }
                    _ => false,
                }
            }
            _ => false,
        };
        if failed {
            *value = Value::Null;
        }
    }

    /// The place under a key of an object. Where several types are possible, null is allowed if any of them
    /// allows it.
    fn below(
        &self,
        place: &TypedSelections<'a>,
        key: &str,
        runtime: Option<&str>,
    ) -> Option<TypedSelections<'a>> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for (parent, set) in &place.sets {
            self.gather(set, runtime.unwrap_or(parent), key, &mut seen, &mut found);
        }
        let mut below: Option<TypedSelections<'a>> = None;
        for (parent, field) in found {
            let Some(ty) = self.types.field(parent.as_str(), field.name.node.as_str()) else { continue };
            let set = (base(ty).as_str(), &field.selection_set.node);
            match &mut below {
                None => below = Some(TypedSelections { ty: ty.clone(), sets: vec![set] }),
                Some(below) => {
                    below.ty.nullable |= ty.nullable;
                    below.sets.push(set);
                }
            }
        }
        below
    }

    fn gather(
        &self,
        set: &'a SelectionSet,
        parent: &str,
        key: &str,
        seen: &mut HashSet<&'a str>,
        found: &mut Vec<(Name, &'a Field)>,
    ) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    if field.node.response_key().node == *key {
                        found.push((Name::new(parent), &field.node));
                    }
                }
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    self.gather_on(&inline.node.selection_set.node, parent, on, key, seen, found);
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some((name, fragment)) = self.document.fragments.get_key_value(name)
                        && seen.insert(name.as_str())
                    {
                        let on = fragment.node.type_condition.node.on.node.as_str();
                        let set = &fragment.node.selection_set.node;
                        self.gather_on(set, parent, Some(on), key, seen, found);
                    }
                }
            }
        }
    }

    fn gather_on(
        &self,
        set: &'a SelectionSet,
        parent: &str,
        on: Option<&str>,
        key: &str,
        seen: &mut HashSet<&'a str>,
        found: &mut Vec<(Name, &'a Field)>,
    ) {
        let on = on.unwrap_or(parent);
        if !self.types.overlaps(parent, on) {
            return;
        }
        let narrower = if self.types.members.contains_key(parent) { on } else { parent };
        self.gather(set, narrower, key, seen, found);
    }
}

#[cfg(test)]
mod tests;
