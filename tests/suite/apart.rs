//! Each tenant of an answer goes its own way: who is out of reach holds nobody up, who cannot move stays, and what
//! Litestream does not have is counted.

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::process::Running;
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::tenants::{Tenants, is_locked};
use crate::support::wait::{DEADLINE, wait_until};

/// What nobody listens on: the port of a server that is gone.
fn out_of_reach(s3: &mut S3) -> String {
    s3.refuse();
    s3.endpoint()
}

fn on(endpoint: &str, name: &str) -> Value {
    json!({"type": "s3", "bucket": "backups", "path": name, "endpoint": endpoint, "region": "us-east-1"})
}

fn answer(tenants: &Tenants, entries: &[Value]) {
    tenants.answer(&Value::from(entries.to_vec()).to_string());
}

/// `a` is replicated all the time; the gate has longer than any test.
fn with_a(tenants: &Tenants, more: &[&str]) -> Running {
    tenants.make(&["a"]);
    tenants.name(&["a"]);
    let keeper = tenants.keeper("1s").args(["--gate-timeout", "20m", "--restore-timeout", "20m"]).args(more);
    let running = keeper.app(crate::support::app::App::new(&tenants.world.trace()).ready().wait()).start();
    tenants.world.trace().wait("ready");
    running
}

#[test]
fn who_is_out_of_reach_holds_up_neither_the_others_nor_the_next_answer() {
    let mut dead = S3::start();
    let endpoint = out_of_reach(&mut dead);
    let tenants = Tenants::in_folders();
    let running = with_a(&tenants, &["--restore-parallel", "2"]);
    sqlite::create(&tenants.path("c"), 7);
    // Some are here, and some would be restored: more than are looked at side by side.
    let mut entries = vec![tenants.entry("a")];
    for number in 0..20 {
        let name = format!("b{number}");
        if number % 2 == 0 {
            sqlite::create(&tenants.path(&name), 3);
        }
        entries.push(json!({"path": tenants.path(&name), "replica": on(&endpoint, &name)}));
    }
    entries.push(tenants.entry("c"));
    answer(&tenants, &entries);
    running.wait_log(1, &format!("replicating {}", tenants.path("c").display()));
    sqlite::create(&tenants.path("z"), 2);
    entries.push(tenants.entry("z"));
    answer(&tenants, &entries);
    running.wait_log(1, &format!("replicating {}", tenants.path("z").display()));
    let limited = tenants.reloader().args(["--timeout", "3s"]).run().expect_code(69);
    assert!(limited.log.contains("b0.db"), "{}", limited.log);

    // What is in them is told once, and then they are nobody's.
    tenants.name(&["a", "c", "z"]);
    tenants.reload().expect_code(69).expect_log("b0.db: named no more before litestream could take it in");
    tenants.reload().expect_code(0);
    sqlite::insert(&tenants.path("c"), 4);
    let ended = running.stop(143);
    ended.expect_log("all other databases are on their replicas");
    assert_eq!((tenants.backup("a"), tenants.backup("c"), tenants.backup("z")), (5, 11, 2));
}

#[test]
fn a_stop_in_the_middle_of_a_round_counts_what_was_named() {
    let mut dead = S3::start();
    let endpoint = out_of_reach(&mut dead);
    let tenants = Tenants::in_folders();
    // What is out of reach is asked for as long as there is time.
    let running = with_a(&tenants, &["--stop-timeout", "10s"]);
    sqlite::create(&tenants.path("x"), 3);
    // One that was never made has nothing to lose.
    let y = json!({"path": tenants.path("y"), "replica": on(&endpoint, "y")});
    let x = json!({"path": tenants.path("x"), "replica": on(&endpoint, "x")});
    answer(&tenants, &[tenants.entry("a"), x, y]);
    tenants.wait_asked(3);
    sqlite::insert(&tenants.path("a"), 6);
    let ended = running.stop(74).expect_log(&tenants.path("x").display().to_string());
    let last = ended.log.lines().filter(|line| line.contains("not everything is on the replica"));
    let last: Vec<&str> = last.collect();
    assert!(last.len() == 1 && last[0].contains("x.db") && !last[0].contains("y.db"), "{}", ended.log);
    assert!(!ended.log.contains("everything is on the replica\n"), "{}", ended.log);
    assert_eq!(tenants.backup("a"), 11);
}

