//! Runs the data loaders of one request level by level, so that each level costs one statement per kind of
//! row.
//!
//! Fields of one level request keys from their loader at different times: some are polled late, some wait for
//! a statement of their own. A batch that starts at the first key would therefore split at random. Here a
//! batch starts only when every field has been polled until it waits and no other read of the request is
//! running.

use futures_util::{Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered, task::AtomicWaker};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Batches of one request that wait to be loaded. Clones share the same batches.
#[derive(Clone, Default)]
pub struct Levels(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Vec<BoxFuture<'static, ()>>>,
    reads: AtomicUsize,
}

impl Levels {
    /// Adds a batch to the next level.
    pub fn add(&self, batch: BoxFuture<'static, ()>) {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
    }

    /// Marks that a field reads without a loader until the returned guard is dropped; no batch starts before
    /// that. The field must not wait for a loader while it holds the guard.
    pub fn reading(&self) -> Reading {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        Reading(self.clone())
    }

    /// Runs `work`, and loads each level once all its fields have requested their keys.
    pub async fn resolve<F: Future>(self, work: F) -> F::Output {
        let mut work = pin!(work);
        let mut run = Run::new(self);
        poll_fn(|context| run.poll(context, |context| work.as_mut().poll(context))).await
    }

    /// Does the same as [`Levels::resolve`] for each item of a stream.
    pub fn resolve_each<S: Stream + Send + Unpin>(self, mut items: S) -> impl Stream<Item = S::Item> + Send
    where
        S::Item: Send,
    {
        let mut run = Run::new(self);
        futures_util::stream::poll_fn(move |context| {
            run.poll(context, |context| items.poll_next_unpin(context))
        })
    }

    /// Takes the batches of the next level; none while a field reads without a loader.
    fn next(&self) -> Vec<BoxFuture<'static, ()>> {
        if self.0.reads.load(Ordering::Relaxed) > 0 {
            return Vec::new();
        }
        std::mem::take(&mut *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Guard of a running read without a loader.
pub struct Reading(Levels);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.0.reads.fetch_sub(1, Ordering::Relaxed);
    }
}

/// State of one request that is being resolved.
struct Run {
    levels: Levels,
    running: FuturesUnordered<BoxFuture<'static, ()>>,
    progress: Arc<Progress>,
}

/// Whether the fields can make progress, and the task to wake when they can.
struct Progress {
    possible: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Progress {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.possible.store(true, Ordering::SeqCst);
        self.task.wake();
    }
}

impl Run {
    fn new(levels: Levels) -> Self {
        let progress = Progress { possible: AtomicBool::new(true), task: AtomicWaker::new() };
        Self { levels, running: FuturesUnordered::new(), progress: Arc::new(progress) }
    }

    fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        mut fields: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.progress.task.register(context.waker());
        loop {
            if self.progress.possible.swap(false, Ordering::SeqCst) {
                let waker = Waker::from(self.progress.clone());
                if let Poll::Ready(value) = fields(&mut Context::from_waker(&waker)) {
                    self.progress.possible.store(true, Ordering::SeqCst);
                    return Poll::Ready(value);
                }
            }
            // The waker that reported progress has also woken this task, so the fields run at its next poll.
            if self.progress.possible.load(Ordering::SeqCst) {
                return Poll::Pending;
            }
            if self.running.is_empty() {
                self.running.extend(self.levels.next());
            }
            if self.running.is_empty() {
                return Poll::Pending;
            }
            while let Some(()) = std::task::ready!(self.running.poll_next_unpin(context)) {}
        }
    }
}

#[cfg(test)]
mod tests;
