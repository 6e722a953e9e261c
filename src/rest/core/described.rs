//! Descriptions of routes for the OpenAPI document: request and response bodies by their Rust types.

use super::bodies::RequestBody;
use serde_json::Value;
use std::borrow::Cow;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

/// Description of a route. Method, path, errors and headers come from the route itself.
#[derive(Clone, Copy)]
pub struct Description {
    pub summary: &'static str,
    /// Type of the request body.
    pub request: Option<Request>,
    /// Query parameters of a list besides those that every list has.
    pub filters: &'static [Filter],
    /// Type of the response body.
    pub answer: Option<Answer>,
    /// Type of the response body while information is missing.
    pub otherwise: Option<Answer>,
    /// Whether success is answered with 201.
    pub creates: bool,
}

/// Type of a request body.
#[derive(Clone, Copy)]
pub struct Request {
    pub schema: fn() -> RefOr<Schema>,
    /// Adds the types that it uses.
    pub parts: fn(&mut Vec<(String, RefOr<Schema>)>),
    /// Returns the schemas that the body as a whole must match.
    pub rules: fn() -> Vec<Value>,
}

/// Type of a response body.
#[derive(Clone, Copy)]
pub struct Answer {
    pub name: fn() -> Cow<'static, str>,
    pub schema: fn() -> RefOr<Schema>,
    /// Adds the types that it uses.
    pub parts: fn(&mut Vec<(String, RefOr<Schema>)>),
    /// Whether the response is a page of a list of this type.
    pub is_list: bool,
}

/// Query parameter that filters a list.
#[derive(Clone, Copy)]
pub struct Filter {
    pub name: &'static str,
    pub text: &'static str,
    pub form: FilterForm,
}

/// Values of a query parameter.
#[derive(Clone, Copy)]
pub enum FilterForm {
    /// One of these words.
    Words(&'static [&'static str]),
    /// Id of an object.
    Id,
    /// A date or a time.
    Time,
}

impl Filter {
    /// Describes a parameter that is one of these words.
    pub const fn words(name: &'static str, text: &'static str, options: &'static [&'static str]) -> Self {
        Self { name, text, form: FilterForm::Words(options) }
    }

    /// Describes a parameter that is the id of an object.
    pub const fn id(name: &'static str, text: &'static str) -> Self {
        Self { name, text, form: FilterForm::Id }
    }

    /// Describes a parameter that is a date or a time.
    pub const fn time(name: &'static str, text: &'static str) -> Self {
        Self { name, text, form: FilterForm::Time }
    }
}

impl Description {
    /// Starts a description with a summary: one sentence that says what the route does.
    pub const fn new(summary: &'static str) -> Self {
        Self { summary, request: None, filters: &[], answer: None, otherwise: None, creates: false }
    }

    /// Sets the type of the request body.
    pub const fn takes<T: RequestBody>(mut self) -> Self {
        self.request = Some(Request { schema: T::schema, parts: T::schemas, rules: T::rules });
        self
    }

    /// Sets the query parameters of a list besides those that every list has.
    pub const fn filtered(mut self, filters: &'static [Filter]) -> Self {
        self.filters = filters;
        self
    }

    /// Sets the type of the response body.
    pub const fn answers<T: ToSchema>(mut self) -> Self {
        self.answer = Some(Answer { name: T::name, schema: T::schema, parts: T::schemas, is_list: false });
        self
    }

    /// Sets the type of the response body while information is missing.
    pub const fn or_answers<T: ToSchema>(mut self) -> Self {
        self.otherwise = Some(Answer { name: T::name, schema: T::schema, parts: T::schemas, is_list: false });
        self
    }

    /// Answers success with 201 instead of 200.
    pub const fn creates(mut self) -> Self {
        self.creates = true;
        self
    }

    /// Sets the type of the items of a list.
    pub const fn lists<T: ToSchema>(mut self) -> Self {
        self.answer = Some(Answer { name: T::name, schema: T::schema, parts: T::schemas, is_list: true });
        self
    }
}
