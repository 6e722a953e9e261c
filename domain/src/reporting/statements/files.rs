//! The files of a statement: PDF, CSV and JSON. The same statement always gives the same bytes.

use super::{content::Content, csv, json, pdf};
use crate::{
    Actor, Error, Result, Scope,
    compliance::kyc::documents::Permits,
    kernel::{
        app::{App, Feature},
        audit_log,
    },
};
use entity::statement;
use uuid::Uuid;

/// Format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Pdf,
    Csv,
    Json,
}

impl Format {
    const ALL: [Self; 3] = [Self::Pdf, Self::Csv, Self::Json];

    /// Returns the file extension.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// Returns the media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// Reads the end of a path: the id of a statement and the extension of a format.
pub(super) fn parse_name(path: &str) -> Option<(Uuid, Format)> {
    let (id, extension) = path.rsplit('/').next()?.split_once('.')?;
    let format = Format::ALL.into_iter().find(|format| format.extension() == extension)?;
    Some((Uuid::try_parse(id).ok()?, format))
}

/// Permits for making files, which bound the work and the memory for them.
#[derive(Debug, Default)]
pub struct Renderings(pub Permits);

impl Feature for Renderings {
    fn new(_: &App) -> Self {
        Self::default()
    }
}

/// File of a statement.
pub struct File {
    /// Name without an extension: the number of the account, and the period.
    pub name: String,
    pub format: Format,
    pub data: Vec<u8>,
}

/// Makes a file of a statement, and writes the download to the audit log. Requires scope `read`.
pub async fn file(app: &App, actor: &Actor, statement: &statement::Model, format: Format) -> Result<File> {
    let caller = actor.self_or_caller(Scope::Read)?;
    let permit = app.feature::<Renderings>().0.take(&caller).await?;
    let json = json(app, statement)?;
    let making = tokio::task::spawn_blocking(move || -> Result<File> {
        let _permit = permit;
        let content: Content =
            serde_json::from_slice(&json).map_err(|_| Error::broken("a statement cannot be read"))?;
        let name =
            format!("statement-{}-{}-{}", content.account.number, content.start_date, content.end_date);
        let data = if format == Format::Json { json } else { render(&content, format)? };
        Ok(File { name, format, data })
    });
    let file = making.await.map_err(|_| Error::broken("a statement could not be rendered"))??;
    audit_log::record_read(app, &caller, actor.request_id, "statement.download", Some(statement.id)).await?;
    Ok(file)
}

/// Makes a file of what a statement tells.
pub fn render(content: &Content, format: Format) -> Result<Vec<u8>> {
    match format {
        Format::Pdf => pdf::render(content),
        Format::Csv => csv::render(content),
        Format::Json => {
            serde_json::to_vec(content).map_err(|_| Error::broken("a statement cannot be serialized"))
        }
    }
}
