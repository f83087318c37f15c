//! One machine alone replicates what a resolver names: a second one with the same resolver is kept away by one lease for all.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST};
use crate::support::pair::signal_all;
use crate::support::process::{Ended, Running};
use crate::support::procfs::alive;
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::tenants::Tenants;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// A server, and two machines whose resolver says by name where all tenants go.
struct Fleet {
    s3: S3,
    one: Tenants,
    two: Tenants,
}

impl Fleet {
    fn new() -> Self {
        let s3 = S3::start();
        s3.bucket("backups");
        let machine = |name: &str| {
            let tenants = Tenants { world: World::named(name), replica: Box::new(|_| json!("shared")) };
            tenants.make(&[]);
            tenants
        };
        Self { s3, one: machine("one"), two: machine("two") }
    }

    /// The first with tenant `a`, of five rows.
    fn with_a() -> Self {
        let fleet = Self::new();
        fleet.one.make(&["a"]);
        fleet.one.name(&["a"]);
        fleet.two.name(&["a"]);
        fleet
    }

    /// The configuration of a machine, with these entries of `dbs`.
    fn config(&self, machine: &Tenants, dbs: &str) -> PathBuf {
        // The resolver itself.
        machine.config("1h");
        let shared = self.s3.replica("backups", "tenants").text();
        let own = format!(
            "litekeeper: {{resolver: {{command: [./resolver], interval: 1h}}, replicas: {{shared: {shared}}}}}"
        );
        machine.world.write("litestream.yml", &format!("{own}\ndbs: [{dbs}]\n"))
    }

    fn keeper(&self, machine: &Tenants, options: &[&str]) -> Keeper {
        let config = self.config(machine, "");
        Keeper::new(&machine.world).config(&config).envs(S3::env()).args(options)
    }

    #[track_caller]
    fn start(&self, machine: &Tenants, options: &[&str]) -> Running {
        start(machine, self.keeper(machine, options))
    }

    /// One whose app ends at once.
    fn run(&self, machine: &Tenants, options: &[&str]) -> Ended {
        run(machine, self.keeper(machine, options))
    }

    fn lock_path(&self) -> PathBuf {
        self.s3.folder("backups").join("tenants/lock.json")
    }

    fn lock(&self) -> Value {
        serde_json::from_slice(&fs::read(self.lock_path()).expect("there is a lock")).expect("it is JSON")
    }

    /// Puts another machine's in its place until somebody sees it.
    fn overtake(&self, running: &mut Running) {
        let theirs = json!({"owner": "three:1#0", "generation": 9, "expires_at": "2026-01-01T00:00:00Z"});
        wait_until("somebody to see it", DEADLINE, || {
            // It may just be written by the first one.
            self.s3.overwrite("backups", "tenants/lock.json", theirs.to_string());
            running.try_wait().is_some()
        });
    }

    /// The rows of a tenant's backup.
    fn backup(&self, name: &str) -> usize {
        let (world, path) = (&self.one.world, self.one.path(name));
        let replica = self.s3.replica("backups", &format!("tenants/{name}.db")).text();
        let config = format!("dbs: [{{path: {}, replica: {replica}}}]", path.display());
        let config = world.write(&format!("restore-{name}.yml"), &config);
        let restored = Backup::Config(&config, &path).restore(world, LATEST);
        sqlite::assert_sound(&restored);
        sqlite::count(&restored)
    }

    /// All locks in the bucket.
    fn locks(&self) -> Vec<String> {
        self.s3.objects("backups").into_iter().filter(|key| key.ends_with("lock.json")).collect()
    }
}

#[track_caller]
fn start(machine: &Tenants, keeper: Keeper) -> Running {
    let trace = machine.world.trace();
    let before = trace.all("ready").len();
    let running = keeper.app(App::new(&trace).ready().wait()).start();
    trace.wait_nth(before + 1, "ready");
    running
}

