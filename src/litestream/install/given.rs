//! What the user names: an archive of a release, a wheel or the binary itself; at an address, in a file, or on standard input.

use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::download::Download;
use super::error::{Error, Reason};
use super::machine;
use super::part::Part;
use super::progress::{MAX_BYTES, Progress};
use super::{address, release, wheel};
use crate::os::digest;
use crate::os::open;

/// What the user names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenFile {
    /// To be downloaded.
    Url(String),
    /// A file.
    File(PathBuf),
    /// What comes on standard input.
    Stdin,
}

/// What standard input is called.
const STDIN: &str = "standard input";

impl GivenFile {
    /// What it is called in what is said of it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::File(file) => file.display().to_string(),
            Self::Stdin => STDIN.to_owned(),
        }
    }

    /// Writes the part that is in it to `to`, which must not exist. Its `sum` is that of what is named, not of what is in it.
    ///
    /// What is looked at is a copy that nobody else changes.
    ///
    /// # Errors
    /// What was wrong; nothing of an archive but the binary touches the disk.
    pub(super) fn take(
        &self,
        (part, sum): (&Part, Option<&str>),
        to: &Path,
        cancel: &AtomicBool,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), Error> {
        let copy = to.with_file_name("given");
        match self {
            Self::Url(url) => {
                address::check(url, sum.is_some())?;
                store(&mut Download::of_url(url, sum.is_some(), cancel, progress), url, &copy)?;
            }
            Self::Stdin => store(&mut Download::of_stdin(STDIN, cancel, progress), STDIN, &copy)?,
            Self::File(file) => copy_file(file, &copy)?,
        }
        if let Some(expected) = sum {
            let actual = digest::file(&copy).map_err(|source| Reason::write(&copy, source))?;
            if actual != expected {
                return Err(Error::Sum { origin: self.name(), expected: expected.to_owned(), actual });
            }
        }
        unpack(&copy, &self.name(), part, to).map_err(Error::Unavailable)
    }
}

fn copy_file(from: &Path, to: &Path) -> Result<(), Reason> {
    let name = from.display().to_string();
    let unread = |source: std::io::Error| Reason::Read { path: name.clone(), why: source.to_string() };
    let mut source = open::file(from).map_err(unread)?;
    let mut file = open::make(to).map_err(|source| Reason::write(to, source))?;
    release::copy(&mut (&source).take(MAX_BYTES), &mut file, &unread, to)?;
    refuse_more(source.read(&mut [0]).map_err(unread)? > 0, &name)
}

fn store(body: &mut Download<'_, '_>, name: &str, to: &Path) -> Result<(), Error> {
    let stored = (|| {
        let mut file = open::make(to).map_err(|source| Reason::write(to, source))?;
        let unread = |source: std::io::Error| Reason::Read { path: name.to_owned(), why: source.to_string() };
        let mut left = MAX_BYTES;
        let mut buffer = vec![0; 128 << 10];
        loop {
            let n = body.read(&mut buffer).map_err(unread)?;
            if n == 0 {
                return Ok(());
            }
            refuse_more(n as u64 > left, name)?;
            left -= n as u64;
            file.write_all(&buffer[..n]).map_err(|source| Reason::write(to, source))?;
        }
    })();
    stored.map_err(|reason| body.why(reason))
}

fn refuse_more(is_more: bool, name: &str) -> Result<(), Reason> {
    let why = || format!("it has more than {MAX_BYTES} bytes, which is too large");
    if is_more { Err(Reason::Archive { url: name.to_owned(), why: why() }) } else { Ok(()) }
}

/// By its first bytes, whatever it is called.
fn unpack(copy: &Path, name: &str, part: &Part, to: &Path) -> Result<(), Reason> {
    let unread = |source: std::io::Error| Reason::Read { path: name.to_owned(), why: source.to_string() };
    let mut file = open::unlinked(copy, false).map_err(unread)?;
    let mut head = Vec::new();
    (&file).take(4).read_to_end(&mut head).map_err(unread)?;
    file.rewind().map_err(unread)?;
    match head[..] {
        [0x1f, 0x8b, ..] => release::unpack(&mut file, name, part, to),
        [b'P', b'K', 3, 4] => wheel::unpack(file, name, part, to),
        _ if machine::is_program(&head) => fs::rename(copy, to).map_err(|source| Reason::write(to, source)),
        _ => Err(Reason::NoBinary { what: name.to_owned() }),
    }
}
