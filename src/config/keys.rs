//! The encryption key and its sources, and files that contain secrets.

use super::{CliError, Config};
use domain::kernel::secrets::{Secret, random};
use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

impl Config {
    /// Returns the encryption key from its setting or its file. In development a missing file is created if
    /// `may_make_one`. Production refuses a key of zeros and a file that other users can read.
    pub fn encryption_key(&self, may_make_one: bool) -> Result<Secret<[u8; 32]>, CliError> {
        let key = self.given_encryption_key(may_make_one)?;
        self.check_new_key("COFFER_ENCRYPTION_KEY", &key)?;
        Ok(key)
    }

    /// Names the setting or file that the encryption key is read from.
    pub fn encryption_key_source(&self) -> String {
        match self.key_file() {
            Some(file) if self.encryption_key.is_none() => file.display().to_string(),
            _ => "COFFER_ENCRYPTION_KEY".to_owned(),
        }
    }

    fn given_encryption_key(&self, may_make_one: bool) -> Result<Secret<[u8; 32]>, CliError> {
        if let Some(text) = &self.encryption_key {
            return key_in(text)
                .ok_or_else(|| "COFFER_ENCRYPTION_KEY: must be 64 hexadecimal digits".to_owned());
        }
        let Some(file) = self.key_file() else {
            return Err(
                "COFFER_ENCRYPTION_KEY or COFFER_ENCRYPTION_KEY_FILE: must be set in production".to_owned()
            );
        };
        match self.read_key(&file) {
            Err(ReadKey::Missing) if !may_make_one => Err(format!(
                "{}: the file with the encryption key of this database is missing",
                file.display()
            )),
            Err(ReadKey::Missing) if !self.is_production() && self.encryption_key_file.is_none() => {
                let key: [u8; 32] =
                    random().map_err(|_| "the operating system returned no random bytes".to_owned())?;
                write_private(&file, &hex::encode(key))?;
                Ok(Secret::new(key))
            }
            Err(ReadKey::Missing) => Err(format!("{}: file not found", file.display())),
            Err(ReadKey::Invalid(error)) => Err(error),
            Ok(key) => Ok(key),
        }
    }

    /// File with the encryption key: the configured one, or in development one beside the database; none in
    /// production if no file is configured.
    fn key_file(&self) -> Option<PathBuf> {
        match (&self.encryption_key_file, self.sqlite_file()) {
            (Some(file), _) => Some(file.clone()),
            (None, _) if self.is_production() => None,
            (None, Some(database)) => Some(PathBuf::from(format!("{}.key", database.display()))),
            (None, None) => Some(self.folder().join("coffer.key")),
        }
    }

    /// Files that contain secrets: encryption keys, the TLS key, and in development the sandbox's API key.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let given = if self.encryption_key.is_none() { self.key_file() } else { None };
        let previous = if self.encryption_key_previous.is_none() {
            self.encryption_key_previous_file.clone()
        } else {
            None
        };
        let sandbox = (!self.is_production()).then(|| self.sandbox_key_file());
        given.into_iter().chain(previous).chain(self.tls_key.clone()).chain(sandbox).collect()
    }

    /// Reads a key from a file. In production only the owner may be able to read the file, or, as PostgreSQL
    /// allows too, the group of a file that root owns.
    pub fn key_in_file(&self, file: &Path) -> Result<Secret<[u8; 32]>, CliError> {
        self.read_key(file).map_err(|error| match error {
            ReadKey::Missing => format!("{}: file not found", file.display()),
            ReadKey::Invalid(error) => error,
        })
    }

    fn read_key(&self, file: &Path) -> Result<Secret<[u8; 32]>, ReadKey> {
        let invalid = |what: &dyn std::fmt::Display| ReadKey::Invalid(format!("{}: {what}", file.display()));
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(ReadKey::Missing),
            Err(error) => return Err(invalid(&error)),
        };
        if self.is_production() && fs::metadata(file).is_ok_and(|found| open_to_others(&found)) {
            return Err(invalid(&"other users can read this key; run chmod 600"));
        }
        key_in(text.trim()).ok_or_else(|| invalid(&"must contain 64 hexadecimal digits"))
    }

    /// Refuses a key of zeros in production. `setting` is the name of its setting or option for the message.
    pub fn check_new_key(&self, setting: &str, key: &Secret<[u8; 32]>) -> Result<(), CliError> {
        if self.is_production() && key.reveal() == &[0; 32] {
            return Err(format!("{setting}: is all zeros; create a key with `openssl rand -hex 32`"));
        }
        Ok(())
    }

    /// Returns the previous encryption key from its setting or its file; none unless the key is being
    /// replaced.
    pub fn previous_encryption_key(&self) -> Result<Option<Secret<[u8; 32]>>, CliError> {
        match (&self.encryption_key_previous, &self.encryption_key_previous_file) {
            (Some(text), _) => key_in(text)
                .map(Some)
                .ok_or_else(|| "COFFER_ENCRYPTION_KEY_PREVIOUS: must be 64 hexadecimal digits".to_owned()),
            (None, Some(file)) => self.key_in_file(file).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// Reason that a key could not be read from a file.
enum ReadKey {
    Missing,
    Invalid(CliError),
}

/// Whether other users than its owner can read or change a file. The group of a file that root owns may read
/// it.
#[must_use]
pub fn open_to_others(found: &fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let allowed = if found.uid() == 0 { 0o740 } else { 0o700 };
        found.mode() & 0o777 & !allowed != 0
    }
    #[cfg(not(unix))]
    {
        _ = found;
        false
    }
}

fn key_in(text: &str) -> Option<Secret<[u8; 32]>> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).ok().map(|()| Secret::new(key))
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    let complain = |error: std::io::Error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(complain)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(complain)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(complain)?;
    }
    writeln!(file, "{text}").map_err(complain)
}
