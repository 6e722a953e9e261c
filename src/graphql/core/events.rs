//! GraphQL events and subscriptions, read from the event log.

use super::{context::RequestContext, event_types::EventType, scalars::DateTime};
use crate::{
    graphql::{
        accounts::Account,
        compliance::{
            kyc::{Kyc, KycOutcome},
            screening::WatchListHit,
        },
        funding::{
            bank_accounts::BankAccount,
            transfers::{Transfer, TransferStatus},
        },
        people::users::{User, UserStatus},
        sandbox::Partner,
        trading::{
            instruments::MarketClock,
            orders::{Fill, Order, OrderStatus},
        },
    },
    wire::{Fault, Result},
};
use async_graphql::{Context, ID, Interface, Object, SimpleObject, Subscription};
use domain::{
    Refusal, Scope, Visible,
    accounts::{self, VisibleEvents},
    kernel::{clock, events, ids},
    trading::market,
};
use entity::{Kind, account, bank_account, event, fill, kyc, order, partner, screening_hit, transfer, user};
use futures_util::{Stream, StreamExt, stream};
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;
use uuid::Uuid;

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* async fn $field:ident(&$this:ident $(,
        $ctx:ident)?) -> $type:ty $body:block)* }) => {
        pub struct $name(Arc<event::Model>);

        $(#[$doc])*
        #[Object]
        impl $name {
            /// Opaque identifier of the event.
            async fn id(&self) -> ID {
                self.0.id.into()
            }

            /// Position in the partner's event log, one higher with each event. Pass it as `after` to resume
            /// after this event.
            async fn cursor(&self) -> String {
                self.0.seq.unwrap_or_default().to_string()
            }

            /// Event type.
            #[graphql(name = "type")]
            async fn kind(&self) -> Result<EventType> {
                EventType::of(&self.0)
            }

            /// Time of the event, by the partner's clock.
            async fn occurred_at(&self) -> DateTime {
                self.0.occurred_at.into()
            }

            $($(#[$field_doc])* async fn $field(&$this $(, $ctx: &Context<'_>)?) -> $type $body)*
        }
    };
}

fn status_in<T>(event: &event::Model, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    events::status(event).and_then(|status| parse(&status)).ok_or_else(|| events::unreadable(event).into())
}

event!(
    /// An order was placed, or its status changed.
    OrderChangedEvent {
        /// The order in its current state.
        async fn order(&self, ctx) -> Result<Order> {
            Ok(Order(ctx.loaders().get::<order::Entity>(self.0.stream_id).await?))
        }

        /// Account that buys or sells.
        async fn account(&self, ctx) -> Result<Account> {
            let order = ctx.loaders().get::<order::Entity>(self.0.stream_id).await?;
            Ok(Account(ctx.loaders().get::<account::Entity>(order.account_id).await?))
        }

        /// Order status after this event.
        async fn order_status(&self) -> Result<OrderStatus> {
            status_in(&self.0, OrderStatus::parse)
        }
    }
);

event!(
    /// A transfer was created, or its status changed.
    TransferChangedEvent {
        /// The transfer in its current state.
        async fn transfer(&self, ctx) -> Result<Transfer> {
            Ok(Transfer(ctx.loaders().get::<transfer::Entity>(self.0.stream_id).await?))
        }

        /// Brokerage account of the transfer.
        async fn account(&self, ctx) -> Result<Account> {
            let transfer = ctx.loaders().get::<transfer::Entity>(self.0.stream_id).await?;
            Ok(Account(ctx.loaders().get::<account::Entity>(transfer.account_id).await?))
        }

        /// Transfer status after this event.
        async fn transfer_status(&self) -> Result<TransferStatus> {
            status_in(&self.0, |name| transfer::Status::parse(name).map(TransferStatus::from))
        }
    }
);

event!(
    /// A trade was settled.
    TradeSettledEvent {
        /// Fill that was settled.
        async fn fill(&self, ctx) -> Result<Fill> {
            Ok(Fill(ctx.loaders().get::<fill::Entity>(self.0.stream_id).await?))
        }

        /// Order of the trade, in its current state.
        async fn order(&self, ctx) -> Result<Order> {
            let fill = ctx.loaders().get::<fill::Entity>(self.0.stream_id).await?;
            Ok(Order(ctx.loaders().get::<order::Entity>(fill.order_id).await?))
        }

        /// Account that bought or sold.
        async fn account(&self, ctx) -> Result<Account> {
            let fill = ctx.loaders().get::<fill::Entity>(self.0.stream_id).await?;
            Ok(Account(ctx.loaders().get::<account::Entity>(fill.account_id).await?))
        }
    }
);

event!(
    /// A user was created or changed.
    UserChangedEvent {
        /// The user in their current state.
        async fn user(&self, ctx) -> Result<User> {
            Ok(User(ctx.loaders().get::<user::Entity>(self.0.stream_id).await?))
        }

        /// Identity verification status after this event.
        async fn user_status(&self) -> Result<UserStatus> {
            status_in(&self.0, |name| user::Status::parse(name).map(UserStatus::from))
        }
    }
);

event!(
    /// An identity check was created or changed.
    KycChangedEvent {
        /// The identity check in its current state.
        async fn kyc(&self, ctx) -> Result<Kyc> {
            Ok(Kyc(ctx.loaders().get::<kyc::Entity>(self.0.stream_id).await?))
        }

        /// Outcome of the check after this event.
        async fn kyc_outcome(&self) -> Result<KycOutcome> {
            status_in(&self.0, |name| kyc::Outcome::parse(name).map(KycOutcome::from))
        }
    }
);

event!(
    /// An entry of a new watch list resembles an existing user.
    WatchListHitFoundEvent {
        /// The identity check in its current state.
        async fn kyc(&self, ctx) -> Result<Kyc> {
            Ok(Kyc(ctx.loaders().get::<kyc::Entity>(self.0.stream_id).await?))
        }

        /// User that the entry resembles.
        async fn user(&self, ctx) -> Result<User> {
            let check = ctx.loaders().get::<kyc::Entity>(self.0.stream_id).await?;
            let user = check.user_id.ok_or_else(|| Fault::from(events::unreadable(&self.0)))?;
            Ok(User(ctx.loaders().get::<user::Entity>(user).await?))
        }

        /// Outcome of the check after this event.
        async fn kyc_outcome(&self) -> Result<KycOutcome> {
            status_in(&self.0, |name| kyc::Outcome::parse(name).map(KycOutcome::from))
        }

        /// The hit in its current state. Null without scope `operate`.
        async fn hit(&self, ctx) -> Result<Option<WatchListHit>> {
            if screening_hit::Entity::access(ctx.actor()).is_err() {
                return Ok(None);
            }
            let id = events::hit(&self.0).ok_or_else(|| Fault::from(events::unreadable(&self.0)))?;
            Ok(ctx.loaders().find::<screening_hit::Entity>(id).await?.map(WatchListHit))
        }
    }
);

event!(
    /// An account was opened or changed.
    AccountChangedEvent {
        /// The account in its current state.
        async fn account(&self, ctx) -> Result<Account> {
            Ok(Account(ctx.loaders().get::<account::Entity>(self.0.stream_id).await?))
        }
    }
);

event!(
    /// A bank account was linked, changed or removed.
    BankAccountChangedEvent {
        /// The bank account in its current state.
        async fn bank_account(&self, ctx) -> Result<BankAccount> {
            Ok(BankAccount(ctx.loaders().get::<bank_account::Entity>(self.0.stream_id).await?))
        }

        /// Owner of the bank account.
        async fn user(&self, ctx) -> Result<User> {
            let bank_account = ctx.loaders().get::<bank_account::Entity>(self.0.stream_id).await?;
            Ok(User(ctx.loaders().get::<user::Entity>(bank_account.user_id).await?))
        }
    }
);

event!(
    /// The partner's API keys, clock, market hours or fixed quotes changed.
    PartnerChangedEvent {
        /// The partner in its current state.
        async fn partner(&self, ctx) -> Result<Partner> {
            Ok(Partner(ctx.loaders().get::<partner::Entity>(self.0.stream_id).await?))
        }
    }
);

/// Entry of the partner's event log.
#[derive(Interface)]
#[graphql(
    field(name = "id", ty = "ID", desc = "Opaque identifier of the event."),
    field(
        name = "cursor",
        ty = "String",
        desc = "Position in the partner's event log, one higher with each event. Pass it as `after` to \
            resume after this event."
    ),
    field(name = "type", method = "kind", ty = "EventType", desc = "Event type."),
    field(name = "occurred_at", ty = "DateTime", desc = "Time of the event, by the partner's clock.")
)]
pub enum Event {
    Order(OrderChangedEvent),
    Transfer(TransferChangedEvent),
    Trade(TradeSettledEvent),
    User(UserChangedEvent),
    Kyc(KycChangedEvent),
    WatchListHit(WatchListHitFoundEvent),
    Account(AccountChangedEvent),
    BankAccount(BankAccountChangedEvent),
    Partner(PartnerChangedEvent),
}

