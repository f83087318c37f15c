//! Databases that a resolver names: at the start, while the app runs, and when something goes wrong.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST, NO_SOCKET};
use crate::support::process::{Ended, Running};
use crate::support::procfs;
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::tenants::{Tenants, is_locked};
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

fn stdout(ended: &Ended) -> &str {
    &ended.stdout
}

fn assert_comes_and_goes(tenants: &Tenants) {
    let running = tenants.start_with_a(5);
    let app = running.app();
    assert_eq!(tenants.backup("a"), 5, "it is gated like any other");

    sqlite::create(&tenants.path("b"), 7);
    tenants.name(&["a", "b"]);
    let ended = tenants.reload().expect_code(0);
    assert!(stdout(&ended).contains(&format!("added {}", tenants.path("b").display())), "{}", ended.log);
    assert_eq!(tenants.backup("b"), 7, "it is confirmed before the answer");
    assert!(is_locked(&tenants.path("b")));

    sqlite::insert(&tenants.path("a"), 3);
    tenants.name(&["b"]);
    let ended = tenants.reload().expect_code(0);
    assert!(stdout(&ended).contains(&format!("removed {}", tenants.path("a").display())), "{}", ended.log);
    assert_eq!(tenants.backup("a"), 8, "it is drained before it goes");
    assert!(!is_locked(&tenants.path("a")));
    assert!(tenants.reload().expect_code(0).stdout.contains("nothing changed"));

    sqlite::insert(&tenants.path("b"), 4);
    assert_eq!(running.app().pid, app.pid, "the same app all the time");
    running.stop(143);
    assert_eq!(tenants.backup("b"), 11, "it is drained at the end");
}

#[test]
fn tenants_come_and_go_without_a_restart_on_a_folder() {
    assert_comes_and_goes(&Tenants::in_folders());
}

#[test]
fn tenants_come_and_go_without_a_restart_on_s3() {
    let s3 = S3::start();
    assert_comes_and_goes(&Tenants::on_s3(&s3));
}

#[test]
fn a_tenant_that_was_never_made_goes_as_that() {
    let tenants = Tenants::in_folders();
    tenants.name(&["a"]);
    let running = tenants.start("10m");
    tenants.name(&[]);
    let ended = tenants.reload().expect_code(0);
    assert!(stdout(&ended).contains("removed "), "{}", ended.log);
    let ended = running.stop(143);
    let ended = ended.expect_log("a.db was never made: nothing was replicated");
    assert!(!ended.log.contains("before it was let go"), "{}", ended.log);
}

/// Whoever asks is not told that nothing changed by a resolver that has said nothing.
#[test]
fn a_resolver_that_does_not_answer_is_a_failed_reload_each_time() {
    let tenants = Tenants::in_folders();
    tenants.name(&["a"]);
    let running = tenants.start("10m");
    tenants.name(&["a", "b"]);
    tenants.script("exec sleep 1000\n");
    for _ in 0..2 {
        let reload = Keeper::new(&tenants.world).command("reload").config(&tenants.config("10m"));
        let ended = reload.args(["--timeout", "3s"]).run().expect_code(69);
        ended.expect_log("the resolver has not answered within --timeout");
    }
    running.stop(143);
}

#[test]
fn the_interval_asks_by_itself() {
    let tenants = Tenants::in_folders();
    tenants.name(&[]);
    let running = tenants.start("1s");
    sqlite::create(&tenants.path("a"), 5);
    tenants.name(&["a"]);
    running.wait_log(1, "replicating ");
    wait_until("the tenant's backup", DEADLINE, || tenants.world.list("backup").contains(&"a".to_owned()));
    running.wait_log(1, &format!("replicating {}", tenants.path("a").display()));
    running.stop(143);
    assert_eq!(tenants.backup("a"), 5);
}

#[test]
fn tenants_that_are_missing_here_are_restored_at_the_start_and_later() {
    for on_s3 in [false, true] {
        let s3 = S3::start();
        let tenants = if on_s3 { Tenants::on_s3(&s3) } else { Tenants::in_folders() };
        tenants.name(&["a", "b"]);
        let running = tenants.start("10m");
        sqlite::create(&tenants.path("a"), 5);
        sqlite::create(&tenants.path("b"), 6);
        running.stop(143);
        fs::remove_dir_all(tenants.world.path("tenants")).expect("nobody uses it");
        tenants.name(&["a"]);
        let app = App::new(&tenants.world.trace()).count(&tenants.path("a")).ready().wait();
        let running = tenants.keeper("10m").app(app).start();
        assert_eq!(tenants.world.trace().wait("count").rest, "5", "it was there when the app started");
        tenants.name(&["a", "b"]);
        tenants.reload().expect_code(0);
        assert_eq!(sqlite::count(&tenants.path("b")), 6);
        running.stop(143);
    }
}

