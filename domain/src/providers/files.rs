//! Where files lie: in a folder of this machine, or in any other object store. What is put there is encrypted
//! before.

use futures_util::TryStreamExt;
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, local::LocalFileSystem, memory::InMemory,
    path::Path,
};
use std::{collections::HashMap, fmt, fs, io, path::PathBuf, sync::Arc};
use tokio::sync::OnceCell;

/// A store of files, each under a name of ours. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Location>);

struct Location {
    /// Made with the first file.
    folder: Option<PathBuf>,
    store: OnceCell<Arc<dyn ObjectStore>>,
}

/// Why a file could not be had or put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// There is one of this name already.
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
    /// In this store.
    pub fn over(store: Arc<dyn ObjectStore>) -> Self {
        Self(Arc::new(Location { folder: None, store: OnceCell::new_with(Some(store)) }))
    }

    /// In this folder, which is made for its owner alone with the first file where there is none.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self(Arc::new(Location { folder: Some(folder), store: OnceCell::new() }))
    }

    /// In memory, until the process ends.
    pub fn in_memory() -> Self {
        Self::over(Arc::new(InMemory::new()))
    }

    /// Puts a file under a name that no other has; it is on the disk when this returns.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), FileError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        self.store().await?.put_opts(&Path::from(name), PutPayload::from(bytes), options).await?;
        Ok(())
    }

    /// The file of this name.
    pub async fn get(&self, name: &str) -> Result<Vec<u8>, FileError> {
        Ok(self.store().await?.get(&Path::from(name)).await?.bytes().await?.into())
    }

    /// Whether there is a file of this name.
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

    /// The name and the length of every file. A folder that was not made yet has none, and is not made.
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
            return Err(FileError::Failed("there is no store".to_owned()));
        };
        make_private(folder).map_err(|error| FileError::Failed(format!("{}: {error}", folder.display())))?;
        Ok(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true)))
    }
}

/// Makes a folder that only its owner may enter; one that is there stays as it is.
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
