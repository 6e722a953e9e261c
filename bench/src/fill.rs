//! Writes the rows of the benchmark to a database that Coffer has created.

use crate::{
    Result,
    data::{self, Size},
    database::Connection,
};
use chrono::{DateTime, SecondsFormat, Utc};

/// Rows of one statement.
const BATCH: u64 = 500;
/// Settled cash of an account, in cents.
const CASH: u64 = 1_000_000_000_000;

/// Returns a time as the database library writes it to SQLite; PostgreSQL reads it too.
fn instant(time: DateTime<Utc>) -> String {
    format!("'{}'", time.to_rfc3339_opts(SecondsFormat::AutoSi, false))
}

/// Writes all rows and updates PostgreSQL's statistics.
pub async fn fill(url: &str, size: Size) -> Result<()> {
    let mut database = Connection::open(url).await?;
    if let Connection::Sqlite(_) = database {
        database.execute("PRAGMA synchronous = OFF".to_owned()).await?;
    }
    let partner = database.ids("SELECT id FROM partner WHERE name = 'sandbox'").await?;
    let partner = database.literal(*partner.first().ok_or("there is no sandbox partner")?);
    let mut instruments = Vec::new();
    for id in database.ids("SELECT id FROM instrument ORDER BY symbol LIMIT 10").await? {
        instruments.push(database.literal(id));
    }
    database.execute("BEGIN".to_owned()).await?;
    let columns = "users (id, partner_id, status, first_name, last_name, email, created_at)";
    insert(&mut database, columns, 1..size.users + 1, |database, number| {
        let user = data::user(number);
        format!(
            "({}, {partner}, 'approved', '{}', '{}', '{}', {})",
            database.literal(user.id),
            user.first_name,
            user.last_name,
            user.email,
            instant(user.created_at)
        )
    })
    .await?;
    let columns = "account (id, partner_id, user_id, number, ownership, kind, status, marital_status, \
        country_of_citizenship, employment_status, employment_position, employer_name, opened_at)";
    insert(&mut database, columns, 1..2 * size.users + 1, |database, number| {
        let account = data::account(size, number);
        format!(
            "({}, {partner}, {}, '{}', 'individual', '{}', 'active', 'single', 'USA', 'employed', 'Engineer', \
                'Analytical Engines', {})",
            database.literal(account.id),
            database.literal(data::user(account.user).id),
            account.number,
            account.kind,
            instant(account.opened_at)
        )
    })
    .await?;
    let columns = "ledger_account (id, partner_id, owner_id, asset, kind, no_overdraft, version, debits, \
        credits, held)";
    insert(&mut database, columns, 1..2 * size.users + 1, |database, number| {
        let owner = database.literal(data::account(size, number).id);
        let kinds = [("cash", CASH), ("unsettled", 0), ("pending_deposit", 0)];
        let rows = (0..).zip(kinds).map(|(place, (kind, credits))| {
            let id = database.literal(data::ledger_account(number, place));
            format!("({id}, {partner}, {owner}, 'USD', '{kind}', TRUE, 1, 0, {credits}, 0)")
        });
        rows.collect::<Vec<_>>().join(", ")
    })
    .await?;
    let columns = "orders (id, partner_id, account_id, instrument_id, side, kind, quantity, filled_quantity, \
        status, submitted_at)";
    insert(&mut database, columns, 0..size.orders, |database, number| {
        let order = data::order(size, number);
        let instrument = usize::try_from(order.instrument).unwrap_or_default() % instruments.len().max(1);
        format!(
            "({}, {partner}, {}, {}, '{}', 'market', {}, {}, '{}', {})",
            database.literal(order.id),
            database.literal(data::account(size, order.account).id),
            instruments.get(instrument).map_or("NULL", String::as_str),
            order.side,
            order.quantity,
            order.filled,
            order.status,
            instant(order.submitted_at)
        )
    })
    .await?;
    database.execute("COMMIT".to_owned()).await?;
    match database {
        Connection::Postgres(_) => database.execute("VACUUM ANALYZE".to_owned()).await?,
        Connection::Sqlite(_) => database.execute("PRAGMA wal_checkpoint(TRUNCATE)".to_owned()).await?,
    }
    database.close().await
}

async fn insert(
    database: &mut Connection,
    columns: &str,
    numbers: std::ops::Range<u64>,
    row: impl Fn(&Connection, u64) -> String,
) -> Result<()> {
    let mut begin = numbers.start;
    while begin < numbers.end {
        let end = numbers.end.min(begin + BATCH);
        let rows: Vec<String> = (begin..end).map(|number| row(database, number)).collect();
        database.execute(format!("INSERT INTO {columns} VALUES {}", rows.join(", "))).await?;
        begin = end;
    }
    Ok(())
}

/// Removes dead rows before a round, so that each begins alike.
pub async fn tidy(url: &str) -> Result<()> {
    let mut database = Connection::open(url).await?;
    if let Connection::Postgres(_) = database {
        database.execute("VACUUM".to_owned()).await?;
    }
    database.close().await
}
