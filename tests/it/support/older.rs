//! Databases with the schema of an earlier version.

use super::{Folder, postgres};
use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend};

/// A database with the schema from before a migration, which does not check foreign keys.
pub struct OlderDatabase {
    pub url: String,
    pub db: DatabaseConnection,
}

/// Creates a database of each kind with the schema from before this migration.
pub async fn databases(folder: &Folder, migration: &str) -> Vec<OlderDatabase> {
    let mut urls = vec![format!("sqlite:{}?mode=rwc", folder.0.join("older.db").display())];
    if let Some(server) = postgres::server() {
        let name = format!("before_{migration}_{}", std::process::id());
        let admin = Box::pin(Database::connect(server.url("postgres"))).await.unwrap();
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        urls.push(server.url(&name));
    }
    let before = Migrator::migrations().iter().position(|change| change.name() == migration).unwrap();
    let mut databases = Vec::new();
    for url in urls {
        let mut options = ConnectOptions::new(url.clone());
        options.max_connections(1).sqlx_logging(false);
        let db = Box::pin(Database::connect(options)).await.unwrap();
        Migrator::up(&db, Some(u32::try_from(before).unwrap())).await.unwrap();
        let unchecked = match db.get_database_backend() {
            DbBackend::Sqlite => "PRAGMA foreign_keys = OFF",
            _ => "SET session_replication_role = replica",
        };
        db.execute_unprepared(unchecked).await.unwrap();
        databases.push(OlderDatabase { url, db });
    }
    databases
}

impl OlderDatabase {
    fn is_sqlite(&self) -> bool {
        self.db.get_database_backend() == DbBackend::Sqlite
    }

    /// Writes bytes in SQL.
    pub fn bytes(&self, hex: &str) -> String {
        if self.is_sqlite() { format!("x'{hex}'") } else { format!("'\\x{hex}'") }
    }

    /// Writes the id with this number in SQL.
    pub fn id(&self, number: u8) -> String {
        self.id_of(&format!("019000000000700080000000000000{number:02x}"))
    }

    /// Writes the id with these digits in SQL.
    pub fn id_of(&self, hex: &str) -> String {
        if self.is_sqlite() { format!("x'{hex}'") } else { format!("'{hex}'") }
    }

    /// Runs the remaining migrations.
    pub async fn migrate(&self) {
        Migrator::up(&self.db, None).await.unwrap();
    }
}
