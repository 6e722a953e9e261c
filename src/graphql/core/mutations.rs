//! Mutations that run one command: from the input to the payload.

use super::context::RequestContext;
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
    fn key(&self) -> Option<&str> {
        None
    }

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

/// Defines the mutations of an area that each run the command of their input.
macro_rules! mutations {
    ($name:ident { $($(#[$doc:meta])* $field:ident($input:ident: $about:tt) -> $payload:ident,)* }) => {
        #[derive(Default)]
        pub struct $name;

        #[async_graphql::Object]
        impl $name {
            $(
                $(#[$doc])*
                async fn $field(
                    &self,
                    ctx: &async_graphql::Context<'_>,
                    #[graphql(desc = $about)] input: $input,
                ) -> $crate::wire::Result<Option<$payload>> {
                    $crate::graphql::core::mutations::execute(ctx, input).await
                }
            )*
        }
    };
}

/// Defines the payload of a mutation: the result or the user errors, and the query root.
macro_rules! payload {
    ($(#[$doc:meta])* $payload:ident { $(#[$entity_doc:meta])* $entity:ident: $type:ty }) => {
        $(#[$doc])*
        #[derive(async_graphql::SimpleObject)]
        pub struct $payload {
            $(#[$entity_doc])*
            $entity: Option<$type>,
            /// Why the request was refused; empty on success.
            user_errors: Vec<$crate::graphql::core::errors::UserError>,
            /// Query root, to read more data in the same request.
            query: $crate::graphql::Query,
        }

        impl<T: Into<$type>> From<std::result::Result<T, domain::Refusal>> for $payload {
            fn from(outcome: std::result::Result<T, domain::Refusal>) -> Self {
                let query = $crate::graphql::Query::default();
                match outcome {
                    Ok(value) => Self { $entity: Some(value.into()), user_errors: Vec::new(), query },
                    Err(refusal) => Self { $entity: None,
                        user_errors: refusal.all().map(Into::into).collect(), query },
                }
            }
        }
    };
}

pub(crate) use {mutations, payload};