fn run(machine: &Tenants, keeper: Keeper) -> Ended {
    keeper.app(App::new(&machine.world.trace()).exit(0)).run()
}

#[test]
fn two_machines_with_one_resolver_are_kept_apart() {
    let fleet = Fleet::with_a();
    let (one, two) = (&fleet.one, &fleet.two);
    let first = fleet.start(one, &["--lease-ttl", "20s"]);
    let lock = fleet.lock();
    let config = one.world.path("litestream.yml");
    assert_eq!((&lock["database"], &lock["generation"]), (&json!(config.display().to_string()), &json!(1)));
    let before = fleet.s3.objects("backups");
    let ended = fleet.run(two, &["--lease-ttl", "20s", "--lease-wait", "0s"]).expect_code(75);
    let ended = ended.expect_log("another machine replicates to s3://backups/tenants");
    ended.expect_log("databases of their own").expect_log(&config.display().to_string());
    assert_eq!((two.asked(), two.path("a").exists()), (0, false), "the resolver was asked");
    assert!(two.world.trace().is_empty());
    let is_of_one = |key: &&String| before.contains(key) || key.starts_with("tenants/a.db/");
    let after = fleet.s3.objects("backups");
    assert_eq!(after.iter().find(|key| !is_of_one(key)), None, "something else was uploaded");
    first.stop(143).expect_log("everything is on the replica");
    assert_eq!(fleet.lock()["released"], true);
    // Nobody is waited for any more.
    fleet.run(two, &["--lease-ttl", "1h"]).expect_code(0);
    assert_eq!(sqlite::count(&two.path("a")), 5);
}

#[test]
fn tenants_that_come_and_go_share_what_was_taken_before_them() {
    let fleet = Fleet::with_a();
    let one = &fleet.one;
    let running = fleet.start(one, &["--lease-ttl", "1h"]);
    let lock = fleet.lock();
    one.make(&["b", "c"]);
    one.name(&["b", "c"]);
    let report = one.reload().expect_code(0).stdout;
    assert!(report.contains("added") && report.contains("removed"), "{report}");
    assert_eq!((fleet.lock(), fleet.locks()), (lock, vec!["tenants/lock.json".to_owned()]));
    // On one machine it is no question of waiting.
    let second = Keeper::new(&one.world).config(&one.world.path("litestream.yml")).envs(S3::env());
    let ended = run(one, second).expect_code(75);
    ended.expect_log("another machine replicates to").expect_log(&format!(":{} for", running.pid()));
    running.stop(143).expect_log("everything is on the replica");
    assert_eq!(["a", "b", "c"].map(|name| fleet.backup(name)), [5, 5, 5]);
}

/// On this machine a lock says that it is dead, elsewhere nobody knows.
#[test]
fn who_died_is_not_waited_for_here_and_for_a_while_elsewhere() {
    let fleet = Fleet::with_a();
    let (one, two) = (&fleet.one, &fleet.two);
    let first = fleet.start(one, &["--lease-ttl", "1h"]);
    signal_all(&first, Signal::SIGKILL);
    first.finish();
    // With an hour to wait it would not start.
    let second = fleet.start(one, &["--lease-ttl", "1h"]);
    assert_eq!(fleet.lock()["generation"], 2);
    sqlite::insert(&one.path("a"), 2);
    wait_until("the rows to be there", DEADLINE, || fleet.backup("a") == 7);
    signal_all(&second, Signal::SIGKILL);
    second.finish();
    let third = fleet.start(two, &["--lease-ttl", "3s"]);
    assert_eq!((fleet.lock()["generation"].clone(), sqlite::count(&two.path("a"))), (json!(3), 7));
    third.stop(143).expect_log("another machine replicates to").expect_log("everything is on the replica");
}

