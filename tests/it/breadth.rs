//! Compares the breadth-first engine with the ordinary executor: the same requests, generated from the schema,
//! must get the same answers, byte for byte.

use crate::{
    support::{Options, TestApp, on_both, random::Random},
    visibility::rows_and_callers,
};
use async_graphql::parser::{
    parse_schema,
    types::{BaseType, InputValueDefinition, Type, TypeKind, TypeSystemDefinition},
};
use coffer::{graphql::Limits, server::HttpSettings};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// Start of the random numbers.
const SEED: u64 = 20_261_127;

/// Generated requests for each database.
const REQUESTS: usize = 2_000;

/// Fields that change with the clock of the caller's partner.
const TIMED: [&str; 7] = ["marketClock", "quote", "bars", "balance", "marketValue", "clock", "settings"];

struct FieldOf {
    name: String,
    ty: Type,
    arguments: Vec<InputValueDefinition>,
}

/// The schema as the generator needs it.
struct Schema {
    objects: BTreeMap<String, Vec<FieldOf>>,
    /// Object types of each interface.
    members: BTreeMap<String, Vec<String>>,
    enums: BTreeMap<String, Vec<String>>,
    inputs: BTreeMap<String, Vec<InputValueDefinition>>,
}

fn base(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => base(inner),
    }
}

impl Schema {
    fn read(sdl: &str) -> Self {
        let mut schema = Self {
            objects: BTreeMap::new(),
            members: BTreeMap::new(),
            enums: BTreeMap::new(),
            inputs: BTreeMap::new(),
        };
        for definition in parse_schema(sdl).unwrap().definitions {
            let TypeSystemDefinition::Type(ty) = definition else { continue };
            let name = ty.node.name.node.to_string();
            let fields_of =
                |fields: Vec<async_graphql::Positioned<async_graphql::parser::types::FieldDefinition>>| {
                    fields
                        .into_iter()
                        .map(|field| FieldOf {
                            name: field.node.name.node.to_string(),
                            ty: field.node.ty.node,
                            arguments: field.node.arguments.into_iter().map(|one| one.node).collect(),
                        })
                        .collect()
                };
            match ty.node.kind {
                TypeKind::Object(object) => {
                    for interface in &object.implements {
                        schema.members.entry(interface.node.to_string()).or_default().push(name.clone());
                    }
                    schema.objects.insert(name, fields_of(object.fields));
                }
                TypeKind::Interface(interface) => {
                    schema.members.entry(name.clone()).or_default();
                    schema.objects.insert(name, fields_of(interface.fields));
                }
                TypeKind::Enum(values) => {
                    let values = values.values.into_iter().map(|one| one.node.value.node.to_string());
                    schema.enums.insert(name, values.collect());
                }
                TypeKind::InputObject(input) => {
                    schema.inputs.insert(name, input.fields.into_iter().map(|one| one.node).collect());
                }
                TypeKind::Union(_) | TypeKind::Scalar => {}
            }
        }
        schema
    }
}

/// A request that is being generated.
struct Document<'a> {
    schema: &'a Schema,
    random: &'a mut Random,
    ids: &'a [String],
    texts: &'a [String],
    /// Definitions and values of variables.
    declared: Vec<String>,
    variables: Map<String, Value>,
    fragments: Vec<String>,
    /// Numbers of the keys of fields with their arguments.
    keys: BTreeMap<String, usize>,
    seen: &'a mut BTreeSet<String>,
}

