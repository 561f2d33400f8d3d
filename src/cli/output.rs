//! Output files: opened before the first connection, so that a bad path fails at second 0; written beside their place and
//! renamed into it, so that no reader ever sees half a report.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::exit::Stopped;

/// One file to be written at the end of a run.
#[derive(Debug)]
pub(super) struct Target {
    place: PathBuf,
    partial: PathBuf,
    file: File,
    done: bool,
}

impl Target {
    /// Opens the file's neighbour for writing.
    ///
    /// # Errors
    /// When it cannot be written, or the file is already there and may not be replaced.
    pub(super) fn open(place: &Path, replace: bool) -> Result<Self, Stopped> {
        if !replace && place.exists() {
            return Err(Stopped::environment(format!(
                "{} is already there: choose another place, or replace it with --force",
                place.display()
            )));
        }
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = place.with_file_name(name);
        let file = File::create(&partial).map_err(|e| Stopped::environment(format!("cannot write {}: {e}", place.display())))?;
        Ok(Self { place: place.to_owned(), partial, file, done: false })
    }

    /// Writes the bytes and puts the file in its place.
    ///
    /// # Errors
    /// When the disk does not take them; the old file, if any, is then still there.
    pub(super) fn write(mut self, bytes: &[u8]) -> Result<(), Stopped> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data()).and_then(|()| fs::rename(&self.partial, &self.place));
        written.map_err(|e| Stopped::environment(format!("cannot write {}: {e}", self.place.display())))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.done {
            // Nothing was written: leave nothing behind.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// Opens `names` in `directory`, which is made if it is not there.
///
/// # Errors
/// As [`Target::open`].
pub(super) fn open_all<const N: usize>(directory: &Path, names: [&str; N], replace: bool) -> Result<[Target; N], Stopped> {
    fs::create_dir_all(directory).map_err(|e| Stopped::environment(format!("cannot make the directory {}: {e}", directory.display())))?;
    let mut targets = Vec::with_capacity(N);
    for name in names {
        targets.push(Target::open(&directory.join(name), replace)?);
    }
    targets.try_into().map_err(|_| Stopped::environment("a target was lost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().join("report.json");
        let listed = || fs::read_dir(directory.path()).expect("readable").count();
        drop(Target::open(&place, false).expect("writable"));
        assert_eq!(listed(), 0, "a run that never wrote leaves nothing");
        let target = Target::open(&place, false).expect("writable");
        assert!(!place.exists());
        target.write(b"{}").expect("written");
        assert_eq!((fs::read(&place).expect("there"), listed()), (b"{}".to_vec(), 1));
        assert!(Target::open(&place, false).expect_err("there already").message.contains("--force"));
        assert!(Target::open(&place, true).is_ok());
        assert!(Target::open(Path::new("/proc/nowhere/report.json"), false).is_err());
    }
}
