//! Which fields the engine can plan.

use super::{Asked, plan};
use crate::graphql::{Query, core::complete::Types, schema, sdl};
use async_graphql::{
    Variables,
    parser::{
        parse_query, parse_schema,
        types::{BaseType, Type, TypeKind, TypeSystemDefinition},
    },
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Fields of queries that only the ordinary executor can answer: at most three, and none of a type below users
/// and accounts.
const ORDINARY: [&str; 2] = ["Query.node", "Query.nodes"];

struct Field {
    name: String,
    ty: String,
    arguments: Vec<(String, Type)>,
}

fn base(ty: &Type) -> String {
    match &ty.base {
        BaseType::Named(name) => name.to_string(),
        BaseType::List(inner) => base(inner),
    }
}

/// Returns the object types with their fields, and a value of each enum.
fn read(sdl: &str) -> (BTreeMap<String, Vec<Field>>, BTreeMap<String, String>) {
    let (mut objects, mut enums) = (BTreeMap::new(), BTreeMap::new());
    for definition in parse_schema(sdl).unwrap().definitions {
        let TypeSystemDefinition::Type(ty) = definition else { continue };
        let name = ty.node.name.node.to_string();
        match ty.node.kind {
            TypeKind::Object(object) => {
                let field = |field: async_graphql::parser::types::FieldDefinition| Field {
                    name: field.name.node.to_string(),
                    ty: base(&field.ty.node),
                    arguments: field
                        .arguments
                        .into_iter()
                        .map(|one| (one.node.name.node.to_string(), one.node.ty.node))
                        .collect(),
                };
                let fields = object.fields.into_iter().map(|one| field(one.node)).collect();
                objects.insert(name, fields);
            }
            TypeKind::Enum(of) => {
                enums.insert(name, of.values[0].node.value.node.to_string());
            }
            _ => {}
        }
    }
    (objects, enums)
}

#[test]
fn nearly_all_fields_of_queries_are_planned() {
    let sdl = sdl(&schema(true));
    let types = Types::read(&sdl).unwrap();
    let (objects, enums) = read(&sdl);
    let call = |field: &Field| {
        let required = field.arguments.iter().filter(|(_, ty)| !ty.nullable);
        let values: Vec<String> = required
            .map(|(name, ty)| {
                let value = match base(ty).as_str() {
                    "Int" => "1".to_owned(),
                    "Boolean" => "true".to_owned(),
                    "OrderPreviewInput" => r#"{ accountId: "x", symbol: "x", side: BUY }"#.to_owned(),
                    "DateTime" => "\"2026-07-09T15:00:00Z\"".to_owned(),
                    other => enums.get(other).cloned().unwrap_or_else(|| "\"x\"".to_owned()),
                };
                format!("{name}: {value}")
            })
            .collect();
        let arguments = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
        let below = if objects.contains_key(&field.ty) { " { __typename }" } else { "" };
        (format!("{}{arguments}", field.name), below)
    };
    let mut ordinary = BTreeSet::new();
    let mut known = BTreeSet::from(["Query".to_owned()]);
    let mut open = VecDeque::from([("Query".to_owned(), Vec::<String>::new())]);
    while let Some((ty, path)) = open.pop_front() {
        for field in &objects[&ty] {
            let (call, below) = call(field);
            let path: Vec<String> = path.iter().cloned().chain([call]).collect();
            let text = format!("{{ {}{below}{} }}", path.join(" { "), " }".repeat(path.len() - 1));
            let document = parse_query(&text).unwrap();
            let operation = &document.operations.iter().next().unwrap().1.node;
            let variables = Variables::default();
            let asked = Asked::new(&document.fragments, operation, &variables, &types);
            if plan::<Query>(&asked, &operation.selection_set.node).is_err() {
                ordinary.insert(format!("{ty}.{}", field.name));
            } else if objects.contains_key(&field.ty) && known.insert(field.ty.clone()) {
                open.push_back((field.ty.clone(), path));
            }
        }
    }
    println!("only the ordinary executor answers {ordinary:?}");
    assert_eq!(ordinary, ORDINARY.map(str::to_owned).into());
    assert!(known.len() > 40, "{known:?}");
}
