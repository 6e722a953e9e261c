//! Limits on documents in memory at once: in total, for each partner and for each caller.

use crate::{
    Error, Result,
    kernel::{
        actor::Caller,
        app::{App, Feature},
    },
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

/// Permits for uploads or downloads. A document is read into memory only with a permit, which bounds memory
/// use, and one partner cannot take all permits.
#[derive(Clone, Debug)]
pub struct Permits {
    all: Arc<Semaphore>,
    of_partners: Shares,
    of_callers: Shares,
    waiting: Arc<Semaphore>,
    waiting_of_partners: Shares,
}

/// Permit for one document, released on drop.
#[derive(Debug)]
pub struct Permit {
    _of: [OwnedSemaphorePermit; 3],
}

const MAX_TOTAL: usize = 8;
const MAX_PER_PARTNER: usize = 4;
const MAX_PER_CALLER: usize = 3;
/// Most waiting requests, and how long each waits; further ones are refused at once.
const MAX_WAITING: usize = 64;
const MAX_WAITING_PER_PARTNER: usize = 16;
const MAX_WAIT: Duration = Duration::from_secs(5);

impl Default for Permits {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MAX_TOTAL)),
            of_partners: Shares::new(MAX_PER_PARTNER),
            of_callers: Shares::new(MAX_PER_CALLER),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            waiting_of_partners: Shares::new(MAX_WAITING_PER_PARTNER),
        }
    }
}

impl Permits {
    /// Returns the semaphores to acquire for a caller. The narrowest comes first, so that a waiting caller
    /// blocks no others.
    fn shares(&self, caller: &Caller) -> [Arc<Semaphore>; 3] {
        [
            self.of_callers.of(caller.principal_id),
            self.of_partners.of(caller.access_scope.partner_id),
            self.all.clone(),
        ]
    }

    /// Takes a slot in the queue for a permit. `Busy` if too many requests wait, in total or of this partner.
    pub fn queue(&self, caller: &Caller) -> Result<Queued> {
        let busy = |_| Error::Busy;
        let of_partner =
            self.waiting_of_partners.of(caller.access_scope.partner_id).try_acquire_owned().map_err(busy)?;
        let in_all = self.waiting.clone().try_acquire_owned().map_err(busy)?;
        Ok(Queued { shares: self.shares(caller), _waiting: [of_partner, in_all] })
    }

    /// Acquires a permit, after a short wait if necessary. `Busy` if none becomes free.
    pub async fn take(&self, caller: &Caller) -> Result<Permit> {
        self.queue(caller)?.permit().await
    }
}

/// Slot in the queue for a permit, released on drop.
#[derive(Debug)]
pub struct Queued {
    shares: [Arc<Semaphore>; 3],
    _waiting: [OwnedSemaphorePermit; 2],
}

impl Queued {
    /// Waits a short time for a permit. `Busy` if none becomes free.
    pub async fn permit(self) -> Result<Permit> {
        let until = Instant::now() + MAX_WAIT;
        let [caller, partner, all] = self.shares;
        let of =
            [acquired(caller, until).await?, acquired(partner, until).await?, acquired(all, until).await?];
        Ok(Permit { _of: of })
    }
}

async fn acquired(share: Arc<Semaphore>, until: Instant) -> Result<OwnedSemaphorePermit> {
    match timeout_at(until, share.acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Error::Busy),
    }
}

/// Semaphores of equal size for each partner or caller that uses or waits for permits.
#[derive(Clone, Debug)]
struct Shares {
    size: usize,
    in_use: Arc<Mutex<HashMap<Uuid, Arc<Semaphore>>>>,
}

impl Shares {
    fn new(size: usize) -> Self {
        Self { size, in_use: Arc::default() }
    }

    fn of(&self, id: Uuid) -> Arc<Semaphore> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|_, share| Arc::strong_count(share) > 1);
        in_use.entry(id).or_insert_with(|| Arc::new(Semaphore::new(self.size))).clone()
    }
}

/// Permits for uploads.
#[derive(Debug, Default)]
pub struct Uploads(pub Permits);

/// Permits for downloads.
#[derive(Debug, Default)]
pub struct Downloads(pub Permits);

impl Feature for Uploads {
    fn new(_: &App) -> Self {
        Self::default()
    }
}

impl Feature for Downloads {
    fn new(_: &App) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::actor::AccessScope;
    use entity::partner::Mode;
    use futures_util::FutureExt;

    fn caller(partner: u128, key: u128) -> Caller {
        let (partner_id, principal_id) = (Uuid::from_u128(partner), Uuid::from_u128(key));
        Caller {
            access_scope: AccessScope::all_of(partner_id),
            mode: Mode::Live,
            principal_id,
            claimant_id: partner_id,
        }
    }

    #[tokio::test]
    async fn permits_are_limited_for_each_caller_and_partner() {
        let permits = Permits::default();
        let take = async |partner, key| {
            let mut taken = Vec::new();
            for _ in 0..5 {
                // A free permit is acquired without waiting.
                match permits.take(&caller(partner, key)).now_or_never() {
                    Some(permit) => taken.push(permit.unwrap()),
                    None => break,
                }
            }
            taken
        };
        let (first, second, third, fourth) =
            (take(1, 11).await, take(1, 12).await, take(2, 21).await, take(3, 31).await);
        assert_eq!([&first, &second, &third, &fourth].map(Vec::len), [3, 1, 3, 1], "of eight in total");
        drop(first);
        assert_eq!(take(2, 22).await.len(), 1, "the partner's fourth");
        drop((second, third, fourth));
        drop(take(4, 41).await);
        assert_eq!(permits.of_partners.in_use.lock().unwrap().len(), 1, "unused semaphores are dropped");
    }

    #[tokio::test]
    async fn requests_beyond_the_queue_limit_are_refused_at_once() {
        let permits = Permits::default();
        let mut taken = Vec::new();
        for _ in 0..MAX_PER_CALLER {
            taken.push(permits.take(&caller(1, 11)).await.unwrap());
        }
        let wait = || {
            let permits = permits.clone();
            tokio::spawn(async move { permits.take(&caller(1, 11)).await.map(drop) })
        };
        let waiting: Vec<_> = (0..MAX_WAITING_PER_PARTNER).map(|_| wait()).collect();
        tokio::task::yield_now().await;
        assert!(matches!(permits.queue(&caller(1, 12)), Err(Error::Busy)));
        assert!(permits.take(&caller(2, 21)).await.is_ok(), "another partner has a queue of its own");
        taken.pop();
        for one in waiting {
            // A dropped permit goes to the next request.
            assert!(one.await.unwrap().is_ok());
        }
    }
}