impl Event {
    fn of(event: Arc<event::Model>) -> Result<Self> {
        use EventType as E;
        Ok(match EventType::of(&event)? {
            E::OrderAccepted | E::OrderNew | E::OrderFilled | E::OrderCanceled | E::OrderRejected => {
                Self::Order(OrderChangedEvent(event))
            }
            E::DepositPending | E::DepositSettled => Self::Transfer(TransferChangedEvent(event)),
            E::TradeSettled => Self::Trade(TradeSettledEvent(event)),
            E::UserCreated | E::UserUpdated | E::UserStatusChanged => Self::User(UserChangedEvent(event)),
            E::KycCreated
            | E::KycUpdated
            | E::KycAnswered
            | E::KycExpired
            | E::KycDocumentUploaded
            | E::KycHitCleared
            | E::KycReviewed => Self::Kyc(KycChangedEvent(event)),
            E::KycWatchListHitFound => Self::WatchListHit(WatchListHitFoundEvent(event)),
            E::AccountCreated
            | E::AccountUpdated
            | E::AccountFrozen
            | E::AccountUnfrozen
            | E::AccountClosed => Self::Account(AccountChangedEvent(event)),
            E::BankAccountCreated | E::BankAccountUpdated | E::BankAccountDeleted => {
                Self::BankAccount(BankAccountChangedEvent(event))
            }
            E::PartnerCreated
            | E::ApiKeyIssued
            | E::ApiKeyRevoked
            | E::SandboxClockChanged
            | E::SandboxQuoteSet
            | E::SandboxMarketHoursSet => Self::Partner(PartnerChangedEvent(event)),
        })
    }
}

