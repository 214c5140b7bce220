//! Opening the file: who may, and whether it is what we think.

use super::schema;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another program that reads the file may delay us.
const BUSY: Duration = Duration::from_secs(2);

/// Why the store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or the file cannot be made, read or written.
    #[error("the store {} cannot be used: {source}", .path.display())]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another relay has it.
    #[error(
        "the store {} is in use by another relay; stop that one, or give this one a store.path of its own",
        .path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is not ours, or damaged.
    #[error(
        "the store {} is damaged or not a store of Sluice ({detail}); put a backup in its place, or move it away to \
         start with an empty one, without the streams, claims and tokens of before",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A newer version wrote it.
    #[error(
        "the store {} was written by a newer version (schema {found}, this one knows {known}); use that version",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
}

/// The open database and the lock that makes it ours.
pub(super) struct Opened {
    pub(super) db: Connection,
    pub(super) lock: File,
}

pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    let unreachable = |source| OpenError::Unreachable { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unreachable)?;
    }
    let lock = lock(path)?;
    // Made before SQLite does, so that it is never readable by others; its log files take over the mode.
    let file = private(path).map_err(unreachable)?;
    file.set_permissions(PermissionsExt::from_mode(0o600)).map_err(unreachable)?;
    drop(file);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).map_err(|error| explain(path, &error));
    let mut db = opened?;
    prepare(&db).map_err(|error| explain(path, &error))?;
    schema::migrate(&mut db, path)?;
    Ok(Opened { db, lock })
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Held as long as the store is open; the system drops it with the process, however that ends.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let unreachable = |source| OpenError::Unreachable { path: path.to_owned(), source };
    let lock = private(Path::new(&name)).map_err(unreachable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(unreachable(source)),
    }
}

fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    let health: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if health == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(code, Some(health)))
}

/// What SQLite said, for the one who has to mend it.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Damaged { path, detail: error.to_string() }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse { path },
        _ => OpenError::Unreachable { path, source: io::Error::other(error.to_string()) },
    }
}