#[test]
fn whose_tenants_were_taken_over_uploads_nothing_more() {
    let fleet = Fleet::with_a();
    let mut running = fleet.start(&fleet.one, &["--lease-ttl", "1s"]);
    let ends = [running.litestream(), running.app()];
    fleet.overtake(&mut running);
    let ended = running.finish().expect_code(75);
    ended
        .expect_log("another machine has taken over a place that several databases have in common")
        .expect_log("nothing more is uploaded")
        .expect_log("three:1");
    assert!(!ends.iter().any(|process| alive(process.pid)));
    assert_eq!((fleet.lock()["owner"].clone(), fleet.backup("a")), (json!("three:1#0"), 5));
}

#[test]
fn strict_ends_all_tenants_in_time_and_refuses_those_that_nobody_holds() {
    let fleet = Fleet::with_a();
    let one = &fleet.one;
    let strict = ["--lease", "strict", "--lease-ttl", "4s"];
    let running = fleet.start(one, &strict);
    let elsewhere = fleet.s3.replica("backups", "elsewhere");
    let mut free = one.entry("b");
    free["replica"] = serde_json::from_str(&elsewhere.text()).expect("it is JSON");
    one.answer(&json!([one.entry("a"), free]).to_string());
    let why = "replica s3://backups/elsewhere: nobody can hold it for one machine alone, as --lease strict wants it";
    let report = one.reload().expect_code(78);
    assert!(report.log.contains(why) && report.log.contains("litekeeper.replicas"), "{}", report.log);
    let ends = [running.litestream(), running.app()];
    running.signal(Signal::SIGSTOP);
    wait_until("litestream and the app to end", DEADLINE, || !ends.iter().any(|process| alive(process.pid)));
    running.signal(Signal::SIGCONT);
    running.finish().expect_code(75);
    // As an answer to the first question it is the end.
    let started = one.world.trace().all("ready").len();
    fleet.run(one, &strict).expect_code(78).expect_log(why);
    assert_eq!(one.world.trace().all("ready").len(), started);
    assert!(!fleet.s3.objects("backups").iter().any(|key| key.starts_with("elsewhere")));
    one.name(&["a"]);
    fleet.run(one, &strict).expect_code(0);
}

/// What the resolver alone knows, nobody can hold before.
#[test]
fn freely_named_replicas_have_no_lease_and_that_is_said_once() {
    let s3 = S3::start();
    let tenants = Tenants::on_s3(&s3);
    tenants.make(&["a", "b"]);
    tenants.name(&["a"]);
    let running = tenants.run(tenants.keeper("1h"));
    tenants.name(&["a", "b"]);
    tenants.reload().expect_code(0);
    let ended = running.stop(143).expect_log("all other databases are on their replicas");
    let said = "two machines that replicate there at once are not kept apart";
    assert_eq!(ended.log.matches(said).count(), 1, "{}", ended.log);
    let quiet = run(&tenants, tenants.keeper("1h").args(["--lease", "off"])).expect_code(0);
    assert!(!quiet.log.contains(said), "{}", quiet.log);
    assert!(!s3.objects("backups").iter().any(|key| key.ends_with("lock.json")));
    let asked = tenants.asked();
    let why = "where the databases go that the resolver names is not known";
    let ended = run(&tenants, tenants.keeper("1h").args(["--lease", "strict"])).expect_code(78);
    ended.expect_log(why).expect_log("hint: define their replica in `litekeeper.replicas`");
    assert_eq!(tenants.asked(), asked);
    let check = Keeper::new(&tenants.world).command("check").config(&tenants.config("1h"));
    let found = check.args(["--lease", "strict"]).run().expect_code(78);
    assert!(found.stdout.contains(why) && found.stdout.contains("litekeeper.replicas"), "{}", found.stdout);
}

