//! Mail and text messages: written with their cause, sent after it is committed; a sandbox's go to its outbox
//! and no further.

use crate::{
    Error, Refusal, Result,
    kernel::{
        app::App,
        clock,
        db::WriteTransaction,
        pages::{Page, Slice},
        secrets::{AssociatedData, Secret},
        timers,
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

/// A message as its cause words it.
pub struct NewMessage {
    /// Whom it is about, where that is somebody we know.
    pub user_id: Option<Uuid>,
    pub channel: Channel,
    pub purpose: Purpose,
    /// An e-mail address or a telephone number, as the channel asks.
    pub to: String,
    /// Only mail has one.
    pub subject: String,
    pub text: String,
    /// By the system's clock: not sent after, because it is of no use any more.
    pub send_by: Option<DateTime<Utc>>,
}

const RECIPIENT: &str = "message.recipient";
const SUBJECT: &str = "message.subject";
const BODY: &str = "message.body";

/// What is of no use after so short a time goes ahead of all else.
const URGENT: Duration = Duration::minutes(15);

/// How long a message is kept in the outbox.
const OUTBOX_TTL: Duration = Duration::days(7);

/// Posts a message with the transaction of its cause; its id.
///
/// A sandbox's goes to the outbox. A live partner's is sent once the transaction is committed, and is
/// unavailable where nobody is configured who carries it. An address or a subject that could carry another
/// header is refused.
pub async fn post(
    app: &App,
    tx: &WriteTransaction,
    partner: &partner::Model,
    new: NewMessage,
) -> Result<Uuid> {
    write(app, tx, partner, new, true).await
}

/// Does the work of `post` for a message that is not sent, so that the time it takes does not tell the two
/// apart. An empty row is left until the next housekeeping.
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
        return Err(Refusal::invalid("subject", "must not have control characters").into());
    }
    let live = partner.mode == Mode::Live;
    if live {
        carried(app, new.channel)?;
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
        let hurries = new.send_by.is_some_and(|by| by - clock::system_now() <= URGENT);
        timers::schedule_system(tx, app.ids, partner.id, TimerKind::MessageSend, id, hurries).await?;
    }
    Ok(id)
}

/// Whether a message of this purpose was posted about a person after this moment of the system's clock.
pub async fn posted_since(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    purpose: Purpose,
    since: DateTime<Utc>,
) -> Result<bool> {
    let newest = message::Entity::find()
        .filter(message::Column::UserId.eq(user_id))
        .filter(message::Column::Purpose.eq(purpose))
        .order_by_desc(message::Column::Id)
        .one(connection)
        .await?;
    let posted_at = newest.and_then(|message| message.id.get_timestamp()).map_or(0, |at| at.to_unix().0);
    Ok(i64::try_from(posted_at).unwrap_or(0) >= since.timestamp())
}

/// The one form of the address a message goes to.
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

/// Refuses what nobody carries.
pub fn carried(app: &App, channel: Channel) -> Result<()> {
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

/// The pauses between the tries to send a message, in seconds: eight tries within a day.
const PAUSES: [i64; 7] = [5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600];

/// Sends the message of a timer that the caller holds. Afterwards it is sent and empty, or given up and
/// empty, or waits for its next try. A crash between sending and writing that down sends it twice, under the
/// same id.
pub async fn send(app: &App, leased: &timer::Model) -> Result<()> {
    let found = message::Entity::find_by_id(leased.subject_id).one(&app.db.read).await?;
    let Some(message) = found.filter(|found| found.status == Status::Pending) else {
        let tx = app.db.write().await?;
        timers::take(&tx, leased).await?;
        return tx.commit().await;
    };
    let late = |at: DateTime<Utc>| message.send_by.is_some_and(|by| at > by);
    let outcome = if late(clock::system_now()) {
        Err(SendError::Refused("it came too late".to_owned()))
    } else {
        handed_over(app, &message).await
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
                "a message could not be sent and is tried again");
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
            "a message could not be sent and is given up");
    }
    Ok(())
}

/// A fault of ours is a failure like another, so that what cannot be read is not tried for ever.
async fn handed_over(app: &App, message: &message::Model) -> Result<(), SendError> {
    hand_over(app, message).await.unwrap_or_else(|error| Err(SendError::Failed(error.cause())))
}

async fn hand_over(app: &App, message: &message::Model) -> Result<Result<(), SendError>> {
    app.vault.ready_for(&app.db, message.partner_id).await?;
    let (id, to, text) = (message.id.to_string(), recipient(app, message)?, text(app, message)?);
    let (id, to, text) = (id.as_str(), to.reveal().as_str(), text.reveal().as_str());
    let nobody = || Err(SendError::Failed("nobody is configured who carries it".to_owned()));
    Ok(match (message.channel, &app.feature::<Providers>().live_mail, &app.feature::<Providers>().live_sms) {
        (Channel::Mail, Some(provider), _) => {
            let subject = subject(app, message)?;
            provider.send(Mail { id, to, subject: subject.reveal(), text }).await
        }
        (Channel::Sms, _, Some(provider)) => provider.send(TextMessage { id, to, text }).await,
        (Channel::Mail, None, _) | (Channel::Sms, _, None) => nobody(),
    })
}

/// Ends a pending message and empties it; `false` when it has ended already.
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

/// Where a message goes, as long as it has not been erased.
pub fn recipient(app: &App, message: &message::Model) -> Result<Secret<String>> {
    opened(app, message, RECIPIENT, &message.recipient)
}

/// A message's subject, as long as it has not been erased; empty on a text message.
pub fn subject(app: &App, message: &message::Model) -> Result<Secret<String>> {
    opened(app, message, SUBJECT, &message.subject)
}

/// What a message says, as long as it has not been erased.
pub fn text(app: &App, message: &message::Model) -> Result<Secret<String>> {
    opened(app, message, BODY, &message.body)
}

/// Which messages of an outbox.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// To this address only, in any of its forms.
    pub to: Option<String>,
    pub channel: Option<Channel>,
}

/// What stands in a partner's outbox.
pub async fn in_outbox(
    app: &App,
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    page: &Page,
    wanted: &Wanted,
) -> Result<Slice<message::Model>> {
    let mut select = message::Entity::find()
        .filter(message::Column::PartnerId.eq(partner_id))
        .filter(message::Column::Status.eq(Status::Outbox));
    if let Some(to) = &wanted.to {
        let to = Phone::parse(to).map_or_else(|_| to.clone(), |phone| phone.to_string());
        select = select.filter(message::Column::RecipientIndex.eq(index(app, partner_id, &to)));
    }
    if let Some(channel) = wanted.channel {
        select = select.filter(message::Column::Channel.eq(channel));
    }
    page.of(connection, select, message::Column::Id).await
}

/// Removes from the outboxes what has been kept long enough; how many.
pub async fn forget_old(connection: &impl ConnectionTrait) -> Result<u64> {
    let old = message::Column::KeptUntil.lt(clock::system_now());
    Ok(message::Entity::delete_many().filter(old).exec(connection).await?.rows_affected)
}
