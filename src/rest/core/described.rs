//! What the documentation says of a route, written beside it: its fields in words, its answer by the type it
//! is made of.

use super::forms::{Amounts, Form};
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
    /// Whether the body holds nothing besides its fields.
    pub is_closed: bool,
    /// What the fields of the body must be together.
    pub rules: Option<fn() -> serde_json::Value>,
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
        Self {
            summary,
            takes: &[],
            filters: &[],
            answer: None,
            otherwise: None,
            creates: false,
            tells: &[],
            is_closed: false,
            rules: None,
        }
    }

    /// The body holds these fields.
    pub const fn takes(mut self, fields: &'static [Field]) -> Self {
        self.takes = fields;
        self
    }

    /// The body holds these fields and no others, because it moves money.
    pub const fn moves_money(mut self, fields: &'static [Field]) -> Self {
        self.is_closed = true;
        self.takes(fields)
    }

    /// The fields of the body follow these rules together: schemas that the whole body must match.
    pub const fn ruled(mut self, rules: fn() -> serde_json::Value) -> Self {
        self.rules = Some(rules);
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
    /// Whether it stands in the example of its body.
    pub is_shown: bool,
}

/// What a field holds, by example.
#[derive(Clone, Copy)]
pub enum Value {
    Text(&'static str, Form),
    /// The id of something.
    Id(&'static str),
    /// A decimal number above zero, sent as a string or as a number.
    Amount(&'static str, Amounts),
    Flag(bool),
    /// Fields of its own, which are not told.
    Object,
    /// Nothing: the field belongs to something else.
    Nothing,
    /// As many as the example with these numbers each, from 1 to 5, the first of which names each once.
    Numbers(&'static [&'static str], &'static [&'static [i32]]),
    /// These fields, and what they must be together; left out of examples where it may be left out.
    Fields(&'static [Field], fn() -> serde_json::Value),
    /// One of these, the first as example.
    Choice(&'static [&'static str]),
    /// One of these in any case and spacing, the first as example; then others that are understood as well.
    Answer(&'static [&'static str], &'static [&'static str]),
    /// A code of a list in either case, by example and by the name of the list.
    Code(&'static str, &'static str),
}

impl Field {
    const fn new(name: &'static str, text: &'static str, value: Value) -> Self {
        Self { name, text, value, required: true, is_shown: true }
    }

    /// A text that must be given.
    pub const fn text(name: &'static str, text: &'static str, example: &'static str, form: Form) -> Self {
        Self::new(name, text, Value::Text(example, form))
    }

    /// The id of something that must be named.
    pub const fn id(name: &'static str, text: &'static str, example: &'static str) -> Self {
        Self::new(name, text, Value::Id(example))
    }

    /// A field that belongs to something else and may only be null.
    pub const fn nothing(name: &'static str, text: &'static str) -> Self {
        Self::new(name, text, Value::Nothing).optional()
    }

    /// One of some words that must be given, in any case and spacing.
    pub const fn answer(name: &'static str, text: &'static str, options: &'static [&'static str]) -> Self {
        Self::new(name, text, Value::Answer(options, &[]))
    }

    /// The same; others are understood as well.
    pub const fn answer_or(
        name: &'static str,
        text: &'static str,
        options: &'static [&'static str],
        also: &'static [&'static str],
    ) -> Self {
        Self::new(name, text, Value::Answer(options, also))
    }

    /// A code of a list that must be given.
    pub const fn code(
        name: &'static str,
        text: &'static str,
        example: &'static str,
        list: &'static str,
    ) -> Self {
        Self::new(name, text, Value::Code(example, list))
    }

    /// An amount that must be given.
    pub const fn amount(
        name: &'static str,
        text: &'static str,
        example: &'static str,
        amounts: Amounts,
    ) -> Self {
        Self::new(name, text, Value::Amount(example, amounts))
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
    pub const fn fields(
        name: &'static str,
        text: &'static str,
        fields: &'static [Self],
        rules: fn() -> serde_json::Value,
    ) -> Self {
        Self::new(name, text, Value::Fields(fields, rules))
    }

    /// One of some words that must be given.
    pub const fn choice(name: &'static str, text: &'static str, options: &'static [&'static str]) -> Self {
        Self::new(name, text, Value::Choice(options))
    }

    /// The same, but it is left out of examples.
    pub const fn unshown(mut self) -> Self {
        self.is_shown = false;
        self
    }

    /// The same, but it may be left out.
    pub const fn optional(mut self) -> Self {
        self.required = false;
        self
    }
}
