//! What the documentation says of a route, written beside it: its fields in words, its answer by the type it is made of.

use std::borrow::Cow;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

/// What is said of one route; method, path, errors and headers are added from the route itself.
#[derive(Clone, Copy)]
pub struct Description {
    pub summary: &'static str,
    /// The fields of the body.
    pub takes: &'static [Field],
    /// The list's own parameters in the query.
    pub filters: &'static [Field],
    pub answer: Option<Answer>,
    /// What is answered instead while something is missing.
    pub otherwise: Option<Answer>,
    /// Whether success is 201.
    pub creates: bool,
    /// The fields of an answer that is no type of its own; what may be left out may be null.
    pub tells: &'static [Field],
}

/// The type an answer is made of.
#[derive(Clone, Copy)]
pub struct Answer {
    pub name: fn() -> Cow<'static, str>,
    pub schema: fn() -> RefOr<Schema>,
    /// The types it is made of in turn.
    pub parts: fn(&mut Vec<(String, RefOr<Schema>)>),
    /// Whether there are many in the envelope of a list.
    pub is_list: bool,
}

impl Description {
    /// One sentence that says what the route does.
    pub const fn new(summary: &'static str) -> Self {
        Self { summary, takes: &[], filters: &[], answer: None, otherwise: None, creates: false, tells: &[] }
    }

    /// The body holds these fields.
    pub const fn takes(mut self, fields: &'static [Field]) -> Self {
        self.takes = fields;
        self
    }

    /// The query takes these parameters besides those of every list.
    pub const fn filtered(mut self, filters: &'static [Field]) -> Self {
        self.filters = filters;
        self
    }

    /// The answer is one of these.
    pub const fn answers<T: ToSchema>(mut self) -> Self {
        self.answer = Some(Answer { name: T::name, schema: T::schema, parts: T::schemas, is_list: false });
        self
    }

    /// While something is missing, the answer is one of these instead.
    pub const fn or_answers<T: ToSchema>(mut self) -> Self {
        self.otherwise = Some(Answer { name: T::name, schema: T::schema, parts: T::schemas, is_list: false });
        self
    }

    /// Success is 201 instead of 200.
    pub const fn creates(mut self) -> Self {
        self.creates = true;
        self
    }

    /// The answer holds these fields.
    pub const fn tells(mut self, fields: &'static [Field]) -> Self {
        self.tells = fields;
        self
    }

    /// The answer is a page of these.
    pub const fn lists<T: ToSchema>(mut self) -> Self {
        self.answer = Some(Answer { name: T::name, schema: T::schema, parts: T::schemas, is_list: true });
        self
    }
}

/// A field of a body or a parameter of a query.
#[derive(Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub text: &'static str,
    pub value: Value,
    pub required: bool,
}

/// What a field holds, by example.
#[derive(Clone, Copy)]
pub enum Value {
    Text(&'static str),
    /// A decimal number, sent as a string or as a number.
    Amount(&'static str),
    Flag(bool),
    /// Fields of its own, which are not told.
    Object,
    /// Many with these numbers each, with some as example.
    Numbers(&'static [&'static str], &'static [&'static [i32]]),
    /// These fields; left out of examples where it may be left out.
    Fields(&'static [Field]),
    /// One of these, the first as example.
    Choice(&'static [&'static str]),
}

impl Field {
    const fn new(name: &'static str, text: &'static str, value: Value) -> Self {
        Self { name, text, value, required: true }
    }

    /// A text that must be given.
    pub const fn text(name: &'static str, text: &'static str, example: &'static str) -> Self {
        Self::new(name, text, Value::Text(example))
    }

    /// An amount that must be given.
    pub const fn amount(name: &'static str, text: &'static str, example: &'static str) -> Self {
        Self::new(name, text, Value::Amount(example))
    }

    /// A truth that must be given.
    pub const fn flag(name: &'static str, text: &'static str, example: bool) -> Self {
        Self::new(name, text, Value::Flag(example))
    }

    /// Something with fields of its own, told in an answer.
    pub const fn object(name: &'static str, text: &'static str) -> Self {
        Self::new(name, text, Value::Object)
    }

    /// Many with the same numbers each.
    pub const fn numbers(
        name: &'static str,
        text: &'static str,
        names: &'static [&'static str],
        examples: &'static [&'static [i32]],
    ) -> Self {
        Self::new(name, text, Value::Numbers(names, examples))
    }

    /// Something with these fields that must be given.
    pub const fn fields(name: &'static str, text: &'static str, fields: &'static [Self]) -> Self {
        Self::new(name, text, Value::Fields(fields))
    }

    /// One of some words that must be given.
    pub const fn choice(name: &'static str, text: &'static str, options: &'static [&'static str]) -> Self {
        Self::new(name, text, Value::Choice(options))
    }

    /// The same, but it may be left out.
    pub const fn optional(mut self) -> Self {
        self.required = false;
        self
    }
}