/// State of the market clock. It is not in the event log and has no cursor: each event contains the present
/// state, so there is nothing to resume.
#[derive(SimpleObject)]
pub struct MarketClockChangedEvent {
    /// Time when the event was sent, by the partner's clock, or by the server's clock without credentials.
    occurred_at: DateTime,
    /// Whether the market is open, and when that changes.
    market_clock: MarketClock,
}

/// Time between two events of the market clock.
const MARKET_CLOCK_INTERVAL: Duration = Duration::from_secs(1);

async fn log(
    ctx: &Context<'_>,
    after: Option<String>,
) -> Result<impl Stream<Item = Result<Arc<event::Model>>> + use<>> {
    let app = ctx.app().clone();
    let access_scope = ctx.actor().access_scope(Scope::Read)?;
    let after = match after {
        Some(cursor) => Some(events::position_of(&app.db.read, access_scope.partner_id, &cursor).await?),
        None => None,
    };
    let events = events::follow(&app.db, &app.feed, access_scope.partner_id, after).await?;
    let visible = Arc::new(Mutex::new(VisibleEvents::new(access_scope)));
    Ok(events.filter_map(move |event| {
        let (app, visible) = (app.clone(), visible.clone());
        async move {
            let event = match event {
                Ok(event) => event,
                Err(error) => return Some(Err(error.into())),
            };
            match visible.lock().await.has(&app.db.read, &event).await {
                Ok(true) => Some(Ok(event)),
                Ok(false) => None,
                Err(error) => Some(Err(error.into())),
            }
        }
    }))
}

/// Returns the id of an account that the caller can see.
async fn visible_account(ctx: &Context<'_>, id: &ID) -> Result<Uuid> {
    let account = accounts::find(&ctx.app().db.read, ctx.actor(), ids::parse(Kind::Account, id)).await?;
    Ok(account.ok_or_else(|| Refusal::not_found("accountId"))?.id)
}

#[derive(Default)]
pub struct EventSubscription;

#[Subscription]
impl EventSubscription {
    /// Sends the state of the market clock at once and then every second. Requires no credentials.
    async fn market_clock_changed(
        &self,
        ctx: &Context<'_>,
    ) -> impl Stream<Item = Result<MarketClockChangedEvent>> + use<> {
        let (app, actor) = (ctx.app().clone(), ctx.actor().clone());
        stream::unfold(Some(Duration::ZERO), move |pause| {
            let (app, actor) = (app.clone(), actor.clone());
            async move {
                tokio::time::sleep(pause?).await;
                let hours = market::clock_for(&app.db.read, &actor, clock::system_now()).await;
                let event = hours.map_err(Fault::from).map(|hours| MarketClockChangedEvent {
                    occurred_at: hours.at.into(),
                    market_clock: hours.into(),
                });
                let next = event.is_ok().then_some(MARKET_CLOCK_INTERVAL);
                Some((event, next))
            }
        })
    }

    /// Sends an event for each change of an order that the caller can see. Requires scope `read`.
    async fn order_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only orders of this account. Fails with `NOT_FOUND` if it was not found.")]
        account_id: Option<ID>,
        #[graphql(desc = "Send the events after this cursor first, then new ones.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<OrderChangedEvent>> + use<>> {
        let account = match account_id {
            Some(id) => Some(visible_account(ctx, &id).await?),
            None => None,
        };
        let orders = log(ctx, after).await?.filter_map(move |event| {
            let order_event = match event {
                Err(fault) => Some(Err(fault)),
                Ok(event) if events::is_of_order(&event, account) => Some(Ok(OrderChangedEvent(event))),
                Ok(_) => None,
            };
            std::future::ready(order_event)
        });
        Ok(orders)
    }

    /// Sends all events that the caller can see. Requires scope `read`.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Send the events after this cursor first, then new ones; `0` sends all events.")]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<Event>> + use<>> {
        Ok(log(ctx, after).await?.map(|event| event.and_then(Event::of)))
    }
}
