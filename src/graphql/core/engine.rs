//! The engine: one way in for every transport. Guard, run, complete, order.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_graphql::{
    Executor, Request, Response, Variables,
    parser::{Error as ParseError, types::OperationType},
};
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use tracing::Instrument;

use super::{
    answer,
    complete::{Types, complete},
    guard::{self, BAD_USER_INPUT, Checked, Limits, Operation, Refused, VALIDATION_FAILED},
    levels::Levels,
    ordered::order,
};
use crate::graphql::Schema;

/// The server does not know the document with this hash: the client sends it again with its text.
pub const PERSISTED_QUERY_NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";
/// The client speaks another protocol of persisted queries.
pub const PERSISTED_QUERY_NOT_SUPPORTED: &str = "PERSISTED_QUERY_NOT_SUPPORTED";

/// A request as a client sends it, on every transport.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Raw {
    /// The document; left out where its hash is sent instead.
    pub query: Option<String>,
    pub operation_name: Option<String>,
    pub variables: Option<Variables>,
    pub extensions: Extensions,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unchecked {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<Variables>,
    extensions: Option<Extensions>,
}

impl TryFrom<Unchecked> for Raw {
    type Error = &'static str;

    fn try_from(sent: Unchecked) -> Result<Self, Self::Error> {
        let Unchecked { query, operation_name, variables, extensions } = sent;
        let raw = Self { query, operation_name, variables, extensions: extensions.unwrap_or_default() };
        if raw.names_a_document() {
            Ok(raw)
        } else {
            Err("the request has neither a query nor the hash of one")
        }
    }
}

/// Read of the extensions; all others are ignored.
#[derive(Debug, Default)]
pub struct Extensions {
    /// Apollo's automatic persisted queries: the document's SHA-256, in place of the document or beside it.
    persisted_query: Option<Json>,
}

impl<'a> Deserialize<'a> for Extensions {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        // A derived reader would take a list for its fields.
        let mut all = Map::<String, Json>::deserialize(deserializer)?;
        Ok(Self { persisted_query: all.remove("persistedQuery").filter(|extension| !extension.is_null()) })
    }
}

impl Raw {
    /// Whether there is a document, or the hash of one.
    pub fn names_a_document(&self) -> bool {
        self.query.is_some() || self.extensions.persisted_query.is_some()
    }
}

type Sha = [u8; 32];

/// The hash in the extension `persistedQuery`.
fn persisted(extension: &Json) -> Result<Sha, Refused> {
    if extension.get("version").and_then(Json::as_u64) != Some(1) {
        return Err(Refused::new(PERSISTED_QUERY_NOT_SUPPORTED, "PersistedQueryNotSupported"));
    }
    let digits = extension.get("sha256Hash").and_then(Json::as_str).unwrap_or_default();
    let mut hash = [0; 32];
    hex::decode_to_slice(digits, &mut hash).map_err(|_| {
        Refused::new(BAD_USER_INPUT, "extensions.persistedQuery.sha256Hash must be 64 hexadecimal digits.")
    })?;
    Ok(hash)
}

/// A request that passed the guard.
#[derive(Debug)]
pub struct Plan {
    checked: Arc<Checked>,
    operation: Operation,
    variables: Variables,
    /// The hash to remember the document by once the request runs.
    hash: Option<Sha>,
}

impl Plan {
    pub fn kind(&self) -> OperationType {
        self.operation.kind
    }

    /// Whether it needs no credential.
    pub fn is_open(&self) -> bool {
        self.operation.is_open
    }

    fn request(
        mut self,
        levels: &Levels,
        prepare: impl FnOnce(Request, &Operation, Levels) -> Request,
    ) -> (Request, Self) {
        let mut request = Request::new(String::new()).variables(std::mem::take(&mut self.variables));
        request.operation_name = self.operation.name.as_ref().map(ToString::to_string);
        request.set_parsed_query((*self.checked.document).clone());
        (prepare(request, &self.operation, levels.clone()), self)
    }
}

/// The schema with its guard. Cheap to clone.
#[derive(Clone)]
pub struct Engine<E = Schema> {
    schema: E,
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    types: Types,
    documents: Documents<(u64, u64)>,
    /// Keys of the hashes of texts, for `Documents`.
    keys: [RandomState; 2],
    /// Documents that clients have registered by their hash.
    persisted: Documents<Sha>,
}

