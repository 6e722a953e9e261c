//! Route type shared by both APIs.

use super::{
    bodies::{Runs, run},
    described::Description,
};
use axum::{
    Router,
    routing::{MethodFilter, MethodRouter, on},
};
use domain::{Scope, app::App, kernel::command::Command};

/// One method of one path.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    filter: MethodFilter,
    handler: fn(MethodFilter) -> MethodRouter<App>,
    /// Scope of the command that the route runs, if it does nothing else.
    pub scope: Option<Scope>,
    /// Description for the OpenAPI document. A test checks that every route has one.
    pub description: Option<Description>,
}

impl Route {
    pub const fn new(
        method: &'static str,
        path: &'static str,
        filter: MethodFilter,
        handler: fn(MethodFilter) -> MethodRouter<App>,
    ) -> Self {
        Self { method, path, filter, handler, scope: None, description: None }
    }

    /// Returns a route whose body runs one command for the object in the path.
    const fn running<B: Runs>(self, summary: &'static str) -> Self {
        let description = Description::new(summary).takes::<B>().answers::<B::Answer>();
        Self { scope: Some(B::Command::SCOPE), ..self }.described(description)
    }

    /// POST that runs the command of its body.
    pub const fn post_running<B: Runs>(path: &'static str, summary: &'static str) -> Self {
        Self::post(path, |filter| on(filter, run::<B>)).running::<B>(summary)
    }

    /// PUT that runs the command of its body.
    pub const fn put_running<B: Runs>(path: &'static str, summary: &'static str) -> Self {
        Self::put(path, |filter| on(filter, run::<B>)).running::<B>(summary)
    }

    pub const fn described(mut self, description: Description) -> Self {
        self.description = Some(description);
        self
    }

    pub const fn get(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Self {
        Self::new("GET", path, MethodFilter::GET, handler)
    }

    pub const fn post(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Self {
        Self::new("POST", path, MethodFilter::POST, handler)
    }

    pub const fn put(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Self {
        Self::new("PUT", path, MethodFilter::PUT, handler)
    }

    pub const fn patch(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Self {
        Self::new("PATCH", path, MethodFilter::PATCH, handler)
    }

    pub const fn delete(path: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Self {
        Self::new("DELETE", path, MethodFilter::DELETE, handler)
    }
}

/// Returns a router for the routes. Each path works with and without a trailing slash.
pub fn router(groups: &[&[Route]]) -> Router<App> {
    groups.iter().copied().flatten().fold(Router::new(), |router, Route { path, filter, handler, .. }| {
        router.route(path, handler(*filter)).route(&format!("{path}/"), handler(*filter))
    })
}
