//! Which series of Litestream will read what is generated, where that matters before it has been run.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::litestream::install;
use crate::litestream::version::Version;

/// Whether Litestream is of the 0.3 line, as far as that is known without running it: found out where it matters.
pub struct Old {
    binary: PathBuf,
    required: Option<Version>,
    is_it: OnceCell<bool>,
}

impl Old {
    /// Makes it of this binary, which has to be of the version `required`, if any.
    pub fn of(binary: &Path, required: Option<Version>) -> Self {
        Self { binary: binary.to_owned(), required, is_it: OnceCell::new() }
    }

    /// Says whether it is.
    pub fn is_it(&self) -> bool {
        // The one that the wrapper for Ruby brings.
        let look = || match self.required {
            Some(version) => !version.is_ltx(),
            None => install::is_release(&self.binary, "0.3.13"),
        };
        *self.is_it.get_or_init(look)
    }
}