impl<E: Executor> Engine<E> {
    /// Fails only if the schema's own text, `sdl`, cannot be read back.
    pub fn new(schema: E, sdl: &str, limits: Limits) -> Result<Self, ParseError> {
        let types = Types::read(sdl)?;
        let documents = Documents::new(limits.cached_documents, limits.cached_tokens);
        let persisted = Documents::new(limits.cached_documents, limits.cached_tokens);
        let keys = [RandomState::new(), RandomState::new()];
        Ok(Self { schema, shared: Arc::new(Shared { limits, types, documents, keys, persisted }) })
    }

    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Judges a request without running it.
    pub fn plan(&self, raw: Raw) -> Result<Plan, Refused> {
        let (checked, hash) = self.document(&raw)?;
        let operation = checked.operation(raw.operation_name.as_deref())?.clone();
        let variables = raw.variables.unwrap_or_default();
        checked.weigh(&operation, &variables, self.limits())?;
        Ok(Plan { checked, operation, variables, hash })
    }

    /// The document of a request, by its text or by its hash, and the hash if it came with both.
    fn document(&self, raw: &Raw) -> Result<(Arc<Checked>, Option<Sha>), Refused> {
        let hash = raw.extensions.persisted_query.as_ref().map(persisted).transpose()?;
        match (raw.query.as_deref().filter(|query| hash.is_none() || !query.is_empty()), hash) {
            (None, Some(hash)) => {
                let not_found = || Refused::new(PERSISTED_QUERY_NOT_FOUND, "PersistedQueryNotFound");
                Ok((self.shared.persisted.get(&hash).ok_or_else(not_found)?, None))
            }
            (Some(query), Some(hash)) => {
                if <Sha256 as Digest>::digest(query.as_bytes()).as_slice() != hash.as_slice() {
                    return Err(Refused::new(BAD_USER_INPUT, "The SHA-256 hash does not match the query."));
                }
                Ok((self.checked(query)?, Some(hash)))
            }
            (query, None) => Ok((self.checked(query.unwrap_or_default())?, None)),
        }
    }

    /// Remembers a document by the hash it came with, as long as there is room.
    fn register(&self, plan: &Plan) {
        if let Some(hash) = plan.hash {
            self.shared.persisted.keep(hash, plan.checked.clone());
        }
    }

    fn checked(&self, query: &str) -> Result<Arc<Checked>, Refused> {
        let Shared { limits, types, documents, keys: [first, second], .. } = &*self.shared;
        let key = (first.hash_one(query), second.hash_one(query));
        if let Some(checked) = documents.get(&key) {
            return Ok(checked);
        }
        let mut checked = guard::admit(query, limits)?;
        types.keep_objects(Arc::make_mut(&mut checked.document));
        let checked = Arc::new(checked);
        documents.keep(key, checked.clone());
        Ok(checked)
    }

    /// Answers a query or a mutation. `prepare` puts in what resolvers need.
    pub async fn execute(
        &self,
        raw: Raw,
        prepare: impl FnOnce(Request, &Operation, Levels) -> Request,
    ) -> Response {
        match self.plan(raw) {
            Ok(plan) => self.run(plan, prepare).await,
            Err(refused) => refused.into(),
        }
    }

    /// As `execute`, for a request already judged.
    ///
    /// A mutation runs to its end even if nobody waits for the answer any more; a query is cut off after its
    /// time.
    pub async fn run(
        &self,
        plan: Plan,
        prepare: impl FnOnce(Request, &Operation, Levels) -> Request,
    ) -> Response {
        self.register(&plan);
        let levels = Levels::default();
        let (request, plan) = plan.request(&levels, prepare);
        match plan.operation.kind {
            OperationType::Query => {
                let answer =
                    tokio::time::timeout(self.limits().query_timeout, self.call(request, &plan, levels));
                answer.await.unwrap_or_else(|_| {
                    Refused::new(answer::TIMEOUT, "The query took too long. Request less data.").into()
                })
            }
            OperationType::Mutation => {
                let engine = self.clone();
                let task = async move { engine.call(request, &plan, levels).await };
                tokio::spawn(task.in_current_span()).await.unwrap_or_else(|_| internal())
            }
            OperationType::Subscription => {
                let message = "Subscriptions need server-sent events or a WebSocket.";
                Refused::new(VALIDATION_FAILED, message).into()
            }
        }
    }

