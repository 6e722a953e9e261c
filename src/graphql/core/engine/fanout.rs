//! Subscriptions: each event is evaluated once for all subscribers that receive the same response.
//!
//! A subscription field has two parts. When the subscription starts, it checks its arguments and hands over
//! a [`Topic`]: what to wait for. For each [`Signal`] of the topic the field runs again, and responds to
//! that signal alone. Subscribers with the same document, variables and viewer are a *group*; the first of
//! them that reaches a signal has it evaluated, and the others receive the same bytes.

mod memo;
mod variables;

use super::{Engine, Plan, panicked};
use crate::{
    graphql::core::{
        answer::{self, Rendered},
        context::RequestContext,
        guard::Operation,
        levels::Levels,
    },
    wire::{BaseUrl, Result},
};
use async_graphql::{Context, Executor, Name, Request, Response};
use domain::{Who, accounts::VisibleEvents, kernel::db::Db, trading::quotes::QuoteChange};
use entity::event;
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, Shared},
    stream::{self, BoxStream},
};
use memo::Memo;
use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tracing::Instrument;

/// Field whose reads are written to the audit log.
const AUDITED_FIELD: &str = "applicant";

/// Adds the data that resolvers need to a request.
pub type Prepare = Arc<dyn Fn(Request, &Operation, Levels) -> Request + Send + Sync>;

/// One response to an operation.
#[derive(Debug)]
pub enum Reply {
    /// For this caller alone.
    Own(Box<Response>),
    /// Shared with other subscribers.
    Shared(Arc<Rendered>),
}

impl Reply {
    /// Returns a response to this caller alone.
    pub fn own(response: Response) -> Self {
        Self::Own(Box::new(response))
    }

    /// Returns the response if it is not shared.
    #[cfg(test)]
    pub fn into_own(self) -> Option<Response> {
        match self {
            Self::Own(response) => Some(*response),
            Self::Shared(_) => None,
        }
    }

    fn has_errors(&self) -> bool {
        match self {
            Self::Own(response) => response.is_err(),
            Self::Shared(rendered) => rendered.has_errors,
        }
    }
}

/// What a subscription responds to.
#[derive(Clone)]
pub enum Signal {
    /// Event of the log.
    Logged(Arc<event::Model>),
    /// Time to send the present state; numbered in this process.
    Tick(u64),
    /// Quote that has changed.
    Quote(Arc<QuoteChange>),
    /// Time to send the present state to this subscriber alone.
    Now,
}

impl Signal {
    /// Returns the number under which subscribers share the response.
    fn number(&self) -> Option<u64> {
        match self {
            Self::Logged(event) => event.seq.and_then(|seq| u64::try_from(seq).ok()),
            Self::Tick(number) => Some(*number),
            Self::Quote(change) => Some(change.number),
            Self::Now => None,
        }
    }
}

/// Which events of the log a group may see. One decision at a time, so that an outdated one never replaces
/// a newer one.
type Visibility = Arc<tokio::sync::Mutex<VisibleEvents>>;

/// What a subscriber waits for.
struct Topic {
    signals: BoxStream<'static, Result<Signal>>,
    viewer: Viewer,
    visible: Option<Visibility>,
}

/// Everything about a caller that can change a response.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Viewer {
    who: Who,
    base_url: BaseUrl,
}

/// Receives the topic of a subscription when it starts.
#[derive(Clone, Default)]
struct Start(Arc<Mutex<Option<Topic>>>);

impl Start {
    fn topic(&self) -> MutexGuard<'_, Option<Topic>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the subscription of this request: it responds to each signal. `visible` decides which events of
/// the log its caller may see.
pub fn start(ctx: &Context<'_>, signals: BoxStream<'static, Result<Signal>>, visible: Option<VisibleEvents>) {
    let viewer = Viewer { who: ctx.actor().who.clone(), base_url: ctx.viewpoint().base_url().clone() };
    let visible = visible.map(|visible| Arc::new(tokio::sync::Mutex::new(visible)));
    *ctx.data_unchecked::<Start>().topic() = Some(Topic { signals, viewer, visible });
}

/// The signal that a request evaluates.
pub struct Current {
    signal: Result<Signal>,
    visible: Option<Visibility>,
}

impl Current {
    /// Returns the signal that this request evaluates. Without one, the request starts a subscription.
    pub fn of<'a>(ctx: &'a Context<'_>) -> Option<&'a Self> {
        ctx.data_opt()
    }

