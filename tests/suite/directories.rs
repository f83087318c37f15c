//! Folders of databases: what Litestream finds itself is restored, gated, watched and drained by name.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST, NO_SOCKET};
use crate::support::process::Running;
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// A world with a folder of databases, and where their backups are.
struct Folder {
    world: World,
    replica: Value,
}

impl Folder {
    fn on_a_folder() -> Self {
        let world = World::new();
        let replica = json!({"path": world.path("backup")});
        Self { world, replica }.with_dir()
    }

    fn on_s3(s3: &S3) -> Self {
        s3.bucket("backups");
        Self { world: World::new(), replica: s3_replica(s3) }.with_dir()
    }

    fn with_dir(self) -> Self {
        fs::create_dir_all(self.path("x")).expect("the world can be written");
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.path("data").join(name)
    }

    fn config(&self, further: &Value) -> PathBuf {
        let mut entry = json!({"dir": self.world.path("data"), "pattern": "*.db", "replica": self.replica});
        entry.as_object_mut().expect("a mapping").extend(further.as_object().expect("a mapping").clone());
        self.world.write("litestream.yml", &json!({"dbs": [entry]}).to_string())
    }

    fn keeper(&self, further: &Value) -> Keeper {
        let keeper = Keeper::new(&self.world).config(&self.config(further));
        // Time enough to drain many databases on a busy machine.
        keeper.env("LITEKEEPER_STOP_TIMEOUT", "2m")
    }

    fn start(&self, further: &Value) -> Running {
        let ready = self.world.trace().all("ready").len();
        let running = self.keeper(further).app(App::new(&self.world.trace()).ready().wait()).start();
        self.world.trace().wait_nth(ready + 1, "ready");
        running
    }

    /// The rows of a backup, as Litestream restores it.
    fn backup(&self, name: &str) -> usize {
        let mut replica = self.replica.clone();
        replica["path"] = format!("{}/{name}", replica["path"].as_str().expect("a path")).into();
        let config = json!({"dbs": [{"path": self.path(name), "replica": replica}]});
        let config = self.world.write("restore.yml", &config.to_string());
        sqlite::count(&Backup::Config(&config, &self.path(name)).restore(&self.world, LATEST))
    }

    fn wipe(&self) {
        fs::remove_dir_all(self.world.path("data")).expect("nobody uses it");
        fs::create_dir(self.world.path("data")).expect("the world can be written");
    }
}

fn s3_replica(s3: &S3) -> Value {
    json!({"type": "s3", "bucket": "backups", "path": "all", "endpoint": s3.endpoint(), "region": "us-east-1",
        "access-key-id": crate::support::s3::KEY, "secret-access-key": crate::support::s3::SECRET})
}

fn is_locked(db: &Path) -> bool {
    let name = format!(".{}-litekeeper.lock", db.file_name().unwrap().to_string_lossy());
    fs::File::open(db.with_file_name(name)).is_ok_and(|lock| lock.try_lock().is_err())
}

fn assert_restored_gated_and_drained(folder: &Folder) {
    for (name, rows) in [("a.db", 3), ("b.db", 4), ("x/c.db", 5)] {
        sqlite::create(&folder.path(name), rows);
    }
    fs::write(folder.path("text.db"), "no database").expect("the folder is there");
    let further = json!({"recursive": true});
    let running = folder.start(&further);
    assert_eq!((folder.backup("a.db"), folder.backup("b.db"), folder.backup("x/c.db")), (3, 4, 5), "gated");
    assert!(is_locked(&folder.path("x/c.db")) && !is_locked(&folder.path("text.db")));
    sqlite::insert(&folder.path("x/c.db"), 2);
    running.stop(143).expect_log("everything is on the replica");
    assert_eq!(folder.backup("x/c.db"), 7, "drained");

    folder.wipe();
    sqlite::create(&folder.path("new.db"), 1);
    let app = App::new(&folder.world.trace())
        .count(&folder.path("a.db"))
        .count(&folder.path("x/c.db"))
        .ready()
        .wait();
    let running = folder.keeper(&further).app(app).start();
    assert_eq!(folder.world.trace().wait_nth(1, "count").rest, "3", "restored");
    assert_eq!(folder.world.trace().wait_nth(2, "count").rest, "7", "restored");
    assert_eq!(folder.backup("new.db"), 1, "gated");
    running.stop(143);
}

