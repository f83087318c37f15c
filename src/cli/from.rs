//! `--restore-from`: from where, and which database.

use std::path::PathBuf;

use crate::config;
use crate::secrets;

/// One place, with a database or without. No `Debug` of it: a URL may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RestoreFrom {
    pub(super) db: Option<PathBuf>,
    pub(super) place: String,
}

impl std::fmt::Debug for RestoreFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RestoreFrom({:?}, {})", self.db, secrets::mask(&self.place))
    }
}

/// Reads `[PATH=]URL`; a folder is as good as a URL.
///
/// # Errors
/// A fragment that says what is wrong.
pub fn parse(text: &str) -> Result<RestoreFrom, String> {
    let is_database = |db: &str| !db.is_empty() && !db.contains("://");
    let named = text.match_indices('=').map(|(at, _)| (&text[..at], &text[at + 1..]));
    let named = named.into_iter().find(|(db, place)| is_database(db) && config::is_place(place));
    let (db, place) = match named {
        Some((db, place)) => (Some(PathBuf::from(db)), place),
        None => (None, text),
    };
    let is_bare =
        text.split_once('=').is_some_and(|(_, place)| config::has_user(place)) && !text.contains("://");
    if is_bare || config::has_user(place) || !config::is_place(place) {
        return Err("neither a URL nor a folder (/…, ./…, ~/…): write the path of a database before it where there are \
                    several, as PATH=URL"
            .to_owned());
    }
    Ok(RestoreFrom { db, place: place.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_may_have_a_database_before_it() {
        let is = |text: &str, db: Option<&str>, place: &str| {
            let read = parse(text).unwrap();
            assert_eq!((read.db, read.place.as_str()), (db.map(PathBuf::from), place), "{text}");
        };
        is("s3://b/app", None, "s3://b/app");
        is("s3://b/app?endpoint=http://h:9000&region=r", None, "s3://b/app?endpoint=http://h:9000&region=r");
        is("/backups/a=b", None, "/backups/a=b");
        is("data/app.db=s3://b/app?region=r", Some("data/app.db"), "s3://b/app?region=r");
        is("/data/a=b.db=./old", Some("/data/a=b.db"), "./old");
        for rubbish in ["", "backups", "a.db=", "a.db=old", "=old"] {
            assert!(parse(rubbish).unwrap_err().contains("PATH=URL"), "{rubbish}");
        }
        let shown = format!("{:?}", parse("s3://k:hunter2@b/app").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
