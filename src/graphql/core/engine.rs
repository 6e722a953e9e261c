//! Executes GraphQL requests of every transport: checks, runs, completes and sorts them.

pub mod fanout;

use std::{
    any::TypeId,
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use async_graphql::{Executor, Request, Response, Value, Variables, parser::types::OperationType};
use fanout::{Fanout, Reply};
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
    breadth::{self, Asked, Breadth, Stop},
    complete::{Types, complete},
    context::Viewpoint,
    guard::{self, BAD_USER_INPUT, Checked, Limits, Operation, Refused, VALIDATION_FAILED},
    levels::Levels,
    ordered::order,
};
use crate::graphql::{Query, Schema};

/// No document with this hash is stored. The client must send the hash together with the document.
pub const PERSISTED_QUERY_NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";
/// The client uses an unsupported version of the persisted query protocol.
pub const PERSISTED_QUERY_NOT_SUPPORTED: &str = "PERSISTED_QUERY_NOT_SUPPORTED";

/// GraphQL request as sent by a client on any transport.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Raw {
    /// Document; absent if only its hash is sent.
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
        if raw.has_document() { Ok(raw) } else { Err("neither a query nor its hash is given") }
    }
}

/// Supported request extensions. All others are ignored.
#[derive(Debug, Default)]
pub struct Extensions {
    /// Automatic persisted queries of Apollo: SHA-256 hash of the document, sent with or without the
    /// document.
    persisted_query: Option<Json>,
}

impl<'a> Deserialize<'a> for Extensions {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        // A derived implementation would also accept a list.
        let mut all = Map::<String, Json>::deserialize(deserializer)?;
        Ok(Self { persisted_query: all.remove("persistedQuery").filter(|extension| !extension.is_null()) })
    }
}

impl Raw {
    /// Returns whether the request contains a document or the hash of one.
    pub fn has_document(&self) -> bool {
        self.query.is_some() || self.extensions.persisted_query.is_some()
    }
}

type Sha = [u8; 32];

/// Parses the hash in the extension `persistedQuery`.
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

/// Request that passed all checks and can run.
#[derive(Debug)]
pub struct Plan {
    checked: Arc<Checked>,
    operation: Operation,
    variables: Variables,
    /// Hash under which the document is stored when the request runs.
    hash: Option<Sha>,
}

impl Plan {
    pub fn kind(&self) -> OperationType {
        self.operation.kind
    }

    /// Returns whether the operation needs no credential.
    pub fn is_open(&self) -> bool {
        self.operation.is_open
    }

    /// Returns the request for the ordinary executor, without its document.
    fn request(
        &self,
        breadth: Option<Breadth>,
        levels: &Levels,
        prepare: impl FnOnce(Request, &Operation, Levels) -> Request,
    ) -> Request {
        let mut request = Request::new(String::new());
        if let Some(breadth) = breadth {
            request = request.data(breadth);
        }
        request.operation_name = self.operation.name.as_ref().map(ToString::to_string);
        prepare(request, &self.operation, levels.clone())
    }

    /// Adds the document and the variables to a request.
    fn complete_request(&self, mut request: Request) -> Request {
        request.variables = self.variables.clone();
        request.set_parsed_query((*self.checked.document).clone());
        request
    }
}

/// Schema with its limits and document caches. Cheap to clone.
#[derive(Clone)]
pub struct Engine<E = Schema> {
    schema: E,
    shared: Arc<Shared>,
    /// Whether queries are answered breadth first where possible. The result is the same without.
    is_breadth_first: bool,
}

struct Shared {
    limits: Limits,
    types: Arc<Types>,
    documents: Documents<(u64, u64)>,
    /// Random keys for the hashes under which `documents` stores a text, so that clients cannot provoke
    /// collisions.
    keys: [RandomState; 2],
    /// Documents that clients registered by their SHA-256 hash.
    persisted: Documents<Sha>,
    fanout: Arc<Fanout>,
}

impl<E: Executor> Engine<E> {
    /// Creates an engine for a schema with these types.
    pub fn new(schema: E, types: Arc<Types>, limits: Limits) -> Self {
        let documents = Documents::new(limits.cached_documents, limits.cached_tokens);
        let persisted = Documents::new(limits.cached_documents, limits.cached_tokens);
        let (keys, fanout) = ([RandomState::new(), RandomState::new()], Arc::default());
        let shared = Arc::new(Shared { limits, types, documents, keys, persisted, fanout });
        Self { schema, shared, is_breadth_first: false }
    }

    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Answers queries breadth first where possible, if `is_breadth_first`. Only for the schema of this
    /// product.
    pub fn breadth_first(self, is_breadth_first: bool) -> Self {
        Self { is_breadth_first, ..self }
    }

    fn breadth(&self) -> Option<Breadth> {
        let Shared { limits, types, .. } = &*self.shared;
        self.is_breadth_first.then(|| Breadth::new(types.clone(), limits.response_bytes))
    }

    /// Checks a request without running it.
    pub fn plan(&self, raw: Raw) -> Result<Plan, Refused> {
        let (checked, hash) = self.document(&raw)?;
        let operation = checked.operation(raw.operation_name.as_deref())?.clone();
        let mut variables = raw.variables.unwrap_or_default();
        checked.weigh(&operation, &variables, self.limits())?;
        checked.set_defaults(&operation, &mut variables);
        Ok(Plan { checked, operation, variables, hash })
    }

    /// Returns the document of a request, found by its text or hash, and the hash if the request contains
    /// both.
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

    /// Stores a document under the hash that was sent with it.
    fn register(&self, plan: &Plan) {
        if let Some(hash) = plan.hash {
            self.shared.persisted.insert(hash, plan.checked.clone());
        }
    }

