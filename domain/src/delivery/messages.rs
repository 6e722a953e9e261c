//! E-mail and text messages. They are stored in the transaction that causes them and sent after it commits; a
//! sandbox's messages only go to its outbox.

use crate::{
    Error, Refusal, Result, Scope, Visible,
    kernel::{
        app::App,
        clock,
        db::WriteTransaction,
        lists::Filter,
        scheduler::DueBySystem,
        secrets::{AssociatedData, Secret},
        timers,
        visible::{Listed, Owner},
    },
    people::person::{Email, Phone},
    providers::{Providers, SendError, mail::Mail, sms::TextMessage},
};
use chrono::{DateTime, Duration, Utc};
use entity::{
    Kind,
    message::{self, Channel, Purpose, Status},
    partner::{self, Mode},
    timer::{self, TimerKind},
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, sea_query::Expr,
};
use uuid::Uuid;

/// Message to post.
pub struct NewMessage {
    /// User the message is about, if known.
    pub user_id: Option<Uuid>,
    pub channel: Channel,
    pub purpose: Purpose,
    /// E-mail address or phone number, depending on the channel.
    pub to: String,
    /// Empty for text messages.
    pub subject: String,
    pub text: String,
    /// Time by the system clock after which the message is useless and is not sent any more.
    pub send_by: Option<DateTime<Utc>>,
}

impl NewMessage {
    /// Returns an e-mail that is useful at any time.
    pub fn mail(user_id: Option<Uuid>, purpose: Purpose, to: String, subject: &str, text: String) -> Self {
        Self {
            user_id,
            channel: Channel::Mail,
            purpose,
            to,
            subject: subject.to_owned(),
            text,
            send_by: None,
        }
    }
}

const RECIPIENT: &str = "message.recipient";
const SUBJECT: &str = "message.subject";
const BODY: &str = "message.body";

/// Messages that must be sent within this time are sent before all others.
const URGENT: Duration = Duration::minutes(15);

/// Time a message stays in the outbox.
const OUTBOX_TTL: Duration = Duration::days(7);

/// Posts a message in the caller's transaction and returns its id.
///
/// A sandbox's message goes to the outbox. A live partner's message is sent once the transaction is
/// committed.
///
/// # Errors
/// Unavailable for a live partner if no provider is configured for the channel. Refuses an invalid address,
/// and a subject with control characters, which could inject another header.
pub async fn post(
    app: &App,
    tx: &WriteTransaction,
    partner: &partner::Model,
    new: NewMessage,
) -> Result<Uuid> {
    write(app, tx, partner, new, true).await
}

/// Does the work of `post` without sending a message, so that both take the same time. Leaves an empty row
/// until the next housekeeping.
pub async fn withhold(
    app: &App,
    tx: &WriteTransaction,
    partner: &partner::Model,
    new: NewMessage,
) -> Result<()> {
    write(app, tx, partner, new, false).await.map(|_| ())
}

async fn write(
    app: &App,
    tx: &WriteTransaction,
    partner: &partner::Model,
    new: NewMessage,
    deliver: bool,
) -> Result<Uuid> {
    let to = address(new.channel, &new.to)?;
    if new.subject.chars().any(char::is_control) {
        return Err(Refusal::invalid("subject", "must not contain control characters").into());
    }
    let live = partner.mode == Mode::Live;
    if live {
        require_provider(app, new.channel)?;
    }
    let id = app.ids.next(Kind::Message);
    let sealed = |column, text: &str| {
        let sealed = app.vault.seal(AssociatedData { column, row: id, partner: partner.id }, text.as_bytes());
        sealed.map(|sealed| if deliver { sealed } else { Vec::new() })
    };
    let index = index(app, partner.id, &to);
    let status = match (deliver, live) {
        (false, _) => Status::Failed,
        (true, true) => Status::Pending,
        (true, false) => Status::Outbox,
    };
    let kept_until = match status {
        Status::Outbox => Some(clock::system_now() + OUTBOX_TTL),
        Status::Failed => Some(clock::system_now()),
        Status::Pending | Status::Sent => None,
    };
    let row = message::Model {
        id,
        partner_id: partner.id,
        user_id: new.user_id,
        channel: new.channel,
        purpose: new.purpose,
        recipient: sealed(RECIPIENT, &to)?,
        recipient_index: (status == Status::Outbox).then_some(index),
        subject: sealed(SUBJECT, &new.subject)?,
        body: sealed(BODY, &new.text)?,
        status,
        attempts: 0,
        send_by: new.send_by,
        created_at: clock::now_of(partner),
        sent_at: None,
        kept_until,
    };
    message::ActiveModel::from(row).reset_all().insert(tx).await?;
    if live {
        let urgent = new.send_by.is_some_and(|by| by - clock::system_now() <= URGENT);
        timers::schedule_system(tx, app.ids, partner.id, SendMessage::KIND, id, urgent).await;
    }
    Ok(id)
}

