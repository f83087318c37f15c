//! The database that `DATABASE_URL` names.

use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::config::error::{Error, Origin, Problem};
use crate::config::given::Given;
use crate::config::values::env_replica::{
    self, EnvReplica, REPLICA_BUCKET, REPLICA_URL, at_url, below, in_bucket, join, set,
};
use crate::config::values::options::LoadOptions;
use crate::config::values::unread::{refused, several, unread};
use crate::database_url::{self, Named, PRISMA_CONFIGS, Slashes};
use crate::os::open;
use crate::yaml::Variable;

/// Returns the database that the environment names, and where its backup is, see [`super::sources::of_environment`]; a path in
/// the bucket that is not said is the file's name below `prefix`.
pub(in crate::config) fn replicated(
    options: &LoadOptions<'_>,
    prefix: &str,
) -> Result<Option<(String, EnvReplica)>, Error> {
    let env = options.env;
    let (url, bucket) = (set(env, REPLICA_URL), set(env, REPLICA_BUCKET));
    let replica_variable = match (&url, &bucket) {
        (Some(_), _) => REPLICA_URL,
        (None, Some(_)) => REPLICA_BUCKET,
        (None, None) => return Ok(None),
    };
    refused(env_replica::wrong(env))?;
    let fail = |problem| Error::new(Origin::Environment, 0, 0, problem);
    let database_url =
        set(env, "DATABASE_URL").ok_or_else(|| fail(Problem::NoDatabaseUrl { replica: replica_variable }))?;
    let database = named(&database_url, options.cwd).map_err(fail)?;
    let name = database.rsplit('/').next().unwrap_or_default();
    let tail = join(prefix.trim_start_matches('/'), name);
    let place = match (url, bucket) {
        (Some(url), _) => {
            let other = below(&url, &tail).map(|url| at_url(url, Variable::Own));
            EnvReplica { replica: at_url(url, Variable::Named(REPLICA_URL.to_owned())), other }
        }
        (None, bucket) => in_bucket(env, &bucket.unwrap_or_default(), &tail, true),
    };
    Ok(Some((database, place)))
}

/// Returns the same if there is a database's URL: whose replica is missing, or what is wrong with it.
pub(in crate::config) fn half_given(options: &LoadOptions<'_>) -> Option<Error> {
    let url = set(options.env, "DATABASE_URL")?;
    let problem = match named(&url, options.cwd) {
        Ok(database) => Problem::Given(Given::NoReplica { database }),
        Err(problem @ (Problem::TwoReadings { .. } | Problem::Given(_))) => problem,
        // A database of another kind is not expected to be replicated here.
        Err(_) => return None,
    };
    Some(Error::new(Origin::Environment, 0, 0, problem))
}

/// Reads the file from a `DATABASE_URL`, and refuses one that no shell has read.
fn named(url: &str, cwd: &Path) -> Result<String, Problem> {
    const NAME: &str = "DATABASE_URL";
    match unread(NAME, url, true).or_else(|| one_path(NAME, url, false, cwd)) {
        Some(given) => Err(Problem::Given(given)),
        None => database_of(url, cwd),
    }
}

/// Returns the problem of a text that is several paths, unless a file is called so.
pub(in crate::config) fn one_path(name: &str, text: &str, is_variable: bool, cwd: &Path) -> Option<Given> {
    let count = several(text, is_variable).filter(|_| !cwd.join(text).exists())?;
    Some(Given::SeveralPaths { name: name.to_owned(), text: text.to_owned(), count })
}

