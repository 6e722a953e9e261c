//! GraphQL type for positions.

use super::instruments::Instrument;
use crate::{
    graphql::{
        accounts::Account,
        core::{
            context::RequestContext,
            pages::Item,
            scalars::{Decimal, Money},
        },
    },
    wire::Result,
};
use async_graphql::{Context, ID, Object};
use entity::{Kind, Money as Cents, account, instrument, position};
use uuid::Uuid;

/// Shares of one instrument held in one account.
pub struct Position(pub position::Model);

/// Shares of one instrument held in one account.
#[Object]
impl Position {
    /// Opaque identifier, the same in the GraphQL and REST APIs.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Account that holds the shares.
    async fn account(&self, ctx: &Context<'_>) -> Result<Account> {
        Ok(Account(ctx.loaders().get::<account::Entity>(self.0.account_id).await?))
    }

    /// Instrument that is held.
    async fn instrument(&self, ctx: &Context<'_>) -> Result<Instrument> {
        Ok(Instrument(ctx.loaders().get::<instrument::Entity>(self.0.instrument_id).await?))
    }

    /// Number of shares held, including fractions.
    async fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// Total price paid for the shares that are held.
    async fn cost_basis(&self) -> Money {
        self.0.cost_basis.into()
    }

    /// Value at the last price. Null while market prices are unavailable.
    async fn market_value(&self, ctx: &Context<'_>) -> Result<Option<Money>> {
        let quote = ctx.loaders().quote(self.0.instrument_id).await?;
        Ok(quote.and_then(|quote| Cents::cost(self.0.quantity, quote.last)).map(Money::from))
    }
}

impl Item for Position {
    const KIND: Kind = Kind::Position;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}
