//! What makes a process of the app die in the middle of a commit: after the frame that commits is in the WAL, and before
//! the wal-index counts it. See `orphan.c`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::app::App;
use super::preload;
use super::wait::{DEADLINE, wait_until};
use super::world::World;

/// An app one of whose processes may be told to die so.
pub struct Orphan {
    trigger: PathBuf,
    held: Option<PathBuf>,
}

impl Orphan {
    /// The process is killed where it stands.
    pub fn killed(world: &World) -> Self {
        Self { trigger: world.path("orphan"), held: None }
    }

    /// The process waits there, for somebody to kill it.
    pub fn held(world: &World) -> Self {
        Self { trigger: world.path("orphan"), held: Some(world.path("orphan-held")) }
    }

    /// The command line of `app` with this in it; nothing else has it.
    pub fn app(&self, app: App) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["env".into()];
        let mut set = |name: &str, path: &Path| {
            let mut word = OsString::from(name);
            word.push("=");
            word.push(path);
            words.push(word);
        };
        set("LD_PRELOAD", library());
        set("ORPHAN", &self.trigger);
        if let Some(held) = &self.held {
            set("ORPHAN_HELD", held);
        }
        words.extend(app);
        words
    }

    /// From now on the next commit with `synchronous = FULL` is an orphan.
    pub fn arm(&self) {
        fs::write(&self.trigger, "").expect("the world can be written");
    }

    /// Waits until the commit is in the WAL and nowhere else.
    #[track_caller]
    pub fn wait(&self) {
        let held = || self.held.as_ref().is_none_or(|held| held.exists());
        wait_until("the orphan", DEADLINE, || !self.trigger.exists() && held());
    }
}

fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| preload::library("orphan"))
}
