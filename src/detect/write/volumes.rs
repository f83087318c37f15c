//! The folders that belong on a volume.

use crate::detect::path::{self, is_below};
use crate::detect::{Database, Plan, spare};

/// The folders of databases without code in them, as the image has them.
pub(super) struct Volumes {
    /// Those of replicated databases.
    pub replicated: Vec<String>,
    /// Those of databases that are not, and do not come back.
    pub others: Vec<String>,
}

impl Volumes {
    pub fn of(plan: &Plan) -> Self {
        let folders = |databases: &mut dyn Iterator<Item = &Database>| {
            let mut found: Vec<String> = Vec::new();
            for database in databases {
                let folder = spare::folder(database);
                let is_plain = !path::has_variable(&database.path);
                let is_own = folder != "." && folder != plan.folder && folder != "/";
                let volume = path::join(plan.workdir(), &folder);
                if is_plain && is_own && !database.beside_code && !found.contains(&volume) {
                    found.push(volume);
                }
            }
            // A folder below another one is in that one's volume.
            let all = found.clone();
            found.retain(|one| !all.iter().any(|other| one != other && is_below(one, other)));
            found
        };
        let replicated = folders(&mut plan.databases.iter().filter(|database| database.is_replicated()));
        let all = plan.databases.iter().chain(&plan.spares);
        let mut others =
            folders(&mut all.filter(|database| !database.is_replicated() && !database.comes_back));
        others.retain(|one| !replicated.iter().any(|volume| is_below(one, volume)));
        Self { replicated, others }
    }
}
