//! One text for both databases: the few words in which they differ are filled in.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

/// Executes statements that end with a semicolon and a line break.
pub async fn execute(manager: &SchemaManager<'_>, statements: &str) -> Result<(), DbErr> {
    let (backend, connection) = (manager.get_database_backend(), manager.get_connection());
    for statement in statements.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        connection.execute_unprepared(&in_words_of(backend, statement)).await?;
    }
    Ok(())
}

/// Writes the tables' column types as the database at hand calls them.
fn in_words_of(backend: DbBackend, statement: &str) -> String {
    let words: [(&str, &str, &str); 8] = [
        ("{uuid}", "uuid", "blob"),
        ("{instant}", "timestamptz", "text"),
        ("{day}", "date", "text"),
        ("{bytes}", "bytea", "blob"),
        ("{flag}", "boolean", "integer"),
        ("{long}", "bigint", "integer"),
        ("{strict}", "", "STRICT"),
        ("{unset}", "NOT no_overdraft", "no_overdraft = 0"),
    ];
    words.iter().fold(statement.to_owned(), |text, (word, postgres, sqlite)| {
        text.replace(word, if backend == DbBackend::Postgres { postgres } else { sqlite })
    })
}
