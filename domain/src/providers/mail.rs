//! Sending of e-mail.

use super::{SendError, is_loopback_host};
use futures_util::future::BoxFuture;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{self, extension::ClientId},
};
use reqwest::Url;
use std::time::Duration;

/// An e-mail.
#[derive(Clone, Copy)]
pub struct Mail<'a> {
    /// Part of the Message-ID; the same for every attempt, so that duplicates can be recognized.
    pub id: &'a str,
    pub to: &'a str,
    pub subject: &'a str,
    pub text: &'a str,
}

/// Sends e-mail.
pub trait MailProvider: Send + Sync {
    /// Sends `mail`; on success, the mail server has accepted responsibility for it.
    fn send<'a>(&'a self, mail: Mail<'a>) -> BoxFuture<'a, Result<(), SendError>>;
}

/// A mail server that is reached by SMTP, encrypted unless it runs on this machine.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Time limit of one reply of the server.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit of the whole SMTP session.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);

impl Smtp {
    /// Creates a client of the server at `smtp://user:password@host:port`, where STARTTLS is required unless
    /// the server runs on this machine, or at `smtps://…`. `from` is the sender, an address with an optional
    /// name before it.
    pub fn new(url: &str, from: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "COFFER_SMTP_URL: must be smtp://user:password@host:port or smtps://…";
        let mut url = Url::parse(url).map_err(|_| SHAPE)?;
        let host = url.host_str().ok_or(SHAPE)?;
        if url.query().is_some() || url.fragment().is_some() || !["", "/"].contains(&url.path()) {
            return Err(SHAPE);
        }
        match url.scheme() {
            "smtp" if is_loopback_host(host) => {}
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
            .timeout(Some(REPLY_TIMEOUT))
            .build();
        Ok(Self { transport, from })
    }

    /// Connects and signs in as for an e-mail, but sends none.
    pub async fn test_connection(&self) -> Result<(), SendError> {
        match tokio::time::timeout(SESSION_TIMEOUT, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => {
                Err(SendError::Failed("the mail server rejected a command after its greeting".to_owned()))
            }
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err(SendError::Failed("the mail server did not finish in time".to_owned())),
        }
    }

    fn message(&self, mail: Mail<'_>) -> Result<Message, SendError> {
        let to: Address = mail
            .to
            .parse()
            .map_err(|_| SendError::Refused("the recipient address is not valid for e-mail".to_owned()))?;
        Message::builder()
            .message_id(Some(format!("<{}@coffer>", mail.id)))
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.to_owned())
            .map_err(|_| SendError::Refused("the e-mail could not be created".to_owned()))
    }
}

impl MailProvider for Smtp {
    fn send<'a>(&'a self, mail: Mail<'a>) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            let message = self.message(mail)?;
            match tokio::time::timeout(SESSION_TIMEOUT, self.transport.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(describe(&error)),
                Err(_) => Err(SendError::Failed("the mail server did not finish in time".to_owned())),
            }
        })
    }
}

/// Describes an SMTP error without the server's text, which may quote the address.
fn describe(error: &smtp::Error) -> SendError {
    let Some(code) = error.status().map(u16::from) else {
        let text = if error.is_tls() {
            "the mail server cannot be trusted: TLS failed"
        } else if error.is_timeout() {
            "the mail server did not reply in time"
        } else if error.is_client() {
            "the mail server does not support a required feature"
        } else {
            "the mail server cannot be reached"
        };
        return SendError::Failed(text.to_owned());
    };
    let text = format!("the mail server replied {code}");
    // The mailbox does not exist. Other permanent errors, for example a wrong password, are due to the
    // settings, which can be corrected.
    if (550..=553).contains(&code) { SendError::Refused(text) } else { SendError::Failed(text) }
}
