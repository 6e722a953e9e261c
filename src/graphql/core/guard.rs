//! Checks a document against limits before it is executed.
//!
//! `admit` checks the text alone, so its result can be cached. `Checked::weigh` checks limits that depend on
//! variables.

mod scan;
mod survey;
pub mod typenames;
mod weight;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use survey::{Counts, Survey};

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

/// Fields of connections, which do not count for depth and complexity.
const CONNECTION: [&str; 4] = ["edges", "node", "nodes", "pageInfo"];
/// List fields with which the result of an introspection query can grow exponentially.
const INTROSPECTION_LISTS: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];

/// Limits of the GraphQL API.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum size of an HTTP request body, in bytes.
    pub body_bytes: usize,
    /// Maximum size of a document, in bytes.
    pub document_bytes: usize,
    pub tokens: usize,
    /// Maximum nesting of `{`, `[` and `(`.
    pub nesting: usize,
    pub fragments: usize,
    /// Maximum number of selections after all fragments are expanded.
    pub selections: u64,
    pub aliases: u64,
    pub root_fields: u64,
    pub mutation_root_fields: u64,
    /// Mutations with which a caller could guess a secret. An operation may contain only one of them.
    pub once_only: Vec<&'static str>,
    /// Mutations that need no credential.
    pub open: Vec<&'static str>,
    /// Maximum number of directives in one location.
    pub directives: usize,
    /// Maximum number of fields on one path, without those of `CONNECTION` and introspection.
    pub depth: u64,
    /// Maximum number of `fields`, `inputFields`, `interfaces` and `possibleTypes` on one path of an
    /// introspection query.
    pub introspection_lists: u64,
    /// Whether introspection is enabled.
    pub introspection: bool,
    /// Maximum number of objects that a response can contain, computed from its page sizes.
    pub complexity: u64,
    /// Default page size.
    pub page: u64,
    /// Maximum page size. Larger requested sizes count as this size in the complexity.
    pub page_most: u64,
    /// Maximum number of errors in a response.
    pub errors: usize,
    /// Timeout of queries. Mutations have no timeout.
    pub query_timeout: Duration,
    /// Maximum size of a response, in bytes.
    pub response_bytes: usize,
    /// Maximum number of cached documents.
    pub cached_documents: usize,
    /// Maximum number of tokens in all cached documents.
    pub cached_tokens: usize,
    /// Maximum time from the start of a socket to `connection_init`.
    pub socket_init: Duration,
    /// Maximum number of concurrent operations on one socket.
    pub socket_operations: usize,
    /// Maximum size of a message from the client of a socket, in bytes.
    pub socket_message_bytes: usize,
    /// Maximum number of messages queued for a slow client.
    pub socket_queue: usize,
    /// Maximum time to send one message while the queue is full, before the socket is closed.
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

/// Reason why a request was refused before execution.
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

/// Document that passed the checks of its text.
#[derive(Debug)]
pub struct Checked {
    pub document: Arc<ExecutableDocument>,
    /// Whether it has also passed the validation rules of the specification, which then only need to look at
    /// the values of variables.
    pub is_valid: AtomicBool,
    pub operations: Vec<Operation>,
    pub tokens: usize,
}

/// Operation of a checked document.
#[derive(Clone, Debug)]
pub struct Operation {
    pub name: Option<Name>,
    pub kind: OperationType,
    /// Whether it should read from a snapshot, because it needs more than one read.
    pub needs_snapshot: bool,
    /// Whether none of its root fields needs a credential.
    pub is_open: bool,
    /// Complexity, if it does not depend on variables.
    fixed_weight: Option<u64>,
}

/// Checks the text of a document against the limits.
///
/// The cost is linear in the length of the text: deep nesting never reaches the parser, and each fragment is
/// counted once.
pub fn admit(query: &str, limits: &Limits) -> Result<Checked, Refused> {
    let tokens = scan::scan(query, limits)?;
    let document = parse_query(query).map_err(|error| parse_error(&error))?;
    let mut survey = Survey { document: &document, limits, fragments: HashMap::new() };
    survey.check_definitions()?;

    let mut all = Counts::default();
    let mut operations = Vec::new();
    for (name, operation) in document.operations.iter() {
        let counts = survey.operation(operation)?;
        all = all.and(counts);
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
    Ok(Checked { document: Arc::new(document), is_valid: AtomicBool::new(false), operations, tokens })
}

impl Checked {
    /// Returns the operation to run, as defined by the GraphQL specification.
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

    /// Checks that all required variables are given and that the complexity does not exceed the limit.
    pub fn weigh(
        &self,
        operation: &Operation,
        variables: &Variables,
        limits: &Limits,
    ) -> Result<(), Refused> {
        let Some(definition) = self.definition(operation) else { return Ok(()) };
        check_variables(definition, variables)?;
        let weight = match operation.fixed_weight {
            Some(weight) => weight,
            None => weight::of(&self.document, definition, variables, limits),
        };
        weight::check(weight, limits)
    }

    /// Sets variables that are left out to their defaults: the ordinary executor forgets those in `@skip` and
    /// `@include`.
    pub fn set_defaults(&self, operation: &Operation, variables: &mut Variables) {
        let Some(operation) = self.definition(operation) else { return };
        for definition in &operation.variable_definitions {
            if let Some(default) = &definition.node.default_value
                && !variables.contains_key(&definition.node.name.node)
            {
                variables.insert(definition.node.name.node.clone(), default.node.clone());
            }
        }
    }

    /// Returns the definition of an operation of this document.
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

/// Checks that all required variables are given. The engine itself would report this only during execution.
fn check_variables(operation: &OperationDefinition, variables: &Variables) -> Result<(), Refused> {
    for definition in &operation.variable_definitions {
        let Positioned { pos, node } = definition;
        if node.var_type.node.nullable {
            continue;
        }
        let (name, ty) = (&node.name.node, &node.var_type.node);
        let message = match variables.get(name.as_str()) {
            Some(Value::Null) => format!("Variable \"${name}\" of non-null type \"{ty}\" must not be null."),
            None if node.default_value.is_none() => {
                format!("Variable \"${name}\" of required type \"{ty}\" was not provided.")
            }
            _ => continue,
        };
        return Err(Refused::new(BAD_USER_INPUT, message).at(*pos));
    }
    Ok(())
}

fn parse_error(error: &ParseError) -> Refused {
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