#[test]
fn what_is_missing_is_restored_and_what_is_there_gated_and_drained_on_a_folder() {
    assert_restored_gated_and_drained(&Folder::on_a_folder());
}

#[test]
fn what_is_missing_is_restored_and_what_is_there_gated_and_drained_on_s3() {
    let s3 = S3::start();
    assert_restored_gated_and_drained(&Folder::on_s3(&s3));
}

/// A release that is asked by a listing knows a database of a folder by no name of its own.
#[test]
fn a_litestream_without_a_socket_starts_on_a_folder_that_has_a_backup() {
    let folder = Folder::on_a_folder();
    sqlite::create(&folder.path("a.db"), 3);
    let keeper = |app: App| {
        let keeper = folder.keeper(&json!({"watch": true}));
        keeper.litestream(NO_SOCKET).args(["--allow-litestream", NO_SOCKET, "--gate-timeout", "20s"]).app(app)
    };
    let trace = folder.world.trace();
    for rows in [3, 5] {
        let app = App::new(&trace).insert(&folder.path("a.db"), 2).exit(0);
        keeper(app).run().expect_code(0);
        assert_eq!(folder.backup("a.db"), rows + 2);
    }
}

#[test]
fn only_what_the_pattern_means_is_restored() {
    let folder = Folder::on_a_folder();
    sqlite::create(&folder.path("a.db"), 3);
    sqlite::create(&folder.path("x/c.db"), 3);
    folder.start(&json!({"recursive": true})).stop(143);
    folder.wipe();
    sqlite::create(&folder.path("b.db"), 1);
    folder.start(&json!({})).stop(143);
    assert!(folder.path("a.db").exists() && !folder.path("x").exists());
}

#[test]
fn a_database_older_than_its_backup_is_refused() {
    for on_s3 in [false, true] {
        let s3 = S3::start();
        let folder = if on_s3 { Folder::on_s3(&s3) } else { Folder::on_a_folder() };
        sqlite::create(&folder.path("a.db"), 3);
        folder.start(&json!({})).stop(143);
        let copy = folder.world.path("copy");
        let copied =
            std::process::Command::new("cp").arg("-a").arg(folder.world.path("data")).arg(&copy).status();
        assert!(copied.expect("cp is there").success());
        let running = folder.start(&json!({}));
        sqlite::insert(&folder.path("a.db"), 3);
        running.stop(143);
        fs::remove_dir_all(folder.world.path("data")).expect("nobody uses it");
        fs::rename(&copy, folder.world.path("data")).expect("the world can be written");
        let ended = folder.keeper(&json!({})).app(["true"]).run();
        ended.expect_code(69).expect_log("is older than its backup").expect_log("a.db");
    }
}

#[test]
fn what_appears_while_it_runs_is_watched_and_drained_and_may_be_deleted() {
    let s3 = S3::start();
    let folder = Folder::on_s3(&s3);
    let further = json!({"watch": true, "recursive": true});
    let running = folder.start(&further);
    sqlite::create(&folder.path("a.db"), 3);
    sqlite::create(&folder.path("x/b.db"), 3);
    for name in ["a.db", "x/b.db"] {
        running.wait_log(1, &format!("replicating {}", folder.path(name).display()));
        assert!(is_locked(&folder.path(name)));
    }
    for name in ["a.db", "a.db-wal", "a.db-shm"] {
        let _ = fs::remove_file(folder.path(name));
    }
    running.wait_log(1, "was deleted or moved, and is not replicated any more");
    sqlite::insert(&folder.path("x/b.db"), 4);
    let ended = running.stop(143);
    assert!(!ended.log.contains("deleted or replaced"), "{}", ended.log);
    assert_eq!(folder.backup("x/b.db"), 7);
}

#[test]
fn what_is_renamed_while_it_runs_is_replicated_by_its_new_name() {
    let folder = Folder::on_a_folder();
    sqlite::create(&folder.path("a.db"), 3);
    let running = folder.start(&json!({"watch": true}));
    for end in ["", "-wal", "-shm"] {
        let path = |name: &str| folder.path(&format!("{name}{end}"));
        let _ = fs::rename(path("a.db"), path("b.db"));
    }
    running.wait_log(1, &format!("replicating {}", folder.path("b.db").display()));
    let ended = running.stop(143);
    assert!(!ended.log.contains("another keeper"), "{}", ended.log);
    assert_eq!(folder.backup("b.db"), 3);
}