#[test]
fn check_names_a_tenant_that_strict_does_not_take() {
    let fleet = Fleet::with_a();
    let one = &fleet.one;
    let check = |options: &[&str]| {
        let config = fleet.config(one, "");
        let check = Keeper::new(&one.world).command("check").config(&config).envs(S3::env());
        check.args(["--lease", "strict"]).args(options).run()
    };
    let why = "for one machine alone";
    for found in [check(&[]), check(&["--online"])] {
        assert!(!found.stdout.contains(why), "{}", found.stdout);
    }
    let elsewhere: Value =
        serde_json::from_str(&fleet.s3.replica("backups", "elsewhere").text()).expect("it is JSON");
    one.answer(&json!([{"path": one.path("a"), "replica": elsewhere}]).to_string());
    let found = check(&["--online"]).expect_code(78);
    assert!(
        found.stdout.contains(why) && found.stdout.contains("s3://backups/elsewhere"),
        "{}",
        found.stdout
    );
}

/// On some servers no object can be where others are below.
#[test]
fn no_tenant_is_where_the_lock_is() {
    let fleet = Fleet::with_a();
    let one = &fleet.one;
    let mut entry = one.entry("a");
    entry["name"] = "lock.json".into();
    one.answer(&json!([entry]).to_string());
    let ended = fleet.run(one, &[]).expect_code(78);
    ended.expect_log("s3://backups/tenants/lock.json").expect_log("hint: give it another `name`");
    assert_eq!(fleet.locks(), ["tenants/lock.json"]);
    assert_eq!(fleet.lock()["released"], true);
}

/// One place has one lock, whoever has databases there.
#[test]
fn a_folder_and_a_resolver_with_one_place_share_its_lease() {
    let fleet = Fleet::with_a();
    let one = &fleet.one;
    fs::create_dir_all(one.world.path("data")).expect("the world can be written");
    sqlite::create(&one.world.path("data/x.db"), 3);
    let writes = || {
        let is_lock = |seen: &&String| seen.starts_with("PutObject") && seen.ends_with("tenants/lock.json");
        fleet.s3.seen().iter().filter(is_lock).count()
    };
    let dir = format!(
        "{{dir: {}, pattern: 'x*.db', replica: {{template: shared, path: tenants}}}}",
        one.world.path("data").display()
    );
    let mut each = Vec::new();
    // Over nothing it is one write less.
    for dbs in ["", "", dir.as_str()] {
        let before = writes();
        let config = fleet.config(one, dbs);
        let keeper = Keeper::new(&one.world).config(&config).envs(S3::env()).args(["--lease-ttl", "1h"]);
        start(one, keeper).stop(143).expect_log("everything is on the replica");
        each.push(writes() - before);
    }
    assert!(each[1] == each[2] && each[1] > 0, "{each:?}");
    assert_eq!(
        (fleet.locks(), fleet.backup("x"), fleet.backup("a")),
        (vec!["tenants/lock.json".to_owned()], 3, 5)
    );
}

/// Of all templates that a resolver may name, and of the environment's replica.
#[test]
fn the_environments_replica_is_held_as_a_template_is() {
    let fleet = Fleet::new();
    let (one, two) = (&fleet.one, &fleet.two);
    let keeper = |machine: &Tenants, options: &[&str]| {
        machine.answer(&json!([{"path": machine.path("a")}]).to_string());
        machine.config("1h");
        let text = "litekeeper: {path-prefix: env, resolver: {command: [./resolver], interval: 1h}}\n";
        let config = machine.world.write("litestream.yml", text);
        let keeper = Keeper::new(&machine.world).config(&config).envs(S3::env()).args(options);
        keeper.env("LITESTREAM_REPLICA_URL", fleet.s3.url("backups", "tenants"))
    };
    one.make(&["a"]);
    let running = start(one, keeper(one, &["--lease", "strict"]));
    assert_eq!(fleet.locks(), ["tenants/env/lock.json"]);
    let ended = run(two, keeper(two, &["--lease-wait", "0s"])).expect_code(75);
    ended.expect_log("another machine replicates to s3://backups/tenants/env");
    running.stop(143).expect_log("everything is on the replica");
    run(two, keeper(two, &[])).expect_code(0);
    assert_eq!(sqlite::count(&two.path("a")), 5);
}
