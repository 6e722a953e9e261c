//! Migrations of one database by one process at a time.

use super::Db;
use crate::{Error, Result};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use std::{fs::File, path::PathBuf};

/// PostgreSQL advisory lock that is held while the database is migrated.
const LOCK: u32 = 7167;

impl Db {
    /// Returns a connection for migrations, which may write.
    pub const fn for_migrations(&self) -> &DatabaseConnection {
        &self.migrations
    }

    /// Runs migrations while no other process runs any on the same database; waits for those that do.
    pub async fn migrate<F>(&self, migrations: F) -> Result<()>
    where
        F: Future<Output = Result<(), DbErr>>,
    {
        if self.backend() == DbBackend::Postgres {
            // The lock belongs to the session, and the pool has one connection. The other process may take long.
            let lock = format!("SET lock_timeout = 0; SELECT pg_advisory_lock({LOCK}); RESET lock_timeout");
            self.migrations.execute_unprepared(&lock).await?;
            let migrated = migrations.await;
            let unlock = format!("SELECT pg_advisory_unlock({LOCK})");
            self.migrations.execute_unprepared(&unlock).await?;
            return Ok(migrated?);
        }
        let path = self.lock_file.clone();
        let lock = tokio::task::spawn_blocking(move || locked(path)).await;
        let _lock = lock.map_err(|_| Error::broken("the task that locks the database failed"))??;
        Ok(migrations.await?)
    }
}

/// Waits for the lock of a file, which lasts until the file is dropped. It is not the file of the database: closing
/// that one would end the locks that SQLite has on it.
fn locked(path: Option<PathBuf>) -> Result<Option<File>> {
    let Some(path) = path else { return Ok(None) };
    let file = File::create(path).and_then(|file| file.lock().map(|()| file));
    file.map(Some).map_err(|_| Error::broken("the lock file beside the database cannot be created or locked"))
}
