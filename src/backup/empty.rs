//! "No backup" is proven before anybody goes on from it.
//!
//! Litestream calls a place empty whenever an answer has none of its files: so has a portal's page, the console of a server, or the
//! list of all buckets. Only an answer that is a listing of that very place proves it, and our own client asks for one where there is
//! a client: on a folder, on S3 and on Azure's and Google's storage. Of the rest Litestream's word is all there is.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::error::Error;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::litestream::version::Version;
use crate::os::permit;
use crate::replica::again;
use crate::replica::helper::{self, Formats};

/// How long a listing may take, however little time is left.
const LEAST: Duration = Duration::from_secs(1);

/// Refuses a place that Litestream calls empty, and that is not proven to be.
///
/// # Errors
/// It cannot be listed, or something is there.
pub async fn prove(runner: &Runner, version: Version, db: &Database, limit: Duration) -> Result<(), Error> {
    if let Some(folder) = &db.replica_folder {
        let listed = permit::theirs(|| list(folder));
        return listed
            .map_err(|error| Error::refused(db, format!("{} cannot be listed: {error}", folder.display())));
    }
    let Some(place) = &db.place else { return Ok(()) };
    let list = async |left: Duration| helper::formats(runner, place, left.max(LEAST)).await;
    match again::ask_ourselves(db, limit, list).await {
        Ok(Formats { ltx: Some(_), .. }) if version.is_ltx() => Err(Error::refused(
            db,
            "litestream finds no backup there, and a listing has files of one: both have to see the same place".to_owned(),
        )),
        Ok(_) => Ok(()),
        Err(reason) if helper::is_blind(&reason) => {
            tracing::info!(
                "{}: our own client cannot look at {}, and litestream's word counts: {reason}",
                db.path.display(),
                db.replica
            );
            Ok(())
        }
        Err(reason) => {
            Err(Error::refused(db, format!("litestream finds no backup there, which is not proven: {reason}")))
        }
    }
}

/// Whether a folder can be read; what is not there is not there if what is above it can be.
fn list(folder: &Path) -> io::Result<()> {
    let mut looked = folder;
    loop {
        match std::fs::read_dir(looked).and_then(|mut names| names.next().transpose()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match looked.parent() {
                Some(parent) if parent != Path::new("") => looked = parent,
                Some(_) | None => return Ok(()),
            },
            listed => return listed.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_empty_if_it_can_be_read_or_what_is_above_it() {
        let root = tempfile::tempdir().unwrap();
        list(root.path()).unwrap();
        list(&root.path().join("a/b/c")).unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        assert!(list(&root.path().join("file")).is_err());
        assert!(list(&root.path().join("file/below")).is_err());
    }
}
