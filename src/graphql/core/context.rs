//! What a resolver finds in its request.

use super::{
    loaders::Loaders,
    pages::{self, Item, Most},
};
use crate::wire::{BaseUrl, Result};
use async_graphql::Context;
use domain::{Actor, app::App, kernel::pages::Page};

/// Short ways to what every request carries.
pub trait RequestContext {
    /// The shared state.
    fn app(&self) -> &App;
    /// The caller.
    fn actor(&self) -> &Actor;
    /// One request's loaders.
    fn loaders(&self) -> &Loaders;
    /// A path of ours as an address that the caller can ask.
    fn address(&self, path: &str) -> String;
    /// The page that a connection's arguments ask for.
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
        Ok(pages::page::<T>(*self.data_unchecked::<Most>(), first, after, last, before)?)
    }
}