    /// Answers any operation; a query or mutation is a stream of one.
    pub fn stream<F>(&self, raw: Raw, prepare: F) -> BoxStream<'static, Response>
    where
        F: FnOnce(Request, &Operation, Levels) -> Request + Send + 'static,
    {
        match self.plan(raw) {
            Ok(plan) => self.flow(plan, prepare),
            Err(refused) => stream::once(async { refused.into() }).boxed(),
        }
    }

    /// As `stream`, for a request already judged.
    pub fn flow<F>(&self, plan: Plan, prepare: F) -> BoxStream<'static, Response>
    where
        F: FnOnce(Request, &Operation, Levels) -> Request + Send + 'static,
    {
        let engine = self.clone();
        if plan.operation.kind != OperationType::Subscription {
            return stream::once(async move { engine.run(plan, prepare).await }).boxed();
        }
        self.register(&plan);
        let levels = Levels::default();
        let (request, plan) = plan.request(&levels, prepare);
        let items =
            AssertUnwindSafe(levels.resolve_each(self.schema.execute_stream(request, None))).catch_unwind();
        items
            .map(move |item| match item {
                Ok(response) => engine.complete(response, &plan),
                Err(_) => panicked(),
            })
            .boxed()
    }

    async fn call(&self, request: Request, plan: &Plan, levels: Levels) -> Response {
        match AssertUnwindSafe(levels.resolve(self.schema.execute(request))).catch_unwind().await {
            Ok(response) => self.complete(response, plan),
            Err(_) => panicked(),
        }
    }

    fn complete(&self, response: Response, plan: &Plan) -> Response {
        let Shared { limits, types, .. } = &*self.shared;
        let operation = plan.checked.definition(&plan.operation);
        let mut response = complete(response, &plan.checked.document, operation, types, limits.errors);
        if let Some(operation) = operation {
            order(&mut response.data, &plan.checked.document, operation);
        }
        response
    }
}

fn panicked() -> Response {
    tracing::error!("a resolver panicked");
    internal()
}

fn internal() -> Response {
    Refused::new(answer::INTERNAL, "Internal error.").into()
}

/// Documents that passed the guard, by a hash of their text that a stranger cannot aim at.
///
/// Two generations: when the young one is full it becomes the old one, and what was old and unused is
/// forgotten.
struct Documents<K> {
    half: usize,
    half_tokens: usize,
    generations: Mutex<Generations<K>>,
}

struct Generations<K> {
    young: HashMap<K, Arc<Checked>>,
    old: HashMap<K, Arc<Checked>>,
    young_tokens: usize,
}

impl<K: Copy + Eq + Hash> Documents<K> {
    fn new(most: usize, most_tokens: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), young_tokens: 0 };
        Self { half: most / 2, half_tokens: most_tokens / 2, generations: Mutex::new(generations) }
    }

    fn lock(&self) -> MutexGuard<'_, Generations<K>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &K) -> Option<Arc<Checked>> {
        let mut generations = self.lock();
        if let Some(checked) = generations.young.get(key) {
            return Some(checked.clone());
        }
        let checked = generations.old.remove(key)?;
        self.put(&mut generations, *key, checked.clone());
        Some(checked)
    }

    fn keep(&self, key: K, checked: Arc<Checked>) {
        if checked.tokens <= self.half_tokens && self.half > 0 {
            self.put(&mut self.lock(), key, checked);
        }
    }

    fn put(&self, generations: &mut Generations<K>, key: K, checked: Arc<Checked>) {
        if generations.young.contains_key(&key) {
            return;
        }
        let tokens = generations.young_tokens + checked.tokens;
        if generations.young.len() >= self.half || tokens > self.half_tokens {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_tokens = 0;
        }
        generations.young_tokens += checked.tokens;
        generations.young.insert(key, checked);
    }
}

#[cfg(test)]
mod tests;
