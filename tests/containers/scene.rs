//! A volume, containers on it, and what their apps were told, counted in a plain restore of the replica.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::podman::{BASE, Podman, text_of};
use crate::support::app::{App, Trace};
use crate::support::litestream::{Backup, LATEST};
use crate::support::process::{Ended, Running, Spec};
use crate::support::procfs::MARK;
use crate::support::world::World;

/// A name that no other container has.
pub fn fresh(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("lk-{what}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A volume with a database, its replica, and a trace, under the same path outside and inside.
pub struct Scene<'a> {
    /// Podman.
    pub podman: &'a Podman,
    /// What lies around the volume.
    pub world: World,
}

impl<'a> Scene<'a> {
    /// An empty volume.
    pub fn new(podman: &'a Podman) -> Self {
        let world = World::new();
        fs::create_dir(world.path("data")).expect("the world is empty");
        Self { podman, world }
    }

    /// The volume.
    pub fn volume(&self) -> PathBuf {
        self.world.path("data")
    }

    /// Whose the volume is, and who may do what in it.
    pub fn owned(self, user: u32, mode: u32) -> Self {
        chown(self.volume(), Some(user), Some(user)).expect("root may");
        fs::set_permissions(self.volume(), fs::Permissions::from_mode(mode)).expect("root may");
        self
    }

    /// The database.
    pub fn db(&self) -> PathBuf {
        self.volume().join("app.db")
    }

    /// What the apps wrote down.
    pub fn trace(&self) -> Trace {
        Trace::new(self.volume().join("trace"))
    }

    /// The backup.
    pub fn replica(&self) -> String {
        format!("file://{}/replica", self.volume().display())
    }

    /// An app that writes all the time, and a last row at TERM.
    pub fn writer(&self) -> App {
        App::new(&self.trace()).on_last("TERM", &self.db(), 0).insert_forever(&self.db(), 3)
    }

    /// The options for the usual database.
    pub fn keeps(&self) -> Vec<String> {
        ["--db", &self.db().display().to_string(), "--replica", &self.replica()].map(str::to_owned).to_vec()
    }

    /// Starts a container: options of `podman run`, options of `litekeeper run`, and the app.
    pub fn run(&self, options: &[&str], keeper: &[&str], app: App) -> Container<'a> {
        let mut command: Vec<String> = vec!["litekeeper".into(), "run".into()];
        if !keeper.iter().any(|word| ["--db", "--config"].contains(word)) {
            command.extend(self.keeps());
        }
        command.extend(keeper.iter().map(|word| (*word).to_owned()));
        command.push("--".into());
        command.extend(words(app));
        self.raw(options, &command)
    }

    /// Starts a container with any command.
    pub fn raw(&self, options: &[&str], command: &[String]) -> Container<'a> {
        let name = fresh("c");
        let mut spec = Spec::new(Path::new("podman"), self.world.root());
        spec.env("CONTAINERS_CONF", self.podman.config());
        spec.args(self.podman.global());
        spec.args(["run", "--rm", "--name", &name, "--env", MARK]);
        let network = options.iter().any(|option| option.starts_with("--network"));
        spec.args(if network { vec![] } else { vec!["--network", "none"] });
        spec.args(["--volume", &format!("{0}:{0}", self.volume().display())]);
        spec.args(["--volume", &format!("{}:/usr/local/bin:ro", self.podman.bin.display())]);
        spec.args(options);
        spec.args([BASE]);
        spec.args(command);
        Container { podman: self.podman, name, running: spec.start() }
    }

    /// Each row that the app was told to be committed is in a plain restore; returns their number.
    #[track_caller]
    pub fn assert_nothing_lost(&self) -> usize {
        Backup::Url(&self.replica()).assert_holds_acked(&self.world, LATEST, &self.trace())
    }

    /// The next start on the volume brings up what an end without a drain has left.
    #[track_caller]
    pub fn start_again(&self) {
        let app = App::new(&self.trace()).exit(0);
        self.run(&[], &[], app).finish().expect_code(0).expect_log("everything is on the replica");
        self.assert_nothing_lost();
    }
}

/// The words of an app inside of a container.
pub fn words(app: App) -> Vec<String> {
    let mut words: Vec<String> = app.into_iter().map(|word| word.into_string().expect("UTF-8")).collect();
    words[0] = "/usr/local/bin/probe".to_owned();
    words
}

/// A container that runs.
pub struct Container<'a> {
    podman: &'a Podman,
    name: String,
    /// `podman run`, attached to it: its log and its end are the container's.
    pub running: Running,
}

impl Container<'_> {
    /// `podman stop -t`, then the end.
    #[track_caller]
    pub fn stop(self, seconds: u32) -> Ended {
        self.podman.ok(["stop", "--time", &seconds.to_string(), &self.name]);
        self.finish()
    }

    /// `podman kill -s`.
    #[track_caller]
    pub fn kill(&self, signal: &str) {
        self.podman.ok(["kill", "--signal", signal, &self.name]);
    }

    /// `podman exec`: its code and what it said.
    pub fn exec(&self, words: &[&str]) -> (i32, String) {
        let output = self.podman.output([&["exec", self.name.as_str()], words].concat());
        (output.status.code().unwrap_or(-1), text_of(&output))
    }

    /// Its end, with nothing left of it.
    #[track_caller]
    pub fn finish(self) -> Ended {
        self.running.finish()
    }
}
