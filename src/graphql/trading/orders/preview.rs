//! Preview of an order.

use super::{OrderSide, OrderTerms};
use crate::{
    graphql::{
        core::{
            breadth::{Fetch, One, fetch},
            context::Viewpoint,
            errors::UserError,
            scalars::{Date, Decimal, Money},
        },
        trading::{gains::GainTerm, lots::TaxLot},
    },
    wire,
};
use async_graphql::{Enum, InputObject, SimpleObject};
use domain::{
    kernel::db::ReadConnection,
    trading::{
        gains,
        lots::estimates::WashSale,
        orders::{PlaceOrder, Preview, preview},
    },
};
use entity::lot_closing;
use macros::{Fields, Leaf, breadth};

/// Input for orderPreview: the order as for orderPlace.
#[derive(Clone, InputObject)]
pub struct OrderPreviewInput {
    /// What to trade.
    #[graphql(flatten)]
    order: OrderTerms,
}

/// What an order would do if it were placed now.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct OrderPreview {
    /// What the order would hold, cost or earn. Null if it would be refused.
    estimate: Option<OrderEstimate>,
    /// Why the order would be refused; empty if it would be accepted.
    user_errors: Vec<UserError>,
}

/// What an order would hold, cost or earn.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct OrderEstimate {
    /// Buy or sell.
    side: OrderSide,
    /// Number of shares.
    quantity: Decimal,
    /// Price at which the order is valued: its limit price, its stop price, or else the current ask of a purchase
    /// and the current bid of a sale.
    price: Money,
    /// What the order would cost or earn at that price, before fees.
    amount: Money,
    /// Fees of a sale at that price, which reduce what it would earn; zero for a purchase.
    fees: Money,
    /// Cash that the order would hold; zero for a sale.
    held_cash: Money,
    /// Number of shares that the order would hold; zero for a purchase.
    held_shares: Decimal,
    /// Buying power of the account while the order is open.
    buying_power: Money,
    /// What a sale would sell of each tax lot, in the order in which the lots are sold; empty for a purchase.
    lots: Vec<OrderLotEstimate>,
    /// Losses that the order would disallow for taxes, or that later purchases could.
    wash_sales: Vec<WashSaleWarning>,
    /// Estimated tax on the gains of a sale, at the partner's rates for short-term and long-term gains. A loss of
    /// one term reduces the gain of the other; other sales of the year and other taxes do not count. Zero if a loss
    /// remains, and in a retirement account. Null for a purchase, and if the partner has not set both rates.
    estimated_tax: Option<Money>,
}

impl From<Preview> for OrderEstimate {
    fn from(preview: Preview) -> Self {
        Self {
            side: preview.side.into(),
            quantity: preview.quantity.into(),
            price: preview.price.into(),
            amount: preview.amount.into(),
            fees: preview.fees.into(),
            held_cash: preview.held_cash.into(),
            held_shares: preview.held_shares.into(),
            buying_power: preview.buying_power.into(),
            lots: preview.closings.into_iter().map(OrderLotEstimate).collect(),
            wash_sales: preview.wash_sales.into_iter().map(WashSaleWarning::from).collect(),
            estimated_tax: preview.tax.map(Money::from),
        }
    }
}

/// Shares of one tax lot that a sale would sell.
#[derive(Clone, Debug)]
pub struct OrderLotEstimate(lot_closing::Model);

/// Shares of one tax lot that a sale would sell.
#[breadth]
impl OrderLotEstimate {
    /// Tax lot that the shares belong to.
    fn lot(&self) -> One<TaxLot> {
        One::of(self.0.lot_id)
    }

    /// Number of shares.
    fn quantity(&self) -> Decimal {
        self.0.quantity.into()
    }

    /// What the shares would be sold for, less fees.
    fn proceeds(&self) -> Money {
        self.0.proceeds.into()
    }

    /// What the shares cost, with the disallowed losses that were added to it.
    fn cost_basis(&self) -> Money {
        self.0.basis.into()
    }

    /// Part of the loss that purchases of the 30 days before would disallow.
    fn disallowed_loss(&self) -> Money {
        self.0.disallowed.into()
    }

    /// Gain, or loss if negative, that would count for taxes: proceeds minus cost, without the disallowed loss.
    fn gain(&self) -> Money {
        gains::gain(&self.0).into()
    }

    /// Whether the shares would have been held for more than one year.
    fn term(&self) -> GainTerm {
        self.0.term.into()
    }
}

/// Loss that an order would disallow for taxes, or that later purchases could. Purchases and sales of the instrument in
/// all accounts of the owners count.
#[derive(Clone, Debug, Fields, SimpleObject)]
pub struct WashSaleWarning {
    /// Why the loss is or can become disallowed.
    cause: WashSaleCause,
    /// Number of shares sold at a loss that are or can be replaced.
    quantity: Decimal,
    /// Loss of these shares.
    loss: Money,
    /// Part of the loss that is lost for good, because the shares that replace those sold are in a retirement account.
    /// The rest is added to the cost of these shares.
    forfeited_loss: Money,
    /// Last date on which a purchase of shares disallows the loss: 30 days after the sale at a loss.
    window_ends_on: Date,
}

impl From<WashSale> for WashSaleWarning {
    fn from(wash_sale: WashSale) -> Self {
        Self {
            cause: wash_sale.cause.into(),
            quantity: wash_sale.quantity.into(),
            loss: wash_sale.loss.into(),
            forfeited_loss: wash_sale.forfeited.into(),
            window_ends_on: wash_sale.window_ends_on.into(),
        }
    }
}

/// Why a loss is or can become disallowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "domain::trading::lots::estimates::WashSaleCause")]
pub enum WashSaleCause {
    /// The order is a sale at a loss, and shares bought within 30 days before replace those sold.
    EarlierPurchase,
    /// The order is a sale at a loss, and a purchase until the end of the window would disallow it.
    LaterPurchase,
    /// The order is a purchase, and its shares replace shares sold at a loss within 30 days before.
    EarlierSale,
}

#[derive(Default)]
pub struct OrderPreviewQuery;

#[breadth]
impl OrderPreviewQuery {
    /// Returns what an order would hold, cost or earn if it were filled at once, which tax lots it would sell, and
    /// which losses would be disallowed as wash sales; or why it would be refused. Changes nothing. Requires scope
    /// `trade`.
    fn order_preview(
        &self,
        #[graphql(desc = "The order, as for orderPlace.")] input: OrderPreviewInput,
    ) -> Fetch<Option<OrderPreview>> {
        fetch(move |view| {
            let input = input.clone();
            Box::pin(async move {
                let outcome = match input.order.parse() {
                    Ok(place) => previewed(view, place).await?,
                    Err(error) => Err(domain::kernel::command::unreadable::<PlaceOrder>(view.actor(), error)),
                };
                Ok(Some(match wire::outcome(outcome)? {
                    Ok(preview) => OrderPreview { estimate: Some(preview.into()), user_errors: Vec::new() },
                    Err(refusal) => {
                        OrderPreview { estimate: None, user_errors: refusal.all().map(Into::into).collect() }
                    }
                }))
            })
        })
    }
}

/// Previews an order in one snapshot.
async fn previewed(view: &Viewpoint, place: PlaceOrder) -> wire::Result<domain::Result<Preview>> {
    let connection = view.loaders().connection().await?;
    Ok(match *connection {
        ReadConnection::Snapshot(snapshot) => preview(view.app(), snapshot, view.actor(), place).await,
        ReadConnection::Pool(_) => {
            let snapshot = view.app().db.snapshot().await?;
            preview(view.app(), &snapshot, view.actor(), place).await
        }
    })
}
