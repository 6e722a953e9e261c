//! The resting orders of one instrument, sorted by the prices at which they can be filled.

use crate::trading::{
    bars::{Bar, Touch},
    fill_rules::Open,
    market::Quote,
    orders::state::Terms,
};
use chrono::{DateTime, Utc};
use entity::{
    Price,
    order::{OrderKind, Side, TimeInForce},
};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// An order in the book.
#[derive(Clone, Copy, Debug)]
pub struct Resting {
    pub id: Uuid,
    pub terms: Terms,
    pub open: Open,
    /// Number of its next fill.
    pub next_number: i32,
    /// Bars that begin earlier do not concern it.
    pub since: DateTime<Utc>,
    /// Start of the last bar that it was compared with.
    pub last_bar: Option<DateTime<Utc>>,
}

/// Prices that were reached, by what they do.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    buy_limit: Price,
    sell_limit: Price,
    buy_stop: Price,
    sell_stop: Price,
}

impl From<&Quote> for Reach {
    fn from(quote: &Quote) -> Self {
        Self { buy_limit: quote.ask, sell_limit: quote.bid, buy_stop: quote.ask, sell_stop: quote.bid }
    }
}

impl From<&Bar> for Reach {
    fn from(bar: &Bar) -> Self {
        Self { buy_limit: bar.low, sell_limit: bar.high, buy_stop: bar.high, sell_stop: bar.low }
    }
}

/// Where an order is listed.
enum Place {
    /// Orders that any price concerns.
    Any,
    Limit(Side, Price),
    Stop(Side, Price),
}

/// Orders by price and then by id, which is the order of their submission.
type Ladder = BTreeSet<(Price, Uuid)>;

/// The resting orders of one instrument. Which of them a price concerns is found without looking at the others.
#[derive(Debug, Default)]
pub struct Book {
    orders: HashMap<Uuid, Resting>,
    any: BTreeSet<Uuid>,
    buy_limits: Ladder,
    sell_limits: Ladder,
    buy_stops: Ladder,
    sell_stops: Ladder,
}

impl Book {
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    pub fn get(&self, id: Uuid) -> Option<&Resting> {
        self.orders.get(&id)
    }

    /// Notes that an order was compared with a bar.
    pub fn compared(&mut self, id: Uuid, bar: DateTime<Utc>) {
        if let Some(order) = self.orders.get_mut(&id) {
            order.last_bar = Some(bar);
        }
    }

    /// Adds an order, or replaces it.
    pub fn insert(&mut self, order: Resting) {
        self.remove(order.id);
        match Self::place(&order.terms) {
            Place::Any => _ = self.any.insert(order.id),
            Place::Limit(side, price) => _ = self.limits(side).insert((price, order.id)),
            Place::Stop(side, price) => _ = self.stops(side).insert((price, order.id)),
        }
        self.orders.insert(order.id, order);
    }

    /// Removes an order, if it is in the book.
    pub fn remove(&mut self, id: Uuid) {
        let Some(order) = self.orders.remove(&id) else { return };
        match Self::place(&order.terms) {
            Place::Any => _ = self.any.remove(&id),
            Place::Limit(side, price) => _ = self.limits(side).remove(&(price, id)),
            Place::Stop(side, price) => _ = self.stops(side).remove(&(price, id)),
        }
    }

    fn place(terms: &Terms) -> Place {
        let is_immediate = matches!(terms.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        match (terms.working_kind(), terms.limit, terms.stop) {
            (OrderKind::Limit, Some(limit), _) if !is_immediate => Place::Limit(terms.side, limit),
            (OrderKind::Stop | OrderKind::StopLimit, _, Some(stop)) if !is_immediate => {
                Place::Stop(terms.side, stop)
            }
            _ => Place::Any,
        }
    }

    const fn limits(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.buy_limits,
            Side::Sell => &mut self.sell_limits,
        }
    }

    const fn stops(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.buy_stops,
            Side::Sell => &mut self.sell_stops,
        }
    }

    /// Returns the orders that these prices concern, in the order of their submission.
    pub fn touched(&self, reach: impl Into<Reach>) -> Vec<Uuid> {
        let reach = reach.into();
        let from = |price: Price| (price, Uuid::nil())..;
        let to = |price: Price| ..=(price, Uuid::max());
        let mut ids: Vec<Uuid> = self.any.iter().copied().collect();
        let up = [(&self.buy_limits, reach.buy_limit), (&self.sell_stops, reach.sell_stop)];
        ids.extend(up.into_iter().flat_map(|(ladder, price)| ladder.range(from(price))).map(|(_, id)| *id));
        let down = [(&self.sell_limits, reach.sell_limit), (&self.buy_stops, reach.buy_stop)];
        ids.extend(down.into_iter().flat_map(|(ladder, price)| ladder.range(to(price))).map(|(_, id)| *id));
        ids.sort_unstable();
        ids
    }

    /// Returns whether these prices concern an order.
    pub fn is_touched(&self, reach: impl Into<Reach>) -> bool {
        let reach = reach.into();
        let highest = |ladder: &Ladder| ladder.last().map(|(price, _)| *price);
        let lowest = |ladder: &Ladder| ladder.first().map(|(price, _)| *price);
        !self.any.is_empty()
            || highest(&self.buy_limits).is_some_and(|limit| limit >= reach.buy_limit)
            || highest(&self.sell_stops).is_some_and(|stop| stop >= reach.sell_stop)
            || lowest(&self.sell_limits).is_some_and(|limit| limit <= reach.sell_limit)
            || lowest(&self.buy_stops).is_some_and(|stop| stop <= reach.buy_stop)
    }

    /// Returns whether every bar concerns an order.
    pub fn awaits_any_bar(&self) -> bool {
        !self.any.is_empty()
    }

    /// Returns the conditions of which a bar that concerns an order meets one.
    pub fn touches(&self) -> Vec<Touch> {
        let below = [&self.buy_limits, &self.sell_stops].into_iter().filter_map(BTreeSet::last);
        let above = [&self.sell_limits, &self.buy_stops].into_iter().filter_map(BTreeSet::first);
        let highest = below.map(|(price, _)| *price).max().map(Touch::AtOrBelow);
        let lowest = above.map(|(price, _)| *price).min().map(Touch::AtOrAbove);
        highest.into_iter().chain(lowest).collect()
    }
}

#[cfg(test)]
mod tests;
