//! The guard: bounds a document before anything costly looks at it.
//!
//! `admit` judges the text alone, so its verdict can be kept; `Checked::weigh` judges what the variables
//! decide.

pub mod keeping;
mod scan;
mod survey;
mod weight;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};
use survey::{Facts, Survey};

use async_graphql::{
    Name, Pos, Positioned, Response, ServerError, Value, Variables,
    parser::{
        Error as ParseError, parse_query,
        types::{ExecutableDocument, OperationDefinition, OperationType},
    },
};

pub const TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";
pub const PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
pub const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
pub const BAD_USER_INPUT: &str = "BAD_USER_INPUT";

/// Fields that only hold a page together: free in depth and in complexity.
const CONNECTION: [&str; 4] = ["edges", "node", "nodes", "pageInfo"];
/// Fields through which an introspection query can multiply.
const INTROSPECTION_LISTS: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];

/// Every bound of the GraphQL door. All are settings.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of an HTTP request body.
    pub body_bytes: usize,
    /// Bytes of a document.
    pub document_bytes: usize,
    pub tokens: usize,
    /// Open `{`, `[` and `(` at one time.
    pub nesting: usize,
    pub fragments: usize,
    /// Selections once every fragment is written out.
    pub selections: u64,
    pub aliases: u64,
    pub root_fields: u64,
    pub mutation_root_fields: u64,
    /// Mutations of which an operation may hold one in all, because each try is a guess at a secret.
    pub once_only: Vec<&'static str>,
    /// Mutations that need no credential.
    pub open: Vec<&'static str>,
    /// Directives on one place.
    pub directives: usize,
    /// Fields on one path, those of `CONNECTION` and introspection left out.
    pub depth: u64,
    /// `fields`, `inputFields`, `interfaces` and `possibleTypes` on one path of an introspection query.
    pub introspection_lists: u64,
    /// Whether the schema may be asked about itself.
    pub introspection: bool,
    /// Objects that an answer may hold by its page sizes.
    pub complexity: u64,
    /// Objects on a page whose size the document leaves open.
    pub page: u64,
    /// Objects that any page holds at most; to ask for more weighs no more.
    pub page_most: u64,
    /// Errors in an answer.
    pub errors: usize,
    /// For queries; a mutation is never cut short.
    pub query_timeout: Duration,
    /// Bytes of an answer.
    pub response_bytes: usize,
    /// Checked documents kept, and the sum of their tokens.
    pub cached_documents: usize,
    pub cached_tokens: usize,
    /// How long a socket may stay silent before `connection_init`.
    pub socket_init: Duration,
    /// Operations running on one socket.
    pub socket_operations: usize,
    /// Bytes of a message from a socket's client.
    pub socket_message_bytes: usize,
    /// Messages that wait for a slow reader.
    pub socket_queue: usize,
    /// How long the queue may stay full before the socket is closed.
    pub socket_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 10,
            document_bytes: 16 << 10,
            tokens: 1_500,
            nesting: 32,
            fragments: 30,
            selections: 2_000,
            aliases: 15,
            root_fields: 10,
            mutation_root_fields: 4,
            once_only: Vec::new(),
            open: Vec::new(),
            directives: 3,
            depth: 12,
            introspection_lists: 2,
            introspection: true,
            complexity: 5_000,
            page: 20,
            page_most: u64::MAX,
            errors: 10,
            query_timeout: Duration::from_secs(5),
            response_bytes: 4 << 20,
            cached_documents: 1_000,
            cached_tokens: 100_000,
            socket_init: Duration::from_secs(3),
            socket_operations: 20,
            socket_message_bytes: 64 << 10,
            socket_queue: 64,
            socket_patience: Duration::from_secs(1),
        }
    }
}

/// Why a request is turned away; nothing of it has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: &'static str,
    pub message: String,
    pub locations: Vec<Pos>,
}

impl Refused {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), locations: Vec::new() }
    }

    #[must_use]
    pub fn at(mut self, pos: Pos) -> Self {
        self.locations.push(pos);
        self
    }

    fn too_many(what: &str, limit: impl std::fmt::Display) -> Self {
        Self::new(TOO_COMPLEX, format!("The document has more than {limit} {what}."))
    }
}

impl From<Refused> for ServerError {
    fn from(refused: Refused) -> Self {
        let mut error = Self::new(refused.message, None);
        error.locations = refused.locations;
        error.extensions.get_or_insert_default().set("code", refused.code);
        error
    }
}

impl From<Refused> for Response {
    fn from(refused: Refused) -> Self {
        Self::from_errors(vec![refused.into()])
    }
}