#[test]
fn what_is_named_and_not_taken_in_lags() {
    let s3 = S3::start();
    s3.bucket("backups");
    let tenants = Tenants::in_folders();
    let running = with_a(&tenants, &["--max-lag", "2s"]);
    sqlite::create(&tenants.path("x"), 3);
    s3.remove_bucket("backups");
    let x = json!({"path": tenants.path("x"), "replica": on(&s3.endpoint(), "x")});
    answer(&tenants, &[tenants.entry("a"), x]);
    running.wait_log(1, "has not confirmed a change for");
    s3.restore_bucket("backups");
    running.wait_log(1, &format!("replicating {}", tenants.path("x").display()));
    running.wait_log(1, "has caught up");
    running.stop(143);
}

#[test]
fn another_spelling_of_the_same_place_is_no_move() {
    let s3 = S3::start();
    let tenants = Tenants::on_s3(&s3);
    let endpoint = s3.endpoint();
    let (mut bare, url) =
        (on(&endpoint, "a"), format!("s3://backups/a/?endpoint={endpoint}&region=us-east-1"));
    bare.as_object_mut().expect("a mapping").remove("region");
    let running = tenants.start_with_a(5);
    for replica in [bare, json!({"url": url, "sync-interval": "2s"})] {
        answer(&tenants, &[json!({"path": tenants.path("a"), "replica": replica})]);
        let ended = tenants.reload().expect_code(0);
        assert!(ended.stdout.contains("nothing changed"), "{replica}: {}", ended.stdout);
    }
    let root = tenants.world.path("backup/x");
    for replica in [json!({"path": root}), json!({"url": format!("file://{}/", root.display())})] {
        let entry = json!({"path": tenants.path("x"), "replica": replica});
        answer(&tenants, &[tenants.entry("a"), entry]);
        tenants.reload().expect_code(0);
    }
    assert!(tenants.reload().expect_code(0).stdout.contains("nothing changed"));
    let ended = running.stop(143);
    assert!(!ended.log.contains("not replicated any more"), "{}", ended.log);
    assert_eq!(tenants.backup("a"), 5);
}

#[test]
fn what_cannot_move_stays_where_it_is() {
    let s3 = S3::start();
    s3.bucket("backups");
    let tenants = Tenants::in_folders();
    let running = with_a(&tenants, &[]);
    let path = tenants.path("a");
    let of = |key: &str, value: Value| {
        let mut entry = tenants.entry("a");
        entry[key] = value;
        entry
    };
    let elsewhere = |key: &str, value: Value| {
        let mut replica = on(&s3.endpoint(), "elsewhere");
        replica[key] = value;
        json!({"path": path, "replica": replica})
    };
    let mut rows = 5;
    for (entry, reason) in [
        (of("nonsense", json!("x")), "nonsense"),
        (of("meta-path", json!("/m")), "meta-path"),
        (of("replica", json!({"url": "nothing:/x"})), "has no scheme"),
        (of("replica", json!({"type": "nothing", "path": "x"})), "give it a `url`"),
        (elsewhere("access-key-id", json!("AKIAOTHER")), "access-key-id"),
        (elsewhere("bucket", json!("no-such-bucket")), "NoSuchBucket"),
    ] {
        answer(&tenants, std::slice::from_ref(&entry));
        let ended = tenants.reload();
        assert!(ended.log.contains(reason), "{entry}: {}", ended.log);
        assert!([69, 78].contains(&ended.status.code().unwrap_or(0)), "{entry}: {}", ended.log);
        assert!(!ended.stdout.contains("removed"), "{entry}: {}", ended.stdout);
        assert!(is_locked(&path), "{entry}");
        sqlite::insert(&path, 3);
        rows += 3;
    }
    running.stop(143);
    assert_eq!(tenants.backup("a"), rows);
}

#[test]
fn a_move_that_comes_to_nothing_goes_back() {
    let s3 = S3::start();
    s3.bucket("backups");
    let tenants = Tenants::in_folders();
    let running = with_a(&tenants, &["--max-lag", "5s"]);
    s3.forbid_ltx();
    answer(&tenants, &[json!({"path": tenants.path("a"), "replica": on(&s3.endpoint(), "a")})]);
    running.wait_log(1, "going back to");
    running.wait_log(
        1,
        &format!(
            "replicating {} -> {}",
            tenants.path("a").display(),
            tenants.world.path("backup/a").display()
        ),
    );
    sqlite::insert(&tenants.path("a"), 20);
    // It is not moved again and again.
    tenants.wait_asked(4);
    assert_eq!(running.log().matches("and not replicated any more").count(), 1, "{}", running.log());
    sqlite::insert(&tenants.path("a"), 20);
    running.stop(143);
    assert_eq!(tenants.backup("a"), 45);
}

