//! Queries, filters and sort orders of orders and fills.

use super::{Fill, Order, OrderSide, OrderStatus};
use crate::{
    graphql::core::{
        breadth::{ListOf, Maybe},
        context::Viewpoint,
        pages::PageArgs,
        scalars::DateTime,
        sorts::sort_by,
    },
    wire::Result,
};
use async_graphql::{ID, InputObject};
use domain::{
    kernel::lists::Filter,
    trading::{instruments, orders},
};
use entity::{fill, order};
use macros::breadth;

/// Filter for orders. An order must match all the fields that are given.
#[derive(Clone, Default, InputObject)]
pub struct OrderFilter {
    /// Only orders with one of these statuses. If omitted or empty, all orders.
    statuses: Option<Vec<OrderStatus>>,
    /// Only orders of this side.
    side: Option<OrderSide>,
    /// Only orders for the instrument with this ticker symbol, case-insensitive.
    symbol: Option<String>,
    /// Only orders placed at this time or later.
    submitted_from: Option<DateTime>,
    /// Only orders placed before this time.
    submitted_before: Option<DateTime>,
}

impl OrderFilter {
    /// Returns the conditions on the rows.
    pub fn conditions(self) -> Vec<Filter> {
        let statuses = self.statuses.unwrap_or_default().into_iter().map(order::Status::from);
        [
            Filter::one_of(order::Column::Status, statuses),
            Filter::one_of(order::Column::Side, self.side.map(order::Side::from)),
            self.symbol.map(|symbol| instruments::of_symbol(&symbol)),
            self.submitted_from.map(|time| Filter::from(order::Column::SubmittedAt, time.0)),
            self.submitted_before.map(|time| Filter::before(order::Column::SubmittedAt, time.0)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

sort_by!(
    /// Sort order of orders.
    OrderSort, OrderSortField of order, default SubmittedAt Desc {
        /// Time when the order was placed.
        SubmittedAt [],
    }
);

/// Filter for fills. A fill must match all the fields that are given.
#[derive(Clone, Default, InputObject)]
pub struct FillFilter {
    /// Only fills of this side.
    side: Option<OrderSide>,
    /// Only fills in the instrument with this ticker symbol, case-insensitive.
    symbol: Option<String>,
    /// Only fills traded at this time or later.
    traded_from: Option<DateTime>,
    /// Only fills traded before this time.
    traded_before: Option<DateTime>,
}

impl FillFilter {
    fn conditions(self) -> Vec<Filter> {
        [
            Filter::one_of(fill::Column::Side, self.side.map(order::Side::from)),
            self.symbol.map(|symbol| orders::fills_of_symbol(&symbol)),
            self.traded_from.map(|time| Filter::from(fill::Column::TradedAt, time.0)),
            self.traded_before.map(|time| Filter::before(fill::Column::TradedAt, time.0)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

sort_by!(
    /// Sort order of fills.
    FillSort, FillSortField of fill, default TradedAt Desc {
        /// Time when the fill was recorded, which is the time of the trade unless it was recorded late.
        TradedAt [],
    }
);

#[derive(Default)]
pub struct OrderQuery;

#[breadth]
impl OrderQuery {
    /// Returns an order by id, or null if it was not found. Requires scope `read`.
    fn order(&self, view: &Viewpoint, #[graphql(desc = "Id of the order.")] id: ID) -> Result<Maybe<Order>> {
        Maybe::find(view, &id)
    }

    /// Returns the orders that the caller can see, newest first by default. Requires scope `read`.
    fn orders(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(desc = "Filter for the orders.")] filter: Option<OrderFilter>,
        #[graphql(desc = "Sort order; newest first by default.")] order_by: Option<OrderSort>,
    ) -> Result<Option<ListOf<Order>>> {
        let filters = filter.unwrap_or_default().conditions();
        Ok(Some(ListOf::sorted(view, &page, filters, order_by)?))
    }

    /// Returns the fills that the caller can see, newest first by default. Requires scope `read`.
    fn fills(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(desc = "Filter for the fills.")] filter: Option<FillFilter>,
        #[graphql(desc = "Sort order; newest first by default.")] order_by: Option<FillSort>,
    ) -> Result<Option<ListOf<Fill>>> {
        let filters = filter.unwrap_or_default().conditions();
        Ok(Some(ListOf::sorted(view, &page, filters, order_by)?))
    }
}
