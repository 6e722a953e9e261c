//! The guard: bounds a document before anything costly looks at it.
//!
//! `admit` judges the text alone, so its verdict can be kept; `Checked::weigh` judges what the variables
//! decide.

mod scan;
mod weight;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_graphql::{
    Name, Pos, Positioned, Response, ServerError, Value, Variables,
    parser::{
        Error as ParseError, parse_query,
        types::{
            Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType,
            Selection, SelectionSet,
        },
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
        return Err(Refused::too_many("selections once its fragments are written out", limits.selections));
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

/// What a selection set holds, its fragments written out.
#[derive(Clone, Copy, Default)]
struct Facts {
    selections: u64,
    aliases: u64,
    depth: u64,
    /// The most introspection lists on one path.
    lists: u64,
    /// Has a field with fields of its own, besides those of a plain page.
    relations: bool,
}

impl Facts {
    fn and(self, other: Self) -> Self {
        Self {
            selections: self.selections.saturating_add(other.selections),
            aliases: self.aliases.saturating_add(other.aliases),
            depth: self.depth.max(other.depth),
            lists: self.lists.max(other.lists),
            relations: self.relations || other.relations,
        }
    }
}

/// What an operation asks of the root.
#[derive(Default)]
struct Roots {
    fields: u64,
    /// Fields that read data, so not those of introspection.
    reads: u64,
    once_only: u64,
    open: u64,
    relations: bool,
}

struct Survey<'a> {
    document: &'a ExecutableDocument,
    limits: &'a Limits,
    /// `None` while a fragment is being counted: to meet it then is a cycle.
    fragments: HashMap<&'a str, Option<Facts>>,
}

impl<'a> Survey<'a> {
    fn check_definitions(&mut self) -> Result<(), Refused> {
        let (document, limits) = (self.document, self.limits);
        if document.fragments.len() > limits.fragments {
            return Err(Refused::too_many("fragments", limits.fragments));
        }
        for (name, fragment) in &document.fragments {
            self.directives(&fragment.node.directives)?;
            self.fragment(name, fragment.pos)?;
        }
        Ok(())
    }

    fn operation(&mut self, operation: &'a Positioned<OperationDefinition>) -> Result<Facts, Refused> {
        let Positioned { pos, node } = operation;
        self.directives(&node.directives)?;
        for variable in &node.variable_definitions {
            self.directives(&variable.node.directives)?;
        }
        let facts = self.set(&node.selection_set.node)?;
        if facts.selections > self.limits.selections {
            let what = "selections once its fragments are written out";
            return Err(Refused::too_many(what, self.limits.selections).at(*pos));
        }
        if facts.depth > self.limits.depth {
            let message = format!("The operation is nested deeper than {} fields.", self.limits.depth);
            return Err(Refused::new(TOO_COMPLEX, message).at(*pos));
        }
        if facts.aliases > self.limits.aliases {
            return Err(Refused::too_many("aliases", self.limits.aliases).at(*pos));
        }
        Ok(facts)
    }

    fn roots(&mut self, operation: &'a Positioned<OperationDefinition>) -> Result<Roots, Refused> {
        let mut roots = Roots::default();
        self.gather_roots(&operation.node.selection_set.node, &mut roots)?;
        let limit = match operation.node.ty {
            OperationType::Query => self.limits.root_fields,
            OperationType::Mutation => self.limits.mutation_root_fields,
            OperationType::Subscription => 1,
        };
        if roots.fields > limit {
            let message = format!("A {} may have at most {limit} root fields.", operation.node.ty);
            return Err(Refused::new(TOO_COMPLEX, message).at(operation.pos));
        }
        if roots.once_only > 1 {
            let names = self.limits.once_only.join(", ");
            return Err(Refused::new(TOO_COMPLEX, format!("An operation may hold only one of {names}."))
                .at(operation.pos));
        }
        Ok(roots)
    }

    /// Bounded by the number of selections, which has been checked.
    fn gather_roots(&mut self, set: &'a SelectionSet, roots: &mut Roots) -> Result<(), Refused> {
        for selection in &set.items {
            if roots.fields > self.limits.root_fields.max(self.limits.mutation_root_fields) {
                break;
            }
            match &selection.node {
                Selection::Field(field) => {
                    let name = field.node.name.node.as_str();
                    roots.fields += 1;
                    if !name.starts_with("__") {
                        roots.reads += 1;
                        roots.once_only += u64::from(self.limits.once_only.contains(&name));
                        roots.open += u64::from(self.limits.open.contains(&name));
                        roots.relations |= self.set(&field.node.selection_set.node)?.relations;
                    }
                }
                Selection::InlineFragment(inline) => {
                    self.gather_roots(&inline.node.selection_set.node, roots)?;
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node) {
                        self.gather_roots(&fragment.node.selection_set.node, roots)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, set: &'a SelectionSet) -> Result<Facts, Refused> {
        let mut all = Facts::default();
        for selection in &set.items {
            self.directives(selection.node.directives())?;
            let mut facts = match &selection.node {
                Selection::Field(field) => self.field(field)?,
                Selection::InlineFragment(inline) => self.set(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, selection.pos)?
                }
            };
            facts.selections = facts.selections.saturating_add(1);
            all = all.and(facts);
        }
        Ok(all)
    }

    fn field(&mut self, field: &'a Positioned<Field>) -> Result<Facts, Refused> {
        let Positioned { pos, node } = field;
        let name = node.name.node.as_str();
        let mut facts = self.set(&node.selection_set.node)?;
        facts.aliases = facts.aliases.saturating_add(u64::from(node.alias.is_some()));
        if matches!(name, "__schema" | "__type") {
            if !self.limits.introspection {
                return Err(Refused::new(VALIDATION_FAILED, "Introspection is switched off here.").at(*pos));
            }
            if facts.lists > self.limits.introspection_lists {
                let message = format!(
                    "Introspection may nest {} at most {} times.",
                    INTROSPECTION_LISTS.join(", "),
                    self.limits.introspection_lists
                );
                return Err(Refused::new(TOO_COMPLEX, message).at(*pos));
            }
            return Ok(Facts { depth: 1, lists: 0, relations: false, ..facts });
        }
        let page = CONNECTION.contains(&name);
        facts.depth += u64::from(!page);
        facts.lists += u64::from(INTROSPECTION_LISTS.contains(&name));
        facts.relations |= !page && !node.selection_set.node.items.is_empty();
        Ok(facts)
    }

    /// A fragment that does not exist is left to validation, which names it.
    fn fragment(&mut self, name: &'a str, pos: Pos) -> Result<Facts, Refused> {
        match self.fragments.get(name) {
            Some(Some(facts)) => return Ok(*facts),
            Some(None) => {
                return Err(
                    Refused::new(VALIDATION_FAILED, format!("Fragment \"{name}\" spreads itself.")).at(pos)
                );
            }
            None => {}
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Facts::default()) };
        self.fragments.insert(name, None);
        let facts = self.set(&fragment.node.selection_set.node)?;
        self.fragments.insert(name, Some(facts));
        Ok(facts)
    }

    fn directives(&self, directives: &[Positioned<Directive>]) -> Result<(), Refused> {
        match directives.get(self.limits.directives) {
            None => Ok(()),
            Some(over) => {
                let message = format!("More than {} directives in one place.", self.limits.directives);
                Err(Refused::new(TOO_COMPLEX, message).at(over.pos))
            }
        }
    }
}

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
