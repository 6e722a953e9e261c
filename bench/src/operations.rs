//! What is measured: the requests to both servers.

use crate::data::Size;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{fmt, time::SystemTime};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Q1,
    Q2,
    Q3,
    Q4,
    M1,
}

impl Operation {
    pub const ALL: [Self; 5] = [Self::Q1, Self::Q2, Self::Q3, Self::Q4, Self::M1];

    /// Path at the limit server.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Q1 => "/user",
            Self::Q2 => "/users",
            Self::Q3 => "/page",
            Self::Q4 => "/orders",
            Self::M1 => "/order",
        }
    }

    const fn document(self) -> &'static str {
        match self {
            Self::Q1 => "query($id: ID!) { user(id: $id) { id firstName lastName email } }",
            Self::Q2 => {
                "{ users(first: 20) { edges { node { id firstName lastName accounts(first: 5) { edges { node \
                 { id number type orders(first: 5) { edges { node { id instrument { symbol } side status \
                 quantity submittedAt } } } } } } } } } }"
            }
            Self::Q3 => {
                "query($id: ID!, $after: String!) { account(id: $id) { orders(first: 100, after: $after) { \
                 edges { node { id instrument { symbol } side type quantity filledQuantity status submittedAt \
                 } } } } }"
            }
            Self::Q4 => {
                "query($id: ID!) { account(id: $id) { orders(first: 1000) { edges { node { id instrument { \
                 symbol } side type quantity filledQuantity status submittedAt } } } } }"
            }
            Self::M1 => {
                "mutation($input: OrderPlaceInput!) { orderPlace(input: $input) { order { id account { id } \
                 instrument { symbol } side type quantity status } userErrors { message } } }"
            }
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Q1 => "Q1 user by id",
            Self::Q2 => "Q2 users, accounts, orders",
            Self::Q3 => "Q3 100 orders, deep page",
            Self::Q4 => "Q4 1,000 orders",
            Self::M1 => "M1 market order",
        })
    }
}

/// Body of a request to the limit server.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Variables {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Uuid>,
    /// Whole shares to buy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u32>,
}

/// Symbol that M1 buys.
pub const SYMBOL: &str = "AAPL";

/// A unit of work, which is the same for both servers.
pub struct Work {
    pub operation: Operation,
    items: Vec<Variables>,
}

impl Work {
    pub fn new(operation: Operation, size: Size) -> Self {
        let by_id = |ids: Vec<Uuid>| {
            ids.into_iter().map(|id| Variables { id: Some(id), ..Variables::default() }).collect()
        };
        let items = match operation {
            Operation::Q1 => by_id(size.users_to_read()),
            Operation::Q2 => vec![Variables::default()],
            Operation::Q3 => {
                let pages = size.cursors().into_iter();
                pages
                    .map(|(id, after)| Variables { id: Some(id), after: Some(after), shares: None })
                    .collect()
            }
            Operation::Q4 => by_id(size.deep()),
            Operation::M1 => {
                let buyers = size.buyers().into_iter().zip((1..=10).cycle());
                buyers
                    .map(|(id, shares)| Variables { id: Some(id), after: None, shares: Some(shares) })
                    .collect()
            }
        };
        Self { operation, items }
    }

    /// Number of different requests.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns the body of this request for Coffer or the limit server.
    pub fn body(&self, number: usize, to_coffer: bool) -> String {
        let Some(item) = self.items.get(number % self.items.len().max(1)) else { return String::new() };
        if !to_coffer {
            return json!(item).to_string();
        }
        let variables = match (self.operation, item.shares) {
            (Operation::M1, Some(shares)) => json!({ "input": {
                "idempotencyKey": format!("bench-{number}-{}", nanoseconds()),
                "accountId": item.id, "symbol": SYMBOL, "side": "BUY", "quantity": shares.to_string(),
            } }),
            _ => json!(item),
        };
        json!({ "query": self.operation.document(), "variables": variables }).to_string()
    }
}

fn nanoseconds() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}
