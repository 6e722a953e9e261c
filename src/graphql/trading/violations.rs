//! GraphQL type for violations of the settlement rules of cash accounts.

use super::orders::Fill;
use crate::graphql::{
    accounts::Account,
    core::{breadth::One, scalars::DateTime},
};
use async_graphql::{Enum, ID};
use entity::settlement_violation;
use macros::{Leaf, breadth};

/// Sale that violated the settlement rules of cash accounts.
#[derive(Clone)]
pub struct SettlementViolation(pub settlement_violation::Model);

/// Sale that violated the settlement rules of cash accounts.
#[breadth]
impl SettlementViolation {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Account that sold the shares.
    fn account(&self) -> One<Account> {
        One::of(self.0.account_id)
    }

    /// Rule that was violated.
    fn kind(&self) -> SettlementViolationKind {
        self.0.kind.into()
    }

    /// Fill that sold the shares.
    fn fill(&self) -> One<Fill> {
        One::of(self.0.fill_id)
    }

    /// Time of the sale.
    fn occurred_at(&self) -> DateTime {
        self.0.occurred_at.into()
    }

    /// Time when the money that bought the shares settles, before which they must not be sold. Of free-riding, when it
    /// should have settled.
    fn funds_settle_at(&self) -> DateTime {
        self.0.funds_settle_at.into()
    }
}

/// Settlement rule of cash accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::settlement_violation::ViolationKind")]
pub enum SettlementViolationKind {
    /// Shares were sold before the proceeds that bought them had settled.
    GoodFaith,
    /// Shares were sold whose purchase was paid with a deposit that the bank returned.
    FreeRiding,
}
