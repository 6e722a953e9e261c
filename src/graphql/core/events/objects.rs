//! One type for the events of each kind of object.

use crate::{
    graphql::{
        accounts::Account,
        compliance::{
            kyc::{Kyc, KycOutcome},
            screening::WatchListHit,
        },
        core::{
            breadth::{Maybe, One},
            context::RequestContext,
            event_types::EventType,
            scalars::{DateTime, Decimal},
        },
        funding::{
            bank_accounts::BankAccount,
            transfers::{Transfer, TransferStatus},
        },
        people::users::{User, UserStatus},
        reporting::statements::Statement,
        sandbox::Partner,
        trading::{
            corporate_actions::{CorporateAction, Entitlement},
            instruments::Instrument,
            orders::{Fill, Order, OrderStatus},
        },
    },
    wire::{Fault, Result},
};
use async_graphql::{Context, ID, Object};
use domain::{
    Visible,
    kernel::events::{
        self, AccountState, BankAccountState, CheckState, EntitlementState, OrderState, PositionState,
        StatementState, TradeState, TransferState, UserState,
    },
};
use entity::{event, screening_hit};
use std::sync::Arc;
use uuid::Uuid;

macro_rules! event {
    ($(#[$doc:meta])* $name:ident($state:ty) { $($(#[$field_doc:meta])* async fn $field:ident(&$this:ident $(,
        $ctx:ident)?) -> $type:ty $body:block)* }) => {
        $(#[$doc])*
        pub struct $name {
            pub(super) row: Arc<event::Model>,
            pub(super) kind: EventType,
            /// What the event says about its object.
            pub(super) state: $state,
        }

        $(#[$doc])*
        #[Object]
        impl $name {
            /// Opaque identifier of the event.
            pub async fn id(&self) -> ID {
                self.row.id.into()
            }

            /// Position in the partner's event log, one higher with each event. Pass it as `after` to resume
            /// after this event.
            pub async fn cursor(&self) -> String {
                self.row.seq.unwrap_or_default().to_string()
            }

            /// Event type.
            #[graphql(name = "type")]
            pub async fn kind(&self) -> EventType {
                self.kind
            }

            /// Time of the event, by the partner's clock.
            pub async fn occurred_at(&self) -> DateTime {
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
    /// A corporate action was applied to an account: its dividend was paid, or its shares were split or renamed.
    CorporateActionAppliedEvent(EntitlementState) {
        /// What the account was entitled to.
        async fn entitlement(&self) -> One<Entitlement> {
            One::of(self.state.id)
        }

        /// The corporate action.
        async fn corporate_action(&self) -> One<CorporateAction> {
            One::of(self.state.corporate_action_id)
        }

        /// Account that held the shares.
        async fn account(&self) -> One<Account> {
            One::of(self.state.account_id)
        }

        /// Instrument that was held.
        async fn instrument(&self) -> One<Instrument> {
            One::of(self.state.instrument_id)
        }
    }
);

event!(
    /// A statement of an account can be downloaded.
    StatementReadyEvent(StatementState) {
        /// The statement.
        async fn statement(&self) -> One<Statement> {
            One::of(self.state.id)
        }

        /// Account that the statement is about.
        async fn account(&self) -> One<Account> {
            One::of(self.state.account_id)
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
pub struct FoundHit {
    pub(super) check: CheckState,
    pub(super) hit_id: Uuid,
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
    /// The partner was created, or its settings, API keys, clock, market hours, fixed quotes or bars changed, or a
    /// corporate action was announced or withdrawn.
    PartnerChangedEvent(ChangedPartner) {
        /// The partner in its current state.
        async fn partner(&self) -> One<Partner> {
            One::of(self.state.id)
        }

        /// Id of the corporate action that was announced, or that was withdrawn and no longer exists. Null for other
        /// events.
        async fn corporate_action_id(&self) -> Option<ID> {
            self.state.corporate_action_id.map(ID::from)
        }
    }
);

/// What an event says about a partner.
#[derive(Clone, Copy)]
pub struct ChangedPartner {
    pub id: Uuid,
    pub corporate_action_id: Option<Uuid>,
}