impl Document<'_> {
    /// Returns a selection set of an object type.
    fn selections(&mut self, ty: &str, depth: usize) -> String {
        self.seen.insert(ty.to_owned());
        let schema = self.schema;
        let fields = &schema.objects[ty];
        let leaves: Vec<&FieldOf> =
            fields.iter().filter(|field| !schema.objects.contains_key(base(&field.ty))).collect();
        let mut text = "{".to_owned();
        if self.random.one_in(4) {
            text.push_str(" __typename");
        }
        for _ in 0..=self.random.below(5) {
            let all: Vec<&FieldOf> = if depth == 0 { leaves.clone() } else { fields.iter().collect() };
            if all.is_empty() {
                break;
            }
            let field = *self.random.pick(&all);
            let selection = self.field(field, depth);
            match self.random.below(10) {
                0 => write!(text, " ... on {ty} {{ {selection} }}").unwrap(),
                1 => {
                    let name = format!("F{}", self.fragments.len());
                    self.fragments.push(format!("fragment {name} on {ty} {{ {selection} }}"));
                    write!(text, " ...{name}{}", self.directive()).unwrap();
                }
                2 => write!(text, " ...{} {{ {selection} }}", self.directive()).unwrap(),
                _ => write!(text, " {selection}").unwrap(),
            }
        }
        if let Some(members) = self.schema.members.get(ty).filter(|members| !members.is_empty()) {
            let member = self.random.pick(members).clone();
            let inner = self.selections(&member, depth.saturating_sub(1));
            write!(text, " ... on {member} {inner}").unwrap();
        }
        if text == "{" {
            text.push_str(" __typename");
        }
        text.push_str(" }");
        text
    }

    fn field(&mut self, field: &FieldOf, depth: usize) -> String {
        let arguments: Vec<String> =
            field.arguments.iter().filter_map(|argument| self.argument(argument)).collect();
        let arguments =
            if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        // A key always stands for the same field with the same arguments: other documents are not valid, and
        // validation overlooks some of them.
        let mut text = if arguments.is_empty() && !self.random.one_in(6) {
            field.name.clone()
        } else {
            let known = self.keys.len();
            let number = *self.keys.entry(format!("{}{arguments}", field.name)).or_insert(known);
            format!("a{number}: {}{arguments}", field.name)
        };
        if self.random.one_in(8) {
            text.push_str(&self.directive());
        }
        if self.schema.objects.contains_key(base(&field.ty)) {
            let inner = self.selections(base(&field.ty), depth.saturating_sub(1));
            write!(text, " {inner}").unwrap();
        }
        text
    }

    fn directive(&mut self) -> String {
        let name = if self.random.one_in(2) { "skip" } else { "include" };
        match self.random.below(5) {
            0 => format!(" @{name}(if: true)"),
            1 => format!(" @{name}(if: false)"),
            2 => {
                let value = self.random.one_in(2);
                let variable = self.variable("Boolean!", None, Some(json!(value)));
                format!(" @{name}(if: {variable})")
            }
            3 => {
                let value = self.random.one_in(2);
                let variable = self.variable("Boolean!", Some(value.to_string()), None);
                format!(" @{name}(if: {variable})")
            }
            _ => String::new(),
        }
    }

    fn variable(&mut self, ty: &str, default: Option<String>, value: Option<Value>) -> String {
        let name = format!("v{}", self.declared.len());
        let default = default.map(|default| format!(" = {default}")).unwrap_or_default();
        self.declared.push(format!("${name}: {ty}{default}"));
        if let Some(value) = value {
            self.variables.insert(name.clone(), value);
        }
        format!("${name}")
    }

    /// Returns an argument, or nothing if it is left out.
    fn argument(&mut self, argument: &InputValueDefinition) -> Option<String> {
        let ty = &argument.ty.node;
        let name = argument.name.node.as_str();
        let is_cursor = matches!(name, "after" | "before");
        if ty.nullable && self.random.below(if is_cursor { 12 } else { 3 }) > 0 {
            return None;
        }
        let value = self.value(name, ty);
        if self.random.one_in(3) {
            let given = (!ty.nullable || self.random.below(4) > 0).then_some(value);
            let declared = ty.to_string();
            return Some(format!("{name}: {}", self.variable(&declared, None, given)));
        }
        Some(format!("{name}: {}", self.literal(ty, &value)))
    }

    /// Returns a value of an input type, which is rarely wrong.
    fn value(&mut self, name: &str, ty: &Type) -> Value {
        if ty.nullable && self.random.one_in(8) {
            return Value::Null;
        }
        if self.random.one_in(100) {
            return self.random.pick(&[json!("wrong"), json!(7), json!(true)]).clone();
        }
        if let BaseType::List(item) = &ty.base {
            return (0..self.random.below(3)).map(|_| self.value(name, item)).collect();
        }
        let schema = self.schema;
        match base(ty) {
            "Int" if matches!(name, "first" | "last") && self.random.below(8) > 0 => {
                json!(1 + self.random.below(5))
            }
            "Int" if matches!(name, "first" | "last") => json!(0),
            "Int" => json!(self.random.below(200)),
            "Boolean" => json!(self.random.one_in(2)),
            "ID" => json!(self.random.pick(self.ids)),
            "String" if matches!(name, "after" | "before") => json!(self.random.pick(self.ids)),
            "String" => json!(self.random.pick(self.texts)),
            "DateTime" => json!(["2026-07-09T15:00:00Z", "2026-07-10T15:30:00Z"][self.random.below(2)]),
            "Date" => json!("2026-07-09"),
            "Decimal" => json!("1.50"),
            of if schema.enums.contains_key(of) => json!(self.random.pick(&schema.enums[of])),
            of => {
                let mut object = Map::new();
                for field in &schema.inputs[of] {
                    let name = field.name.node.to_string();
                    if !field.ty.node.nullable || self.random.one_in(2) {
                        object.insert(name.clone(), self.value(&name, &field.ty.node));
                    }
                }
                Value::Object(object)
            }
        }
    }

    /// Returns a value as it is written in a document.
    fn literal(&self, ty: &Type, value: &Value) -> String {
        match value {
            Value::Array(items) => {
                let inner = match &ty.base {
                    BaseType::List(inner) => inner,
                    BaseType::Named(_) => ty,
                };
                let items: Vec<_> = items.iter().map(|item| self.literal(inner, item)).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Object(map) => {
                let fields = self.schema.inputs.get(base(ty));
                let of = |key: &str| fields?.iter().find(|field| field.name.node == *key);
                let pairs: Vec<_> = map
                    .iter()
                    .map(|(key, value)| match of(key) {
                        Some(field) => format!("{key}: {}", self.literal(&field.ty.node, value)),
                        None => format!("{key}: {value}"),
                    })
                    .collect();
                format!("{{{}}}", pairs.join(", "))
            }
            Value::String(text) if self.schema.enums.contains_key(base(ty)) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// Returns the status, the text and the errors of an answer, without the ids of requests and the
/// address of the server.
async fn ask(server: &TestApp, credential: Option<&str>, body: &Value) -> (u16, String, Vec<String>) {
    let mut request = server.anonymous("POST", "/graphql").json(body);
    if let Some(credential) = credential {
        request = request.bearer_auth(credential);
    }
    let response = request.send().await.unwrap();
    let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
    let mut text = text.replace(&server.url, "");
    // What differs each time: the id of the request, and the sealed creator of a link.
    for marker in ["\"requestId\":\"", "?by="] {
        let mut from = 0;
        while let Some(found) = text[from..].find(marker) {
            let start = from + found + marker.len();
            let length = text[start..].find('"').unwrap();
            text.replace_range(start..start + length, "");
            from = start;
        }
    }
    // Fields run concurrently in the ordinary executor, so that the order of its errors varies.
    let mut sorted = Vec::new();
    if let Some(start) = text.find("\"errors\":") {
        let body: Value = serde_json::from_str(&text).unwrap();
        sorted = body["errors"].as_array().unwrap().iter().map(Value::to_string).collect();
        sorted.sort();
        text.truncate(start);
    }
    (status, text, sorted)
}

on_both! {
    async fn generated_queries_get_the_same_answers_from_both_executors(app: TestApp) {
        let (rows, callers) = rows_and_callers(&app).await;
        let server = async |breadth_first| {
            let limits = Limits { errors: usize::MAX, ..Limits::default() };
            let settings = HttpSettings { breadth_first, limits, ..HttpSettings::default() };
            app.beside(Options { settings, without_timers: true, ..Options::default() }).await
        };
        let (engine, ordinary) = (server(true).await, server(false).await);
        let schema = Schema::read(include_str!("../../schema.graphql"));
        let mut random = Random(SEED);
        let mut ids: Vec<String> = rows.ids.iter().map(|(_, id)| id.clone()).collect();
        ids.extend(["01890000-0000-7000-8000-000000000016", "no id"].map(str::to_owned));
        let texts = ["KO", "vti", "A", "", "john@example.com", &rows.token].map(str::to_owned);
        let (mut seen, mut answered) = (BTreeSet::new(), 0);
        for number in 0..REQUESTS {
            let mut document = Document {
                schema: &schema,
                random: &mut random,
                ids: &ids,
                texts: &texts,
                declared: Vec::new(),
                variables: Map::new(),
                fragments: Vec::new(),
                keys: BTreeMap::new(),
                seen: &mut seen,
            };
            let depth = 1 + document.random.below(6);
            let selections = document.selections("Query", depth);
            let Document { declared, variables, fragments, .. } = document;
            let declared =
                if declared.is_empty() { String::new() } else { format!("({})", declared.join(", ")) };
            let text = format!("query{declared} {selections} {}", fragments.join(" "));
            // Half of the requests may do everything, so that whole queries succeed.
            let (name, credential) = if random.one_in(2) {
                ("the key with all scopes", Some(app.key.as_str()))
            } else {
                let caller = random.pick(&callers);
                (caller.name.as_str(), caller.credential.as_deref())
            };
            // The clock of these callers runs.
            let has_running_clock = credential.is_none() || name == "another partner";
            if has_running_clock && TIMED.iter().any(|field| text.contains(field)) {
                continue;
            }
            // The first time the ordinary executor validates the document, the second time the engine may
            // answer all of it.
            let mut answers = Vec::new();
            let body = json!({ "query": text, "variables": variables });
            for server in [&engine, &engine, &ordinary] {
                answers.push(ask(server, credential, &body).await);
            }
            let [first, second, expected] = &answers[..] else { unreachable!() };
            for (path, answer) in [("fields", first), ("whole", second)] {
                assert_eq!(answer, expected, "{path} of request {number} as {name}: {body}");
            }
            answered += usize::from(expected.2.is_empty());
        }
        println!("{answered} of {REQUESTS} without errors");
        assert!(answered > REQUESTS / 3, "{answered}");
        let reachable: BTreeSet<String> = reachable(&schema);
        assert!(reachable.is_subset(&seen), "never asked for: {:?}", reachable.difference(&seen));
    }
}

/// Returns the types that a query can select from.
fn reachable(schema: &Schema) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec!["Query".to_owned()];
    while let Some(ty) = open.pop() {
        if !found.insert(ty.clone()) {
            continue;
        }
        let below = schema.objects[&ty].iter().map(|field| base(&field.ty).to_owned());
        let members = schema.members.get(&ty).into_iter().flatten().cloned();
        open.extend(below.chain(members).filter(|name| schema.objects.contains_key(name)));
    }
    found
}
