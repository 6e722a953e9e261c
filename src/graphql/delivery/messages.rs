//! GraphQL types and queries for the outbox of a sandbox.

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

/// E-mail or text message that a sandbox stored instead of sending it.
pub struct OutboxMessage(pub message::Model);

/// E-mail or text message that a sandbox stored instead of sending it.
#[Object]
impl OutboxMessage {
    /// Opaque identifier.
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Whether the message is an e-mail or a text message.
    async fn channel(&self) -> MessageChannel {
        self.0.channel.into()
    }

    /// Purpose of the message.
    async fn purpose(&self) -> MessagePurpose {
        self.0.purpose.into()
    }

    /// Recipient: an e-mail address or a phone number.
    async fn to(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(messages::recipient(ctx.app(), &self.0)?.reveal().clone())
    }

    /// Subject of an e-mail; null for a text message.
    async fn subject(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let subject = messages::subject(ctx.app(), &self.0)?;
        Ok((self.0.channel == message::Channel::Mail).then(|| subject.reveal().clone()))
    }

    /// Message text.
    async fn text(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(messages::text(ctx.app(), &self.0)?.reveal().clone())
    }

    /// Time when the message was created, by the partner's clock.
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

/// Channel of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::message::Channel")]
pub enum MessageChannel {
    /// E-mail.
    Mail,
    /// Text message (SMS).
    Sms,
}

/// Purpose of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "entity::message::Purpose")]
pub enum MessagePurpose {
    /// One-time passcode.
    Passcode,
    /// Token for setting a new password.
    PasswordRecovery,
    /// Invitation to sign up.
    Invitation,
    /// A user's data, sent to an advisor.
    AdvisorData,
}

#[derive(Default)]
pub struct MessageQuery;

#[Object]
impl MessageQuery {
    /// Returns the messages that a sandbox stored for 7 days instead of sending them, newest first. Only
    /// available in a sandbox. Requires scope `operate`.
    #[expect(clippy::too_many_arguments, reason = "a list takes paging arguments in addition to its filters")]
    async fn sandbox_outbox(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items.")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only messages to this e-mail address or phone number.")] to: Option<String>,
        #[graphql(desc = "Only messages of this channel.")] channel: Option<MessageChannel>,
    ) -> Result<Option<Connection<OutboxMessage>>> {
        let page = ctx.page::<OutboxMessage>(first, after, last, before)?;
        let wanted = OutboxFilter { to, channel: channel.map(Into::into) };
        let slice =
            sandbox::outbox(ctx.app(), &*ctx.loaders().connection().await?, ctx.actor(), &page, &wanted)
                .await?;
        Ok(Some(Connection::new(slice, OutboxMessage)))
    }
}
