//! The folder that the app works in.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::core::ExitCode;
use crate::error::Failure;
use crate::os::{fd, permit};

/// That folder, held by a descriptor: it stays the app's when it is renamed or deleted, at a restart as well, and whether or not
/// the app's user may look for it.
pub(super) struct Workplace {
    /// How it is named, if it is not simply this process's own.
    named: Option<PathBuf>,
    /// It as it was at the start; this process's own may be closed to it.
    held: Option<OwnedFd>,
}

impl Workplace {
    /// Takes hold of it.
    ///
    /// # Errors
    /// A named one cannot be entered by the app's user.
    pub(super) fn open(named: Option<PathBuf>) -> Result<Self, Failure> {
        let held = match &named {
            None => fd::open_folder(Path::new("")).ok(),
            Some(path) => Some(permit::theirs(|| fd::open_folder(path)).map_err(|error| {
                let message = format!("the app's folder {} cannot be entered: {error}", path.display());
                Failure::new(ExitCode::CONFIG, message)
                    .hint("name a folder that the app's user may enter (--cwd, --user)")
            })?),
        };
        Ok(Self { named, held })
    }

    /// How a resolver is told of it.
    pub(super) fn named(&self) -> Option<PathBuf> {
        self.named.clone()
    }

    /// It is what this process was started in.
    pub(super) fn is_inherited(&self) -> bool {
        self.named.is_none()
    }

    /// Where it is now, for people; none for this process's own.
    pub(super) fn shown(&self) -> Option<PathBuf> {
        let held = fd::path(self.held.as_ref()?);
        let name = std::fs::read_link(&held).ok();
        // What was deleted has a name that leads nowhere.
        Some(name.filter(|name| permit::theirs(|| Ok(name.is_dir())).unwrap_or(false)).unwrap_or(held))
    }

    /// Looks again at where its name leads: a release may have taken the place of another. What is there no longer, is held.
    pub(super) fn look(&mut self) -> Option<&OwnedFd> {
        if let Some(path) = &self.named
            && let Ok(now) = permit::theirs(|| fd::open_folder(path))
        {
            self.held = Some(now);
        }
        self.held.as_ref()
    }
}