    /// Returns the quote that has changed.
    pub fn quote(&self) -> Option<&Arc<QuoteChange>> {
        match &self.signal {
            Ok(Signal::Quote(change)) => Some(change),
            _ => None,
        }
    }

    /// Returns the event of the log, if the subscriber may see it.
    pub async fn event(&self, db: &Db) -> Option<Result<Arc<event::Model>>> {
        let event = match &self.signal {
            Ok(Signal::Logged(event)) => event,
            Ok(Signal::Tick(_) | Signal::Quote(_) | Signal::Now) => return None,
            Err(fault) => return Some(Err(fault.clone())),
        };
        match self.visible.as_ref()?.lock().await.has(&db.read, event).await {
            Ok(is_visible) => is_visible.then(|| Ok(event.clone())),
            Err(error) => Some(Err(error.into())),
        }
    }
}

/// Groups of subscribers, and the responses that they share.
#[derive(Default)]
pub struct Fanout {
    groups: Mutex<HashMap<Key, Weak<Group>>>,
    created: AtomicU64,
    memo: Mutex<Memo<Pending>>,
}

/// Subscribers with the same key receive the same responses.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    /// Address of the document, which the group keeps.
    document: usize,
    operation: Option<Name>,
    /// Variables as JSON, without the one that only tells where to resume.
    variables: String,
    viewer: Viewer,
}

struct Group {
    number: u64,
    key: Key,
    plan: Arc<Plan>,
    visible: Option<Visibility>,
    /// Whether each read is written to the audit log, so that nothing may be shared.
    is_audited: bool,
    fanout: Arc<Fanout>,
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut groups = self.fanout.groups();
        if groups.get(&self.key).is_some_and(|group| group.strong_count() == 0) {
            groups.remove(&self.key);
        }
    }
}

/// Response of a group to one signal.
#[derive(Clone)]
enum Outcome {
    /// The signal does not concern the group.
    Nothing,
    Rendered(Arc<Rendered>),
    /// An internal error, which each subscriber receives with the id of their own request.
    Failed(Arc<Response>),
}

type Pending = Shared<BoxFuture<'static, Outcome>>;

impl Fanout {
    fn groups(&self) -> MutexGuard<'_, HashMap<Key, Weak<Group>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memo(&self) -> MutexGuard<'_, Memo<Pending>> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the group of a subscriber.
    async fn join(
        self: &Arc<Self>,
        plan: Arc<Plan>,
        viewer: Viewer,
        visible: Option<Visibility>,
    ) -> Arc<Group> {
        let key = Key {
            document: Arc::as_ptr(&plan.checked).addr(),
            operation: plan.operation.name.clone(),
            variables: variables::key(&plan),
            viewer,
        };
        let group = {
            let mut groups = self.groups();
            let found = groups.get(&key).and_then(Weak::upgrade);
            found.unwrap_or_else(|| {
                let number = self.created.fetch_add(1, Ordering::Relaxed);
                let fanout = self.clone();
                let is_audited = variables::selects(&plan.checked.document, AUDITED_FIELD);
                let group = Arc::new(Group { number, key: key.clone(), plan, visible, is_audited, fanout });
                groups.insert(key, Arc::downgrade(&group));
                group
            })
        };
        // A right to see an account may have ended with an event before the position of this subscriber.
        if let Some(visible) = &group.visible {
            visible.lock().await.forget();
        }
        group
    }
}

/// Subscriber of a topic.
struct Member<E> {
    engine: Engine<E>,
    group: Arc<Group>,
    prepare: Prepare,
    signals: BoxStream<'static, Result<Signal>>,
    joined: Instant,
    has_ended: bool,
}