/// A document that passed, and what is known of it.
#[derive(Clone, Debug)]
pub struct Checked {
    pub document: Arc<ExecutableDocument>,
    pub operations: Vec<Operation>,
    pub tokens: usize,
}

/// One operation of a document.
#[derive(Clone, Debug)]
pub struct Operation {
    pub name: Option<Name>,
    pub kind: OperationType,
    /// More than one read is likely, so that they should see the same moment.
    pub needs_snapshot: bool,
    /// Whether all of its root fields need no credential.
    pub is_open: bool,
    /// The complexity, where no variable decides it.
    fixed_weight: Option<u64>,
}

/// Judges a document by its text.
///
/// Costs at most the length of the text, whatever it says: deep nesting never reaches the parser, and each
/// fragment is counted once.
pub fn admit(query: &str, limits: &Limits) -> Result<Checked, Refused> {
    let tokens = scan::scan(query, limits)?;
    let document = parse_query(query).map_err(|error| unreadable(&error))?;
    let mut survey = Survey { document: &document, limits, fragments: HashMap::new() };
    survey.check_definitions()?;

    let mut all = Facts::default();
    let mut operations = Vec::new();
    for (name, operation) in document.operations.iter() {
        let facts = survey.operation(operation)?;
        all = all.and(facts);
        let roots = survey.roots(operation)?;
        operations.push(Operation {
            name: name.cloned(),
            kind: operation.node.ty,
            needs_snapshot: operation.node.ty == OperationType::Query && (roots.reads > 1 || roots.relations),
            is_open: roots.open == roots.fields,
            fixed_weight: weight::fixed(&document, &operation.node, limits)?,
        });
    }
    if all.selections > limits.selections {
        return Err(Refused::too_many("selections after its fragments are expanded", limits.selections));
    }
    Ok(Checked { document: Arc::new(document), operations, tokens })
}

impl Checked {
    /// The operation to run, by the rules of the specification.
    pub fn operation(&self, name: Option<&str>) -> Result<&Operation, Refused> {
        match (name, self.operations.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => Err(Refused::new(VALIDATION_FAILED, "Operation name required in request.")),
            (Some(name), all) => {
                all.iter().find(|operation| operation.name.as_deref() == Some(name)).ok_or_else(|| {
                    Refused::new(VALIDATION_FAILED, format!("Unknown operation named \"{name}\""))
                })
            }
        }
    }

    /// Judges one request: required variables are there, and its pages hold no more objects than allowed.
    pub fn weigh(
        &self,
        operation: &Operation,
        variables: &Variables,
        limits: &Limits,
    ) -> Result<(), Refused> {
        let Some(definition) = self.definition(operation) else { return Ok(()) };
        given(definition, variables)?;
        let weight = match operation.fixed_weight {
            Some(weight) => weight,
            None => weight::of(&self.document, definition, variables, limits),
        };
        weight::check(weight, limits)
    }

    /// The definition behind an operation of this document.
    pub fn definition(&self, operation: &Operation) -> Option<&OperationDefinition> {
        definition(&self.document, operation.name.as_ref())
    }
}

pub fn definition<'a>(
    document: &'a ExecutableDocument,
    name: Option<&Name>,
) -> Option<&'a OperationDefinition> {
    document.operations.iter().find(|(other, _)| *other == name).map(|(_, operation)| &operation.node)
}

/// A variable that must be there is there: the engine itself would notice only while it runs.
fn given(operation: &OperationDefinition, variables: &Variables) -> Result<(), Refused> {
    for definition in &operation.variable_definitions {
        let Positioned { pos, node } = definition;
        if node.var_type.node.nullable {
            continue;
        }
        let (name, ty) = (&node.name.node, &node.var_type.node);
        let trouble = match variables.get(name.as_str()) {
            Some(Value::Null) => format!("Variable \"${name}\" of non-null type \"{ty}\" must not be null."),
            None if node.default_value.is_none() => {
                format!("Variable \"${name}\" of required type \"{ty}\" was not provided.")
            }
            _ => continue,
        };
        return Err(Refused::new(BAD_USER_INPUT, trouble).at(*pos));
    }
    Ok(())
}

fn unreadable(error: &ParseError) -> Refused {
    let code = match error {
        ParseError::Syntax { .. } => PARSE_FAILED,
        _ => VALIDATION_FAILED,
    };
    let text = error.to_string();
    let message = match error {
        ParseError::Syntax { .. } => {
            let reason = text.lines().last().unwrap_or_default().trim().trim_start_matches("= ");
            format!("Syntax Error: {reason}.")
        }
        _ => text,
    };
    Refused { code, message, locations: error.positions().collect() }
}
