//! Access to the data of the current request from resolvers.

use super::{loaders::Loaders, pages::MaxPageSize};
use crate::wire::BaseUrl;
use async_graphql::{Context, context::ContextBase};
use domain::{Actor, Who, app::App};
use std::sync::OnceLock;

/// What a request reads with: the caller, the data loaders and the settings of the server. The payload of a
/// mutation that opens a session reads on behalf of the user who signed in.
pub struct Viewpoint {
    app: App,
    actor: Actor,
    loaders: Loaders,
    max_page_size: MaxPageSize,
    base_url: BaseUrl,
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
    pub const fn new(
        app: App,
        actor: Actor,
        loaders: Loaders,
        max_page_size: MaxPageSize,
        base_url: BaseUrl,
    ) -> Self {
        Self { app, actor, loaders, max_page_size, base_url, opened: OnceLock::new() }
    }

    /// Returns the viewpoint of the current field.
    pub fn of<'a, T>(ctx: &'a ContextBase<'_, T>) -> &'a Self {
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

    /// Returns the shared application state.
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Returns the caller.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns the data loaders of this request.
    pub const fn loaders(&self) -> &Loaders {
        &self.loaders
    }

    /// Returns the maximum number of items on a page.
    pub const fn max_page_size(&self) -> MaxPageSize {
        self.max_page_size
    }

    /// Returns the URL that links in responses start with.
    pub const fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Returns the public URL of a path of this server.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }
}

/// Returns the key of the root field above the current field.
fn root_of<T>(ctx: &ContextBase<'_, T>) -> Option<String> {
    ctx.path_node.and_then(|path| path.to_string_vec().into_iter().next())
}

/// Accessors for the data that every request carries.
pub trait RequestContext {
    /// Returns what the current field reads with.
    fn viewpoint(&self) -> &Viewpoint;

    /// Returns the shared application state.
    fn app(&self) -> &App {
        self.viewpoint().app()
    }

    /// Returns the caller.
    fn actor(&self) -> &Actor {
        self.viewpoint().actor()
    }

    /// Returns the data loaders of this request.
    fn loaders(&self) -> &Loaders {
        self.viewpoint().loaders()
    }
}

impl<T> RequestContext for ContextBase<'_, T> {
    fn viewpoint(&self) -> &Viewpoint {
        Viewpoint::of(self)
    }
}

/// Lets the payload of the current mutation read what the session that it opened may read.
pub fn open_session(ctx: &Context<'_>, who: Who) {
    let Some(mutation) = root_of(ctx) else { return };
    let mut last: &Viewpoint = ctx.data_unchecked();
    while let Some(opened) = last.opened.get() {
        last = &opened.viewpoint;
    }
    let actor = Actor { who, ..last.actor.clone() };
    let loaders = last.loaders.on_behalf_of(&actor);
    let viewpoint =
        Viewpoint::new(last.app.clone(), actor, loaders, last.max_page_size, last.base_url.clone());
    _ = last.opened.set(Box::new(Opened { mutation, viewpoint }));
}
