//! How many documents are in memory at once.

use crate::domain::{Error, Result};
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for documents on their way in or out. A document is read into memory only by who has a place, so that a flood of
/// them fills it no more than a few do.
#[derive(Clone, Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// A place; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

const PLACES: usize = 4;
/// How many may wait for a place, and how long; one more is sent away at once.
const WAITING: usize = 16;
const PATIENCE: Duration = Duration::from_secs(5);

impl Default for Places {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(PLACES)), waiting: Arc::new(Semaphore::new(WAITING)) }
    }
}

impl Places {
    /// Takes a place, perhaps after a short wait; `Busy` when there is none.
    pub async fn take(&self) -> Result<Place> {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Ok(Place { _permit: permit });
        }
        let _turn = self.waiting.try_acquire().map_err(|_| Error::Busy)?;
        let waited = tokio::time::timeout(PATIENCE, self.free.clone().acquire_owned()).await;
        match waited {
            Ok(Ok(permit)) => Ok(Place { _permit: permit }),
            _ => Err(Error::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn few_have_a_place_few_wait_and_one_more_is_sent_away_at_once() {
        let places = Places::default();
        let mut taken = Vec::new();
        for _ in 0..PLACES {
            taken.push(places.take().await.unwrap());
        }
        let wait = || {
            tokio::spawn({
                let places = places.clone();
                async move { places.take().await }
            })
        };
        let waiting: Vec<_> = (0..WAITING).map(|_| wait()).collect();
        tokio::task::yield_now().await;
        let refused = tokio::time::timeout(PATIENCE / 2, places.take()).await;
        assert!(matches!(refused, Ok(Err(Error::Busy))));
        taken.pop();
        for one in waiting {
            // Each gives its place to the next when it is dropped.
            assert!(one.await.unwrap().is_ok());
        }
    }
}
