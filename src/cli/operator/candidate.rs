//! The databases that there are, and those that are meant.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::Given;
use super::opened::{self, Opened};
use super::told::{self, Told};
use crate::cli::databases;
use crate::config;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::inventory::{self, Entry, Inventory};
use crate::litestream::database::Database;
use crate::os::permit;
use crate::printer;
use crate::status;

/// So many are listed where it is not clear which is meant.
const SHOWN: usize = 20;

/// The settings, what they know of databases, and those of them that are meant by these words; all without any.
///
/// # Errors
/// What is wrong with the settings; or a word means none, or several.
pub(super) fn chosen(
    given: &Given,
    words: &[String],
) -> Result<(Opened, Inventory, Vec<Candidate>), Failure> {
    let opened = opened::open(given, None)?;
    let inventory = opened.inventory();
    let chosen = Candidates::look(&opened, &inventory)?.choose(words)?;
    Ok((opened, inventory, chosen))
}

/// As [`chosen`], with what a running keeper has beside that, and what it says of itself, where it `asks` one; where sources name
/// databases there need be none.
///
/// # Errors
/// As [`chosen`].
pub(super) fn chosen_beside(
    given: &Given,
    words: &[String],
    limit: Duration,
    asks: impl Fn(&Opened) -> Result<bool, Failure>,
) -> Result<(Opened, Inventory, Vec<Candidate>, Option<Told>), Failure> {
    let opened = opened::open(given, None)?;
    let inventory = opened.inventory();
    let mut candidates = Candidates::look(&opened, &inventory)?;
    let told = if asks(&opened)? { told::ask(&opened, candidates.known(), limit)? } else { None };
    let said = told.as_ref().and_then(Told::document);
    if let Some(document) = said {
        candidates.add_told(&document.databases);
    }
    let may_be_none = words.is_empty() && candidates.all.is_empty() && told::has_sources(&opened)?;
    let chosen = match (said, may_be_none) {
        (_, true) => Vec::new(),
        (Some(_), false) if words.is_empty() => candidates.all.clone(),
        (Some(_) | None, false) => candidates.choose(words)?,
    };
    Ok((opened, inventory, chosen, told))
}

/// A database that can be meant.
#[derive(Clone)]
pub(super) struct Candidate {
    /// It.
    pub(super) db: Database,
    /// What else it is called.
    pub(super) aliases: Vec<String>,
    /// The place and kind of each of its replicas.
    pub(super) replicas: Vec<(String, String)>,
    /// What names it, unless that is the configuration itself.
    pub(super) entry: Option<Entry>,
    /// A running keeper alone knows it: there is nothing to ask its replica by.
    pub(super) is_told: bool,
}

/// All databases of a configuration: those that it names, and those that are in its folders.
pub(super) struct Candidates<'a> {
    opened: &'a Opened,
    inventory: &'a Inventory,
    all: Vec<Candidate>,
}

impl<'a> Candidates<'a> {
    /// Looks.
    ///
    /// # Errors
    /// What is in a folder is not sound beside the rest.
    pub(super) fn look(opened: &'a Opened, inventory: &'a Inventory) -> Result<Self, Failure> {
        let config = &opened.said.configured;
        let aliases = config.aliases();
        let of = |database: &config::Database| Candidate {
            db: inventory::database(database),
            aliases: called(&aliases, &database.path),
            replicas: shown(&database.replicas),
            entry: None,
            is_told: false,
        };
        let all = config.databases().iter().map(of).collect();
        let mut found = Self { opened, inventory, all };
        let known: BTreeSet<PathBuf> = found.all.iter().map(|one| one.db.path.clone()).collect();
        let folders = inventory::folders(config);
        let below = folders.iter().enumerate().flat_map(|(place, folder)| {
            let here = folder.databases(&known).into_iter().chain(folder.lost());
            here.map(move |below| (place, below)).collect::<Vec<_>>()
        });
        found.add(below.collect())?;
        Ok(found)
    }

    /// Adds databases of the folders, each by the number of its folder and its path below that.
    ///
    /// # Errors
    /// One is not sound beside the rest.
    pub(super) fn add(&mut self, below: Vec<(usize, PathBuf)>) -> Result<(), Failure> {
        let known: BTreeSet<PathBuf> = self.all.iter().map(|one| one.db.path.clone()).collect();
        let directories = self.opened.said.configured.directories();
        let mut files: BTreeSet<(usize, PathBuf)> = below.into_iter().collect();
        files.retain(|(place, below)| !known.contains(&directories[*place].dir.join(below)));
        let kept: Vec<Entry> = self.all.iter().filter_map(|one| one.entry.clone()).collect();
        for named in self.inventory.in_folders(files.into_iter().collect(), &kept)? {
            let Entry::InFolder(place, _) = &named.entry else { continue };
            let kind = directories[*place].replicas.first().map(|replica| replica.kind.to_string());
            let replicas = vec![(named.database.replica.clone(), kind.unwrap_or_default())];
            let entry = Some(named.entry);
            self.all.push(Candidate {
                db: named.database,
                aliases: Vec::new(),
                replicas,
                entry,
                is_told: false,
            });
        }
        Ok(())
    }

    /// Adds what a running keeper has, and nobody else names.
    fn add_told(&mut self, said: &[status::Database]) {
        let known: BTreeSet<PathBuf> = self.all.iter().map(|one| one.db.path.clone()).collect();
        for one in said {
            let path = PathBuf::from(&one.path);
            if !path.is_absolute() || known.contains(&path) {
                continue;
            }
            let replica = one.replica.clone().unwrap_or_default();
            let kind = config::Kind::of_shown(&replica).to_string();
            self.all.push(Candidate {
                db: Database { replica: replica.clone(), ..Database::at(path) },
                aliases: one.alias.iter().cloned().collect(),
                replicas: vec![(replica, kind)],
                entry: None,
                is_told: true,
            });
        }
    }

