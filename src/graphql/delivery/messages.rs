//! GraphQL types and queries for the outbox of a sandbox.

use crate::{
    graphql::core::{breadth::ListOf, context::Viewpoint, pages::PageArgs, scalars::DateTime},
    wire::Result,
};
use async_graphql::{Enum, ID};
use domain::{
    delivery::messages::{self, OutboxFilter},
    sandbox,
};
use entity::message;
use macros::{Leaf, breadth};

/// E-mail or text message that a sandbox stored instead of sending it.
#[derive(Clone)]
pub struct OutboxMessage(pub message::Model);

/// E-mail or text message that a sandbox stored instead of sending it.
#[breadth]
impl OutboxMessage {
    /// Opaque identifier.
    pub fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Whether the message is an e-mail or a text message.
    fn channel(&self) -> MessageChannel {
        self.0.channel.into()
    }

    /// Purpose of the message.
    fn purpose(&self) -> MessagePurpose {
        self.0.purpose.into()
    }

    /// Recipient: an e-mail address or a phone number.
    fn to(&self, view: &Viewpoint) -> Result<String> {
        Ok(messages::recipient(view.app(), &self.0)?.reveal().clone())
    }

    /// Subject of an e-mail; null for a text message.
    fn subject(&self, view: &Viewpoint) -> Result<Option<String>> {
        let subject = messages::subject(view.app(), &self.0)?;
        Ok((self.0.channel == message::Channel::Mail).then(|| subject.reveal().clone()))
    }

    /// Message text.
    fn text(&self, view: &Viewpoint) -> Result<String> {
        Ok(messages::text(view.app(), &self.0)?.reveal().clone())
    }

    /// Time when the message was created, by the partner's clock.
    fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// Channel of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
#[graphql(remote = "entity::message::Channel")]
pub enum MessageChannel {
    /// E-mail.
    Mail,
    /// Text message (SMS).
    Sms,
}

/// Purpose of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Leaf)]
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

#[breadth]
impl MessageQuery {
    /// Returns the messages that a sandbox stored for 7 days instead of sending them, newest first. Only
    /// available in a sandbox. Requires scope `operate`.
    fn sandbox_outbox(
        &self,
        view: &Viewpoint,
        page: PageArgs,
        #[graphql(desc = "Only messages to this e-mail address or phone number.")] to: Option<String>,
        #[graphql(desc = "Only messages of this channel.")] channel: Option<MessageChannel>,
    ) -> Result<Option<ListOf<OutboxMessage>>> {
        let wanted = OutboxFilter { to, channel: channel.map(Into::into) };
        Ok(Some(ListOf::all(view, &page, sandbox::outbox(view.app(), view.actor(), &wanted)?)?))
    }
}
