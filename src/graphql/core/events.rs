//! GraphQL events and subscriptions, read from the event log.

mod market_clock;

use super::{
    breadth::{Fetch, Maybe, One, fetch},
    context::RequestContext,
    engine::fanout::{self, Current, Signal},
    event_types::EventType,
    scalars::{DateTime, Decimal},
};
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
            instruments::Instrument,
            orders::{Fill, Order, OrderStatus},
        },
    },
    wire::{Fault, Result},
};
use async_graphql::{Context, ID, Interface, Object, Subscription};
use domain::{
    Refusal, Scope, Visible,
    accounts::{self, VisibleEvents},
    kernel::{
        clock,
        events::{
            self, AccountState, BankAccountState, CheckState, Event as LoggedEvent, OrderState,
            PositionState, Subject, TradeState, TransferState, UserState,
        },
        ids,
    },
    trading::market,
};
use entity::{Kind, event, screening_hit};
use futures_util::{Stream, StreamExt, stream};
use macros::breadth;
use market_clock::MarketClockChangedEvent;
use std::sync::Arc;
use uuid::Uuid;

macro_rules! event {
    ($(#[$doc:meta])* $name:ident($state:ty) { $($(#[$field_doc:meta])* async fn $field:ident(&$this:ident $(,
        $ctx:ident)?) -> $type:ty $body:block)* }) => {
        $(#[$doc])*
        pub struct $name {
            row: Arc<event::Model>,
            kind: EventType,
            /// What the event says about its object.
            state: $state,
        }

        $(#[$doc])*
        #[Object]
        impl $name {
            /// Opaque identifier of the event.
            async fn id(&self) -> ID {
                self.row.id.into()
            }

            /// Position in the partner's event log, one higher with each event. Pass it as `after` to resume
            /// after this event.
            async fn cursor(&self) -> String {
                self.row.seq.unwrap_or_default().to_string()
            }

            /// Event type.
            #[graphql(name = "type")]
            async fn kind(&self) -> EventType {
                self.kind
            }

            /// Time of the event, by the partner's clock.
            async fn occurred_at(&self) -> DateTime {
                self.row.occurred_at.into()
            }

            $($(#[$field_doc])* async fn $field(&$this $(, $ctx: &Context<'_>)?) -> $type $body)*
        }
    };
}

event!(
    /// An order was placed or replaced, or its status changed.
    OrderChangedEvent(OrderState) {
        /// The order in its current state.
        async fn order(&self) -> One<Order> {
            One::of(self.state.id)
        }

        /// Account that buys or sells.
        async fn account(&self) -> One<Account> {
            One::of(self.state.account_id)
        }

        /// Order status after this event.
        async fn order_status(&self) -> OrderStatus {
            self.state.status.into()
        }
    }
);

event!(
    /// A transfer was created, or its status changed.
    TransferChangedEvent(TransferState) {
        /// The transfer in its current state.
        async fn transfer(&self) -> One<Transfer> {
            One::of(self.state.id)
        }

        /// Brokerage account of the transfer.
        async fn account(&self) -> One<Account> {
            One::of(self.state.account_id)
        }

        /// Transfer status after this event.
        async fn transfer_status(&self) -> TransferStatus {
            self.state.status.into()
        }
    }
);

event!(
    /// A trade was confirmed: shares were bought or sold.
    TradeConfirmedEvent(TradeState) {
        /// Fill that was confirmed.
        async fn fill(&self) -> One<Fill> {
            One::of(self.state.id)
        }

        /// Order of the trade, in its current state.
        async fn order(&self) -> One<Order> {
            One::of(self.state.order_id)
        }

        /// Account that bought or sold.
        async fn account(&self) -> One<Account> {
            One::of(self.state.account_id)
        }
    }
);

event!(
    /// A trade was settled.
    TradeSettledEvent(TradeState) {
        /// Fill that was settled.
        async fn fill(&self) -> One<Fill> {
            One::of(self.state.id)
        }

        /// Order of the trade, in its current state.
        async fn order(&self) -> One<Order> {
            One::of(self.state.order_id)
        }

        /// Account that bought or sold.
        async fn account(&self) -> One<Account> {
            One::of(self.state.account_id)
        }
    }
);

event!(
    /// The number of shares in a position changed.
    PositionChangedEvent(PositionState) {
        /// Account that holds the shares.
        async fn account(&self) -> One<Account> {
            One::of(self.state.account_id)
        }

        /// Instrument that is held.
        async fn instrument(&self) -> One<Instrument> {
            One::of(self.state.instrument_id)
        }

        /// Number of shares after this event.
        async fn position_quantity(&self) -> Decimal {
            self.state.quantity.into()
        }
    }
);

event!(
    /// A user was created or changed.
    UserChangedEvent(UserState) {
        /// The user in their current state.
        async fn user(&self) -> One<User> {
            One::of(self.state.id)
        }

        /// Identity verification status after this event.
        async fn user_status(&self) -> UserStatus {
            self.state.status.into()
        }
    }
);

event!(
    /// An identity check was created or changed.
    KycChangedEvent(CheckState) {
        /// The identity check in its current state.
        async fn kyc(&self) -> One<Kyc> {
            One::of(self.state.id)
        }

        /// Outcome of the check after this event.
        async fn kyc_outcome(&self) -> KycOutcome {
            self.state.status.into()
        }
    }
);

/// An identity check with its new hit.
struct FoundHit {
    check: CheckState,
    hit_id: Uuid,
}

event!(
    /// An entry of a new watch list resembles an existing user.
    WatchListHitFoundEvent(FoundHit) {
        /// The identity check in its current state.
        async fn kyc(&self) -> One<Kyc> {
            One::of(self.state.check.id)
        }

        /// User that the entry resembles.
        async fn user(&self) -> Result<One<User>> {
            let user = self.state.check.user_id.ok_or_else(|| Fault::from(events::unreadable(&self.row)))?;
            Ok(One::of(user))
        }

        /// Outcome of the check after this event.
        async fn kyc_outcome(&self) -> KycOutcome {
            self.state.check.status.into()
        }

        /// The hit in its current state. Null without scope `operate`.
        async fn hit(&self, ctx) -> Maybe<WatchListHit> {
            let may_see = screening_hit::Entity::access(ctx.actor()).is_ok();
            Maybe::of(may_see.then_some(self.state.hit_id))
        }
    }
);

event!(
    /// An account was opened or changed.
    AccountChangedEvent(AccountState) {
        /// The account in its current state.
        async fn account(&self) -> One<Account> {
            One::of(self.state.id)
        }
    }
);

event!(
    /// A bank account was linked, changed or removed.
    BankAccountChangedEvent(BankAccountState) {
        /// The bank account in its current state.
        async fn bank_account(&self) -> One<BankAccount> {
            One::of(self.state.id)
        }

        /// Owner of the bank account.
        async fn user(&self) -> One<User> {
            One::of(self.state.user_id)
        }
    }
);

event!(
    /// The partner was created, or its settings, API keys, clock, market hours, fixed quotes or bars changed.
    PartnerChangedEvent(Uuid) {
        /// The partner in its current state.
        async fn partner(&self) -> One<Partner> {
            One::of(self.state)
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
    TradeConfirmed(TradeConfirmedEvent),
    Trade(TradeSettledEvent),
    Position(PositionChangedEvent),
    User(UserChangedEvent),
    Kyc(KycChangedEvent),
    WatchListHit(WatchListHitFoundEvent),
    Account(AccountChangedEvent),
    BankAccount(BankAccountChangedEvent),
    Partner(PartnerChangedEvent),
}

impl Event {
    fn of(row: Arc<event::Model>) -> Result<Self> {
        let event = LoggedEvent::of(&row)?;
        let kind = event.event_type().into();
        Ok(match event.subject() {
            Subject::Partner => {
                let state = row.partner_id;
                Self::Partner(PartnerChangedEvent { row, kind, state })
            }
            Subject::User(state) => Self::User(UserChangedEvent { row, kind, state: *state }),
            Subject::Check(check) => match &event {
                LoggedEvent::KycWatchListHitFound { hit_id, .. } => {
                    let state = FoundHit { check: check.clone(), hit_id: *hit_id };
                    Self::WatchListHit(WatchListHitFoundEvent { row, kind, state })
                }
                _ => Self::Kyc(KycChangedEvent { row, kind, state: check.clone() }),
            },
            Subject::Account(state) => Self::Account(AccountChangedEvent { row, kind, state: *state }),
            Subject::BankAccount(state) => {
                Self::BankAccount(BankAccountChangedEvent { row, kind, state: *state })
            }
            Subject::Transfer(state) => Self::Transfer(TransferChangedEvent { row, kind, state: *state }),
            Subject::Order(state) => Self::Order(OrderChangedEvent { row, kind, state: state.clone() }),
            Subject::Trade(state) if matches!(event, LoggedEvent::TradeConfirmed(_)) => {
                Self::TradeConfirmed(TradeConfirmedEvent { row, kind, state: *state })
            }
            Subject::Trade(state) => Self::Trade(TradeSettledEvent { row, kind, state: *state }),
            Subject::Position(state) => Self::Position(PositionChangedEvent { row, kind, state: *state }),
        })
    }
}

/// Returns the event if it is about an order, of this account if one is given. An event of a type that this
/// version does not know is about no order.
fn order_changed(row: Arc<event::Model>, account: Option<Uuid>) -> Option<Result<OrderChangedEvent>> {
    events::EventType::parse(&row.kind)?;
    match Event::of(row) {
        Ok(Event::Order(event)) if account.is_none_or(|only| only == event.state.account_id) => {
            Some(Ok(event))
        }
        Ok(_) => None,
        Err(fault) => Some(Err(fault)),
    }
}

/// Whether an event may be about an order, or change which orders a subscriber sees. Others are not evaluated.
fn concerns_orders(event: &event::Model) -> bool {
    event.kind.starts_with("order.") || event.kind.starts_with("account.")
}

/// Starts a subscription to the wanted events of the log.
async fn start_log(
    ctx: &Context<'_>,
    after: Option<String>,
    is_wanted: fn(&event::Model) -> bool,
) -> Result<()> {
    let app = ctx.app();
    let access_scope = ctx.actor().access_scope(Scope::Read)?;
    let after = match after {
        Some(cursor) => Some(events::position_of(&app.db.read, access_scope.partner_id, &cursor).await?),
        None => None,
    };
    let events = events::follow(&app.db, &app.feed, access_scope.partner_id, after, is_wanted).await?;
    let signals = events.map(|event| Ok(Signal::Logged(event?))).boxed();
    fanout::start(ctx, signals, Some(VisibleEvents::new(access_scope)));
    Ok(())
}

/// Returns the id of an account that the caller can see.
async fn visible_account(ctx: &Context<'_>, id: &ID) -> Result<Uuid> {
    let account = accounts::find(&ctx.app().db.read, ctx.actor(), ids::parse(Kind::Account, id)).await?;
    Ok(account.ok_or_else(|| Refusal::not_found("accountId"))?.id)
}

#[derive(Default)]
pub struct EventQuery;

#[breadth]
impl EventQuery {
    /// Returns the cursor of the partner's newest event. A subscription with this cursor as `after` continues
    /// where this query ends: it sends every event that the query has not seen yet. Requires scope `read`.
    fn event_cursor(&self) -> Fetch<Option<String>> {
        fetch(|view| {
            Box::pin(async move {
                let partner_id = view.actor().access_scope(Scope::Read)?.partner_id;
                let head = events::head(&*view.loaders().connection().await?, partner_id).await?;
                Ok(Some(head.to_string()))
            })
        })
    }
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
        let event = if Current::of(ctx).is_some() {
            let hours = market::clock_for(&ctx.app().db.read, ctx.actor(), clock::system_now()).await;
            Some(hours.map(MarketClockChangedEvent::from).map_err(Fault::from))
        } else {
            fanout::start(ctx, market_clock::ticks().map(Ok).boxed(), None);
            None
        };
        stream::iter(event)
    }

    /// Sends an event for each change of an order that the caller can see. Requires scope `read`.
    async fn order_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only orders of this account. Fails with `NOT_FOUND` if it was not found.")]
        account_id: Option<ID>,
        #[graphql(desc = "Send the events after this cursor first, then new ones.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<OrderChangedEvent>> + use<>> {
        let event = match Current::of(ctx) {
            Some(current) => match current.event(&ctx.app().db).await {
                Some(Ok(event)) => {
                    let account = account_id.map(|id| ids::parse(Kind::Account, &id));
                    order_changed(event, account)
                }
                Some(Err(fault)) => Some(Err(fault)),
                None => None,
            },
            None => {
                if let Some(id) = account_id {
                    visible_account(ctx, &id).await?;
                }
                start_log(ctx, after, concerns_orders).await?;
                None
            }
        };
        Ok(stream::iter(event))
    }

    /// Sends all events that the caller can see. Requires scope `read`.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Send the events after this cursor first, then new ones; `0` sends all events.")]
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<Event>> + use<>> {
        let event = match Current::of(ctx) {
            Some(current) => current.event(&ctx.app().db).await.map(|event| event.and_then(Event::of)),
            None => {
                start_log(ctx, after, |_| true).await?;
                None
            }
        };
        Ok(stream::iter(event))
    }
}