/// An app that does not wait for its tenant: what it has made is not given up for a restore.
#[test]
fn what_an_app_makes_while_its_backup_is_restored_stays() {
    let s3 = S3::start();
    let tenants = Tenants::on_s3(&s3);
    tenants.name(&["a"]);
    let running = tenants.start("10m");
    sqlite::create(&tenants.path("a"), 5);
    tenants.reload().expect_code(0);
    running.stop(143);
    fs::remove_dir_all(tenants.world.path("tenants")).expect("nobody uses it");
    tenants.name(&[]);
    let running = tenants.start("10m");
    tenants.world.trace().wait_nth(2, "ready");
    // Its objects alone are slow: what comes before its restore is as fast as ever, and the restore is not done before the app.
    s3.throttle(50);
    tenants.name(&["a"]);
    let reload = tenants.reloader().start();
    running.wait_log(1, "restoring ");
    sqlite::create(&tenants.path("a"), 2);
    s3.resume();
    reload.finish().expect_code(69);
    running.wait_log(1, "somebody has made it while its backup was restored, which is not put over it");
    assert_eq!(sqlite::count(&tenants.path("a")), 2);
    running.stop(74).expect_log("a.db");
    assert_eq!(tenants.backup("a"), 5);
}

#[test]
fn a_resolver_that_fails_later_changes_nothing_and_is_told_once() {
    let tenants = Tenants::in_folders();
    tenants.name(&["a"]);
    let running = tenants.start("1s");
    sqlite::create(&tenants.path("a"), 5);
    for (script, answer, reason) in [
        ("echo oops >&2; exit 3", "rubbish", "ended with code 3"),
        ("", "rubbish", "resolver: its answer is no JSON"),
        ("", r#"[{"path": "x.db"}]"#, "has no replica"),
        ("kill -9 $$", "rubbish", "was ended by SIGKILL"),
        ("head -c 2000000 /dev/zero", "rubbish", "is longer than 1048576 bytes"),
    ] {
        // What it says in between is told as well, and is no answer either.
        tenants.script("exit 9");
        tenants.wait_asked(2);
        tenants.answer(answer);
        tenants.script(script);
        tenants.wait_asked(4);
        let times = running.log().matches(reason).count();
        assert_eq!(times, 1, "{reason:?} is told once:\n{}", running.log());
        assert!(is_locked(&tenants.path("a")), "nothing changed: {reason}");
    }
    assert!(running.log().contains("resolver: oops"), "{}", running.log());
    tenants.script("");
    tenants.name(&["a"]);
    tenants.reload().expect_code(0);
    running.stop(143);
    assert_eq!(tenants.backup("a"), 5);
}

/// What is under way when the user says `reload` may have begun before what the user did.
#[test]
fn a_reload_is_told_of_a_question_of_its_own() {
    let tenants = Tenants::in_folders();
    let path = |name: &str| tenants.world.path(name);
    tenants.name(&[]);
    let running = tenants.start("1s");
    mkfifo(&path("gate"), Mode::S_IRWXU).expect("the world can be written");
    tenants.script("echo > held; read line < gate; exit 3");
    wait_until("a question", DEADLINE, || path("held").exists());
    tenants.script("");
    let reload =
        Keeper::new(&tenants.world).command("reload").config(&path("litestream.yml")).args(["--json"]);
    let reload = reload.start();
    let folder = tenants.world.runtime_dir().display().to_string();
    wait_until("the connection beside the socket that listens", DEADLINE, || {
        let sockets = fs::read_to_string("/proc/net/unix").expect("/proc is mounted");
        sockets.lines().filter(|line| line.contains(&folder) && line.ends_with("/keeper.sock")).count() == 2
    });
    fs::write(path("gate"), "go\n").expect("the resolver reads");
    reload.finish().expect_code(0);
    running.wait_log(1, "ended with code 3");
    running.stop(143);
}

#[test]
fn a_reload_tells_what_went_wrong() {
    let tenants = Tenants::in_folders();
    tenants.name(&[]);
    let running = tenants.start("10m");
    tenants.answer("rubbish");
    tenants.reload().expect_code(78).expect_log("resolver: its answer is no JSON");
    tenants.script("exit 1");
    tenants.reload().expect_code(69).expect_log("ended with code 1").expect_log("hint: ");
    tenants.script("");
    let odd = json!([{"path": tenants.path("a"), "meta-path": "/m", "replica": (tenants.replica)("a")}]);
    tenants.answer(&odd.to_string());
    tenants.reload().expect_code(69).expect_log("`meta-path`").expect_log("a.db");
    // What is wrong with an answer stands in no file.
    let replicas = [(tenants.replica)("a"), json!({"path": "elsewhere"})];
    let entry = |key: &str, value: serde_json::Value| json!([{"path": tenants.path("a"), key: value}]);
    let age = json!({"path": "elsewhere", "age": {"identities": ["x"]}});
    for wrong in [entry("replicas", json!(replicas)), entry("replicas", json!([age]))] {
        tenants.answer(&wrong.to_string());
        let ended = tenants.reload().expect_code(78).expect_log("resolver: ");
        assert!(!ended.log.contains("litestream.yml"), "{}", ended.log);
    }
    tenants.answer(&odd.to_string());
    let args = ["--json"];
    let ended = Keeper::new(&tenants.world).command("reload").db(&tenants.world.db()).args(args).run();
    assert!(ended.stdout.contains(r#""exit_code":69"#), "{}", ended.log);
    running.stop(143);
    tenants.reload().expect_code(69).expect_log("no keeper runs on");
}

#[test]
fn nothing_starts_when_the_resolver_fails_or_prints_rubbish() {
    for (script, answer, code, reason) in [
        ("exit 3", "[]", 69, "ended with code 3"),
        ("", "rubbish", 78, "resolver: its answer is no JSON"),
        ("", "{\"dbs\": 7}", 78, "neither a list"),
        ("", "\u{feff}[]", 78, "no JSON: it begins with the byte order mark of UTF-8"),
    ] {
        let tenants = Tenants::in_folders();
        tenants.script(script);
        tenants.answer(answer);
        let ended = tenants.keeper("10m").app(App::new(&tenants.world.trace()).exit(0)).run();
        assert!(tenants.world.trace().is_empty(), "{}", ended.log);
        ended.expect_code(code).expect_log(reason);
    }
}

#[test]
fn a_resolver_that_says_too_much_is_cut_short_in_the_log() {
    let tenants = Tenants::in_folders();
    tenants.name(&[]);
    tenants
        .script("echo what it says first >&2; for i in $(seq 30000); do echo $i what nobody reads; done >&2");
    let ended = tenants.keeper("10m").app(App::new(&tenants.world.trace()).exit(0)).run().expect_code(0);
    let ended =
        ended.expect_log("what it says first").expect_log(" more lines: run it by itself to see them)");
    assert!(ended.log.len() < 100_000, "{} bytes", ended.log.len());

    // Short lines, and question after question.
    tenants.script("for i in $(seq 5000); do echo x; done >&2");
    let running = tenants.start("1s");
    tenants.wait_asked(3);
    let ended = running.stop(143);
    let lines = ended.log.lines().filter(|line| line.contains(" resolver: ")).count();
    assert!((1..=102).contains(&lines), "{lines}: {}", ended.log);
}

#[test]
fn a_resolver_that_hangs_has_thirty_seconds_and_changes_nothing() {
    let tenants = Tenants::in_folders();
    tenants.name(&["a"]);
    let running = tenants.start("1s");
    let app = running.app();
    // Once: asked again after the limit, it answers.
    tenants.script("[ -e sleeper ] || { sleep 1000 & echo $! > sleeper; sleep 1000; }");
    running.wait_log(1, "no answer within 30 s: killed");
    let sleeper: i32 = fs::read_to_string(tenants.world.path("sleeper")).unwrap().trim().parse().unwrap();
    wait_until("the end of what it started", DEADLINE, || !procfs::alive(sleeper));
    assert!(is_locked(&tenants.path("a")) && running.app().pid == app.pid);
    tenants.reload().expect_code(0);
    running.stop(143);
}

#[test]
fn a_resolver_that_hangs_is_killed_with_all_that_it_started() {
    let tenants = Tenants::in_folders();
    tenants.name(&[]);
    let running = tenants.start("1s");
    tenants.script("sleep 1000 & echo $! > sleeper; sleep 1000");
    tenants.wait_asked(1);
    wait_until("the sleeper", DEADLINE, || {
        fs::read_to_string(tenants.world.path("sleeper")).is_ok_and(|text| text.ends_with('\n'))
    });
    // The app is not held up, and the end of the keeper is its end too: `stop` looks for survivors.
    running.stop(143);
}

#[test]
fn a_tenant_whose_replica_refuses_is_tried_again_and_the_app_goes_on() {
    let s3 = S3::start();
    let tenants = Tenants::on_s3(&s3);
    tenants.name(&[]);
    let running = tenants.start("1s");
    let app = running.app();
    s3.remove_bucket("backups");
    sqlite::create(&tenants.path("a"), 5);
    tenants.name(&["a"]);
    tenants.reload().expect_code(69).expect_log("NoSuchBucket");
    assert!(!is_locked(&tenants.path("a")));
    s3.restore_bucket("backups");
    running.wait_log(1, &format!("replicating {}", tenants.path("a").display()));
    assert_eq!(running.app().pid, app.pid);
    running.stop(143);
    assert_eq!(tenants.backup("a"), 5);
}

#[test]
fn a_tenant_whose_replica_has_come_back_by_the_stop_is_taken_in_for_the_drain() {
    let s3 = S3::start();
    let tenants = Tenants::on_s3(&s3);
    tenants.name(&[]);
    let running = tenants.start("10m");
    s3.remove_bucket("backups");
    sqlite::create(&tenants.path("a"), 5);
    tenants.name(&["a"]);
    tenants.reload().expect_code(69).expect_log("NoSuchBucket");
    s3.restore_bucket("backups");
    running.stop(143).expect_log(&format!("replicating {}", tenants.path("a").display()));
    assert_eq!(tenants.backup("a"), 5);
}

/// Two tenants, of which these are named and the first one's replica is no place any more, and an app that waits for it after a
/// restart.
fn waiting_for_a(tenants: &Tenants, named: &[&str]) -> Running {
    tenants.make(&["a", "b"]);
    tenants.name(named);
    let running = tenants.run(tenants.keeper("10m").args(["--gate-timeout", "10m", "--stop-timeout", "8s"]));
    let (place, away) = places_of_a(tenants);
    fs::rename(&place, &away).expect("the replica can be moved");
    fs::write(&place, "").expect("the world can be written");
    sqlite::insert(&tenants.path("a"), 1);
    running.litestream().signal(Signal::SIGKILL);
    running.wait_log(1, "starting litestream and the app");
    running
}

/// Where its replica is, and where that is kept meanwhile.
fn places_of_a(tenants: &Tenants) -> (PathBuf, PathBuf) {
    (tenants.world.path("backup/a"), tenants.world.path("away"))
}

#[test]
fn a_tenant_that_is_named_no_more_holds_up_no_restart() {
    let tenants = Tenants::in_folders();
    let running = waiting_for_a(&tenants, &["a", "b"]);
    tenants.name(&["b"]);
    tenants.reloader().args(["--timeout", "3s"]).run().expect_code(69).expect_log("a.db");
    tenants.world.trace().wait_nth(2, "ready");
    let ended = running.stop(74);
    ended.expect_log(&format!("{} -> ", tenants.path("a").display()));
    assert_eq!(tenants.backup("b"), 5);
}

#[test]
fn a_tenant_that_is_named_while_the_app_waits_is_answered_for_at_a_stop() {
    let tenants = Tenants::in_folders();
    let running = waiting_for_a(&tenants, &["a"]);
    tenants.name(&["a", "b"]);
    // Until its answer is known: what is named in it cannot come yet.
    wait_until("the answer", DEADLINE, || {
        tenants.reloader().args(["--timeout", "1s"]).run().expect_code(69).log.contains("b.db")
    });
    let reload = tenants.reloader().start();
    let (place, away) = places_of_a(&tenants);
    fs::remove_file(&place).expect("it is a file");
    fs::rename(&away, &place).expect("the replica can be moved");
    running.signal(Signal::SIGTERM);
    running.finish();
    reload.finish();
    assert_eq!((tenants.backup("a"), tenants.backup("b")), (6, 5));
}

#[test]
fn a_reload_while_the_app_waits_says_at_once_what_is_wrong_with_the_answer() {
    let tenants = Tenants::in_folders();
    let running = waiting_for_a(&tenants, &["a"]);
    tenants.script("echo wrong; exit 3");
    let reload = tenants.reloader().args(["--timeout", "10m"]).run().expect_code(69);
    reload.expect_log("ended with code 3");
    running.stop(74);
}

#[test]
fn a_tenant_moves_away_from_a_replica_that_is_lost() {
    let s3 = S3::start();
    let tenants = Tenants::on_s3(&s3);
    let running = tenants.start_with_a(5);
    s3.remove_bucket("backups");
    sqlite::insert(&tenants.path("a"), 1);
    let there = tenants.world.path("elsewhere");
    let entry = json!([{"path": tenants.path("a"), "replica": {"path": there}}]);
    tenants.answer(&entry.to_string());
    tenants.reload().expect_code(0);
    running.stop(143).expect_log("all of it goes to its new place");
    let backup = Backup::Url(&format!("file://{}", there.display())).restore(&tenants.world, LATEST);
    assert_eq!(sqlite::count(&backup), 6);
}

#[test]
fn a_tenant_that_cannot_be_drained_is_kept() {
    let s3 = S3::start();
    let tenants = Tenants::on_s3(&s3);
    tenants.name(&["a"]);
    tenants.make(&["a"]);
    let running = tenants.start("1s");
    s3.fail_with(403);
    sqlite::insert(&tenants.path("a"), 3);
    tenants.name(&[]);
    running.wait_log(1, "kept until it can be drained");
    assert!(is_locked(&tenants.path("a")));
    s3.resume();
    running.wait_log(1, "and not replicated any more");
    assert_eq!(tenants.backup("a"), 8);
    running.stop(143);
}

/// With no database of its own a configuration has no lock to look at: its keeper is known by the file, or by the control socket.
#[test]
fn a_keeper_without_databases_is_found_among_others() {
    let worlds = [World::new(), World::new(), World::new()];
    let shared = worlds[0].runtime_dir();
    let socket = format!("socket: {{path: {}}}\n", worlds[2].path("s").display());
    let keeper = |world: &World| Keeper::new(world).env("LITEKEEPER_RUNTIME_DIR", &shared);
    let asked = |world: &World| {
        let text = fs::read_to_string(world.path("asked")).unwrap_or_default();
        text.lines().count()
    };
    let running = worlds.each_ref().map(|world| {
        world.program("resolver", "#!/bin/sh\necho >> asked\necho '[]'\n");
        let top = if world.root() == worlds[2].root() { socket.as_str() } else { "" };
        let text =
            format!("{top}litekeeper: {{resolver: {{command: [./resolver], interval: 10m}}}}\ndbs: []\n");
        let config = world.write("litestream.yml", &text);
        let running = keeper(world).config(&config).app(App::new(&world.trace()).ready().wait()).start();
        world.trace().wait("ready");
        running
    });
    // The configuration of the last one was moved meanwhile.
    fs::rename(worlds[2].path("litestream.yml"), worlds[2].path("moved.yml")).expect("ours");
    std::os::unix::fs::symlink("litestream.yml", worlds[1].path("link.yml")).expect("ours");
    for (world, name) in worlds.iter().zip(["litestream.yml", "link.yml", "moved.yml"]) {
        let before = worlds.each_ref().map(asked);
        keeper(world).command("reload").config(Path::new(name)).run().expect_code(0);
        for (other, before) in worlds.iter().zip(before) {
            let more = usize::from(other.root() == world.root());
            assert_eq!(asked(other), before + more, "{name}");
        }
    }
    let stranger = worlds[0].write("other.yml", "litekeeper: {resolver: {command: [./resolver]}}\ndbs: []\n");
    let ended = keeper(&worlds[0]).command("reload").config(&stranger).run().expect_code(64);
    ended.expect_log("3 keepers run").expect_log("--config FILE");
    running.into_iter().for_each(|running| drop(running.stop(143)));
}

#[test]
fn a_tenant_of_another_keeper_is_refused() {
    let (one, other) = (Tenants::in_folders(), Tenants::in_folders());
    one.name(&["a"]);
    let first = one.start("10m");
    other.name(&[]);
    let second = other.start("10m");
    other.answer(&json!([one.entry("a")]).to_string());
    let ended = other.reload().expect_code(69).expect_log("another keeper runs on this database");
    assert!(!ended.log.contains("--on-lock"), "a tenant is not waited for: {}", ended.log);
    second.stop(143);
    first.stop(143);
}

#[test]
fn litestream_comes_back_with_all_that_came() {
    let tenants = Tenants::in_folders();
    tenants.name(&[]);
    let running = tenants.start("10m");
    sqlite::create(&tenants.path("a"), 5);
    tenants.name(&["a"]);
    tenants.reload().expect_code(0);
    let app = running.app();
    running.litestream().signal(Signal::SIGKILL);
    wait_until("the app to be back", DEADLINE, || tenants.world.trace().all("ready").len() == 2);
    assert_ne!(running.app().pid, app.pid);
    sqlite::insert(&tenants.path("a"), 3);
    tenants.name(&[]);
    tenants.reload().expect_code(0);
    assert_eq!(tenants.backup("a"), 8, "the new one had it, and let it go");
    running.stop(143);
}

#[test]
fn the_shim_of_a_dead_keeper_drains_what_came_and_keeps_its_lock() {
    let s3 = S3::start();
    let tenants = Tenants::on_s3(&s3);
    tenants.name(&["a"]);
    let running = tenants.start("10m");
    sqlite::create(&tenants.path("b"), 5);
    tenants.name(&["a", "b"]);
    tenants.reload().expect_code(0);
    s3.hold_puts();
    sqlite::insert(&tenants.path("b"), 3);
    let puts = s3.puts();
    running.signal(Signal::SIGKILL);
    s3.wait_puts(puts + 1);
    assert!(is_locked(&tenants.path("b")), "as long as its last rows are on their way");
    s3.resume();
    running.finish();
    assert_eq!(tenants.backup("b"), 8);
    assert!(!is_locked(&tenants.path("b")));
}

#[test]
fn what_was_written_to_a_tenant_while_it_was_gone_is_replicated_when_it_is_back() {
    let tenants = Tenants::in_folders();
    let running = tenants.start_with_a(9);
    let keep_wal = sqlite::open(&tenants.path("a"));
    keep_wal.execute_batch("SELECT 1 FROM t").unwrap();
    sqlite::insert(&tenants.path("a"), 9);
    tenants.name(&[]);
    tenants.reload().expect_code(0);
    let unseen = crate::missed_commits::write_unseen(&tenants.path("a"));
    tenants.name(&["a"]);
    tenants.reload().expect_code(0);
    assert_eq!(tenants.backup("a"), 20);
    drop((unseen, keep_wal));
    running.stop(143);
}

#[test]
fn a_reload_is_answered_when_a_tenant_goes_by_an_earlier_one_meanwhile() {
    let (first, second) = (S3::start(), S3::start());
    first.bucket("backups");
    second.bucket("backups");
    let tenants = Tenants::on_servers(&first, &second);
    tenants.name(&["a"]);
    tenants.make(&["a", "b"]);
    // The second server is silent for as long as this test needs on a busy machine.
    let keeper = tenants.keeper("10m").args(["--gate-timeout", "10m"]);
    let running = keeper.app(App::new(&tenants.world.trace()).ready().wait()).start();
    tenants.world.trace().wait("ready");
    let puts = first.puts();
    first.hold_puts();
    sqlite::insert(&tenants.path("a"), 1);
    tenants.name(&[]);
    tenants.script("cat answer; echo > answered; exit");
    let earlier = tenants.reloader().start();
    // The upload may be Litestream's own, before the resolver has even been asked.
    first.wait_puts(puts + 1);
    wait_until("its answer", DEADLINE, || tenants.world.path("answered").exists());

    second.pause();
    let requests = second.requests();
    tenants.name(&["b"]);
    let later = tenants.reloader().start();
    second.wait_requests(requests + 1);
    first.resume();
    running.wait_log(1, "and not replicated any more");
    second.resume();
    earlier.finish().expect_code(0);
    let later = later.finish().expect_code(0);
    assert!(later.stdout.contains(&format!("added {}", tenants.path("b").display())), "{}", later.stdout);
    running.stop(143);
}

#[test]
fn an_old_litestream_has_what_was_named_at_the_start() {
    let tenants = Tenants::in_folders();
    tenants.name(&["a"]);
    tenants.make(&["a"]);
    sqlite::create(&tenants.world.db(), 1);
    let app = App::new(&tenants.world.trace()).ready().wait();
    let running = tenants.keeper("1s").litestream(NO_SOCKET).app(app).start();
    tenants.world.trace().wait("ready");
    running.wait_log(1, "the resolver is asked at the start only");
    tenants.reload().expect_code(69).expect_log("takes in no database while it runs");
    running.stop(143);
    assert_eq!(tenants.backup("a"), 5);
}

#[test]
fn a_hundred_tenants_come_and_go_at_once() {
    let tenants = Tenants::in_folders();
    let names: Vec<String> = (0..100).map(|number| format!("t{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    tenants.name(&[]);
    let running = tenants.start("10m");
    names.iter().for_each(|name| sqlite::create(&tenants.path(name), 1));
    tenants.name(&names);
    let ended = tenants.reload().expect_code(0);
    assert_eq!(ended.stdout.matches("added ").count(), 100, "{}", ended.log);
    sqlite::insert(&tenants.path("t99"), 2);
    tenants.name(&names[50..]);
    let ended = tenants.reload().expect_code(0);
    assert_eq!(ended.stdout.matches("removed ").count(), 50, "{}", ended.log);
    running.stop(143);
    assert_eq!((tenants.backup("t0"), tenants.backup("t99")), (1, 3));
}

/// Two containers share a volume and not `/run`: there the path in a lock is another keeper's socket.
#[test]
fn a_keeper_at_the_same_path_that_is_anothers_is_told_apart() {
    let (one, other) = (Tenants::in_folders(), Tenants::in_folders());
    one.name(&[]);
    other.name(&[]);
    let (first, second) = (one.start("10m"), other.start("10m"));
    let socket = |tenants: &Tenants| {
        let runs = fs::read_dir(tenants.world.runtime_dir()).expect("it is there").flatten();
        let mut sockets = runs.map(|run| run.path().join("keeper.sock")).filter(|socket| socket.exists());
        sockets.next().expect("it runs")
    };
    let (own, theirs) = (socket(&one), socket(&other));
    let kept = own.with_file_name("kept");
    fs::rename(&own, &kept).expect("the world can be written");
    fs::rename(&theirs, &own).expect("one file system");
    sqlite::create(&other.path("a"), 1);
    other.name(&["a"]);
    let by_path = || Keeper::new(&one.world).command("reload").arg("--db").arg(one.world.db());
    for reload in [by_path(), one.reloader()] {
        let ended = reload.run().expect_code(69);
        ended.expect_log("is not the one that runs on this database").expect_log("hint: ");
    }
    assert!(!second.log().contains("replicating"), "nothing was asked of the other: {}", second.log());
    // Where there is no such socket at all, the keeper is elsewhere or gone.
    fs::rename(&own, &theirs).expect("one file system");
    by_path().run().expect_code(69).expect_log("another container");
    fs::rename(&kept, &own).expect("one file system");
    assert!(by_path().run().expect_code(0).stdout.contains("nothing changed"));
    assert!(by_path().arg("--json").run().expect_code(0).stdout.contains("\"added\""));
    first.stop(143);
    second.stop(143);
}

fn rename(from: &std::path::Path, to: &std::path::Path) {
    for suffix in ["", "-wal", "-shm"] {
        let name = |path: &std::path::Path| format!("{}{suffix}", path.display());
        let _ = fs::rename(name(from), name(to));
    }
}

/// A change waits for a quarter of `--max-lag`, which is longer than any test.
#[test]
fn a_tenant_that_the_app_makes_is_told_of_when_it_is_made() {
    let tenants = Tenants::in_folders();
    tenants.name(&["a"]);
    tenants.make(&[]);
    let app = App::new(&tenants.world.trace()).ready().wait();
    let running = tenants.keeper("10m").args(["--max-lag", "1h"]).app(app).start();
    tenants.world.trace().wait("ready");
    // One look has missed it by then.
    running.wait_log(1, "app.db is not there");
    sqlite::create(&tenants.path("a"), 5);
    running.wait_log(1, "a.db is there now: replicating it");
    assert_eq!(tenants.backup("a"), 5);
    running.stop(143);
}

#[test]
fn a_tenant_that_is_renamed_with_its_file_comes_once_the_old_name_has_gone() {
    for is_seen in [false, true] {
        let tenants = Tenants::in_folders();
        let running = tenants.start_with_a(5);
        let app = running.app();
        rename(&tenants.path("a"), &tenants.path("b"));
        if is_seen {
            running.wait_log(1, "a.db: the file was deleted or replaced");
            tenants.name(&["a", "b"]);
            let ended = tenants.reload().expect_code(69);
            ended.expect_log("b.db: it is the file of ").expect_log("that has to be let go first");
        }
        tenants.name(&["b"]);
        let ended = tenants.reload().expect_code(0);
        for word in ["removed ", "added "] {
            let name = if word == "added " { "b" } else { "a" };
            let line = format!("{word}{}", tenants.path(name).display());
            assert!(ended.stdout.contains(&line), "{}", ended.stdout);
        }
        sqlite::insert(&tenants.path("b"), 3);
        assert_eq!(running.app().pid, app.pid, "the same app all the time");
        let ended = running.stop(143);
        assert!(!ended.log.contains("another keeper"), "{}", ended.log);
        assert_eq!(tenants.backup("b"), 8);
    }
}

#[test]
fn a_tenant_that_is_removed_while_litestream_is_away_stops_nobody() {
    let tenants = Tenants::in_folders();
    tenants.make(&["a", "b"]);
    tenants.name(&["a", "b"]);
    let running = tenants.run(tenants.keeper("10m").args(["--restart-delay", "2s", "--max-lag", "1s"]));
    let asked = tenants.asked();
    running.litestream().signal(Signal::SIGSTOP);
    sqlite::insert(&tenants.path("a"), 3);
    running.wait_log(1, "not ready until it has caught up");
    running.litestream().signal(Signal::SIGKILL);
    running.wait_log(1, "starting litestream and the app (probe) again in");
    sqlite::remove(&tenants.path("a"));
    tenants.name(&["b"]);
    tenants.world.trace().wait_nth(2, "ready");
    wait_until("the resolver to be asked", DEADLINE, || tenants.asked() > asked);
    sqlite::insert(&tenants.path("b"), 2);
    // Nobody can have what was written to it last, and nobody says so.
    let ended = running.stop(74);
    ended.expect_log("a.db was deleted or moved, and is not replicated any more");
    assert_eq!((tenants.backup("a"), tenants.backup("b")), (5, 7));
}

/// Nothing of what its backup has is beside it by the new name, so that has to begin anew: it alone.
#[test]
fn a_tenant_that_is_renamed_after_many_writes_stops_nobody() {
    let tenants = Tenants::in_folders();
    let running = tenants.start_with_a(5);
    let app = running.app();
    for rows in 6..10 {
        sqlite::insert(&tenants.path("a"), 1);
        wait_until("the row to be on the replica", DEADLINE, || tenants.backup("a") == rows);
    }
    rename(&tenants.path("a"), &tenants.path("b"));
    let place = tenants.entry("a")["replica"].clone();
    tenants.answer(&json!([{"path": tenants.path("b"), "replica": place}]).to_string());
    tenants.reload().expect_code(0);
    sqlite::insert(&tenants.path("b"), 3);
    assert_eq!(running.app().pid, app.pid, "the same app all the time");
    running.stop(143).expect_log("all other databases are on their replicas");
    assert_eq!(tenants.backup("a"), 12);
}

#[test]
fn tenants_whose_files_were_swapped_are_nobody_elses() {
    let tenants = Tenants::in_folders();
    tenants.name(&["a", "b"]);
    tenants.make(&["a"]);
    sqlite::create(&tenants.path("b"), 6);
    let running = tenants.start("10m");
    let app = running.app();
    rename(&tenants.path("a"), &tenants.path("c"));
    rename(&tenants.path("b"), &tenants.path("a"));
    rename(&tenants.path("c"), &tenants.path("b"));
    for (name, other) in [("a", "b"), ("b", "a")] {
        let (path, other) = (tenants.path(name), tenants.path(other));
        running.wait_log(1, &format!("{}: the file of {} stands there now", path.display(), other.display()));
        running.wait_log(1, &format!("{}: the file was deleted or replaced", path.display()));
    }
    assert_eq!(running.app().pid, app.pid, "it goes on");
    let ended = running.stop(74);
    assert!(!ended.log.contains("another keeper"), "{}", ended.log);
}

#[test]
fn two_names_of_one_file_are_told_as_that() {
    let tenants = Tenants::in_folders();
    tenants.make(&[]);
    sqlite::create(&tenants.world.db(), 5);
    fs::hard_link(tenants.world.db(), tenants.path("a")).expect("one file system");
    tenants.name(&["a"]);
    let ended = tenants.keeper("10m").args(["--on-lock", "wait"]).app(["true"]).run().expect_code(75);
    let words =
        format!("a.db: it is the same file as {}, which this keeper has", tenants.world.db().display());
    ended.expect_log(&words);
}
