//! What only the files of the app's variables say, `.env` and those of `--env-file`, and Litekeeper would have to know.

use std::path::Path;

use super::context::CheckContext;
use super::rules::ENV_FILE_ONLY;
use crate::config::Origin;
use crate::config::lint::Lint;
use crate::dotenv;
use crate::os::open;

/// Read before there is any file of variables, or for a folder that comes before all else.
const NEVER_FROM_FILES: [&str; 3] =
    ["LITESTREAM_BINARY_PATH", "LITESTREAM_INSTALL_DIR", "LITESTREAM_ENABLED"];

/// The wrappers run inside of the framework, which has read `.env`; Litekeeper runs before it.
pub(super) fn look(context: &CheckContext<'_>) -> Vec<Lint> {
    let usual = context.cwd.join(".env");
    let mut files = vec![&usual];
    for file in &context.env_files {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files.into_iter().flat_map(|file| of_file(context, file)).collect()
}

fn of_file(context: &CheckContext<'_>, path: &Path) -> Vec<Lint> {
    let Ok(text) = open::beginning(path, dotenv::MAX_BYTES) else { return Vec::new() };
    // Of its own options `run` takes none from there.
    let is_read = context.env_files.iter().any(|file| file == path);
    let shown = path.strip_prefix(context.cwd).unwrap_or(path);
    let mut found = Vec::new();
    for (number, line) in dotenv::lines(&String::from_utf8_lossy(&text), &|_| None) {
        let Ok((name, value)) = line else { continue };
        let is_wanted = if is_read {
            let is_ours = name.starts_with("LITEKEEPER_") || NEVER_FROM_FILES.contains(&name.as_str());
            is_ours && !(context.is_looked_up)(&name)
        } else {
            let is_ours = ["LITESTREAM_", "LITEKEEPER_"].iter().any(|start| name.starts_with(start));
            is_ours || context.unset.contains(&name)
        };
        if is_wanted && !value.is_empty() && (context.variable)(&name).is_none() {
            let message = if is_read {
                format!(
                    "{name} is set in this file only, and Litekeeper takes none of its own options from there"
                )
            } else {
                format!("{name} is set in this file only, which is the app's: Litekeeper does not read it")
            };
            let lint = Lint::new(ENV_FILE_ONLY, &Origin::File(shown.to_owned()), message).at(number, 0);
            let file = shown.display();
            found.push(lint.hint(format!(
                "set it where litekeeper is started: `docker run --env-file {file}`, systemd's EnvironmentFile=, or `set -a; . ./{file}`",
            )));
        }
    }
    found
}
