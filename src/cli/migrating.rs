//! Migrates a database while no other process does.

use super::{CliError, cannot};
use coffer::config;
use domain::kernel::db::Db;
use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use std::fs::File;

/// PostgreSQL advisory lock that is held while the database is migrated.
const LOCK: u32 = 7167;

/// Runs the next migrations on the database at `url`, all of them without `steps`. Processes that start at the
/// same time wait for each other, so that each migration runs once.
pub async fn migrate(db: &Db, url: &str, steps: Option<u32>) -> Result<(), CliError> {
    let connection = db.for_migrations();
    if Migrator::get_pending_migrations(connection).await.is_ok_and(|pending| pending.is_empty()) {
        return Ok(());
    }
    match config::sqlite_file(url) {
        Some(file) => {
            // Not the database itself: closing a file that SQLite has open would end SQLite's own locks.
            let path = file.with_added_extension("migrating");
            let failed = |error| format!("{}: {error}", path.display());
            let lock = File::create(&path).map_err(failed)?;
            let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
            let _lock = lock.map_err(|error| error.to_string())?.map_err(failed)?;
            up(connection, steps).await
        }
        None => {
            let locking = |error: DbErr| cannot("lock the database", &error.into());
            // The lock belongs to the session; this pool has one connection. The other process may take long.
            let wait = format!("SET lock_timeout = 0; SELECT pg_advisory_lock({LOCK}); RESET lock_timeout");
            connection.execute_unprepared(&wait).await.map_err(locking)?;
            let migrated = up(connection, steps).await;
            let unlock = format!("SELECT pg_advisory_unlock({LOCK})");
            connection.execute_unprepared(&unlock).await.map_err(locking)?;
            migrated
        }
    }
}

async fn up(connection: &DatabaseConnection, steps: Option<u32>) -> Result<(), CliError> {
    Migrator::up(connection, steps).await.map_err(|error| cannot("migrate", &error.into()))
}
