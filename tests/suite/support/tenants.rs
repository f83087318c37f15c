//! Databases that a resolver names.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::app::App;
use super::keeper::Keeper;
use super::litestream::{Backup, LATEST};
use super::process::{Ended, Running};
use super::s3::S3;
use super::sqlite;
use super::wait::{DEADLINE, wait_until};
use super::world::World;

/// A world whose resolver prints a file, with a static database beside the tenants.
pub struct Tenants {
    pub world: World,
    pub replica: Box<dyn Fn(&str) -> Value>,
}

impl Tenants {
    /// Their replicas are folders.
    pub fn in_folders() -> Self {
        let world = World::new();
        let root = world.root().to_owned();
        Self { world, replica: Box::new(move |name| json!({"path": root.join("backup").join(name)})) }
    }

    /// Their replicas are on this server.
    pub fn on_s3(s3: &S3) -> Self {
        s3.bucket("backups");
        Self::on_servers(s3, s3)
    }

    /// Tenant `b` on the second, all others on the first.
    pub fn on_servers(first: &S3, second: &S3) -> Self {
        let endpoints = [first.endpoint(), second.endpoint()];
        let replica = move |name: &str| {
            let endpoint = &endpoints[usize::from(name == "b")];
            json!({"type": "s3", "bucket": "backups", "path": name, "endpoint": endpoint, "region": "us-east-1"})
        };
        Self { world: World::new(), replica: Box::new(replica) }
    }

    /// Where a tenant's database is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.world.path(&format!("tenants/{name}.db"))
    }

    /// What the resolver says of one.
    pub fn entry(&self, name: &str) -> Value {
        json!({"path": self.path(name), "replica": (self.replica)(name)})
    }

    /// What the resolver prints from now on.
    pub fn answer(&self, text: &str) {
        self.replace("answer", text);
    }

    /// What the resolver does before it answers.
    pub fn script(&self, text: &str) {
        self.replace("script", text);
    }

    /// At once: the resolver may read it at any time.
    pub fn replace(&self, name: &str, text: &str) {
        let new = self.world.write("new", text);
        fs::rename(new, self.world.path(name)).expect("the world can be written");
    }

    /// Has the resolver name exactly these.
    pub fn name(&self, tenants: &[&str]) {
        let entries: Vec<Value> = tenants.iter().map(|name| self.entry(name)).collect();
        self.answer(&Value::from(entries).to_string());
    }

    /// `litestream.yml`, for the keeper and for restores by hand.
    pub fn config(&self, interval: &str) -> PathBuf {
        let program = "#!/bin/sh\necho >> asked\n[ -f script ] && . ./script\ncat answer\n";
        self.world.program("resolver", program);
        let top = format!("litekeeper: {{resolver: {{command: [./resolver], interval: {interval}}}}}");
        self.world.config_of(&top, [(self.world.db().as_path(), &self.world.replica())])
    }

    /// A keeper that asks the resolver this often.
    pub fn keeper(&self, interval: &str) -> Keeper {
        let keeper = Keeper::new(&self.world).config(&self.config(interval)).envs(S3::env());
        // Time enough to drain many databases on a busy machine.
        keeper.env("LITEKEEPER_STOP_TIMEOUT", "2m")
    }

    /// Makes the databases of these, with five rows each.
    pub fn make(&self, tenants: &[&str]) {
        fs::create_dir_all(self.world.path("tenants")).expect("the world can be written");
        tenants.iter().for_each(|name| sqlite::create(&self.path(name), 5));
    }

    /// A running app that writes to nothing by itself.
    pub fn start(&self, interval: &str) -> Running {
        self.make(&[]);
        self.run(self.keeper(interval))
    }

    /// The same with this keeper.
    pub fn run(&self, keeper: Keeper) -> Running {
        let running = keeper.app(App::new(&self.world.trace()).ready().wait()).start();
        self.world.trace().wait("ready");
        running
    }

    /// The same with a tenant that has so many rows, and a resolver that is asked when somebody wants it.
    pub fn start_with_a(&self, rows: u64) -> Running {
        self.make(&[]);
        sqlite::create(&self.path("a"), rows);
        self.name(&["a"]);
        self.start("10m")
    }

    /// Reloads, and waits for the end of that.
    pub fn reload(&self) -> Ended {
        self.reloader().run()
    }

    /// What reloads.
    pub fn reloader(&self) -> Keeper {
        Keeper::new(&self.world).command("reload").config(&self.world.path("litestream.yml"))
    }

    /// The rows of a tenant's backup.
    pub fn backup(&self, name: &str) -> usize {
        let config = json!({"dbs": [self.entry(name)]});
        let mut config = config;
        config["dbs"][0]["replica"]["access-key-id"] = super::s3::KEY.into();
        config["dbs"][0]["replica"]["secret-access-key"] = super::s3::SECRET.into();
        let config = self.world.write(&format!("restore-{name}.yml"), &config.to_string());
        let restored = Backup::Config(&config, &self.path(name)).restore(&self.world, LATEST);
        sqlite::assert_sound(&restored);
        sqlite::count(&restored)
    }

    /// How often the resolver was asked.
    pub fn asked(&self) -> usize {
        fs::read_to_string(self.world.path("asked")).unwrap_or_default().lines().count()
    }

    /// Waits until it was asked so many times more.
    pub fn wait_asked(&self, more: usize) {
        let wanted = self.asked() + more;
        wait_until("the resolver to be asked", DEADLINE, || self.asked() >= wanted);
    }
}

/// Whether a keeper has the lock of this database.
pub fn is_locked(db: &Path) -> bool {
    let name = format!(".{}-litekeeper.lock", db.file_name().unwrap().to_string_lossy());
    fs::File::open(db.with_file_name(name)).is_ok_and(|lock| lock.try_lock().is_err())
}
