//! Access to the data of the current request from resolvers.

use super::{
    loaders::Loaders,
    pages::{self, Item, MaxPageSize},
};
use crate::wire::{BaseUrl, Result};
use async_graphql::Context;
use domain::{Actor, app::App, kernel::pages::Page};

/// Accessors for the data that every request carries.
pub trait RequestContext {
    /// Returns the shared application state.
    fn app(&self) -> &App;
    /// Returns the caller.
    fn actor(&self) -> &Actor;
    /// Returns the data loaders of this request.
    fn loaders(&self) -> &Loaders;
    /// Returns the public URL of a path of this server.
    fn address(&self, path: &str) -> String;
    /// Checks the arguments of a connection and returns the requested page.
    fn page<T: Item>(
        &self,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page>;
}

impl RequestContext for Context<'_> {
    fn app(&self) -> &App {
        self.data_unchecked()
    }

    fn actor(&self) -> &Actor {
        self.data_unchecked()
    }

    fn loaders(&self) -> &Loaders {
        self.data_unchecked()
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.data_unchecked::<BaseUrl>())
    }

    fn page<T: Item>(
        &self,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page> {
        Ok(pages::page::<T>(*self.data_unchecked::<MaxPageSize>(), first, after, last, before)?)
    }
}
