//! Storage of encrypted files in a local folder or another object store. Callers encrypt files before they
//! store them.

use futures_util::TryStreamExt;
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, local::LocalFileSystem, memory::InMemory,
    path::Path,
};
use std::{collections::HashMap, fmt, fs, io, path::PathBuf, sync::Arc};
use tokio::sync::OnceCell;

/// A file store with names that Coffer chooses. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Location>);

struct Location {
    /// Created with the first file.
    folder: Option<PathBuf>,
    store: OnceCell<Arc<dyn ObjectStore>>,
}

/// Reason why a file could not be read or stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// A file of this name already exists.
    Taken,
    /// The store failed.
    Failed(String),
}

impl From<object_store::Error> for FileError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::AlreadyExists { .. } => Self::Taken,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl Files {
    /// Uses this object store.
    pub fn over(store: Arc<dyn ObjectStore>) -> Self {
        Self(Arc::new(Location { folder: None, store: OnceCell::new_with(Some(store)) }))
    }

    /// Uses this folder. If it does not exist, it is created with the first file, accessible only to its
    /// owner.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self(Arc::new(Location { folder: Some(folder), store: OnceCell::new() }))
    }

    /// Stores files in memory until the process ends.
    pub fn in_memory() -> Self {
        Self::over(Arc::new(InMemory::new()))
    }

    /// Stores a file under an unused name; it is on disk when this returns.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), FileError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        self.store().await?.put_opts(&Path::from(name), PutPayload::from(bytes), options).await?;
        Ok(())
    }

    /// Returns the file of this name.
    pub async fn get(&self, name: &str) -> Result<Vec<u8>, FileError> {
        Ok(self.store().await?.get(&Path::from(name)).await?.bytes().await?.into())
    }

    /// Whether a file of this name exists.
    pub async fn has(&self, name: &str) -> Result<bool, FileError> {
        match self.store().await?.head(&Path::from(name)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the file of this name.
    pub async fn remove(&self, name: &str) -> Result<(), FileError> {
        Ok(self.store().await?.delete(&Path::from(name)).await?)
    }

    /// Returns the name and size of every file. A folder that does not exist has none and is not created.
    pub async fn sizes(&self) -> Result<HashMap<String, u64>, FileError> {
        if self.0.folder.as_ref().is_some_and(|folder| !folder.exists()) {
            return Ok(HashMap::new());
        }
        let listed = self.store().await?.list(None);
        Ok(listed.map_ok(|file| (file.location.to_string(), file.size)).try_collect().await?)
    }

    async fn store(&self) -> Result<&Arc<dyn ObjectStore>, FileError> {
        self.0.store.get_or_try_init(|| async { self.0.opened() }).await
    }
}

impl Location {
    fn opened(&self) -> Result<Arc<dyn ObjectStore>, FileError> {
        let Some(folder) = &self.folder else {
            return Err(FileError::Failed("no file store is configured".to_owned()));
        };
        make_private(folder).map_err(|error| FileError::Failed(format!("{}: {error}", folder.display())))?;
        Ok(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true)))
    }
}

/// Creates a folder that only its owner can access; an existing one is left unchanged.
fn make_private(folder: &std::path::Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files")
    }
}