/// Returns the file that a `DATABASE_URL` names. Relative ones stay relative to `cwd`.
pub(in crate::config) fn database_of(url: &str, cwd: &Path) -> Result<String, Problem> {
    match database_url::named(url, Slashes::Unknown) {
        Named::File(path) if is_file_url(url) && !path.starts_with('/') => Ok(below_prisma(cwd, path)),
        Named::File(path) => Ok(path),
        Named::Either { relative, absolute } => {
            let exists = |path: &str| cwd.join(path).exists();
            let may_be_made = |path: &str| {
                let folder = cwd.join(path).parent().map(Path::to_owned).unwrap_or_default();
                folder.is_dir() && access(&folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
            };
            let path = cwd.join(&relative);
            match database_url::choose(&relative, &absolute, exists, may_be_made) {
                _ if path == Path::new(&absolute) => Ok(absolute),
                Some(true) => Ok(relative),
                Some(false) => Ok(absolute),
                None => Err(Problem::TwoReadings { relative: path, absolute: absolute.into() }),
            }
        }
        Named::Memory => Err(Problem::MemoryDatabaseUrl),
        Named::Foreign(scheme) => Err(Problem::ForeignDatabaseUrl { scheme }),
    }
}

fn is_file_url(url: &str) -> bool {
    url.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"))
}

/// Puts the path of a `file:` URL below the folder of Prisma's schema, where a schema has it from this variable.
fn below_prisma(cwd: &Path, path: String) -> String {
    // No schema is as long, and nothing but a file is read.
    let text = |file: &Path| {
        let bytes = open::whole(file, 1 << 20).ok().filter(|bytes| !bytes.is_empty())?;
        String::from_utf8(bytes).ok()
    };
    if PRISMA_CONFIGS.iter().any(|file| cwd.join(file).is_file()) {
        return path;
    }
    let is_it = |file: &Path| text(file).is_some_and(|text| text.contains("DATABASE_URL"));
    let package = text(&cwd.join("package.json"));
    for schema in database_url::prisma_schemas(package.as_deref()) {
        let file = cwd.join(&schema);
        let folder = match schema.rsplit_once('/') {
            _ if file.is_dir() => Some(schema.as_str()),
            Some((folder, _)) => Some(folder),
            None => None,
        };
        let mut parts: Vec<PathBuf> = match std::fs::read_dir(&file) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => vec![file],
        };
        parts.retain(|part| part.extension().is_some_and(|extension| extension == "prisma"));
        if parts.iter().any(|part| is_it(part)) {
            return folder.map_or_else(|| path.clone(), |folder| format!("{folder}/{path}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_urls_name_files() {
        for (url, path) in [
            ("sqlite:a.db", "a.db"),
            ("sqlite3:///data/a.db", "/data/a.db"),
            ("sqlite:////data/a.db", "/data/a.db"),
            ("sqlite+aiosqlite:///data/a.db", "data/a.db"),
            ("sqlite3://a.db?mode=rwc", "a.db"),
            ("file:./dev.db", "./dev.db"),
            ("file:/data/a%20b.db?mode=rw", "/data/a b.db"),
            ("file:///data/a.db", "/data/a.db"),
            ("file://localhost/data/a.db", "/data/a.db"),
            ("storage/a.db", "storage/a.db"),
        ] {
            assert_eq!(database_of(url, Path::new("/nowhere")), Ok(path.to_owned()), "{url}");
        }
        for url in
            ["sqlite::memory:", "sqlite://:memory:", "sqlite3:///:memory:", "file:x?mode=memory", "sqlite:"]
        {
            assert_eq!(database_of(url, Path::new("/nowhere")), Err(Problem::MemoryDatabaseUrl), "{url}");
        }
    }

    #[test]
    fn a_url_with_two_readings_is_the_file_that_can_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let cwd = folder.path().join("app");
        std::fs::create_dir_all(cwd.join("data")).expect("a folder");
        let inside = format!("{}/x.db", &folder.path().display().to_string()[1..]);
        let of = |path: &str| database_of(&format!("sqlite:///{path}"), &cwd);
        // Its folder is there from the root only, then from the working folder only.
        assert_eq!(of(&inside), Ok(format!("/{inside}")));
        assert_eq!(of("data/x.db"), Ok("data/x.db".to_owned()));
        let both =
            Problem::TwoReadings { relative: cwd.join("nowhere/x.db"), absolute: "/nowhere/x.db".into() };
        assert_eq!(of("nowhere/x.db"), Err(both));
        std::fs::create_dir_all(cwd.join(&inside).parent().expect("a folder")).expect("a folder");
        assert!(of(&inside).is_err(), "both folders can be written to");
        std::fs::write(cwd.join(&inside), "").expect("a file");
        assert_eq!(of(&inside), Ok(inside.clone()));
        std::fs::write(format!("/{inside}"), "").expect("a file");
        assert!(of(&inside).is_err(), "both are there");
    }

    #[test]
    fn prismas_file_is_relative_to_the_schema() {
        let folder = tempfile::tempdir().expect("a folder");
        let cwd = folder.path();
        assert_eq!(database_of("file:./dev.db", cwd), Ok("./dev.db".to_owned()));
        std::fs::create_dir(cwd.join("prisma")).expect("a folder");
        let schema = "datasource db { provider = \"sqlite\"\n url = env(\"DATABASE_URL\") }";
        std::fs::write(cwd.join("prisma/schema.prisma"), schema).expect("a file");
        assert_eq!(database_of("file:./dev.db", cwd), Ok("prisma/./dev.db".to_owned()));
        assert_eq!(database_of("file:/data/dev.db", cwd), Ok("/data/dev.db".to_owned()));
        assert_eq!(database_of("sqlite:dev.db", cwd), Ok("dev.db".to_owned()));
        std::fs::write(cwd.join("prisma.config.ts"), "").expect("a file");
        assert_eq!(database_of("file:./dev.db", cwd), Ok("./dev.db".to_owned()));
    }
}