    fn checked(&self, query: &str) -> Result<Arc<Checked>, Refused> {
        let Shared { limits, types, documents, keys: [first, second], .. } = &*self.shared;
        let key = (first.hash_one(query), second.hash_one(query));
        if let Some(checked) = documents.get(&key) {
            return Ok(checked);
        }
        let mut checked = guard::admit(query, limits)?;
        types.add_typenames(Arc::make_mut(&mut checked.document));
        let checked = Arc::new(checked);
        documents.insert(key, checked.clone());
        Ok(checked)
    }

    /// Runs a query or mutation. `prepare` adds the data that resolvers need.
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

    /// Runs a query or mutation that has been checked.
    ///
    /// A mutation runs to completion even if the caller stops waiting for the response. A query is stopped at
    /// its timeout.
    pub async fn run(
        &self,
        plan: Plan,
        prepare: impl FnOnce(Request, &Operation, Levels) -> Request,
    ) -> Response {
        self.register(&plan);
        let levels = Levels::default();
        let request = plan.request(self.breadth(), &levels, prepare);
        match plan.operation.kind {
            OperationType::Query => {
                let answer = tokio::time::timeout(self.limits().query_timeout, async {
                    match self.call_breadth_first(&request, &plan).await {
                        Some(response) => response,
                        None => self.call(request, &plan, levels).await,
                    }
                });
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

    /// Runs any operation. A query or mutation is a stream of one response.
    pub fn stream<F>(&self, raw: Raw, prepare: F) -> BoxStream<'static, Reply>
    where
        F: Fn(Request, &Operation, Levels) -> Request + Send + Sync + 'static,
    {
        match self.plan(raw) {
            Ok(plan) => self.flow(plan, prepare),
            Err(refused) => stream::once(async { Reply::own(refused.into()) }).boxed(),
        }
    }

    /// Does the same as [`Engine::stream`] for a request that has been checked.
    pub fn flow<F>(&self, plan: Plan, prepare: F) -> BoxStream<'static, Reply>
    where
        F: Fn(Request, &Operation, Levels) -> Request + Send + Sync + 'static,
    {
        if plan.operation.kind != OperationType::Subscription {
            let engine = self.clone();
            return stream::once(async move { Reply::own(engine.run(plan, prepare).await) }).boxed();
        }
        self.register(&plan);
        self.subscribe(plan, Arc::new(prepare))
    }

    async fn call(&self, request: Request, plan: &Plan, levels: Levels) -> Response {
        let request = plan.complete_request(request);
        match AssertUnwindSafe(levels.resolve(self.schema.execute(request))).catch_unwind().await {
            Ok(response) => {
                if !answer::never_ran(&response) {
                    plan.checked.is_valid.store(true, Ordering::Relaxed);
                }
                self.complete(response, plan)
            }
            Err(_) => panicked(),
        }
    }

    /// Answers a whole query breadth first; `None` if the ordinary executor must answer it.
    async fn call_breadth_first(&self, request: &Request, plan: &Plan) -> Option<Response> {
        let breadth = data::<Breadth>(request)?;
        if !plan.checked.is_valid.load(Ordering::Relaxed) {
            return None;
        }
        let operation = plan.checked.definition(&plan.operation)?;
        if !breadth.types.accept(operation, &plan.variables) {
            return None;
        }
        let asked = Asked::new(&plan.checked.document.fragments, operation, &plan.variables, &breadth.types);
        let selected = breadth::plan::<Query>(&asked, &operation.selection_set.node).ok()?;
        let view = data::<Viewpoint>(request)?;
        if asked.reads() <= 1 {
            view.loaders().read_once();
        }
        let answer = AssertUnwindSafe(breadth::whole(view, Query::default(), &selected, breadth));
        match answer.catch_unwind().await {
            Ok(Ok(json)) => Some(Response::new(Value::Binary(json.into()))),
            Ok(Err(Stop::Slow)) => None,
            Ok(Err(Stop::TooLarge)) => Some(answer::too_large(breadth.limit).into()),
            Err(_) => Some(panicked()),
        }
    }

    fn complete(&self, response: Response, plan: &Plan) -> Response {
        let Shared { limits, types, .. } = &*self.shared;
        let operation = plan.checked.definition(&plan.operation);
        let mut response = complete(response, &plan.checked.document, operation, types, limits.errors);
        if let Some(operation) = operation {
            order(&mut response.data, &plan.checked.document, operation, &plan.variables);
        }
        response
    }
}

fn data<D: Send + Sync + 'static>(request: &Request) -> Option<&D> {
    request.data.get(&TypeId::of::<D>())?.downcast_ref()
}

fn panicked() -> Response {
    tracing::error!("a resolver panicked");
    internal()
}

fn internal() -> Response {
    Refused::new(answer::INTERNAL, "Internal error.").into()
}

/// Cache of checked documents.
///
/// It has two generations. When the young one is full, it replaces the old one, and documents of the old one
/// that were not used since are dropped.
struct Documents<K> {
    /// Maximum number of documents in one generation.
    half: usize,
    /// Maximum number of tokens in one generation.
    half_tokens: usize,
    generations: Mutex<Generations<K>>,
}

struct Generations<K> {
    young: HashMap<K, Arc<Checked>>,
    old: HashMap<K, Arc<Checked>>,
    young_tokens: usize,
}

impl<K: Copy + Eq + Hash> Documents<K> {
    fn new(max_documents: usize, max_tokens: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), young_tokens: 0 };
        Self { half: max_documents / 2, half_tokens: max_tokens / 2, generations: Mutex::new(generations) }
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

    fn insert(&self, key: K, checked: Arc<Checked>) {
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
