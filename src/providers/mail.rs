//! Mail out of the house.

use super::SendError;
use futures_util::future::BoxFuture;

/// One mail.
#[derive(Clone, Copy)]
pub struct Mail<'a> {
    /// Goes into the Message-ID, the same at every try, so that a mail that came twice can be recognised.
    pub id: &'a str,
    pub to: &'a str,
    pub subject: &'a str,
    pub text: &'a str,
}

/// Carries mail.
pub trait MailProvider: Send + Sync {
    /// Hands `mail` over; once this returns, it is the other side's.
    fn send<'a>(&'a self, mail: Mail<'a>) -> BoxFuture<'a, Result<(), SendError>>;
}