/// It lists well, so only writing tells.
#[test]
fn a_new_place_is_written_to_before_the_old_one_is_let_go() {
    let s3 = S3::start();
    s3.bucket("backups");
    s3.forbid_puts();
    let tenants = Tenants::in_folders();
    let running = with_a(&tenants, &[]);
    let mut rows = 5;
    for (replica, reason) in [
        (on(&s3.endpoint(), "a"), "403"),
        (json!({"url": "file:///proc/nope/a"}), "/proc/nope/a/ltx/0 cannot be written"),
    ] {
        answer(&tenants, &[json!({"path": tenants.path("a"), "replica": replica})]);
        let ended = tenants
            .reload()
            .expect_code(69)
            .expect_log(reason)
            .expect_log("it is still replicated to ")
            .expect_log("hint: ");
        assert_eq!(ended.stdout, "", "{replica}");
        sqlite::insert(&tenants.path("a"), 3);
        rows += 3;
    }
    assert!(!running.log().contains("and not replicated any more"), "{}", running.log());
    running.stop(143);
    assert_eq!(tenants.backup("a"), rows);
}

/// As of a key that may write and not remove: Litestream gets on with that as well.
#[test]
fn what_a_trial_cannot_remove_is_named_and_the_move_goes_on() {
    let s3 = S3::start();
    s3.bucket("backups");
    let tenants = Tenants::in_folders();
    let running = with_a(&tenants, &[]);
    s3.forbid_deletes();
    answer(&tenants, &[json!({"path": tenants.path("a"), "replica": on(&s3.endpoint(), "a")})]);
    running.wait_log(1, "what was written to try it cannot be removed: a/.litekeeper-check-");
    tenants.reload().expect_code(0);
    running.stop(143);
    let moved = Tenants { replica: Box::new(move |name| on(&s3.endpoint(), name)), ..tenants };
    assert_eq!(moved.backup("a"), 5);
}

#[test]
fn a_move_that_went_back_is_told_as_one_failure() {
    let s3 = S3::start();
    s3.bucket("backups");
    s3.forbid_ltx();
    let tenants = Tenants::in_folders();
    sqlite::create(&tenants.world.db(), 1);
    tenants.name(&["a"]);
    let running = tenants.start("10m");
    sqlite::create(&tenants.path("a"), 5);
    tenants.reload();
    answer(&tenants, &[json!({"path": tenants.path("a"), "replica": on(&s3.endpoint(), "a")})]);
    let ended = tenants.reload().expect_code(69).expect_log("going back to");
    assert_eq!(ended.stdout, "", "neither came nor went: {}", ended.log);
    assert_eq!(ended.log.matches("a.db: ").count(), 1, "{}", ended.log);
    running.stop(143);
    assert_eq!(tenants.backup("a"), 5);
}

/// The new place is not known to be one: the old one is, and gets all.
#[test]
fn a_stop_in_the_middle_of_a_move_goes_back_before_the_drain() {
    for fault in [S3::forbid_ltx, S3::hold_ltx] {
        let s3 = S3::start();
        s3.bucket("backups");
        fault(&s3);
        let tenants = Tenants::in_folders();
        // Litestream tries the place that refuses for a part of this.
        let running = with_a(&tenants, &["--stop-timeout", "9s"]);
        answer(&tenants, &[json!({"path": tenants.path("a"), "replica": on(&s3.endpoint(), "a")})]);
        wait_until("an upload to the new place", DEADLINE, || {
            s3.seen().iter().any(|request| request.starts_with("PutObject ") && request.ends_with(".ltx"))
        });
        sqlite::insert(&tenants.path("a"), 20);
        let ended = running.stop(143);
        let ended = ended.expect_log("going back to").expect_log("all other databases are on their replicas");
        assert!(!ended.log.contains("not everything"), "{}", ended.log);
        assert_eq!(tenants.backup("a"), 25);
    }
}

/// Two in one place would be the end of both backups.
#[test]
fn a_stop_in_the_middle_of_a_move_sends_nobody_where_another_has_come() {
    let s3 = S3::start();
    s3.bucket("backups");
    s3.hold_ltx();
    let tenants = Tenants::in_folders();
    let running = with_a(&tenants, &[]);
    let place = tenants.entry("a")["replica"].clone();
    answer(
        &tenants,
        &[
            json!({"path": tenants.path("a"), "replica": on(&s3.endpoint(), "a")}),
            json!({"path": tenants.path("z"), "replica": place}),
        ],
    );
    // It is made of what is there.
    running.wait_log(1, &format!("replicating {} -> ", tenants.path("z").display()));
    wait_until("an upload to the new place", DEADLINE, || {
        s3.seen().iter().any(|request| request.starts_with("PutObject ") && request.ends_with(".ltx"))
    });
    sqlite::insert(&tenants.path("a"), 20);
    sqlite::insert(&tenants.path("z"), 2);
    running.signal(Signal::SIGTERM);
    running.wait_log(1, "stopping");
    s3.resume();
    let ended = running.finish().expect_code(143);
    assert!(!ended.log.contains("going back to"), "{}", ended.log);
    assert_eq!(tenants.backup("a"), 7, "what the other one wrote there");
    let moved = Tenants { replica: Box::new(move |name| on(&s3.endpoint(), name)), ..tenants };
    assert_eq!(moved.backup("a"), 25);
}