/// Returns when the last message with this purpose was posted about a user, by the system clock.
pub async fn last_posted_at(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    purpose: Purpose,
) -> Result<Option<DateTime<Utc>>> {
    let newest = message::Entity::find()
        .filter(message::Column::UserId.eq(user_id))
        .filter(message::Column::Purpose.eq(purpose))
        .order_by_desc(message::Column::Id)
        .one(connection)
        .await?;
    let posted_at = newest.and_then(|message| message.id.get_timestamp());
    Ok(posted_at.and_then(|at| {
        let (seconds, nanoseconds) = at.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
    }))
}

/// Parses and normalizes the address a message goes to.
fn address(channel: Channel, to: &str) -> Result<String> {
    match channel {
        Channel::Mail => Email::parse(to)
            .map(|email| email.to_string())
            .map_err(|why| Refusal::invalid("to", why.to_string()).into()),
        Channel::Sms => Phone::parse(to)
            .map(|phone| phone.to_string())
            .map_err(|why| Refusal::invalid("to", why.to_string()).into()),
    }
}

/// Returns an error if no provider is configured for this channel.
pub fn require_provider(app: &App, channel: Channel) -> Result<()> {
    let missing = match channel {
        Channel::Mail => {
            app.feature::<Providers>().live_mail.is_none().then_some("No mail server is configured.")
        }
        Channel::Sms => {
            app.feature::<Providers>().live_sms.is_none().then_some("No SMS gateway is configured.")
        }
    };
    missing.map_or(Ok(()), |what| Err(Error::Unavailable(what)))
}

/// Pauses between attempts to send a message, in seconds: eight attempts within a day.
const PAUSES: [i64; 7] = [5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600];

/// Sends the message of a timer that the caller has leased. Afterwards the message is sent or failed, and
/// erased, or it waits for its next attempt. A crash after sending and before the commit sends the message
/// twice, with the same id.
pub struct SendMessage;

impl DueBySystem for SendMessage {
    const KIND: TimerKind = TimerKind::MessageSend;

    async fn run(app: &App, leased: &timer::Model) -> Result<()> {
        let found = message::Entity::find_by_id(leased.subject_id).one(&app.db.read).await?;
        let Some(message) = found.filter(|found| found.status == Status::Pending) else {
            let tx = app.db.write().await?;
            timers::take(&tx, leased).await?;
            return tx.commit().await;
        };
        let late = |at: DateTime<Utc>| message.send_by.is_some_and(|by| at > by);
        let outcome = if late(clock::system_now()) {
            Err(SendError::Refused("the message expired before it was sent".to_owned()))
        } else {
            try_to_send(app, &message).await
        };
        let pause = usize::try_from(leased.attempts.saturating_sub(1))
            .ok()
            .and_then(|tried| PAUSES.get(tried))
            .copied()
            .map(Duration::seconds);
        let (status, why) = match (outcome, pause) {
            (Ok(()), _) => (Status::Sent, String::new()),
            (Err(SendError::Failed(why)), Some(pause)) if !late(clock::system_now() + pause) => {
                tracing::warn!(message = %message.id, tries = leased.attempts, why,
                "message not sent; will retry");
                let tx = app.db.write().await?;
                timers::release(&tx, leased, pause).await?;
                return tx.commit().await;
            }
            (Err(SendError::Failed(why) | SendError::Refused(why)), _) => (Status::Failed, why),
        };
        let tx = app.db.write().await?;
        timers::take(&tx, leased).await?;
        let erased = erase(&tx, &message, status, leased.attempts).await?;
        tx.commit().await?;
        if erased && status == Status::Failed {
            tracing::error!(message = %message.id, purpose = ?message.purpose, tries = leased.attempts, why,
            "message not sent; giving up");
        }
        Ok(())
    }
}

/// Sends a message. Internal errors count as failed attempts, so that an unreadable message is not retried
/// forever.
async fn try_to_send(app: &App, message: &message::Model) -> Result<(), SendError> {
    send_through_provider(app, message).await.unwrap_or_else(|error| Err(SendError::Failed(error.cause())))
}

