//! Descriptions of routes for the OpenAPI document: fields in words, responses by their Rust type.

use super::forms::{Amounts, Form};
use std::borrow::Cow;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

/// Description of a route. Method, path, errors and headers come from the route itself.
#[derive(Clone, Copy)]
pub struct Description {
    pub summary: &'static str,
    /// Fields of the request body.
    pub takes: &'static [Field],
    /// Query parameters of a list besides those that every list has.
    pub filters: &'static [Field],
    /// Type of the response body.
    pub answer: Option<Answer>,
    /// Type of the response body while information is missing.
    pub otherwise: Option<Answer>,
    /// Whether success is answered with 201.
    pub creates: bool,
    /// Fields of a response that has no type of its own. An optional field may be null.
    pub returns: &'static [Field],
    /// Whether fields that are not described are refused.
    pub is_closed: bool,
    /// Schemas that the body as a whole must match.
    pub rules: Option<fn() -> serde_json::Value>,
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

impl Description {
    /// Starts a description with a summary: one sentence that says what the route does.
    pub const fn new(summary: &'static str) -> Self {
        Self {
            summary,
            takes: &[],
            filters: &[],
            answer: None,
            otherwise: None,
            creates: false,
            returns: &[],
            is_closed: false,
            rules: None,
        }
    }

    /// Sets the fields of the request body.
    pub const fn takes(mut self, fields: &'static [Field]) -> Self {
        self.takes = fields;
        self
    }

    /// Sets the fields of a request body that moves money; any other field is refused.
    pub const fn moves_money(mut self, fields: &'static [Field]) -> Self {
        self.is_closed = true;
        self.takes(fields)
    }

    /// Sets the schemas that the body as a whole must match.
    pub const fn ruled(mut self, rules: fn() -> serde_json::Value) -> Self {
        self.rules = Some(rules);
        self
    }

    /// Sets the query parameters of a list besides those that every list has.
    pub const fn filtered(mut self, filters: &'static [Field]) -> Self {
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

    /// Sets the fields of the response body.
    pub const fn returns(mut self, fields: &'static [Field]) -> Self {
        self.returns = fields;
        self
    }

    /// Sets the type of the items of a list.
    pub const fn lists<T: ToSchema>(mut self) -> Self {
        self.answer = Some(Answer { name: T::name, schema: T::schema, parts: T::schemas, is_list: true });
        self
    }
}

/// Field of a body or parameter of a query.
#[derive(Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub text: &'static str,
    pub value: Value,
    pub required: bool,
    /// Whether the example of the body contains it.
    pub is_shown: bool,
}

/// Value of a field, with an example.
#[derive(Clone, Copy)]
pub enum Value {
    Text(&'static str, Form),
    /// Id of an object.
    Id(&'static str),
    /// Decimal number above zero, as a string or a JSON number.
    Amount(&'static str, Amounts),
    Flag(bool),
    /// Object with fields that are not described.
    Object,
    /// Null: the field belongs to another kind of request.
    Nothing,
    /// List of objects with these numbers, as long as the example. Numbers run from 1 to that length; the
    /// first number of each object is unique.
    Numbers(&'static [&'static str], &'static [&'static [i32]]),
    /// Object with these fields and rules for them together. Not in the example if it is optional.
    Fields(&'static [Field], fn() -> serde_json::Value),
    /// One of these words; the first is the example.
    Choice(&'static [&'static str]),
    /// One of these words, ignoring case and spaces; the first is the example. Then words that are accepted
    /// but not listed.
    LooseChoice(&'static [&'static str], &'static [&'static str]),
    /// Code in either case: an example, and the name of the list of codes.
    Code(&'static str, &'static str),
}

impl Field {
    const fn new(name: &'static str, text: &'static str, value: Value) -> Self {
        Self { name, text, value, required: true, is_shown: true }
    }

    /// Required text.
    pub const fn text(name: &'static str, text: &'static str, example: &'static str, form: Form) -> Self {
        Self::new(name, text, Value::Text(example, form))
    }

    /// Required id.
    pub const fn id(name: &'static str, text: &'static str, example: &'static str) -> Self {
        Self::new(name, text, Value::Id(example))
    }

    /// Field of another kind of request, which may only be null.
    pub const fn nothing(name: &'static str, text: &'static str) -> Self {
        Self::new(name, text, Value::Nothing).optional()
    }

    /// Required choice that ignores case and spaces.
    pub const fn loose_choice(
        name: &'static str,
        text: &'static str,
        options: &'static [&'static str],
    ) -> Self {
        Self::new(name, text, Value::LooseChoice(options, &[]))
    }

    /// As [`Self::loose_choice`], with further words that are accepted but not listed.
    pub const fn loose_choice_or(
        name: &'static str,
        text: &'static str,
        options: &'static [&'static str],
        also: &'static [&'static str],
    ) -> Self {
        Self::new(name, text, Value::LooseChoice(options, also))
    }

    /// Required code from a list.
    pub const fn code(
        name: &'static str,
        text: &'static str,
        example: &'static str,
        list: &'static str,
    ) -> Self {
        Self::new(name, text, Value::Code(example, list))
    }

    /// Required amount.
    pub const fn amount(
        name: &'static str,
        text: &'static str,
        example: &'static str,
        amounts: Amounts,
    ) -> Self {
        Self::new(name, text, Value::Amount(example, amounts))
    }

    /// Required boolean.
    pub const fn flag(name: &'static str, text: &'static str, example: bool) -> Self {
        Self::new(name, text, Value::Flag(example))
    }

    /// Object in a response, with fields that are not described.
    pub const fn object(name: &'static str, text: &'static str) -> Self {
        Self::new(name, text, Value::Object)
    }

    /// List of objects that hold these numbers.
    pub const fn numbers(
        name: &'static str,
        text: &'static str,
        names: &'static [&'static str],
        examples: &'static [&'static [i32]],
    ) -> Self {
        Self::new(name, text, Value::Numbers(names, examples))
    }

    /// Required object with these fields.
    pub const fn fields(
        name: &'static str,
        text: &'static str,
        fields: &'static [Self],
        rules: fn() -> serde_json::Value,
    ) -> Self {
        Self::new(name, text, Value::Fields(fields, rules))
    }

    /// Required choice of these exact words.
    pub const fn choice(name: &'static str, text: &'static str, options: &'static [&'static str]) -> Self {
        Self::new(name, text, Value::Choice(options))
    }

    /// Leaves the field out of examples.
    pub const fn unshown(mut self) -> Self {
        self.is_shown = false;
        self
    }

    /// Makes the field optional.
    pub const fn optional(mut self) -> Self {
        self.required = false;
        self
    }
}