impl<E: Executor> Engine<E> {
    /// Runs a subscription: first its start, then each signal of its topic.
    pub(super) fn subscribe(&self, plan: Plan, prepare: Prepare) -> BoxStream<'static, Reply> {
        let (engine, plan, start) = (self.clone(), Arc::new(plan), Start::default());
        let beginning = self.responses(&plan, &prepare, start.clone()).map(Reply::own);
        let rest = async move {
            let topic = start.topic().take();
            match topic {
                Some(topic) => engine.follow(plan, prepare, topic).await,
                None => stream::empty().boxed(),
            }
        };
        beginning.chain(rest.boxed().flatten_stream()).boxed()
    }

    /// Runs a subscription's document with `data` for its field.
    fn responses<D: Send + Sync + 'static>(
        &self,
        plan: &Arc<Plan>,
        prepare: &Prepare,
        data: D,
    ) -> BoxStream<'static, Response> {
        let levels = Levels::default();
        let request = plan.request(self.breadth(), &levels, |request, operation, levels| {
            prepare(request, operation, levels).data(data)
        });
        let request = plan.complete_request(request);
        let (engine, plan) = (self.clone(), plan.clone());
        let items =
            AssertUnwindSafe(levels.resolve_each(self.schema.execute_stream(request, None))).catch_unwind();
        items
            .map(move |item| match item {
                Ok(response) => engine.complete(response, &plan),
                Err(_) => panicked(),
            })
            .boxed()
    }

    async fn follow(self, plan: Arc<Plan>, prepare: Prepare, topic: Topic) -> BoxStream<'static, Reply> {
        let Topic { signals, viewer, visible } = topic;
        let group = self.shared.fanout.join(plan, viewer, visible).await;
        let joined = Instant::now();
        let member = Member { engine: self, group, prepare, signals, joined, has_ended: false };
        stream::unfold(member, |mut member| async move { Some((member.next().await?, member)) }).boxed()
    }
}

impl<E: Executor> Member<E> {
    async fn next(&mut self) -> Option<Reply> {
        while !self.has_ended {
            let signal = self.signals.next().await?;
            let is_logged = matches!(signal, Ok(Signal::Logged(_)));
            if let Some(reply) = self.reply(signal).await {
                // The log goes on after an event that cannot be read; a state that cannot be read ends the
                // subscription.
                self.has_ended = !is_logged && reply.has_errors();
                return Some(reply);
            }
        }
        None
    }

    async fn reply(&mut self, signal: Result<Signal>) -> Option<Reply> {
        let number = signal.as_ref().ok().and_then(Signal::number).filter(|_| !self.group.is_audited);
        let Some(number) = number else {
            return self.evaluate(signal).next().await.map(Reply::own);
        };
        match self.shared(number, signal).await {
            Outcome::Nothing => None,
            Outcome::Rendered(rendered) => Some(Reply::Shared(rendered)),
            Outcome::Failed(failed) => {
                let mut response = Response::new(failed.data.clone());
                response.errors.clone_from(&failed.errors);
                Some(Reply::own(response))
            }
        }
    }

    fn evaluate(&self, signal: Result<Signal>) -> BoxStream<'static, Response> {
        let current = Current { signal, visible: self.group.visible.clone() };
        self.engine.responses(&self.group.plan, &self.prepare, current)
    }

    /// Returns the response of the group; evaluates the signal if that has not been done yet.
    ///
    /// The evaluation runs in a task of its own, so that it does not depend on a subscriber whose client is
    /// slow or leaves.
    fn shared(&self, number: u64, signal: Result<Signal>) -> Pending {
        let key = (self.group.number, number);
        let fanout = &self.engine.shared.fanout;
        let mut memo = fanout.memo();
        // What a user may see can end with an event, so a response from before they subscribed may be
        // outdated.
        let is_user = matches!(self.group.key.viewer.who, Who::User(_));
        let since = is_user.then_some(self.joined);
        if let Some(pending) = memo.get(&key, since) {
            return pending;
        }
        let mut responses = self.evaluate(signal);
        let (fanout, limit) = (fanout.clone(), self.engine.limits().response_bytes);
        let task = async move {
            let outcome = match responses.next().await {
                None => Outcome::Nothing,
                Some(response) if answer::has_internal_error(&response) => {
                    Outcome::Failed(Arc::new(response))
                }
                Some(response) => Outcome::Rendered(Arc::new(Rendered::new(&response, limit))),
            };
            let bytes = match &outcome {
                // The payload itself, and the message with it.
                Outcome::Rendered(rendered) => 2 * rendered.payload.len(),
                Outcome::Nothing | Outcome::Failed(_) => 0,
            };
            fanout.memo().evaluated(key, bytes);
            outcome
        };
        let task = tokio::spawn(task.in_current_span());
        let pending = async move { task.await.unwrap_or_else(|_| Outcome::Failed(Arc::new(panicked()))) };
        let pending = pending.boxed().shared();
        memo.put(key, pending.clone());
        pending
    }
}