/// Else the app would run without it until the next answer.
#[test]
fn who_was_moving_when_litestream_or_its_shim_died_is_replicated_when_the_app_is_back() {
    for victim in [Running::litestream, Running::shim] {
        let s3 = S3::start();
        s3.bucket("backups");
        s3.hold_ltx();
        let tenants = Tenants::in_folders();
        let running = tenants.start_with_a(5);
        answer(&tenants, &[json!({"path": tenants.path("a"), "replica": on(&s3.endpoint(), "a")})]);
        let reload = tenants.reloader().start();
        wait_until("an upload to the new place", DEADLINE, || {
            s3.seen().iter().any(|request| request.starts_with("PutObject ") && request.ends_with(".ltx"))
        });
        sqlite::insert(&tenants.path("a"), 20);
        // What it says when it is asked again, which is at once.
        tenants.name(&["a"]);
        let asked = tenants.asked();
        running.kill(&victim(&running), Signal::SIGKILL);
        // The place is the old one already in the word of what is asked in vain.
        running.wait_log(1, "; going back to ");
        // Litestream would wait for it at its end.
        s3.resume();
        reload.finish().expect_code(69);
        running.wait_log(2, ") runs as pid ");
        wait_until("the resolver to be asked", DEADLINE, || tenants.asked() > asked);
        sqlite::insert(&tenants.path("a"), 10);
        wait_until("all of it on the old place", DEADLINE, || tenants.backup("a") == 35);
        let ended = running.stop(143);
        assert!(!ended.log.contains("damaged"), "{}", ended.log);
    }
}

#[test]
fn a_reload_does_not_wait_for_a_look_that_was_called_off() {
    let mut dead = S3::start();
    let endpoint = out_of_reach(&mut dead);
    let tenants = Tenants::in_folders();
    let running = with_a(&tenants, &[]);
    answer(&tenants, &[json!({"path": tenants.path("a"), "replica": on(&endpoint, "a")})]);
    let late = tenants.reloader().args(["--timeout", "3s"]).run().expect_code(69);
    assert!(late.log.contains("not done within --timeout"), "{}", late.log);
    tenants.name(&["a"]);
    tenants.reloader().args(["--timeout", "1m"]).run().expect_code(0);
    running.stop(143);
    assert_eq!(tenants.backup("a"), 5);
}

#[test]
fn a_stop_while_the_old_place_is_let_go_goes_back_too() {
    let (old, new) = (S3::start(), S3::start());
    new.bucket("backups");
    let tenants = Tenants::on_s3(&old);
    let running = with_a(&tenants, &[]);
    let puts = old.puts();
    old.hold_puts();
    sqlite::insert(&tenants.path("a"), 3);
    old.wait_puts(puts + 1);
    answer(&tenants, &[json!({"path": tenants.path("a"), "replica": on(&new.endpoint(), "a")})]);
    // Its place was tried, so it is being let go.
    wait_until("the end of the trial", DEADLINE, || {
        new.seen().iter().any(|request| request.starts_with("DeleteObject "))
    });
    tenants.wait_asked(3);
    running.signal(Signal::SIGTERM);
    running.wait_log(1, "stopping");
    old.resume();
    running.finish().expect_code(143).expect_log("all other databases are on their replicas");
    assert_eq!(tenants.backup("a"), 8);
}

#[test]
fn a_move_takes_everything_along() {
    let s3 = S3::start();
    s3.bucket("backups");
    let tenants = Tenants::in_folders();
    let running = with_a(&tenants, &[]);
    sqlite::insert(&tenants.path("a"), 20);
    answer(&tenants, &[json!({"path": tenants.path("a"), "replica": on(&s3.endpoint(), "a")})]);
    let ended = tenants.reload().expect_code(0);
    assert!(!ended.log.contains("error"), "{}", ended.log);
    assert!(
        !s3.objects("backups").iter().any(|name| name.contains(".litekeeper-check-")),
        "the trial is gone"
    );
    assert_eq!(tenants.backup("a"), 25, "the old place has all that was written until then");
    sqlite::insert(&tenants.path("a"), 20);
    running.stop(143);
    let moved = Tenants { replica: Box::new(move |name| on(&s3.endpoint(), name)), ..tenants };
    assert_eq!(moved.backup("a"), 45);
}

