//! Mail out of the house.

use super::{SendError, is_in_house};
use futures_util::future::BoxFuture;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{self, extension::ClientId},
};
use reqwest::Url;
use std::time::Duration;

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

/// A mail server that is spoken to by SMTP, encrypted unless it is on this machine.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// How long one answer of the server may take.
const ANSWER: Duration = Duration::from_secs(10);

/// How long the whole conversation may take.
const CONVERSATION: Duration = Duration::from_secs(30);

impl Smtp {
    /// The server at `smtp://user:password@host:port`, which must offer STARTTLS unless it is on this
    /// machine, or at `smtps://…`; mail comes from `from`, an address with or without a name before it.
    pub fn new(url: &str, from: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "COFFER_SMTP_URL: must be smtp://user:password@host:port or smtps://…";
        let mut url = Url::parse(url).map_err(|_| SHAPE)?;
        let host = url.host_str().ok_or(SHAPE)?;
        if url.query().is_some() || url.fragment().is_some() || !["", "/"].contains(&url.path()) {
            return Err(SHAPE);
        }
        match url.scheme() {
            "smtp" if is_in_house(host) => {}
            "smtp" => url.set_query(Some("tls=required")),
            "smtps" => {}
            _ => return Err(SHAPE),
        }
        let from: Mailbox = from
            .parse()
            .map_err(|_| "COFFER_MAIL_FROM: must be an address such as Coffer <no-reply@coffer.example>")?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str())
            .map_err(|_| SHAPE)?
            .hello_name(ClientId::Domain(from.email.domain().to_owned()))
            .timeout(Some(ANSWER))
            .build();
        Ok(Self { transport, from })
    }

    /// Connects, greets and signs in as for a mail, and sends none.
    pub async fn greet(&self) -> Result<(), SendError> {
        match tokio::time::timeout(CONVERSATION, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => {
                Err(SendError::Failed("the mail server does not go on after its greeting".to_owned()))
            }
            Ok(Err(error)) => Err(why(&error)),
            Err(_) => Err(SendError::Failed("the mail server is too slow".to_owned())),
        }
    }

    fn message(&self, mail: Mail<'_>) -> Result<Message, SendError> {
        let to: Address = mail
            .to
            .parse()
            .map_err(|_| SendError::Refused("mail cannot go to such an address".to_owned()))?;
        Message::builder()
            .message_id(Some(format!("<{}@coffer>", mail.id)))
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.to_owned())
            .map_err(|_| SendError::Refused("it cannot be written as a mail".to_owned()))
    }
}

impl MailProvider for Smtp {
    fn send<'a>(&'a self, mail: Mail<'a>) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            let message = self.message(mail)?;
            match tokio::time::timeout(CONVERSATION, self.transport.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(why(&error)),
                Err(_) => Err(SendError::Failed("the mail server is too slow".to_owned())),
            }
        })
    }
}

/// What went wrong; never in the server's words, which may quote the address.
fn why(error: &smtp::Error) -> SendError {
    let Some(code) = error.status().map(u16::from) else {
        let what = if error.is_tls() {
            "the mail server cannot be trusted: TLS failed"
        } else if error.is_timeout() {
            "the mail server does not answer in time"
        } else if error.is_client() {
            "the mail server lacks what is needed to send this"
        } else {
            "the mail server cannot be reached"
        };
        return SendError::Failed(what.to_owned());
    };
    let what = format!("the mail server answers {code}");
    // No such mailbox. Other lasting refusals, such as of the password, are the settings' fault, which may be
    // mended.
    if (550..=553).contains(&code) { SendError::Refused(what) } else { SendError::Failed(what) }
}