/// Whether a process has a file open that was deleted.
fn has_deleted_open(pid: i32, path: &Path) -> bool {
    let deleted = format!("{} (deleted)", path.display());
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    open.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == deleted.as_str()))
}

/// Nothing is configured wrong: nothing is there yet.
#[test]
fn an_empty_folder_that_is_watched_is_told_to_be_one() {
    let world = World::new();
    let text = "dbs: [{dir: tenants, pattern: '*.db', watch: true, replica: {path: backup}}]\n";
    let config = world.write("litestream.yml", text);
    let ended = Keeper::new(&world).config(&config).app(["true"]).run().expect_code(0);
    let dir = world.path("tenants").display().to_string();
    let said = format!("replicating nothing yet: {dir} has no database called `*.db`, and it is watched");
    assert!(!ended.expect_log(&said).log.contains("no database is configured"));
}

#[test]
fn a_database_that_is_deleted_and_made_again_at_once_is_replicated() {
    let folder = Folder::on_a_folder();
    let path = folder.path("a.db");
    sqlite::create(&path, 3);
    let running = folder.start(&json!({"watch": true}));
    let litestream = running.litestream().pid;
    sqlite::remove(&path);
    wait_until("litestream to let go of it", DEADLINE, || !has_deleted_open(litestream, &path));
    sqlite::create(&path, 4);
    // Litestream takes it in by itself, or is told of it: whoever sees the new file first.
    wait_until("the new one's rows on the replica", DEADLINE, || folder.backup("a.db") == 4);
    let ended = running.stop(143);
    assert!(!ended.log.contains("deleted or replaced"), "{}", ended.log);
    assert_eq!(folder.backup("a.db"), 4);
}

#[test]
fn what_appears_over_the_backup_of_another_file_is_told() {
    let folder = Folder::on_a_folder();
    let path = folder.path("a.db");
    sqlite::create(&path, 3);
    let running = folder.start(&json!({"watch": true}));
    sqlite::remove(&path);
    running.wait_log(1, "was deleted or moved, and is not replicated any more");
    fs::remove_dir_all(folder.path(".a.db-litestream")).expect("it was replicated");
    sqlite::create(&path, 1);
    running.wait_log(1, "already held a backup, and is replicated over it");
    running.stop(143);
    assert_eq!(folder.backup("a.db"), 1);
}

#[test]
fn what_appears_in_the_moment_of_the_stop_is_drained() {
    let s3 = S3::start();
    let folder = Folder::on_s3(&s3);
    sqlite::create(&folder.path("a.db"), 1);
    let running = folder.start(&json!({"watch": true, "recursive": true}));
    sqlite::create(&folder.path("x/b.db"), 3);
    running.stop(143).expect_log("everything is on the replica");
    assert_eq!(folder.backup("x/b.db"), 3);
}

/// It is in no file of Litestream's yet, and nobody was told of it.
#[test]
fn what_appeared_when_litestream_or_its_shim_died_is_drained() {
    for victim in [Running::litestream, Running::shim] {
        let folder = Folder::on_a_folder();
        let (new, go) = (folder.path("new.db"), folder.world.path("go"));
        let app = App::new(&folder.world.trace()).ready().until(&go).insert(&new, 20).ready().wait();
        let keeper = folder.keeper(&json!({"watch": true})).args(["--restart-delay", "1m"]);
        let running = keeper.app(app).start();
        folder.world.trace().wait("ready");
        fs::write(&go, "").expect("the world can be written");
        folder.world.trace().wait_nth(2, "ready");
        running.kill(&victim(&running), Signal::SIGKILL);
        running.wait_log(1, "starting litestream and the app");
        running.stop(143).expect_log("everything is on the replica");
        assert_eq!(folder.backup("new.db"), 20);
    }
}

