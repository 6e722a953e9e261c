//! Access to the data of the current request from resolvers.

use super::{
    loaders::Loaders,
    pages::{Item, MaxPageSize, PageArguments},
    sorts::SortBy,
};
use crate::wire::{BaseUrl, Result};
use async_graphql::Context;
use domain::{
    Actor, Who,
    app::App,
    kernel::{lists::SortedPage, pages::Page},
};
use std::sync::OnceLock;

/// On whose behalf a request reads, and its data loaders. The payload of a mutation that opens a session reads
/// on behalf of the user who signed in.
pub struct Viewpoint {
    actor: Actor,
    loaders: Loaders,
    opened: OnceLock<Box<Opened>>,
}

/// Session that a mutation of the request opened.
struct Opened {
    /// Key of the mutation in the response.
    mutation: String,
    viewpoint: Viewpoint,
}

impl Viewpoint {
    /// Reads with `loaders` on behalf of `actor`.
    pub const fn new(actor: Actor, loaders: Loaders) -> Self {
        Self { actor, loaders, opened: OnceLock::new() }
    }

    /// Returns the viewpoint of the current field.
    fn of<'a>(ctx: &'a Context<'_>) -> &'a Self {
        let mut viewpoint: &Self = ctx.data_unchecked();
        // Requests without an opened session, which are nearly all, do not look at the path.
        while let Some(opened) = viewpoint.opened.get() {
            if root_of(ctx).as_ref() == Some(&opened.mutation) {
                return &opened.viewpoint;
            }
            viewpoint = &opened.viewpoint;
        }
        ctx.data_unchecked()
    }
}

/// Returns the key of the root field above the current field.
fn root_of(ctx: &Context<'_>) -> Option<String> {
    ctx.path_node.and_then(|path| path.to_string_vec().into_iter().next())
}

/// Accessors for the data that every request carries.
pub trait RequestContext {
    /// Returns the shared application state.
    fn app(&self) -> &App;
    /// Returns the caller.
    fn actor(&self) -> &Actor;
    /// Returns the data loaders of this request.
    fn loaders(&self) -> &Loaders;
    /// Lets the payload of this mutation read what the session that it opened may read.
    fn opened_session(&self, who: Who);
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
    /// Checks the arguments of a list that the client may sort, and returns the requested page.
    fn sorted_page<T: Item, S: SortBy>(
        &self,
        arguments: PageArguments,
        sort: Option<S>,
    ) -> Result<SortedPage<S::Column>>;
}

impl RequestContext for Context<'_> {
    fn app(&self) -> &App {
        self.data_unchecked()
    }

    fn actor(&self) -> &Actor {
        &Viewpoint::of(self).actor
    }

    fn loaders(&self) -> &Loaders {
        &Viewpoint::of(self).loaders
    }

    fn opened_session(&self, who: Who) {
        let Some(mutation) = root_of(self) else { return };
        let mut last: &Viewpoint = self.data_unchecked();
        while let Some(opened) = last.opened.get() {
            last = &opened.viewpoint;
        }
        let actor = Actor { who, ..last.actor.clone() };
        let loaders = last.loaders.on_behalf_of(&actor);
        _ = last.opened.set(Box::new(Opened { mutation, viewpoint: Viewpoint::new(actor, loaders) }));
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
        let arguments = PageArguments { first, after, last, before };
        Ok(arguments.page::<T>(*self.data_unchecked::<MaxPageSize>())?)
    }

    fn sorted_page<T: Item, S: SortBy>(
        &self,
        arguments: PageArguments,
        sort: Option<S>,
    ) -> Result<SortedPage<S::Column>> {
        let max = *self.data_unchecked::<MaxPageSize>();
        Ok(arguments.sorted_page::<T, S>(max, &sort.unwrap_or_default())?)
    }
}
