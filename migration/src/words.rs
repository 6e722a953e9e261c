//! Executes the same SQL on PostgreSQL and SQLite, with placeholders for the words that differ.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

/// Executes statements, each of which ends with a semicolon and a line break.
pub async fn execute(manager: &SchemaManager<'_>, statements: &str) -> Result<(), DbErr> {
    let (backend, connection) = (manager.get_database_backend(), manager.get_connection());
    for statement in statements.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        connection.execute_unprepared(&with_words_of(backend, statement)).await?;
    }
    Ok(())
}

/// Replaces the placeholders in a statement with the words of this database.
fn with_words_of(backend: DbBackend, statement: &str) -> String {
    let words: [(&str, &str, &str); 9] = [
        ("{uuid}", "uuid", "blob"),
        ("{instant}", "timestamptz", "text"),
        ("{day}", "date", "text"),
        ("{bytes}", "bytea", "blob"),
        ("{flag}", "boolean", "integer"),
        ("{long}", "bigint", "integer"),
        ("{strict}", "", "STRICT"),
        ("{ascii}", "COLLATE \"C\"", ""),
        ("{unset}", "NOT no_overdraft", "no_overdraft = 0"),
    ];
    words.iter().fold(statement.to_owned(), |text, (word, postgres, sqlite)| {
        text.replace(word, if backend == DbBackend::Postgres { postgres } else { sqlite })
    })
}