/// Whoever deletes a database closes it; an app that goes on writing to it has rows that nobody replicates.
#[test]
fn what_is_moved_out_of_its_folder_while_the_app_writes_to_it_is_no_good_end() {
    let folder = Folder::on_a_folder();
    let (a, out) = (folder.path("a.db"), folder.world.path("out"));
    fs::create_dir(&out).expect("the world can be written");
    let app = App::new(&folder.world.trace()).insert_forever(&a, 20);
    let running = folder.keeper(&json!({"watch": true})).args(["--max-lag", "2s"]).app(app).start();
    folder.world.trace().wait_acked(10);
    running.wait_log(1, &format!("replicating {}", a.display()));
    let with = |name: &str| ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{name}{end}")));
    for name in with("a.db") {
        fs::rename(folder.path("").join(&name), out.join(&name)).expect("it is there");
    }
    running.wait_log(1, "a.db was deleted or moved, and is not replicated any more");
    running.wait_log(1, "a.db has not confirmed a change for 2 s");
    // Back under another name it is another one's backup, and nothing is lost.
    for (from, to) in with("a.db").into_iter().zip(with("b.db")) {
        fs::rename(out.join(from), folder.path("").join(to)).expect("it is there");
    }
    running.wait_log(1, &format!("replicating {}", folder.path("b.db").display()));
    let ended = running.stop(143);
    ended.expect_log("everything is on the replica");
    assert_eq!(folder.backup("b.db"), folder.world.trace().acked().len());

    let (c, acked) = (folder.path("c.db"), folder.world.trace().acked().len());
    let app = App::new(&folder.world.trace()).insert_forever(&c, 20);
    let running = folder.keeper(&json!({"watch": true})).app(app).start();
    folder.world.trace().wait_acked(acked + 10);
    running.wait_log(1, "c.db");
    for name in with("c.db") {
        fs::rename(folder.path("").join(&name), out.join(&name)).expect("it is there");
    }
    running.wait_log(1, "c.db was deleted or moved, and is not replicated any more");
    folder.world.trace().wait_acked(folder.world.trace().acked().len() + 100);
    let ended = running.stop(74).expect_log("deleted or replaced while");
    assert!(!ended.log.contains("everything is on the replica"), "{}", ended.log);
}

#[test]
fn a_drain_that_fails_names_what_appeared() {
    let s3 = S3::start();
    let folder = Folder::on_s3(&s3);
    let app = App::new(&folder.world.trace()).ready().wait();
    let keeper = folder.keeper(&json!({"watch": true})).env("LITEKEEPER_STOP_TIMEOUT", "5s");
    let running = keeper.app(app).start();
    folder.world.trace().wait("ready");
    sqlite::create(&folder.path("a.db"), 3);
    running.wait_log(1, &format!("replicating {}", folder.path("a.db").display()));
    wait_until("its backup", DEADLINE, || s3.objects("backups").iter().any(|key| key.contains("a.db")));
    s3.fail_with(403);
    sqlite::insert(&folder.path("a.db"), 1);
    running.signal(Signal::SIGTERM);
    running.finish().expect_code(74).expect_log("not everything is on the replica").expect_log("a.db -> ");
}

/// As on a fresh disk: Litestream itself does not start without it.
#[test]
fn a_watched_folder_that_is_missing_is_made() {
    let world = World::new();
    let dir = world.path("data/tenants");
    let text = format!(
        "dbs: [{{dir: {}, pattern: '*.db', watch: true, replica: {{path: {}}}}}]\n",
        dir.display(),
        world.path("replica").display()
    );
    let config = world.write("l.yml", &text);
    let checked = Keeper::new(&world).command("check").config(&config).run().expect_code(0);
    assert!(!checked.stdout.contains("empty-dir"), "{}", checked.stdout);
    let app = App::new(&world.trace()).on_exit("TERM", 0).insert(&dir.join("a.db"), 3).wait();
    let running = Keeper::new(&world).config(&config).app(app).start();
    running.wait_log(1, &format!("replicating {}", dir.join("a.db").display()));
    running.stop(0).expect_log("everything is on the replica");
}

/// Litestream opens it, and waits until somebody writes to it.
#[test]
fn a_pipe_that_appears_is_told_once() {
    let folder = Folder::on_a_folder();
    // It does not end by itself any more.
    let keeper = folder.keeper(&json!({"watch": true})).args(["--stop-timeout", "6s"]);
    let running = keeper.app(App::new(&folder.world.trace()).ready().wait()).start();
    folder.world.trace().wait("ready");
    let mode = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&folder.path("pipe.db"), mode).expect("a pipe");
    running.wait_log(1, "pipe.db: a pipe, from which litestream wants to read");
    fs::remove_file(folder.path("pipe.db")).expect("it is there");
    sqlite::create(&folder.path("a.db"), 3);
    running.wait_log(1, &format!("replicating {}", folder.path("a.db").display()));
    let ended = running.stop(143);
    assert_eq!(ended.log.matches("wants to read").count(), 1, "{}", ended.log);
}