    /// The databases that are known of without asking anybody; there need be none.
    pub(super) fn known(&self) -> impl Iterator<Item = &Database> {
        self.all.iter().map(|one| &one.db)
    }

    /// All that are known of without asking anybody; there need be none.
    pub(super) fn every(&self) -> &[Candidate] {
        &self.all
    }

    /// All of them.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn all(&self) -> Result<Vec<Candidate>, Failure> {
        if databases::resolver(&self.opened.said.configured)?.is_some() {
            printer::note("what the resolver names is not among them: a running keeper alone asks it");
        }
        if self.all.is_empty() {
            let message = "no database is named in the configuration, and none is in its folders";
            return Err(Failure::new(ExitCode::CONFIG, message)
                .hint("name one by its path in a folder of databases, or by its replica's URL"));
        }
        Ok(self.all.clone())
    }

    /// Those that are meant by these words, each once; all without any.
    ///
    /// # Errors
    /// A word means none, or several.
    pub(super) fn choose(&mut self, words: &[String]) -> Result<Vec<Candidate>, Failure> {
        if words.is_empty() {
            return self.all();
        }
        let mut chosen: Vec<Candidate> = Vec::new();
        for word in words {
            let one = self.one(word)?;
            if chosen.iter().all(|other| other.db.path != one.db.path) {
                chosen.push(one);
            }
        }
        Ok(chosen)
    }

    /// The only one that is meant; without a word the only one that there is.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub(super) fn only(&mut self, word: Option<&str>) -> Result<Candidate, Failure> {
        match word {
            Some(word) => self.one(word),
            None => match self.all()?.as_slice() {
                [one] => Ok(one.clone()),
                several => Err(ambiguous("there is more than one database", several)),
            },
        }
    }

    fn one(&mut self, word: &str) -> Result<Candidate, Failure> {
        let path = self.opened.said.cwd.join(word);
        // A database of a folder need not be there.
        let folders = inventory::folders(&self.opened.said.configured);
        let place = folders.iter().enumerate().find_map(|(place, folder)| {
            let below = path.strip_prefix(&folder.dir).ok()?;
            folder.matches(below).then(|| (place, below.to_owned()))
        });
        if let Some(place) = place {
            self.add(vec![place])?;
        }
        let means: [&dyn Fn(&Candidate) -> bool; 3] = [
            &|one| is_same(&one.db.path, &path),
            &|one| one.aliases.iter().any(|alias| alias == word),
            &|one| one.db.path.file_name().is_some_and(|name| name == word),
        ];
        for means in means {
            match self.all.iter().filter(|one| means(one)).cloned().collect::<Vec<_>>().as_slice() {
                [] => {}
                [one] => return Ok(one.clone()),
                several => {
                    return Err(ambiguous(&format!("`{word}` can be more than one database"), several));
                }
            }
        }
        let message = format!("`{word}` is no database of this configuration");
        let known = names(&self.all);
        let hint = match self.all.is_empty() {
            true => "it names none itself".to_owned(),
            false => format!("these are: {known}"),
        };
        let has_resolver = databases::resolver(&self.opened.said.configured)?.is_some();
        let more =
            if has_resolver { "; one that the resolver names is meant by its replica's URL" } else { "" };
        Err(Failure::new(ExitCode::USAGE, message).hint(format!("{hint}{more}")))
    }
}

fn ambiguous(what: &str, several: &[Candidate]) -> Failure {
    Failure::new(ExitCode::USAGE, what).hint(format!("say which one: {}", names(several)))
}

/// Their paths, with what else they are called.
fn names(all: &[Candidate]) -> String {
    let name = |one: &Candidate| {
        let aliases = one.aliases.iter().map(|alias| format!(" ({alias})")).collect::<String>();
        format!("{}{aliases}", one.db.path.display())
    };
    let mut names: Vec<String> = all.iter().take(SHOWN).map(name).collect();
    if all.len() > SHOWN {
        names.push(format!("and {} more", all.len() - SHOWN));
    }
    names.join(", ")
}

fn called(aliases: &[(String, PathBuf)], path: &Path) -> Vec<String> {
    aliases.iter().filter(|(_, of)| of == path).map(|(alias, _)| alias.clone()).collect()
}

fn shown(replicas: &[config::Replica]) -> Vec<(String, String)> {
    replicas.iter().map(|replica| (replica.display.clone(), replica.kind.to_string())).collect()
}

/// Whether both lead to the same name in the same folder.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let resolved = |path: &Path| Some(permit::real(path.parent()?).join(path.file_name()?));
    one == other || one.file_name() == other.file_name() && resolved(one) == resolved(other)
}

/// Whether a word is a replica's URL.
pub(super) fn is_url(word: &str) -> bool {
    word.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme.chars().all(|c| c.is_ascii_alphanumeric())
            && !scheme.starts_with("sqlite")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_no_path() {
        for url in ["s3://b/p", "file:///srv/backups", "gs://b", "sftp://u@h:22/p"] {
            assert!(is_url(url), "{url}");
        }
        for path in ["app.db", "/srv/a://b", "sqlite:///a.db", "://x", "data/s3:/x"] {
            assert!(!is_url(path), "{path}");
        }
    }

    #[test]
    fn the_same_file_by_another_way_is_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("a")).expect("ours");
        let (one, other) = (folder.path().join("x.db"), folder.path().join("a/../x.db"));
        assert!(is_same(&one, &other) && !is_same(&one, &folder.path().join("a/x.db")));
        assert!(!is_same(&one, &folder.path().join("y.db")));
    }
}
