//! Lists: documented query parameters and response envelope.

use super::{
    errors::{Problem, Result},
    requests::Caller,
};
use crate::wire::BaseUrl;
use axum::{
    extract::{Extension, FromRequestParts, Query},
    http::request::Parts,
};
use domain::{
    Refusal, Scope,
    kernel::{
        ids,
        pages::{Order, Page, Slice},
    },
};
use entity::Kind;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// Request for a page of a list by a caller with scope `read`. Parameters that every list has: `limit` from 0
/// to 100 (default 25), `order` (default `desc`) and at most one cursor.
pub struct ListRequest {
    limit: u64,
    starting_after: Option<String>,
    ending_before: Option<String>,
    order: Order,
    parameters: HashMap<String, String>,
    /// Base URL and path, for links to other pages.
    base: BaseUrl,
    path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for ListRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Extension(actor) = Caller::from_request_parts(parts, state)
            .await
            .map_err(|_| domain::Error::broken("a request has no caller"))?;
        actor.access_scope(Scope::Read)?;
        let base = Extension::<BaseUrl>::from_request_parts(parts, state).await;
        let base = base.map(|Extension(base)| base).unwrap_or_default();
        let path = parts.uri.path().trim_end_matches('/').to_owned();
        let Query(parameters) = Query::try_from_uri(&parts.uri)
            .map_err(|_| Problem::in_query(Refusal::unreadable("The query string cannot be read.")))?;
        Self::parse(parameters, base, path).map_err(Problem::in_query)
    }
}

impl ListRequest {
    fn parse(parameters: HashMap<String, String>, base: BaseUrl, path: String) -> domain::Result<Self> {
        let given = |name: &str| parameters.get(name).filter(|value| !value.is_empty()).cloned();
        let limit = match parameters.get("limit") {
            None => 25,
            Some(text) => Some(text)
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|text| text.parse().ok())
                .filter(|limit| *limit <= 100)
                .ok_or_else(|| Refusal::invalid("limit", "must be a whole number from 0 to 100"))?,
        };
        let order = match parameters.get("order").map(String::as_str) {
            None | Some("desc") => Order::NewestFirst,
            Some("asc") => Order::OldestFirst,
            Some(_) => return Err(Refusal::invalid("order", "must be asc or desc").into()),
        };
        let request = Self {
            limit,
            starting_after: given("starting_after"),
            ending_before: given("ending_before"),
            order,
            parameters,
            base,
            path,
        };
        if request.starting_after.is_some() && request.ending_before.is_some() {
            return Err(Refusal::invalid("ending_before", "cannot be combined with starting_after").into());
        }
        Ok(request)
    }

    /// Returns a parameter that only this list has.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Returns a parameter of this list that is an id.
    pub fn id(&self, name: &str) -> Result<Option<String>> {
        let id = self.parameter(name).map(Uuid::try_parse).transpose();
        let id = id.map_err(|_| Problem::in_query(Refusal::invalid(name, "must be an id")))?;
        Ok(id.map(|id| id.to_string()))
    }

    /// Returns the URL that links in the response start with.
    pub const fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Returns the requested page. `is_in_list` checks that the cursor is an item of this list; `what` is the
    /// word for an item in error messages.
    pub async fn page(
        &self,
        kind: Kind,
        what: &str,
        is_in_list: impl AsyncFnOnce(Uuid) -> domain::Result<bool>,
    ) -> Result<Page> {
        let from_end = self.ending_before.is_some();
        let row = match self.cursor() {
            None => None,
            Some((parameter, cursor)) => {
                let id = ids::parse(kind, cursor);
                if !is_in_list(id).await? {
                    return Err(Problem::in_query(Refusal::invalid(
                        parameter,
                        format!("does not match any {what} in this list"),
                    )));
                }
                Some(id)
            }
        };
        Ok(Page {
            size: self.limit,
            after: row.filter(|_| !from_end),
            before: row.filter(|_| from_end),
            from_end,
            order: self.order,
        })
    }

    /// Returns the cursor with the name of its parameter.
    fn cursor(&self) -> Option<(&'static str, &str)> {
        let after = self.starting_after.as_deref().map(|cursor| ("starting_after", cursor));
        after.or_else(|| self.ending_before.as_deref().map(|cursor| ("ending_before", cursor)))
    }

    /// Returns the documented envelope around a page. `own` are the list's own parameters, which are repeated
    /// in the links.
    pub fn envelope<T>(
        &self,
        own: &[(&str, &str)],
        slice: &Slice<T>,
        id: impl Fn(&T) -> Uuid,
        data: Vec<Value>,
    ) -> Value {
        let empty = self.limit == 0;
        let next = slice
            .rows
            .last()
            .filter(|_| slice.has_next && !empty)
            .map(|row| self.link(own, "starting_after", id(row)));
        let previous = slice
            .rows
            .first()
            .filter(|_| slice.has_previous && !empty)
            .map(|row| self.link(own, "ending_before", id(row)));
        let mut pagination = Map::new();
        pagination.insert("ending_before".to_owned(), json!(self.ending_before));
        pagination.insert("starting_after".to_owned(), json!(self.starting_after));
        pagination.insert("limit".to_owned(), json!(self.limit));
        pagination.insert("order".to_owned(), json!(self.order_name()));
        for (name, value) in own {
            pagination.insert((*name).to_owned(), json!(value));
        }
        for (name, link) in [("previous", previous), ("next", next)] {
            pagination.insert(format!("{name}_page"), json!(link));
            pagination.insert(format!("{name}_uri"), json!(link.map(|link| format!("{}{link}", self.base))));
        }
        json!({ "pagination": pagination, "data": data })
    }

    fn link(&self, own: &[(&str, &str)], cursor: &str, id: Uuid) -> String {
        let own: String = own.iter().map(|(name, value)| format!("&{name}={value}")).collect();
        format!("{}?limit={}&order={}{own}&{cursor}={id}", self.path, self.limit, self.order_name())
    }

    const fn order_name(&self) -> &'static str {
        match self.order {
            Order::NewestFirst => "desc",
            Order::OldestFirst => "asc",
        }
    }
}
