//! Mutations that run one command: from the input to the payload.

use super::{context::RequestContext, errors::UserError};
use crate::wire::{self, Result};
use async_graphql::Context;
use domain::{
    Refusal,
    kernel::{
        command::{self, Command},
        idempotency::Key,
    },
};

/// Input of a mutation that runs one command.
pub trait Input: Sized {
    type Command: Command;

    /// Returns the client's idempotency key.
    fn key(&self) -> Option<&str>;

    /// Converts the input to the command. Refuses values that cannot be read.
    fn parse(self) -> domain::Result<Self::Command>;
}

/// Runs the command of an input and returns the payload. A missing permission takes precedence over input that
/// cannot be read.
pub async fn execute<I, P>(ctx: &Context<'_>, input: I) -> Result<Option<P>>
where
    I: Input,
    P: From<std::result::Result<<I::Command as Command>::Output, Refusal>>,
{
    let key = input.key().map(Key::given);
    let command = match (&key, input.parse()) {
        (Some(key), parsed) => key.check_with(parsed),
        (None, parsed) => parsed,
    };
    let answer = match command {
        Ok(command) => command::execute(ctx.app(), ctx.actor(), key, command).await,
        Err(error) => Err(command::unreadable::<I::Command>(ctx.actor(), error)),
    };
    Ok(Some(wire::answered(answer)?.into()))
}

/// Defines the payload of a mutation: the result or the user errors, and the query root. Several results are the
/// fields of one struct, each an option: `KycApprovePayload in Reviewed { … }`.
macro_rules! payload {
    ($(#[$doc:meta])* $payload:ident { $(#[$entity_doc:meta])* $entity:ident: $type:ty }) => {
        $crate::graphql::core::mutations::payload_struct!(
            $(#[$doc])* $payload { $(#[$entity_doc])* $entity: $type }
        );

        impl<T: Into<$type>> From<std::result::Result<T, domain::Refusal>> for $payload {
            fn from(outcome: std::result::Result<T, domain::Refusal>) -> Self {
                let (value, user_errors) = $crate::graphql::core::mutations::split(outcome);
                Self { $entity: value, user_errors, query: $crate::graphql::Query::default() }
            }
        }
    };
    ($(#[$doc:meta])* $payload:ident in $source:ident {
        $($(#[$entity_doc:meta])* $entity:ident: $type:ty),+
    }) => {
        $crate::graphql::core::mutations::payload_struct!(
            $(#[$doc])* $payload { $($(#[$entity_doc])* $entity: $type),+ }
        );

        impl<T: Into<$source>> From<std::result::Result<T, domain::Refusal>> for $payload {
            fn from(outcome: std::result::Result<T, domain::Refusal>) -> Self {
                let (value, user_errors) = $crate::graphql::core::mutations::split(outcome);
                let $source { $($entity),+ } = value.unwrap_or_default();
                Self { $($entity,)+ user_errors, query: $crate::graphql::Query::default() }
            }
        }
    };
}

macro_rules! payload_struct {
    ($(#[$doc:meta])* $payload:ident { $($(#[$entity_doc:meta])* $entity:ident: $type:ty),+ }) => {
        $(#[$doc])*
        #[derive(async_graphql::SimpleObject)]
        pub struct $payload {
            $($(#[$entity_doc])* $entity: Option<$type>,)+
            /// Why the request was refused; empty on success.
            user_errors: Vec<$crate::graphql::core::errors::UserError>,
            /// Query root, to read more data in the same request.
            query: $crate::graphql::Query,
        }
    };
}

/// Converts a field of an input to the field of the command.
pub fn convert<T: Into<U>, U>(field: T) -> U {
    field.into()
}

/// Splits an outcome into the value of the payload and its user errors.
pub fn split<T: Into<U>, U>(outcome: std::result::Result<T, Refusal>) -> (Option<U>, Vec<UserError>) {
    match outcome {
        Ok(value) => (Some(value.into()), Vec::new()),
        Err(refusal) => (None, refusal.all().map(Into::into).collect()),
    }
}

pub(crate) use {payload, payload_struct};
