//! A place for the control socket that the user has chosen: Litestream only warns when it cannot be made,
//! and then nothing can be confirmed.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

use crate::core::ExitCode;
use crate::error::Failure;
use crate::os::permit::{self, Folder};
use crate::os::socket::LONGEST_PATH;

/// How long somebody who listens may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether a socket can be made there.
///
/// # Errors
/// Why not.
pub(super) fn check_place(path: &Path) -> Result<(), Failure> {
    let refuse = |reason: String, hint: &str| {
        let message = format!("the control socket `{}` cannot be made: {reason}", path.display());
        Err(Failure::new(ExitCode::CONFIG, message).hint(hint))
    };
    let length = path.as_os_str().as_bytes().len();
    if length > LONGEST_PATH {
        let reason =
            format!("its path has {length} bytes, but no unix socket takes more than {LONGEST_PATH}");
        return refuse(reason, "choose a shorter path, or leave `socket.path` out");
    }
    let folder = path.parent().unwrap_or(path);
    let opened = permit::theirs(|| Folder::open(folder));
    let Ok(opened) = opened else {
        return refuse(
            format!("there is no folder `{}`", folder.display()),
            "make the folder, or leave `socket.path` out",
        );
    };
    if !permit::theirs(|| Ok(opened.is_writable())).unwrap_or(false) {
        let reason = format!("the folder `{}` cannot be written to", folder.display());
        return refuse(reason, "let this user write to it, or leave `socket.path` out");
    }
    match permit::theirs(|| path.symlink_metadata()) {
        Ok(meta) if !meta.file_type().is_socket() => {
            refuse("there is something else than a socket".to_owned(), "remove it, or choose another path")
        }
        // Litestream removes the socket of a run that was killed.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether nobody listens there: Litestream would take the socket away from whoever does.
///
/// # Errors
/// Somebody does.
pub(super) async fn check_free(path: &Path) -> Result<(), Failure> {
    let connected = tokio::time::timeout(PATIENCE, permit::theirs_all_along(UnixStream::connect(path))).await;
    if !matches!(connected, Ok(Ok(_)) | Err(_)) {
        return Ok(());
    }
    let message = format!("the control socket `{}` is in use by another process", path.display());
    Err(Failure::new(ExitCode::CONFIG, message)
        .hint("give each litekeeper a `socket.path` of its own, or leave it out"))
}
