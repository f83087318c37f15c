//! What detection may look at, and the question that it has.

use super::tree::Tree;

/// The project and what is around it.
pub struct Surroundings<'a> {
    /// The project's files.
    pub tree: &'a dyn Tree,
    /// The tree's own absolute path.
    pub root: &'a str,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Runs the project's own Python; `Err` is why that did not work.
    pub ask: Ask<'a>,
    /// Whether the replicas that the project names already are kept.
    pub keep_replicas: bool,
    /// Whether a configuration that is there already may be all that is needed.
    pub existing: bool,
    /// How many folders above the tree may be looked at for one.
    pub parents: usize,
}

/// What the project's own Python is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The folder with manage.py, relative to the tree.
    pub folder: String,
    /// `DJANGO_SETTINGS_MODULE`, unless the environment has one.
    pub settings: String,
}

impl Question {
    /// The program: prints one line of JSON, whatever the settings themselves print.
    pub const PROGRAM: &str = r#"
import json, os, sys
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.path.insert(0, os.getcwd())
from django.conf import settings
def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
keep = ("ENGINE", "NAME")
json.dump({
    "databases": [[alias, {key: plain(one.get(key)) for key in keep}] for alias, one in settings.DATABASES.items()],
    "litestream": plain(getattr(settings, "LITESTREAM", None)),
    "wsgi": getattr(settings, "WSGI_APPLICATION", None),
    "asgi": getattr(settings, "ASGI_APPLICATION", None),
}, out)
out.flush()
"#;
}

/// Runs the project's own Python; `Err` is why that did not work.
pub type Ask<'a> = &'a dyn Fn(&Question) -> Result<String, String>;
