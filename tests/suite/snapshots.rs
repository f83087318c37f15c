//! Litestream's snapshots on S3: one that was cut off begins no restore, and may not stay.

use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST, binary};
use crate::support::process::Running;
use crate::support::s3::S3;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

const CUT: &str = "was cut off, and no restore could begin with it: it is removed";

fn start(world: &World, s3: &S3) -> Running {
    s3.bucket("backups");
    let keeper = Keeper::new(world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env());
    unit::start_writing(world, keeper)
}

fn snapshots(s3: &S3) -> usize {
    s3.objects("backups").iter().filter(|key| key.starts_with("app/0009/") && key.ends_with(".ltx")).count()
}

fn restored(world: &World, s3: &S3) -> usize {
    let config = world.config(&s3.replica("backups", "app"));
    Backup::Config(&config, &world.db()).assert_holds_acked(world, LATEST, &world.trace())
}

#[test]
fn one_that_was_cut_off_is_removed_while_the_app_runs() {
    let (world, s3) = (World::new(), S3::start());
    s3.cut_snapshots();
    let unit = start(&world, &s3);
    unit.wait_log(1, CUT);
    assert_eq!(snapshots(&s3), 0);
    unit.stop(0).expect_log("everything is on the replica");
    restored(&world, &s3);
}

#[test]
fn one_that_is_whole_stays() {
    let (world, s3) = (World::new(), S3::start());
    let unit = start(&world, &s3);
    wait_until("a look at the snapshot", DEADLINE, || {
        s3.seen().iter().any(|request| request.starts_with("HeadObject backups/app/0009/"))
    });
    let ended = unit.stop(0).expect_log("everything is on the replica");
    assert!(!ended.log.contains("cut off") && snapshots(&s3) > 0, "{}", ended.log);
    restored(&world, &s3);
}

#[test]
fn one_that_cannot_be_removed_is_no_backup() {
    let (world, s3) = (World::new(), S3::start());
    s3.cut_snapshots();
    s3.forbid_deletes();
    let unit = start(&world, &s3);
    unit.wait_log(1, "was cut off, no restore can begin with it, and it cannot be removed");
    unit.stop(74).expect_log("not everything is on the replica");
}

#[test]
fn a_key_that_may_only_write_is_told_of_once() {
    let (world, s3) = (World::new(), S3::start());
    s3.forbid_gets();
    let unit = start(&world, &s3);
    unit.wait_log(1, "cannot be read to see whether litestream's snapshots are whole");
    unit.stop(0).expect_log("everything is on the replica");
    s3.resume();
    restored(&world, &s3);
}

/// The log of a busy machine is read late.
#[test]
fn one_that_is_told_of_at_the_end_and_not_looked_at_is_said_to_be() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    let line = r#"{"level":"INFO","msg":"snapshot complete","db":"app.db","txid":"0000000000000001"}"#;
    let real = binary(LATEST);
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = replicate ] || exec {0} \"$@\"\n{0} \"$@\"\ncode=$?\necho '{line}'\nexit $code\n",
        real.display()
    );
    let litestream = world.program("litestream", &script);
    let keeper = Keeper::new(&world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env());
    let unit = unit::start_writing(&world, keeper.env("LITESTREAM_BINARY_PATH", litestream));
    wait_until("a look at the snapshot", DEADLINE, || {
        s3.seen().iter().filter(|request| request.starts_with("GetObject backups/app/0009/")).count() >= 2
    });
    s3.hold_heads();
    let ended = unit.stop(74).expect_log("everything is on the replica");
    let ended = ended.expect_log("nobody knows yet whether the last snapshot is whole");
    assert!(!ended.log.contains("not everything"), "{}", ended.log);
}
