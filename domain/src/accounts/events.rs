//! Who may see an event: whoever may see what the event is about.

use super::within;
use crate::{
    Result,
    kernel::{
        actor::AccessScope,
        events::{About, Event},
    },
};
use entity::event;
use sea_orm::ConnectionTrait;
use std::collections::HashMap;
use uuid::Uuid;

/// Maximum number of accounts that one cache holds.
const MAX_CACHED: usize = 10_000;

/// Decides which events the subscribers with one access scope may see.
#[derive(Debug)]
pub struct VisibleEvents {
    access_scope: AccessScope,
    /// Whether the subscriber may see an account, by its id, so that following the log takes one query per
    /// account.
    accounts: HashMap<Uuid, bool>,
}

impl VisibleEvents {
    /// Creates the decision for a subscriber with this access scope.
    pub fn new(access_scope: AccessScope) -> Self {
        Self { access_scope, accounts: HashMap::new() }
    }

    /// Forgets what was read so far. Call it when a subscriber joins whose position is after events that the
    /// others have yet to reach.
    pub fn forget(&mut self) {
        self.accounts.clear();
    }

    /// Whether the subscriber may see an event: a partner sees all of its own, a user those about themselves
    /// and their accounts.
    pub async fn has(&mut self, connection: &impl ConnectionTrait, event: &event::Model) -> Result<bool> {
        if self.access_scope.user_id.is_none() {
            return Ok(true);
        }
        let account = match Event::of(event).map(|event| event.about()) {
            // Users see no event that this version cannot read.
            Ok(About::Partner) | Err(_) => return Ok(false),
            Ok(About::User(user)) => return Ok(self.access_scope.covers(user)),
            Ok(About::Account(account)) => account,
        };
        // An event of the account itself may be about a change of owner, so the cache is not used.
        if event.stream_id != account
            && let Some(visible) = self.accounts.get(&account)
        {
            return Ok(*visible);
        }
        if self.accounts.len() >= MAX_CACHED {
            self.accounts.clear();
        }
        let visible = within(connection, self.access_scope, account).await?.is_some();
        self.accounts.insert(account, visible);
        Ok(visible)
    }
}
