//! The GraphQL face of a sandbox's outbox.

use crate::{
    graphql::core::{
        context::RequestContext,
        pages::{Connection, Item},
        scalars::DateTime,
    },
    wire::Result,
};
use async_graphql::{Context, Enum, ID, Object};
use domain::{
    delivery::messages::{self, OutboxFilter},
    sandbox,
};
use entity::{Kind, message};
use uuid::Uuid;

/// A mail or a text message of a sandbox, which never leaves the house.
pub struct OutboxMessage(pub message::Model);

/// A mail or a text message of a sandbox, which never leaves the house.
#[Object]
impl OutboxMessage {
    /// Opaque identifier, the same on every door.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// How it would have gone.
    async fn channel(&self) -> MessageChannel {
        self.0.channel.into()
    }

    /// What it is for.
    async fn purpose(&self) -> MessagePurpose {
        self.0.purpose.into()
    }

    /// The e-mail address or the telephone number it is for.
    async fn to(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(messages::recipient(ctx.app(), &self.0)?.reveal().clone())
    }

    /// The subject of a mail; null on a text message.
    async fn subject(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let subject = messages::subject(ctx.app(), &self.0)?;
        Ok((self.0.channel == message::Channel::Mail).then(|| subject.reveal().clone()))
    }

    /// What it says.
    async fn text(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(messages::text(ctx.app(), &self.0)?.reveal().clone())
    }

    /// When it was written, by the partner's clock.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

impl Item for OutboxMessage {
    const KIND: Kind = Kind::Message;

    fn row_id(&self) -> Uuid {
        self.0.id
    }
}

/// How a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::message::Channel")]
pub enum MessageChannel {
    /// By e-mail.
    Mail,
    /// As a text message to a telephone.
    Sms,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::message::Purpose")]
pub enum MessagePurpose {
    /// A one-time passcode.
    Passcode,
    /// A way back to an account whose password is lost.
    PasswordRecovery,
    /// An invitation to sign up.
    Invitation,
    /// What a person has entered, for an advisor.
    AdvisorData,
}

#[derive(Default)]
pub struct MessageQuery;

#[Object]
impl MessageQuery {
    /// What a sandbox would have sent by mail and text message, newest first, kept for 7 days; scope
    /// `operate`.
    #[expect(clippy::too_many_arguments, reason = "a list has the arguments of a page besides its own")]
    async fn sandbox_outbox(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size going forward, 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only items past this cursor.")] after: Option<String>,
        #[graphql(desc = "Page size going back.")] last: Option<i32>,
        #[graphql(desc = "Only items ahead of this cursor.")] before: Option<String>,
        #[graphql(desc = "Only to this e-mail address or telephone number.")] to: Option<String>,
        #[graphql(desc = "Only what would have gone this way.")] channel: Option<MessageChannel>,
    ) -> Result<Option<Connection<OutboxMessage>>> {
        let page = ctx.page::<OutboxMessage>(first, after, last, before)?;
        let wanted = OutboxFilter { to, channel: channel.map(Into::into) };
        let slice =
            sandbox::outbox(ctx.app(), &*ctx.loaders().connection().await?, ctx.actor(), &page, &wanted)
                .await?;
        Ok(Some(Connection::new(slice, OutboxMessage)))
    }
}
