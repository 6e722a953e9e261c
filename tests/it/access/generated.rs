//! Requests for mutations, made from the schema: ids of known objects and a value of the right type for every
//! required field. A mutation needs an entry in a table only if these do not fit.

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition},
};
use domain::Scope;
use serde_json::{Map, Value, json};
use std::{collections::HashMap, sync::LazyLock};

/// A mutation whose input has an id, and what the schema says about it.
#[derive(Clone, Debug)]
pub struct Mutation {
    pub field: &'static str,
    /// Type of the input.
    pub input: String,
    /// First field of the payload.
    pub entity: String,
    /// Scope that the description names.
    pub scope: Scope,
    /// Field with the id of the object to change.
    pub id: String,
}

struct Types {
    fields: Vec<FieldDefinition>,
    objects: HashMap<String, Vec<FieldDefinition>>,
    inputs: HashMap<String, Vec<InputValueDefinition>>,
    enums: HashMap<String, String>,
}

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let mut types =
        Types { fields: Vec::new(), objects: HashMap::new(), inputs: HashMap::new(), enums: HashMap::new() };
    for definition in parse_schema(coffer::graphql::schema(true).sdl()).unwrap().definitions {
        let TypeSystemDefinition::Type(ty) = definition else { continue };
        let name = ty.node.name.node.to_string();
        match ty.node.kind {
            TypeKind::Object(object) => {
                let fields: Vec<_> = object.fields.into_iter().map(|field| field.node).collect();
                if name == "Mutation" {
                    types.fields.clone_from(&fields);
                }
                types.objects.insert(name, fields);
            }
            TypeKind::InputObject(object) => {
                types.inputs.insert(name, object.fields.into_iter().map(|field| field.node).collect());
            }
            TypeKind::Enum(of) => {
                types.enums.insert(name, of.values[0].node.value.node.to_string());
            }
            _ => {}
        }
    }
    types
});

fn named(ty: &BaseType) -> String {
    match ty {
        BaseType::Named(name) => name.to_string(),
        BaseType::List(of) => named(&of.base),
    }
}

/// Returns the names of all mutations.
pub fn names() -> impl Iterator<Item = &'static str> {
    TYPES.fields.iter().map(|field| field.name.node.as_str())
}

/// Returns every mutation that changes the object with an id, for a caller with one scope.
pub fn mutations() -> Vec<Mutation> {
    TYPES.fields.iter().filter_map(mutation).collect()
}

fn mutation(field: &'static FieldDefinition) -> Option<Mutation> {
    let input = named(&field.arguments.first()?.node.ty.node.base);
    let about = field.description.as_ref()?.node.replace('\n', " ");
    let scope = about.rsplit_once("Requires scope `")?.1.strip_suffix("`.")?;
    let id = TYPES.inputs[&input].iter().find(|field| is_required_id(field))?.name.node.to_string();
    let payload = &TYPES.objects[&named(&field.ty.node.base)];
    Some(Mutation {
        field: field.name.node.as_str(),
        input,
        entity: payload[0].name.node.to_string(),
        scope: Scope::parse(scope)?,
        id,
    })
}

fn is_required(field: &InputValueDefinition) -> bool {
    !field.ty.node.nullable && field.default_value.is_none()
}

fn is_required_id(field: &InputValueDefinition) -> bool {
    is_required(field) && named(&field.ty.node.base) == "ID"
}

impl Mutation {
    /// Returns an input with the ids that `id_of` knows, by the kind in the name of their field: `BankAccount` for
    /// `bankAccountId`. None if it does not know one.
    pub fn example(&self, id_of: &dyn Fn(&str) -> Option<String>) -> Option<Value> {
        object(&self.input, id_of)
    }
}

fn object(input: &str, id_of: &dyn Fn(&str) -> Option<String>) -> Option<Value> {
    let mut values = Map::new();
    for field in TYPES.inputs[input].iter().filter(|field| is_required(field)) {
        let name = field.name.node.as_str();
        values.insert(name.to_owned(), value(name, &field.ty.node.base, id_of)?);
    }
    Some(Value::Object(values))
}

fn value(name: &str, ty: &BaseType, id_of: &dyn Fn(&str) -> Option<String>) -> Option<Value> {
    let ty = match ty {
        BaseType::List(of) => return Some(json!([value(name, &of.base, id_of)?])),
        BaseType::Named(ty) => ty.as_str(),
    };
    Some(match ty {
        "ID" => {
            let (first, rest) = name.strip_suffix("Id")?.split_at(1);
            json!(id_of(&format!("{}{rest}", first.to_uppercase()))?)
        }
        "String" => json!("Mine now"),
        "Decimal" => json!("1"),
        "Int" => json!(1),
        "Boolean" => json!(true),
        "Date" => json!("2026-08-01"),
        "DateTime" => json!("2026-08-01T00:00:00Z"),
        other if TYPES.enums.contains_key(other) => json!(TYPES.enums[other]),
        other => object(other, id_of)?,
    })
}