/// Each beside one that comes with the same answer.
#[test]
fn conflicts_are_those_of_the_answer() {
    let tenants = Tenants::in_folders();
    let running = with_a(&tenants, &[]);
    let folder = tenants.world.path("tenants");
    symlink(&folder, tenants.world.path("linked")).expect("the world can be written");
    let spelt = |path: String| {
        let mut entry = tenants.entry("a");
        entry["path"] = path.into();
        entry
    };
    for (new, path) in [
        ("b", format!("{}/./a.db", folder.display())),
        ("c", format!("{}//a.db", folder.display())),
        ("d", tenants.world.path("linked/a.db").display().to_string()),
        ("e", tenants.path("a").display().to_string()),
    ] {
        sqlite::create(&tenants.path(new), 2);
        answer(&tenants, &[spelt(path), tenants.entry(new)]);
        let ended = tenants.reload().expect_code(0);
        assert!(ended.stdout.contains(&format!("added {}", tenants.path(new).display())), "{}", ended.stdout);
        assert!(!ended.stdout.contains("a.db"), "it is where it was: {}", ended.stdout);
        assert_eq!(tenants.backup(new), 2);
    }
    // A rename: the same replica, and what Litestream has beside the file goes along.
    sqlite::insert(&tenants.path("a"), 4);
    wait_until("its upload", DEADLINE, || tenants.backup("a") == 9);
    for name in fs::read_dir(&folder).expect("it is there").flatten() {
        let name = name.file_name().into_string().expect("ours");
        if name.contains("a.db") && !name.contains("lock") {
            fs::rename(folder.join(&name), folder.join(name.replace("a.db", "z.db"))).expect("nobody minds");
        }
    }
    sqlite::create(&tenants.path("f"), 2);
    let mut renamed = tenants.entry("a");
    renamed["path"] = tenants.path("z").display().to_string().into();
    answer(&tenants, &[renamed.clone(), tenants.entry("f")]);
    tenants.reload();
    running.wait_log(1, &format!("replicating {}", tenants.path("f").display()));
    running.wait_log(1, &format!("replicating {}", tenants.path("z").display()));
    sqlite::insert(&tenants.path("z"), 1);
    running.stop(143);
    assert_eq!((tenants.backup("a"), tenants.backup("f")), (10, 2));
}

#[test]
fn what_is_on_its_way_in_is_given_up_when_it_is_named_no_more() {
    let s3 = S3::start();
    s3.bucket("backups");
    let tenants = Tenants::in_folders();
    let running = with_a(&tenants, &[]);
    s3.hold_puts();
    sqlite::create(&tenants.path("x"), 3);
    let x = json!({"path": tenants.path("x"), "replica": on(&s3.endpoint(), "x")});
    answer(&tenants, &[tenants.entry("a"), x.clone()]);
    s3.wait_puts(1);
    tenants.name(&["a"]);
    running.wait_log(1, "x.db: named no more before litestream could take it in");
    wait_until("the end of its lock", DEADLINE, || !is_locked(&tenants.path("x")));
    s3.resume();
    tenants.reload().expect_code(0);
    answer(&tenants, &[tenants.entry("a"), x.clone()]);
    running.wait_log(1, &format!("replicating {}", tenants.path("x").display()));
    sqlite::insert(&tenants.path("x"), 4);
    running.stop(143);
    let there = Tenants { replica: Box::new(move |name| on(&s3.endpoint(), name)), ..tenants };
    assert_eq!(there.backup("x"), 7);
}

#[test]
fn two_names_of_one_database_are_refused() {
    let tenants = Tenants::in_folders();
    let running = with_a(&tenants, &[]);
    symlink(tenants.world.path("tenants"), tenants.world.path("linked")).expect("the world can be written");
    symlink(tenants.world.root(), tenants.world.path("root")).expect("the world can be written");
    let own = format!("root/{}", tenants.world.db().file_name().expect("a name").to_string_lossy());
    for other in ["linked/a.db", &own] {
        let mut entry = tenants.entry("b");
        entry["path"] = tenants.world.path(other).display().to_string().into();
        answer(&tenants, &[tenants.entry("a"), entry]);
        tenants.reload().expect_code(78).expect_log("are one database");
        assert!(is_locked(&tenants.path("a")));
    }
    running.stop(143);
}
