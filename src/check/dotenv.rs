//! What only the app's `.env` says, and Litekeeper would have to know.

use super::rules::ENV_FILE_ONLY;
use super::site::Site;
use crate::config::Origin;
use crate::config::lint::Lint;
use crate::dotenv;
use crate::os::open;

/// More than this is no file of variables.
const MAX_FILE: usize = 1 << 20;

/// The wrappers run inside of the framework, which has read `.env`; Litekeeper runs before it.
pub(super) fn look(site: &Site<'_>) -> Vec<Lint> {
    let path = site.cwd.join(".env");
    let Ok(text) = open::beginning(&path, MAX_FILE) else { return Vec::new() };
    // Of its own options `run` takes none from there.
    let is_read = site.env_files.contains(&path);
    let mut found = Vec::new();
    for (number, line) in dotenv::lines(&String::from_utf8_lossy(&text), &|_| None) {
        let Ok((name, value)) = line else { continue };
        let is_ours = ["LITESTREAM_", "LITEKEEPER_"].iter().any(|start| name.starts_with(start));
        if is_read && !name.starts_with("LITEKEEPER_") {
            continue;
        }
        let is_wanted = is_ours || site.unset.contains(&name);
        if is_wanted && !value.is_empty() && (site.variable)(&name).is_none() {
            let message =
                format!("{name} is set in this file only, which is the app's: Litekeeper does not read it");
            let lint = Lint::new(ENV_FILE_ONLY, &Origin::File(".env".into()), message).at(number, 0);
            found.push(lint.hint(
                "set it where litekeeper is started: `docker run --env-file .env`, systemd's EnvironmentFile=, or `set -a; . ./.env`",
            ));
        }
    }
    found
}
