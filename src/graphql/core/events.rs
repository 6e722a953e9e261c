//! Live events out of the durable log.

use super::{context::RequestContext, scalars::DateTime};
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
    Scope, accounts,
    kernel::{
        clock,
        events::{self, EventType},
        ids,
    },
    trading::market,
};
use entity::{Kind, account, bank_account, event, fill, kyc, order, partner, screening_hit, transfer, user};
use futures_util::{Stream, StreamExt, stream};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::Mutex;
use uuid::Uuid;

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* async fn $field:ident(&$this:ident $(,
        $ctx:ident)?) -> $type:ty $body:block)* }) => {
        pub struct $name(Arc<event::Model>);

        $(#[$doc])*
        #[Object]
        impl $name {
            /// Id of this event, the same wherever it is told.
            async fn id(&self) -> ID {
                self.0.id.into()
            }

            /// Place in the log, one higher with every event; pass it back as `after` to resume.
            async fn cursor(&self) -> String {
                self.0.seq.unwrap_or_default().to_string()
            }

            /// What happened, such as `order.filled`.
            #[graphql(name = "type")]
            async fn kind(&self) -> String {
                self.0.kind.clone()
            }

            /// When it happened, by the partner's clock.
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
    /// An order was placed or moved on.
    OrderChangedEvent {
        /// The order as of now.
        async fn order(&self, ctx) -> Result<Order> {
            Ok(Order(ctx.loaders().get::<order::Entity>(self.0.stream_id).await?))
        }

        /// The state it moved to at this event.
        async fn status(&self) -> Result<OrderStatus> {
            status_in(&self.0, OrderStatus::parse)
        }
    }
);

event!(
    /// A transfer was made or moved on.
    TransferChangedEvent {
        /// The transfer as of now.
        async fn transfer(&self, ctx) -> Result<Transfer> {
            Ok(Transfer(ctx.loaders().get::<transfer::Entity>(self.0.stream_id).await?))
        }

        /// The state it moved to at this event.
        async fn status(&self) -> Result<TransferStatus> {
            status_in(&self.0, |name| transfer::Status::parse(name).map(TransferStatus::from))
        }
    }
);

event!(
    /// A trade was paid for.
    TradeSettledEvent {
        /// What was traded.
        async fn fill(&self, ctx) -> Result<Fill> {
            Ok(Fill(ctx.loaders().get::<fill::Entity>(self.0.stream_id).await?))
        }
    }
);

event!(
    /// A person was registered or moved on.
    UserChangedEvent {
        /// The person as of now.
        async fn user(&self, ctx) -> Result<User> {
            Ok(User(ctx.loaders().get::<user::Entity>(self.0.stream_id).await?))
        }

        /// Where her identity stood at this event.
        async fn status(&self) -> Result<UserStatus> {
            status_in(&self.0, |name| user::Status::parse(name).map(UserStatus::from))
        }
    }
);

event!(
    /// An identity check was made or moved on.
    KycChangedEvent {
        /// The check as of now.
        async fn kyc(&self, ctx) -> Result<Kyc> {
            Ok(Kyc(ctx.loaders().get::<kyc::Entity>(self.0.stream_id).await?))
        }

        /// What it came to at this event.
        async fn outcome(&self) -> Result<KycOutcome> {
            status_in(&self.0, |name| kyc::Outcome::parse(name).map(KycOutcome::from))
        }
    }
);

event!(
    /// An entry of a new watch list resembles an existing customer.
    WatchListHitFoundEvent {
        /// The identity check as of now.
        async fn kyc(&self, ctx) -> Result<Kyc> {
            Ok(Kyc(ctx.loaders().get::<kyc::Entity>(self.0.stream_id).await?))
        }

        /// Outcome of the check at this event.
        async fn outcome(&self) -> Result<KycOutcome> {
            status_in(&self.0, |name| kyc::Outcome::parse(name).map(KycOutcome::from))
        }

        /// The hit as of now. Null without scope `operate`.
        async fn hit(&self, ctx) -> Result<Option<WatchListHit>> {
            if ctx.actor().partner(Scope::Operate).is_err() {
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
        /// The account as of now.
        async fn account(&self, ctx) -> Result<Account> {
            Ok(Account(ctx.loaders().get::<account::Entity>(self.0.stream_id).await?))
        }
    }
);

event!(
    /// A bank account was linked or changed.
    BankAccountChangedEvent {
        /// The bank account as of now.
        async fn bank_account(&self, ctx) -> Result<BankAccount> {
            Ok(BankAccount(ctx.loaders().get::<bank_account::Entity>(self.0.stream_id).await?))
        }
    }
);

event!(
    /// The partner itself changed: its keys, its clock, its hours, a price it set.
    PartnerChangedEvent {
        /// The partner as of now.
        async fn partner(&self, ctx) -> Result<Partner> {
            Ok(Partner(ctx.loaders().get::<partner::Entity>(self.0.stream_id).await?))
        }
    }
);

/// Something that happened, in the order of one durable log.
#[expect(clippy::duplicated_attributes, reason = "two fields of an interface may have the same type")]
#[derive(Interface)]
#[graphql(
    field(name = "id", ty = "ID", desc = "Id of this event, the same wherever it is told."),
    field(
        name = "cursor",
        ty = "String",
        desc = "Place in the log, one higher with every event; pass it back as `after` to resume."
    ),
    field(name = "type", method = "kind", ty = "String", desc = "What happened, such as `order.filled`."),
    field(name = "occurred_at", ty = "DateTime", desc = "When it happened, by the partner's clock.")
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
        use EventType as H;
        let happening =
            EventType::parse(&event.kind).ok_or_else(|| Fault::from(events::unreadable(&event)))?;
        Ok(match happening {
            H::OrderAccepted | H::OrderNew | H::OrderFilled | H::OrderCanceled | H::OrderRejected => {
                Self::Order(OrderChangedEvent(event))
            }
            H::DepositPending | H::DepositSettled => Self::Transfer(TransferChangedEvent(event)),
            H::TradeSettled => Self::Trade(TradeSettledEvent(event)),
            H::UserCreated | H::UserUpdated | H::UserStatusChanged => Self::User(UserChangedEvent(event)),
            H::KycCreated
            | H::KycUpdated
            | H::KycAnswered
            | H::KycExpired
            | H::KycDocumentUploaded
            | H::KycHitCleared
            | H::KycReviewed => Self::Kyc(KycChangedEvent(event)),
            H::KycWatchListHitFound => Self::WatchListHit(WatchListHitFoundEvent(event)),
            H::AccountCreated
            | H::AccountUpdated
            | H::AccountFrozen
            | H::AccountUnfrozen
            | H::AccountClosed => Self::Account(AccountChangedEvent(event)),
            H::BankAccountCreated | H::BankAccountUpdated | H::BankAccountDeleted => {
                Self::BankAccount(BankAccountChangedEvent(event))
            }
            H::PartnerCreated
            | H::ApiKeyIssued
            | H::ApiKeyRevoked
            | H::SandboxClockChanged
            | H::SandboxQuoteSet
            | H::SandboxMarketHoursSet => Self::Partner(PartnerChangedEvent(event)),
        })
    }
}

/// The market's clock moved on.
#[derive(SimpleObject)]
pub struct MarketClockChangedEvent {
    /// When this was sent, by the caller's clock.
    occurred_at: DateTime,
    /// Whether the market takes orders, and when that changes.
    market_clock: MarketClock,
}

/// How often the market's clock is told.
const BEAT: Duration = Duration::from_secs(1);

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
    let known = Arc::new(Mutex::new(HashMap::new()));
    Ok(events.filter_map(move |event| {
        let (app, known) = (app.clone(), known.clone());
        async move {
            let event = match event {
                Ok(event) => event,
                Err(error) => return Some(Err(error.into())),
            };
            match accounts::concerns(&app.db.read, access_scope, &event, &mut *known.lock().await).await {
                Ok(true) => Some(Ok(event)),
                Ok(false) => None,
                Err(error) => Some(Err(error.into())),
            }
        }
    }))
}

#[derive(Default)]
pub struct EventSubscription;

#[Subscription]
impl EventSubscription {
    /// The market's clock, at once and every second; needs no sign-in.
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
                let next = event.is_ok().then_some(BEAT);
                Some((event, next))
            }
        })
    }

    /// Orders of the partner's customers, or of one account; scope `read`.
    async fn order_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this account.")] account_id: Option<ID>,
        #[graphql(desc = "Replay from just past this cursor, then go live.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<OrderChangedEvent>> + use<>> {
        let account: Option<Uuid> = account_id.map(|id| ids::parse(Kind::Account, &id));
        let orders = log(ctx, after).await?.filter_map(move |event| {
            let told = match event {
                Err(fault) => Some(Err(fault)),
                Ok(event) if events::is_of_order(&event, account) => Some(Ok(OrderChangedEvent(event))),
                Ok(_) => None,
            };
            std::future::ready(told)
        });
        Ok(orders)
    }

    /// Everything that happens to the partner and its customers; scope `read`.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Replay from just past this cursor, then go live; `0` replays everything.")]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<Event>> + use<>> {
        Ok(log(ctx, after).await?.map(|event| event.and_then(Event::of)))
    }
}
