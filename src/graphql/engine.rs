//! The engine: one way in for every transport. Guard, run, complete, order.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
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
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use tracing::Instrument;

use super::{
    Schema, answer,
    complete::{Types, complete},
    guard::{self, Checked, Limits, Operation, Refused, VALIDATION_FAILED},
    levels::Levels,
    ordered::order,
};

/// A request as a client sends it, on every transport.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Raw {
    pub query: String,
    #[serde(default)]
    pub operation_name: Option<String>,
    #[serde(default)]
    pub variables: Option<Variables>,
    /// Must be an object; nothing in it is read.
    #[serde(default)]
    pub extensions: Option<Map<String, Json>>,
}

/// A request that passed the guard.
#[derive(Debug)]
pub struct Plan {
    checked: Arc<Checked>,
    operation: Operation,
    variables: Variables,
}

impl Plan {
    pub fn kind(&self) -> OperationType {
        self.operation.kind
    }

    fn request(mut self, levels: &Levels, prepare: impl FnOnce(Request, &Operation, Levels) -> Request) -> (Request, Self) {
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
    documents: Documents,
}

impl<E: Executor> Engine<E> {
    /// Fails only if the schema's own text, `sdl`, cannot be read back.
    pub fn new(schema: E, sdl: &str, limits: Limits) -> Result<Self, ParseError> {
        let types = Types::read(sdl)?;
        let documents = Documents::new(limits.cached_documents, limits.cached_tokens);
        Ok(Self { schema, shared: Arc::new(Shared { limits, types, documents }) })
    }

    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Judges a request without running it.
    pub fn plan(&self, raw: Raw) -> Result<Plan, Refused> {
        let checked = self.checked(&raw.query)?;
        let operation = checked.operation(raw.operation_name.as_deref())?.clone();
        let variables = raw.variables.unwrap_or_default();
        checked.weigh(&operation, &variables, self.limits())?;
        Ok(Plan { checked, operation, variables })
    }

    fn checked(&self, query: &str) -> Result<Arc<Checked>, Refused> {
        let Shared { limits, types, documents } = &*self.shared;
        let key = documents.key(query);
        if let Some(checked) = documents.get(key) {
            return Ok(checked);
        }
        let mut checked = guard::admit(query, limits)?;
        types.keep_objects(Arc::make_mut(&mut checked.document));
        let checked = Arc::new(checked);
        documents.keep(key, checked.clone());
        Ok(checked)
    }

    /// Answers a query or a mutation. `prepare` puts in what resolvers need.
    pub async fn execute(&self, raw: Raw, prepare: impl FnOnce(Request, &Operation, Levels) -> Request) -> Response {
        match self.plan(raw) {
            Ok(plan) => self.run(plan, prepare).await,
            Err(refused) => refused.into(),
        }
    }

    /// As `execute`, for a request already judged.
    ///
    /// A mutation runs to its end even if nobody waits for the answer any more; a query is cut off after its time.
    pub async fn run(&self, plan: Plan, prepare: impl FnOnce(Request, &Operation, Levels) -> Request) -> Response {
        let levels = Levels::default();
        let (request, plan) = plan.request(&levels, prepare);
        match plan.operation.kind {
            OperationType::Query => {
                let answer = tokio::time::timeout(self.limits().query_timeout, self.call(request, &plan, levels));
                answer.await.unwrap_or_else(|_| Refused::new(answer::TIMEOUT, "The query took too long; ask for less.").into())
            }
            OperationType::Mutation => {
                let engine = self.clone();
                let task = async move { engine.call(request, &plan, levels).await };
                tokio::spawn(task.in_current_span()).await.unwrap_or_else(|_| internal())
            }
            OperationType::Subscription => {
                let message = "A subscription needs a stream: server-sent events or a WebSocket.";
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
        let levels = Levels::default();
        let (request, plan) = plan.request(&levels, prepare);
        let items = AssertUnwindSafe(levels.resolve_each(self.schema.execute_stream(request, None))).catch_unwind();
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

/// Documents that passed the guard, by a keyed hash of their text that a stranger cannot aim at.
///
/// Two generations: when the young one is full it becomes the old one, and what was old and unused is forgotten.
struct Documents {
    keys: [RandomState; 2],
    half: usize,
    half_tokens: usize,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<(u64, u64), Arc<Checked>>,
    old: HashMap<(u64, u64), Arc<Checked>>,
    young_tokens: usize,
}

impl Documents {
    fn new(most: usize, most_tokens: usize) -> Self {
        Self { keys: [RandomState::new(), RandomState::new()], half: most / 2, half_tokens: most_tokens / 2, generations: Mutex::default() }
    }

    fn key(&self, query: &str) -> (u64, u64) {
        let [first, second] = &self.keys;
        (first.hash_one(query), second.hash_one(query))
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: (u64, u64)) -> Option<Arc<Checked>> {
        let mut generations = self.lock();
        if let Some(checked) = generations.young.get(&key) {
            return Some(checked.clone());
        }
        let checked = generations.old.remove(&key)?;
        self.put(&mut generations, key, checked.clone());
        Some(checked)
    }

    fn keep(&self, key: (u64, u64), checked: Arc<Checked>) {
        if checked.tokens <= self.half_tokens && self.half > 0 {
            self.put(&mut self.lock(), key, checked);
        }
    }

    fn put(&self, generations: &mut Generations, key: (u64, u64), checked: Arc<Checked>) {
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
