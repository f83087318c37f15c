//! `litekeeper version`.

use std::path::PathBuf;

use serde_json::json;

use super::args;
use super::asker;
use super::opened;
use super::shown::{self, Lines};
use crate::cli::one_shot;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::litestream::version::Version;
use crate::os::children::Children;
use crate::printer::{self, Paint};

/// Says which Litekeeper and which Litestream this is. That there is no Litestream is said, and no failure.
///
/// # Errors
/// What is wrong with the settings.
pub(in crate::cli) fn version(args: &args::Version) -> Result<ExitCode, Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let (path, found) = one_shot::block_on(|children| find(args, children))?;
    if args.json {
        let found = found.map(|found| found.to_string());
        let path = path.map(|path| path.to_string_lossy().into_owned());
        shown::json(&json!({"litekeeper": own, "litestream": found, "litestream_path": path}))?;
        return Ok(ExitCode::OK);
    }
    let mut lines = Lines::new(["PROGRAM", "VERSION", "PATH"]);
    lines.add(Paint::Plain, ["litekeeper".to_owned(), own.to_owned(), shown::unknown()]);
    let (version, path) = (found.map(|found| found.to_string()), path.map(|path| path.display().to_string()));
    let cells = ["litestream".to_owned(), shown::known(version), shown::known(path)];
    lines.add(Paint::Plain, cells);
    lines.print("")?;
    Ok(ExitCode::OK)
}

async fn find(args: &args::Version, children: Children) -> (Option<PathBuf>, Option<Version>) {
    let (path, runner) = match opened::open(&args.given, None) {
        Ok(opened) => match opened.binary() {
            Ok(path) => (path.clone(), opened.runner(path, children)),
            Err(error) => {
                printer::note(&format!("{error}: {}", error.hint()));
                return (None, None);
            }
        },
        // Without a configuration there is a Litestream all the same.
        Err(_) => match asker::without_settings(&args.given, children) {
            Ok(found) => found,
            Err(error) => {
                printer::note(&format!("{error}: {}", error.hint()));
                return (None, None);
            }
        },
    };
    match runner.version().await {
        Ok(output) => match Version::parse(output.stdout.trim()) {
            Some(version) => (Some(path), Some(version)),
            None => {
                printer::note(&output.no_version(&path).0);
                (Some(path), None)
            }
        },
        Err(error) => {
            printer::note(&format!("`{} version`: {error}", path.display()));
            (Some(path), None)
        }
    }
}
