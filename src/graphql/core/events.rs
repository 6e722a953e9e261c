//! GraphQL events and subscriptions, read from the event log.

mod market_clock;
mod objects;

use self::objects::{
    AccountChangedEvent, BankAccountChangedEvent, ChangedPartner, CorporateActionAppliedEvent, FoundHit,
    KycChangedEvent, OrderChangedEvent, PartnerChangedEvent, PositionChangedEvent, StatementReadyEvent,
    TradeConfirmedEvent, TradeSettledEvent, TransferChangedEvent, UserChangedEvent, WatchListHitFoundEvent,
};
use super::{
    breadth::{Fetch, fetch},
    context::RequestContext,
    engine::fanout::{self, Current, Signal},
    event_types::EventType,
    scalars::DateTime,
};
use crate::wire::{Fault, Result};
use async_graphql::{Context, ID, Interface, Subscription};
use domain::{
    Refusal, Scope,
    accounts::{self, VisibleEvents},
    kernel::{
        clock,
        events::{self, Event as LoggedEvent, Subject},
        ids,
    },
    trading::market,
};
use entity::{Kind, event};
use futures_util::{Stream, StreamExt, stream};
use macros::breadth;
use market_clock::MarketClockChangedEvent;
use std::sync::Arc;
use uuid::Uuid;

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
    CorporateAction(CorporateActionAppliedEvent),
    Statement(StatementReadyEvent),
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
                let corporate_action_id = match &event {
                    LoggedEvent::CorporateActionAnnounced(action)
                    | LoggedEvent::CorporateActionWithdrawn(action) => Some(action.id),
                    _ => None,
                };
                let state = ChangedPartner { id: row.partner_id, corporate_action_id };
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
            Subject::Entitlement(state) => {
                Self::CorporateAction(CorporateActionAppliedEvent { row, kind, state: *state })
            }
            Subject::Statement(state) => Self::Statement(StatementReadyEvent { row, kind, state: *state }),
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
