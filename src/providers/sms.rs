//! Text messages out of the house.

use super::SendError;
use futures_util::future::BoxFuture;

/// One text message.
#[derive(Clone, Copy)]
pub struct TextMessage<'a> {
    /// Names the message, the same at every try, so that a gateway can tell one that comes twice.
    pub id: &'a str,
    /// In E.164 form, `+12025550107`.
    pub to: &'a str,
    pub text: &'a str,
}

/// Carries text messages.
pub trait SmsProvider: Send + Sync {
    /// Hands `message` over; once this returns, it is the other side's.
    fn send<'a>(&'a self, message: TextMessage<'a>) -> BoxFuture<'a, Result<(), SendError>>;
}
