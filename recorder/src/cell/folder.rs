//! Working folders: one for each cell, for its owner's eyes alone, removed with the cell.
//!
//! A recorder that is killed leaves its folders behind; the next one removes those whose recorder is gone, and kills
//! whatever still uses them.

use super::MARKER;
use crate::process::{self, Process};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{info, warn};
use uuid::Uuid;

/// The file in each folder that names the recorder: its process id and its start time.
const OWNER_FILE: &str = ".owner";
/// How long processes of a dead recorder's cell get to disappear after they are killed.
const LEFTOVERS_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest path of the folder for cells, in bytes. A Unix socket's path has at most 107 (unix(7)); Chromium's ends in
/// `/org.chromium.Chromium.XXXXXX/SingletonSocket`, 45, below a cell's folder, whose name has up to 19 and a slash.
const PATH_BYTES_MAX: usize = 107 - 45 - 19 - 1;
/// How many hex digits of a stream's id name its folders: the last ones, which are random in every version of UUID.
const ID_DIGITS: usize = 12;

/// Why a folder for cells cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkDirError {
    /// It cannot be made or looked at.
    #[error("cannot use {} as the recorder's working folder: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The sockets of a call's browser would not fit below it.
    #[error(
        "{} is {} bytes long; the sockets in a call's folder leave room for {PATH_BYTES_MAX}: set another with --work-dir \
         (recorder.work_dir)",
        path.display(),
        path.as_os_str().len()
    )]
    TooLong {
        /// Which one.
        path: PathBuf,
    },
    /// Others could read what is in it, or have put it there.
    #[error("{} is not this user's alone; it needs mode 0700 and this user as its owner", path.display())]
    NotPrivate {
        /// Which one.
        path: PathBuf,
    },
}

/// The folder that has one folder for each cell.
#[derive(Clone, Debug)]
pub(crate) struct WorkDir(PathBuf);

impl WorkDir {
    /// Makes the folder if it is not there. Only its last part is made with this user as its only reader.
    ///
    /// # Errors
    ///
    /// When it cannot be made or is somebody else's too.
    pub(crate) fn open(path: &Path) -> Result<Self, WorkDirError> {
        let failed = |source| WorkDirError::Io { path: path.to_owned(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        // Not through a symbolic link: in /tmp, anybody could have put one there.
        let metadata = fs::symlink_metadata(path).map_err(failed)?;
        let is_private = metadata.is_dir()
            && metadata.uid() == rustix::process::geteuid().as_raw()
            && metadata.mode() & 0o077 == 0;
        if !is_private {
            return Err(WorkDirError::NotPrivate { path: path.to_owned() });
        }
        let path = fs::canonicalize(path).map_err(failed)?;
        if path.as_os_str().len() > PATH_BYTES_MAX {
            return Err(WorkDirError::TooLong { path });
        }
        Ok(Self(path))
    }

    /// Makes the folder of a cell.
    pub(super) fn create(&self, stream: Uuid, incarnation: u32) -> io::Result<Folder> {
        let id = stream.simple().to_string();
        let path = self.0.join(format!("{}-{incarnation}", &id[id.len() - ID_DIGITS..]));
        if path.exists() {
            // A number that was used by an earlier run of ours; the cell is gone, or `remove_leftovers` had ended it.
            fs::remove_dir_all(&path)?;
        }
        DirBuilder::new().mode(0o700).create(&path)?;
        let folder = Folder(path);
        let owner = Process::current().ok_or_else(|| io::Error::other("/proc is not mounted"))?;
        write!(File::create(folder.0.join(OWNER_FILE))?, "{} {}", owner.pid, owner.started)?;
        Ok(folder)
    }

    /// Ends and removes what a killed recorder left behind. Another recorder that runs with the same folder is left
    /// alone.
    pub(crate) fn remove_leftovers(&self) {
        let Ok(entries) = fs::read_dir(&self.0) else { return };
        let folders = entries.flatten().map(|entry| entry.path());
        for folder in folders.filter(|path| is_cell(path) && !has_owner(path)) {
            end_all_in(&folder);
            match fs::remove_dir_all(&folder) {
                Ok(()) => info!(folder = %folder.display(), "removed what a killed recorder left behind"),
                Err(error) => warn!(folder = %folder.display(), %error, "cannot remove a leftover folder"),
            }
        }
    }
}

/// Whether a path is named as a cell's folder is: the end of a stream's id, a hyphen, a number.
fn is_cell(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.rsplit_once('-')).is_some_and(|(id, number)| {
        let is_id = id.len() == ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id && number.parse::<u32>().is_ok()
    })
}

/// Whether the recorder that made a folder still runs.
fn has_owner(folder: &Path) -> bool {
    let Ok(text) = fs::read_to_string(folder.join(OWNER_FILE)) else {
        // Another recorder may be just about to write it; a folder that stays so is not worth a wrong guess.
        return folder
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|made| made.elapsed().is_ok_and(|age| age < Duration::from_secs(10)));
    };
    let mut parts = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (Some(Ok(pid)), Some(Ok(started))) = (parts.next(), parts.next()) else { return false };
    u32::try_from(pid).ok().and_then(Process::find).is_some_and(|process| process.started == started)
}

/// Kills every process that has the folder as its marker or works in it.
fn end_all_in(folder: &Path) {
    let marker = [MARKER.as_bytes(), b"=", folder.as_os_str().as_encoded_bytes()].concat();
    let is_in = |process: &Process| {
        let environ = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        let cwd = fs::read_link(format!("/proc/{}/cwd", process.pid));
        !process.is_zombie
            && (environ.split(|byte| *byte == 0).any(|variable| variable == marker)
                || cwd.is_ok_and(|cwd| cwd.starts_with(folder)))
    };
    let pause = Duration::from_millis(10);
    for _ in 0..LEFTOVERS_TIMEOUT.as_millis() / pause.as_millis() {
        let left: Vec<Process> = process::all().into_iter().filter(is_in).collect();
        if left.is_empty() {
            return;
        }
        for process in left {
            warn!(pid = process.pid, "killing a process that a killed recorder left behind");
            process.kill();
        }
        std::thread::sleep(pause);
    }
}

/// One cell's folder.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it with all that is in it.
    pub(super) async fn remove(self) {
        let path = self.0;
        let removed =
            tokio::task::spawn_blocking(move || fs::remove_dir_all(&path).map_err(|error| (path, error)));
        if let Ok(Err((path, error))) = removed.await
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(folder = %path.display(), %error, "cannot remove a cell's folder");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_can_read_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let open = parent.path().join("open");
        DirBuilder::new().mode(0o755).create(&open).unwrap();
        assert!(matches!(WorkDir::open(&open), Err(WorkDirError::NotPrivate { .. })));
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(parent.path(), &link).unwrap();
        assert!(matches!(WorkDir::open(&link), Err(WorkDirError::NotPrivate { .. })));
    }

    #[test]
    fn only_folders_of_dead_recorders_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let work = WorkDir::open(&parent.path().join("work")).unwrap();
        let ours = work.create(Uuid::nil(), 1).unwrap();
        let dead = work.create(Uuid::nil(), 2).unwrap();
        let current = Process::current().unwrap();
        fs::write(dead.path().join(OWNER_FILE), format!("{} {}", current.pid, current.started + 1)).unwrap();
        let foreign = work.0.join("notes");
        fs::create_dir(&foreign).unwrap();
        work.remove_leftovers();
        assert!(ours.path().exists() && foreign.exists() && !dead.path().exists());
        assert_eq!(ours.path().metadata().unwrap().mode() & 0o777, 0o700);
    }
}
