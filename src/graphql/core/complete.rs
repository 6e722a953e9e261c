//! Completes responses that have errors, as the GraphQL specification requires.
//!
//! The engine drops the key of a failed field and never propagates its null to the parent. Here every failed
//! field becomes null, and the null propagates to the nearest nullable parent. Responses without errors cost
//! nothing.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, PathSegment, Positioned, Response, ServerError, Value, Variables,
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
    scalars,
};

/// Output types of the schema, parsed from its SDL.
#[derive(Debug, Default)]
pub struct Types {
    fields: HashMap<Name, HashMap<Name, Type>>,
    /// Object types of each interface and union.
    members: HashMap<Name, HashSet<Name>>,
    /// Enums and input objects.
    inputs: HashMap<Name, TypeKind>,
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
            TypeKind::Enum(_) | TypeKind::InputObject(_) => {
                self.inputs.insert(name, kind);
            }
            TypeKind::Scalar => {}
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

    /// Returns whether an object of type `parent` may not be of type `condition`.
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

    /// Returns whether an object of type `parent` may be of type `condition`.
    pub fn overlaps(&self, parent: &str, condition: &str) -> bool {
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

    /// Whether the values of all variables have the declared types. Values of scalars of this schema are
    /// accepted: whoever parses them decides.
    pub fn accept(&self, operation: &OperationDefinition, variables: &Variables) -> bool {
        operation.variable_definitions.iter().all(|definition| {
            match variables.get(&definition.node.name.node) {
                Some(value) => self.accepts(&definition.node.var_type.node, value),
                None => definition.node.default_value().is_some(),
            }
        })
    }

    fn accepts(&self, ty: &Type, value: &Value) -> bool {
        let name = match (&ty.base, value) {
            (_, Value::Null) => return ty.nullable,
            (BaseType::List(item), Value::List(values)) => {
                return values.iter().all(|value| self.accepts(item, value));
            }
            (BaseType::List(item), value) => return self.accepts(item, value),
            (BaseType::Named(name), _) => name,
        };
        match (self.inputs.get(name), name.as_str(), value) {
            (Some(TypeKind::Enum(of)), _, Value::String(text)) => {
                of.values.iter().any(|known| known.node.value.node == *text)
            }
            (Some(TypeKind::Enum(of)), _, Value::Enum(text)) => {
                of.values.iter().any(|known| known.node.value.node == *text)
            }
            (Some(TypeKind::InputObject(of)), _, Value::Object(given)) => {
                let is_known = |key: &Name| of.fields.iter().any(|field| field.node.name.node == *key);
                given.keys().all(is_known)
                    && of.fields.iter().all(|field| match given.get(&field.node.name.node) {
                        Some(value) => self.accepts(&field.node.ty.node, value),
                        None => field.node.ty.node.nullable || field.node.default_value.is_some(),
                    })
            }
            (None, "Int" | "ID", Value::Number(number)) => number.is_i64(),
            (None, "Float", Value::Number(_))
            | (None, "Boolean", Value::Boolean(_))
            | (None, "String" | "ID", Value::String(_)) => true,
            (Some(_), ..) | (None, "Int" | "Float" | "Boolean" | "String" | "ID", _) => false,
            (None, ..) => true,
        }
    }

    /// Calls [`guard::typenames::add_typenames`] with the types of this schema.
    pub fn add_typenames(&self, document: &mut ExecutableDocument) {
        guard::typenames::add_typenames(
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

/// Completes a response: nulls where fields failed, a code on every error, at most `max_errors` errors.
pub fn complete(
    mut response: Response,
    document: &ExecutableDocument,
    operation: Option<&OperationDefinition>,
    types: &Types,
    max_errors: usize,
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
            write_null(&mut response.data, path);
        }
        for path in &paths {
            walk.propagate_nulls(&mut response.data, &root, path);
        }
    }
    response.errors.truncate(max_errors);
    response.errors.iter_mut().for_each(classify);
    response
}

/// Adds a code to errors of the engine and removes input values from their messages. Errors of Coffer always
/// have a code already.
fn classify(error: &mut ServerError) {
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_some() {
        return;
    }
    // An error with a path comes from execution: other fields, even mutations, may have run.
    let code = match error.message.as_str() {
        text if text.starts_with("The recursion depth of the query") => TOO_COMPLEX,
        _ if error.path.is_empty() => VALIDATION_FAILED,
        _ => BAD_USER_INPUT,
    };
    extensions.set("code", code);
    error.message = scalar_message(&error.message).unwrap_or_else(|| without_values(&error.message));
}

/// Rewrites the engine's message about a value that a scalar does not accept: it says what the scalar accepts.
fn scalar_message(message: &str) -> Option<String> {
    if let Some((argument, ty)) = message.split_once(", expected type \"") {
        return Some(format!("{argument}: {}", scalars::form(ty.strip_suffix('"')?)?));
    }
    // The engine validates no argument that contains an omitted variable, and fails when it parses the value.
    let (scalar, _) = message.strip_prefix("Failed to parse \"")?.split_once('"')?;
    scalars::form(scalar).map(str::to_owned)
}

/// Cuts an error message of the engine before it quotes an input value, which could be a misplaced secret.
fn without_values(message: &str) -> String {
    for (before, end) in [
        ("\", found ", "\"."),
        (" does not contain value ", " does not contain the value."),
        (" does not contain the value ", " does not contain the value."),
    ] {
        if let Some((start, _)) = message.split_once(before) {
            return format!("{start}{end}");
        }
    }
    message.to_owned()
}

/// Writes null at the end of the path, and adds the objects on the path that the engine left out.
fn write_null(value: &mut Value, path: &[PathSegment]) {
    match (path.split_first(), &mut *value) {
        (None, _) => *value = Value::Null,
        (Some((PathSegment::Field(key), rest)), Value::Object(map)) => {
            write_null(map.entry(Name::new(key)).or_default(), rest);
        }
        (Some((PathSegment::Field(key), rest)), Value::Null) => {
            let mut inner = Value::Null;
            write_null(&mut inner, rest);
            *value = Value::Object([(Name::new(key), inner)].into_iter().collect());
        }
        (Some((PathSegment::Index(index), rest)), Value::List(items)) => {
            if let Some(item) = items.get_mut(*index) {
                write_null(item, rest);
            }
        }
        _ => {}
    }
}

/// Type of a value in the response, with the selection sets that apply to it.
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

    /// Propagates nulls along the path: a value becomes null if a non-nullable value below it is null.
    fn propagate_nulls(&self, value: &mut Value, selections: &TypedSelections<'a>, path: &[PathSegment]) {
        let failed = match (path.split_first(), &mut *value) {
            (Some((PathSegment::Field(key), rest)), Value::Object(map)) => {
                let runtime = match map.get("__typename") {
                    Some(Value::String(name)) => Some(name.clone()),
                    _ => None,
                };
                let below = self.below(selections, key, runtime.as_deref());
                match (below, map.get_mut(key.as_str())) {
                    (Some(below), Some(inner)) => {
                        self.propagate_nulls(inner, &below, rest);
                        *inner == Value::Null && !below.ty.nullable
                    }
                    _ => false,
                }
            }
            (Some((PathSegment::Index(index), rest)), Value::List(items)) => {
                match (&selections.ty.base, items.get_mut(*index)) {
                    (BaseType::List(ty), Some(item)) => {
                        let below = TypedSelections { ty: (**ty).clone(), sets: selections.sets.clone() };
                        self.propagate_nulls(item, &below, rest);
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

    /// Returns the type and selections below a key of an object. If several types are possible, the field is
    /// nullable if it is nullable in any of them.
    fn below(
        &self,
        selections: &TypedSelections<'a>,
        key: &str,
        runtime: Option<&str>,
    ) -> Option<TypedSelections<'a>> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for (parent, set) in &selections.sets {
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