async fn send_through_provider(app: &App, message: &message::Model) -> Result<Result<(), SendError>> {
    app.vault.ready_for(&app.db, message.partner_id).await?;
    let (id, to, text) = (message.id.to_string(), recipient(app, message)?, text(app, message)?);
    let (id, to, text) = (id.as_str(), to.reveal().as_str(), text.reveal().as_str());
    let no_provider = || Err(SendError::Failed("no provider is configured for the channel".to_owned()));
    Ok(match (message.channel, &app.feature::<Providers>().live_mail, &app.feature::<Providers>().live_sms) {
        (Channel::Mail, Some(provider), _) => {
            let subject = subject(app, message)?;
            provider.send(Mail { id, to, subject: subject.reveal(), text }).await
        }
        (Channel::Sms, _, Some(provider)) => provider.send(TextMessage { id, to, text }).await,
        (Channel::Mail, None, _) | (Channel::Sms, _, None) => no_provider(),
    })
}

/// Sets the final status of a pending message and erases its content. Returns `false` if it has already
/// ended.
async fn erase(
    tx: &WriteTransaction,
    message: &message::Model,
    status: Status,
    attempts: i32,
) -> Result<bool> {
    use message::Column;
    let sent_at = (status == Status::Sent).then(clock::system_now);
    let ended = message::Entity::update_many()
        .col_expr(Column::Status, Expr::value(status))
        .col_expr(Column::Recipient, Expr::value(Vec::<u8>::new()))
        .col_expr(Column::Subject, Expr::value(Vec::<u8>::new()))
        .col_expr(Column::Body, Expr::value(Vec::<u8>::new()))
        .col_expr(Column::Attempts, Expr::value(attempts))
        .col_expr(Column::SentAt, Expr::value(sent_at))
        .filter(Column::Id.eq(message.id))
        .filter(Column::Status.eq(Status::Pending))
        .exec(tx)
        .await?;
    Ok(ended.rows_affected == 1)
}

fn index(app: &App, partner_id: Uuid, to: &str) -> Vec<u8> {
    app.vault.blind_index(RECIPIENT, partner_id, &to.to_lowercase())
}

fn opened(
    app: &App,
    message: &message::Model,
    column: &'static str,
    sealed: &[u8],
) -> Result<Secret<String>> {
    app.vault.open_text(AssociatedData { column, row: message.id, partner: message.partner_id }, sealed)
}

/// Returns the recipient of a message; an error once the message is erased.
pub fn recipient(app: &App, message: &message::Model) -> Result<Secret<String>> {
    opened(app, message, RECIPIENT, &message.recipient)
}

/// Returns the subject of a message, empty for a text message; an error once the message is erased.
pub fn subject(app: &App, message: &message::Model) -> Result<Secret<String>> {
    opened(app, message, SUBJECT, &message.subject)
}

/// Returns the text of a message; an error once the message is erased.
pub fn text(app: &App, message: &message::Model) -> Result<Secret<String>> {
    opened(app, message, BODY, &message.body)
}

/// Messages in the outbox of a sandbox are visible to operators; others are shown to no one.
impl Visible for message::Entity {
    const SCOPE: Scope = Scope::Operate;
    const ID: message::Column = message::Column::Id;
    const OWNER: Owner<message::Column> = Owner::Partner { partner: message::Column::PartnerId };
    const LISTED: Listed<message::Column> = Listed::While(message::Column::Status, "outbox");
}

/// Filter for the messages of an outbox.
#[derive(Clone, Debug, Default)]
pub struct OutboxFilter {
    /// Only messages to this e-mail address or phone number, in any notation.
    pub to: Option<String>,
    pub channel: Option<Channel>,
}

/// Returns the conditions on the messages in a partner's outbox.
pub fn outbox_conditions(app: &App, partner_id: Uuid, filter: &OutboxFilter) -> Vec<Filter> {
    let to = filter.to.as_ref().map(|to| {
        let to = Phone::parse(to).map_or_else(|_| to.clone(), |phone| phone.to_string());
        Filter::has_bytes(message::Column::RecipientIndex, index(app, partner_id, &to))
    });
    to.into_iter().chain(Filter::one_of(message::Column::Channel, filter.channel)).collect()
}

/// Deletes messages that have expired and returns how many.
pub async fn forget_old(connection: &impl ConnectionTrait) -> Result<u64> {
    let old = message::Column::KeptUntil.lt(clock::system_now());
    Ok(message::Entity::delete_many().filter(old).exec(connection).await?.rows_affected)
}
