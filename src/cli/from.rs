//! `--restore-from`: from where, and which database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::layers::Layers;
use crate::config::lint::{self, Severity};
use crate::config::{self, Config, Series};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::inventory;
use crate::secrets;

/// One place, with a database or without. No `Debug` of it: a URL may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RestoreFrom {
    db: Option<PathBuf>,
    place: String,
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

/// The databases that are to be restored from elsewhere, each there.
///
/// # Errors
/// One is not of this configuration, or a place is none.
pub(super) fn elsewhere(layers: &Layers, configured: &Config, cwd: &Path) -> Result<Option<Config>, Failure> {
    let origin = layers.origin("restore_from");
    let wrong =
        |what: &str, hint: &str| Err(Failure::new(ExitCode::CONFIG, format!("{origin}: {what}")).hint(hint));
    let (mut all, mut each): (Option<&str>, BTreeMap<PathBuf, String>) = (None, BTreeMap::new());
    for RestoreFrom { db, place } in &layers.args.restore_from {
        config::secrets_of_url(place).for_each(secrets::know);
        let before = match db {
            None => all.replace(place).map(str::to_owned),
            Some(db) => {
                let path = cwd.join(db);
                if configured.databases().iter().all(|known| known.path != path) {
                    let known = configured.databases().iter().map(|known| known.path.display().to_string());
                    let known: Vec<String> = known.collect();
                    return wrong(
                        &format!("{} is no database of this configuration", path.display()),
                        &format!("these are: {}", known.join(", ")),
                    );
                }
                each.insert(path, place.clone())
            }
        };
        if before.is_some_and(|before| before != *place) {
            return wrong("two places for the same databases", "leave one of them out");
        }
    }
    if all.is_none() && each.is_empty() {
        return Ok(None);
    }
    if configured.databases().is_empty() {
        return wrong(
            "no database is named in the configuration",
            "it is for those that stand under `dbs` with a `path`: name them there, or leave it out",
        );
    }
    let config = configured.from_elsewhere(all, &each).map_err(|error| {
        let failure = inventory::failure(&error);
        Failure { message: format!("{origin}: {}", failure.message), ..failure }
    })?;
    // Which Litestream runs is not known yet; what none knows is no place.
    let known = [Series::V05, Series::V03].map(|series| lint::replicas(&config, series));
    if let Some(refused) =
        known[0].iter().find(|lint| known[1].contains(lint) && lint.rule.severity == Severity::Error)
    {
        return wrong(
            &refused.message,
            refused.hint.as_deref().unwrap_or("name a place that Litestream knows"),
        );
    }
    Ok(Some(config).filter(|config| !config.databases().is_empty()))
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