#[test]
fn what_appears_without_a_watch_is_told() {
    let folder = Folder::on_a_folder();
    sqlite::create(&folder.path("a.db"), 3);
    let running = folder.start(&json!({}));
    sqlite::create(&folder.path("b.db"), 3);
    running.wait_log(1, "appeared in a folder without `watch: true`");
    running.stop(143);
}

#[test]
fn two_keepers_do_not_share_a_database_of_a_folder() {
    let folder = Folder::on_a_folder();
    sqlite::create(&folder.path("a.db"), 3);
    let running = folder.start(&json!({}));
    let other = Keeper::new(&folder.world).db(&folder.path("a.db")).replica(&folder.world.replica_url());
    other.app(["true"]).run().expect_code(75);
    running.stop(143);
}

#[test]
fn a_bucket_that_cannot_be_listed_stops_the_start() {
    let s3 = S3::start();
    let folder = Folder::on_s3(&s3);
    s3.fail_with(403);
    let ended = folder.keeper(&json!({"watch": true})).app(App::new(&folder.world.trace()).exit(0)).run();
    assert!(folder.world.trace().is_empty(), "{}", ended.log);
    assert!(!ended.log.contains(crate::support::s3::SECRET), "{}", ended.log);
    ended.expect_code(69).expect_log("cannot be listed").expect_log("AccessDenied");
}

#[test]
fn the_gate_does_not_wait_for_what_is_deleted_meanwhile() {
    let s3 = S3::start();
    s3.bucket("backups");
    let folder = Folder::on_a_folder();
    let (went, stays) = (folder.path("went.db"), folder.path("stays.db"));
    // No more are asked about at once, so that the folder's have to wait until these are there.
    let others: Vec<PathBuf> = (0..16).map(|number| folder.world.path(&format!("{number}.db"))).collect();
    let entry = |(number, path): (usize, &PathBuf)| {
        let mut replica = s3_replica(&s3);
        replica["path"] = format!("{number}").into();
        json!({"path": path, "replica": replica})
    };
    let mut dbs: Vec<Value> = others.iter().enumerate().map(entry).collect();
    dbs.push(json!({"dir": folder.world.path("data"), "pattern": "*.db", "watch": true, "replica": folder.replica}));
    others.iter().chain([&went, &stays]).for_each(|path| sqlite::create(path, 3));
    let config = folder.world.write("litestream.yml", &json!({"dbs": dbs}).to_string());
    s3.hold_puts();
    let keeper = Keeper::new(&folder.world).config(&config).env("LITEKEEPER_GATE_TIMEOUT", "1h");
    let running = keeper.app(App::new(&folder.world.trace()).ready().wait()).start();
    s3.wait_puts(16);
    sqlite::remove(&went);
    s3.resume();
    folder.world.trace().wait_nth(1, "ready");
    running.stop(143);
    assert_eq!(folder.backup("stays.db"), 3);
}

#[test]
fn the_shim_of_a_dead_keeper_drains_a_folder_and_litestream_comes_back_with_it() {
    let s3 = S3::start();
    let folder = Folder::on_s3(&s3);
    let running = folder.start(&json!({"watch": true}));
    sqlite::create(&folder.path("a.db"), 3);
    running.wait_log(1, &format!("replicating {}", folder.path("a.db").display()));
    running.litestream().signal(Signal::SIGKILL);
    folder.world.trace().wait_nth(2, "ready");
    sqlite::insert(&folder.path("a.db"), 2);
    running.signal(Signal::SIGKILL);
    running.finish();
    assert_eq!(folder.backup("a.db"), 5);
}

#[test]
fn a_hundred_databases_of_a_folder_are_gated_restored_and_drained() {
    let folder = Folder::on_a_folder();
    let names: Vec<String> = (0..100).map(|number| format!("t{number}.db")).collect();
    names.iter().for_each(|name| sqlite::create(&folder.path(name), 1));
    let running = folder.start(&json!({}));
    for name in &names {
        sqlite::insert(&folder.path(name), 1);
    }
    running.stop(143).expect_log("everything is on the replica");
    folder.wipe();
    fs::write(folder.path("none.db"), "").expect("the folder is there");
    let running =
        folder.keeper(&json!({"watch": true})).app(App::new(&folder.world.trace()).ready().wait()).start();
    folder.world.trace().wait_nth(2, "ready");
    assert!(names.iter().all(|name| sqlite::count(&folder.path(name)) == 2));
    running.stop(143);
}
