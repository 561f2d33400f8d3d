//! Output files: opened before the first connection, so that a bad path fails at second 0; written beside their place and
//! renamed into it, so that no reader ever sees half a report.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::exit::Stopped;

/// One file to be written at the end of a run.
#[derive(Debug)]
pub(super) struct Target {
    place: PathBuf,
    /// Where it is written until it is whole; `None` for a device or a pipe, which is written to and never replaced.
    partial: Option<PathBuf>,
    file: File,
}

impl Target {
    /// Opens the file's neighbour for writing.
    ///
    /// # Errors
    /// When it cannot be written, or the file is already there and may not be replaced.
    pub(super) fn open(place: &Path, replace: bool) -> Result<Self, Stopped> {
        let unwritable = |e| Stopped::environment(format!("cannot write {}: {e}", place.display()));
        let there = fs::metadata(place);
        if there.as_ref().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
            let file = File::options().write(true).open(place).map_err(unwritable)?;
            return Ok(Self { place: place.to_owned(), partial: None, file });
        }
        if !replace && there.is_ok() {
            return Err(Stopped::environment(format!(
                "{} is already there: choose another place, or replace it with --force",
                place.display()
            )));
        }
        // A link stays one: what it leads to is replaced.
        let place = &fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = place.with_file_name(name);
        let file = File::create(&partial).map_err(unwritable)?;
        Ok(Self { place: place.clone(), partial: Some(partial), file })
    }

    /// Writes the bytes and puts the file in its place.
    ///
    /// # Errors
    /// When the disk does not take them; the old file, if any, is then still there.
    pub(super) fn write(mut self, bytes: &[u8]) -> Result<(), Stopped> {
        let place = self.place.display().to_string();
        let mut whole = || {
            self.file.write_all(bytes)?;
            if let Some(partial) = &self.partial {
                self.file.sync_data()?;
                fs::rename(partial, &self.place)?;
                self.partial = None;
            }
            Ok(())
        };
        whole().map_err(|e: io::Error| Stopped::environment(format!("cannot write {place}: {e}")))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(partial) = &self.partial {
            // Nothing was written: leave nothing behind.
            let _ = fs::remove_file(partial);
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
        assert!(Target::open(directory.path(), true).and_then(|target| target.write(b"")).is_err(), "a directory is no file");
        assert!(Target::open(Path::new("/proc/nowhere/report.json"), false).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_and_never_replaced() {
        use std::os::unix::fs::FileTypeExt as _;
        for replace in [false, true] {
            Target::open(Path::new("/dev/null"), replace).expect("writable").write(b"{}").expect("taken");
            assert!(fs::metadata("/dev/null").expect("there").file_type().is_char_device());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_and_stays_a_device() {
        use std::os::unix::fs::FileTypeExt as _;
        let full = Path::new("/dev/full");
        assert!(Target::open(full, true).expect("opens").write(b"{}").is_err());
        assert!(fs::metadata(full).expect("there").file_type().is_char_device());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one_and_what_it_leads_to_is_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, link) = (directory.path().join("today.json"), directory.path().join("latest.json"));
        fs::write(&file, "old").expect("writable");
        std::os::unix::fs::symlink("today.json", &link).expect("a link");
        Target::open(&link, true).expect("writable").write(b"new").expect("written");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read(&file).expect("there"), b"new");
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 2);
    }
}
