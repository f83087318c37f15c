//! What is told of a running unit over HTTP, and to whom.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::app::App;
use crate::support::http::{Reply, Site, get_on};
use crate::support::keeper::Keeper;
use crate::support::litestream::{LATEST, OLD};
use crate::support::operator::{operator, printed, quiet, read};
use crate::support::process::Running;
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::wait::{DEADLINE, wait_for, wait_until};
use crate::support::world::World;

const HERE: &str = "litekeeper: {http: '127.0.0.1:0', watch: {max-lag: 1s}}\n";

fn keeper(world: &World, options: &[&str]) -> Keeper {
    sqlite::create(&world.db(), 3);
    let app = App::new(&world.trace()).on_exit("TERM", 0).ready().wait();
    Keeper::new(world).db(&world.db()).replica(&world.replica_url()).args(options).app(app)
}

fn here(world: &World) -> (Running, Site) {
    let running = quiet(world, &Store::Folder, LATEST, (3, HERE));
    let site = Site::of(&running);
    (running, site)
}

/// Its value in a text of metrics.
fn metric(reply: &Reply, name: &str) -> f64 {
    let line = reply.body.lines().find_map(|line| line.strip_prefix(name)?.rsplit(' ').next());
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}: {}", reply.body))
}

#[test]
fn health_status_and_numbers_are_told_of_both_releases() {
    for version in [LATEST, OLD] {
        let world = World::new();
        let running = quiet(&world, &Store::Folder, version, (3, HERE));
        let site = Site::of(&running);
        assert_eq!(site.get("/livez").status, 200);
        assert_eq!(site.wait("it to be ready", "/readyz", |reply| reply.status == 200).body, "ready\n");
        // Nobody can ask the older one.
        let state = if version == LATEST { "replicated" } else { "unknown" };
        let verbose = site.get("/readyz?verbose");
        assert_eq!(verbose.status, 200);
        for part in ["[+] keeper: running\n", "[+] litestream: runs, pid ", &format!("/app.db: {state}")] {
            assert!(verbose.body.contains(part), "no {part:?}: {}", verbose.body);
        }
        let document: Value = read(&site.get("/status.json").body);
        let status = || operator(&world, "status").litestream(version);
        wait_until("it to be known from outside", DEADLINE, || status().run().status.code() == Some(0));
        let mut said: Value = printed(status(), 0);
        // These the command finds out at the replica.
        said["databases"][0]["restorable"] = Value::Null;
        // A keeper's start is known to the second by its process.
        assert_eq!(document["app"], said["app"]);
        for name in ["pid", "version", "started_at", "restarts", "last_exit"] {
            assert_eq!(document["litestream"][name], said["litestream"][name], "{name}");
        }
        assert_eq!(document["keeper"]["pid"], said["keeper"]["pid"]);
        let names = |value: &Value| {
            value["databases"][0].as_object().map(|one| one.keys().cloned().collect::<Vec<_>>())
        };
        assert_eq!(names(&document), names(&said));
        let numbers = site.get("/metrics");
        assert_eq!(metric(&numbers, "litekeeper_ready"), 1.0);
        assert_eq!(metric(&numbers, "litekeeper_litestream_up"), 1.0);
        if version == LATEST {
            assert_eq!(metric(&numbers, "litekeeper_database_replicated"), 1.0);
        } else {
            assert!(!numbers.body.contains("litekeeper_database_replicated"), "{}", numbers.body);
            assert!(site.get("/").body.contains("how far its replica is nobody can tell"));
        }
        let open = site.ask("/metrics", &["Accept: application/openmetrics-text"]);
        assert!(
            open.head.contains("application/openmetrics-text") && open.body.ends_with("# EOF\n"),
            "{open:?}"
        );
        running.stop(0);
    }
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let world = World::new();
    let (running, site) = here(&world);
    let missing = site.get("/nowhere");
    assert!(missing.status == 404 && missing.body.contains("/readyz"), "{missing:?}");
    let wrong = site.say("DELETE /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(wrong.status == 405 && wrong.head.contains("\nallow: get, head"), "{wrong:?}");
    let head = site.say("HEAD /status.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(head.status == 200 && head.body.is_empty(), "{head:?}");
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(32 << 10));
    assert_eq!(site.say(&long).status, 431);
    running.stop(0);
}

#[test]
fn the_keepers_own_socket_speaks_it_as_well() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (3, ""));
    let run = world.list("rt").into_iter().find(|name| name.starts_with("run-"));
    let socket = world.runtime_dir().join(run.expect("a run")).join("keeper.sock");
    assert_eq!(get_on(&socket, "/readyz").body, "ready\n");
    let document: Value = read(&get_on(&socket, "/status.json").body);
    assert_eq!(document["keeper"]["phase"], "running");
    assert_eq!(get_on(&socket, &format!("/{}", "x".repeat(4096))).status, 404);
    running.stop(0);
}

#[test]
fn a_replica_that_does_not_answer_makes_it_unready_until_it_does() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    sqlite::create(&world.db(), 3);
    let app = App::new(&world.trace()).on_exit("TERM", 0).ready().wait();
    let keeper = Keeper::new(&world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env());
    let running = keeper.args(["--http", "0", "--max-lag", "2s"]).app(app).start();
    let site = Site::of(&running);
    site.wait("the app", "/readyz", |reply| reply.status == 200);
    s3.pause();
    sqlite::insert(&world.db(), 1);
    let name = world.db().display().to_string();
    let unready = site.wait("a lag", "/readyz", |reply| reply.status == 503);
    assert!(unready.body.contains(&name) && unready.body.contains("has not confirmed"), "{unready:?}");
    assert!(site.get("/readyz?verbose").body.contains("lagging"));
    let page = site.get("/");
    assert!(page.body.contains("Not ready") && page.body.contains("has not confirmed"), "{page:?}");
    assert_eq!(site.get("/livez").status, 200, "nothing is wrong with the keeper");
    let numbers = site.get("/metrics");
    assert_eq!(metric(&numbers, "litekeeper_ready"), 0.0);
    assert!(metric(&numbers, "litekeeper_database_lag_seconds") >= 2.0);
    s3.resume();
    site.wait("it to have caught up", "/readyz", |reply| reply.status == 200);
    assert!(site.get("/").body.contains("has caught up"), "it is among the recent events");
    running.stop(0);
}

#[test]
fn a_litestream_that_was_killed_is_seen_and_counted() {
    let world = World::new();
    let (running, site) = here(&world);
    running.litestream().signal(Signal::SIGKILL);
    site.wait("another one", "/status.json", |reply| is_back(&read(&reply.body)));
    assert_eq!(metric(&site.get("/metrics"), "litekeeper_litestream_restarts_total"), 1.0);
    running.stop(0);
}

/// Litestream and the app were started once more.
fn is_back(now: &Value) -> bool {
    ["litestream", "app"].iter().all(|one| now[one]["restarts"] == 1 && now[one]["pid"].is_number())
}

#[test]
fn what_changes_is_told_at_once() {
    let world = World::new();
    let (running, site) = here(&world);
    let mut stream = site.connect();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a server");
    let mut said = String::new();
    let mut until = |what: &str| {
        let (mut piece, before) = ([0; 4096], said.len());
        while !said[before..].contains(what) {
            let read = stream.read(&mut piece).expect("an event");
            assert_ne!(read, 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
    };
    until("event: hello");
    sqlite::insert(&world.db(), 1);
    until("event: change");
    sqlite::insert(&world.db(), 1);
    until("event: change");
    running.stop(0);
}

#[test]
fn the_page_is_whole_by_itself_and_nothing_in_it_is_from_elsewhere() {
    let world = World::named("<script x&");
    let (running, site) = here(&world);
    let page = site.get("/");
    assert!(page.status == 200 && page.body.contains("The database is replicated."), "{page:?}");
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{page:?}");
    assert_eq!(page.body.matches("<script").count(), 1, "its own: {}", page.body);
    for link in ["src=\"", "href=\""].iter().flat_map(|name| page.body.split(name).skip(1)) {
        assert!(link.starts_with("page."), "{link}");
    }
    for part in ["page.css", "page.js"] {
        assert!(page.body.contains(part) && site.get(&format!("/{part}")).status == 200);
    }
    assert!(site.get("/?part").body.starts_with("<main>"));
    running.stop(0);
}

#[test]
fn another_name_than_this_machines_is_not_answered_without_a_password() {
    let world = World::new();
    let (running, site) = here(&world);
    for path in ["/", "/readyz", "/metrics", "/status.json", "/events", "/nowhere"] {
        let reply =
            site.say(&format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"));
        assert_eq!(reply.status, 421, "{path}: {reply:?}");
        let none = site.say(&format!("GET {path} HTTP/1.0\r\n\r\n"));
        assert_eq!(none.status, 421, "{path}: {none:?}");
    }
    running.stop(0);
}

#[test]
fn elsewhere_nothing_but_what_is_open_is_told_without_the_password() {
    const ADA: &str = "Authorization: Basic YWRhOmNvcnJlY3QgaG9yc2U="; // ada:correct horse
    let world = World::new();
    let keeper = keeper(&world, &["--http", "0.0.0.0:0", "--http-open", "health", "--log-level", "debug"]);
    let keeper = keeper.env("LITESTREAM_USERNAME", "ada").env("LITESTREAM_PASSWORD", "correct horse");
    let running = keeper.env("LITEKEEPER_HTTP_TOKEN", "t0ken-of-a-program").start();
    let Site(mut address) = Site::of(&running);
    address.set_ip([127, 0, 0, 1].into());
    let site = Site(address);
    site.wait("the app", "/readyz", |reply| reply.status == 200);
    assert_eq!(site.get("/livez").status, 200);
    for path in ["/", "/metrics", "/status.json", "/events", "/page.js", "/nowhere"] {
        let unknown = site.get(path);
        assert!(
            unknown.status == 401 && unknown.head.contains("www-authenticate: basic realm"),
            "{unknown:?}"
        );
        assert!(!unknown.body.contains("app.db"), "{unknown:?}");
    }
    for header in [ADA, "Authorization: bearer t0ken-of-a-program"] {
        assert_eq!(site.ask("/metrics", &[header]).status, 200, "{header}");
    }
    assert_eq!(site.ask("/metrics", &["Authorization: Bearer wrong"]).status, 401);
    let began = Instant::now();
    assert_eq!(site.ask("/metrics", &["Authorization: Bearer wrong"]).status, 401);
    assert!(began.elapsed() >= Duration::from_millis(500), "the next guess waits");
    let log = running.stop(0).log;
    assert!(!log.contains("correct horse") && !log.contains("t0ken-of-a-program"), "{log}");
}

#[test]
fn a_server_that_could_answer_nobody_is_refused() {
    let world = World::new();
    let ended = keeper(&world, &["--http", ":0"]).run().expect_code(78);
    assert!(ended.log.contains("--http: [::]:0 is not this machine's alone"), "{}", ended.log);
    assert!(ended.log.contains("LITESTREAM_PASSWORD") && ended.log.contains("--http-open"), "{}", ended.log);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("a port").to_string();
    let ended = keeper(&world, &["--http", &address]).run().expect_code(78);
    assert!(ended.log.contains(&address) && ended.log.contains("hint: "), "{}", ended.log);
    let ended = keeper(&world, &["--http", "0"]).env("LITESTREAM_USERNAME", "ada").run().expect_code(78);
    assert!(ended.log.contains("`ada`: it has no password"), "{}", ended.log);
    let ended = keeper(&world, &["--http", "nowhere"]).run().expect_code(2);
    assert!(ended.log.contains("127.0.0.1:9090"), "{}", ended.log);
    assert!(world.trace().all("ready").is_empty(), "no app was started");
}

#[test]
fn the_file_says_who_may_ask() {
    let world = World::new();
    let top = "litekeeper: {http: {listen: '127.0.0.1:0', open: [metrics], auth: {password: '${OURS}', token: tok-123456}}}\n";
    sqlite::create(&world.db(), 3);
    let config = world.config_of(top, [(world.db().as_path(), &world.replica())]);
    let app = App::new(&world.trace()).on_exit("TERM", 0).ready().wait();
    let running = Keeper::new(&world).config(&config).env("OURS", "correct horse").app(app).start();
    let site = Site::of(&running);
    world.trace().wait("ready");
    assert_eq!((site.get("/metrics").status, site.get("/").status), (200, 401));
    // The name of who has none is litekeeper.
    let basic = "Authorization: Basic bGl0ZWtlZXBlcjpjb3JyZWN0IGhvcnNl";
    assert_eq!(
        (site.ask("/", &[basic]).status, site.ask("/", &["Authorization: Bearer tok-123456"]).status),
        (200, 200)
    );
    running.stop(0);
    let shown = operator(&world, "config")
        .config(&config)
        .env("OURS", "correct horse")
        .app(["true"])
        .run()
        .expect_code(0);
    assert!(
        !shown.stdout.contains("correct horse") && !shown.stdout.contains("tok-123456"),
        "{}",
        shown.stdout
    );
}

#[test]
fn clients_that_say_nothing_or_read_nothing_keep_nobody_from_his_answer_nor_the_stop() {
    let world = World::new();
    let (running, site) = here(&world);
    let mut silent: Vec<_> = (0..300).map(|_| site.connect()).collect();
    for (place, stream) in silent.iter_mut().enumerate() {
        // Some begin a request, some ask for more than they ever read.
        let begun: &[u8] = if place % 2 == 0 {
            b"GET / HTTP/1.1\r\nHo"
        } else {
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        };
        stream.write_all(begun).expect("a server");
    }
    for path in ["/readyz", "/metrics", "/"] {
        assert_eq!(site.get(path).status, 200);
    }
    running.litestream().signal(Signal::SIGKILL);
    site.wait("another one", "/status.json", |reply| is_back(&read(&reply.body)));
    running.stop(0);
    drop(silent);
}

#[test]
fn more_clients_than_there_is_room_for_push_out_who_says_nothing() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the kernel tells");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("up to the hard limit");
    // It takes a quarter of what it may have open, where that is less than 1536.
    let more = usize::try_from(most / 3).unwrap_or(usize::MAX).min(1700);
    let world = World::new();
    let (running, site) = here(&world);
    let silent: Vec<_> = (0..more).map_while(|_| std::net::TcpStream::connect(site.0).ok()).collect();
    assert_eq!(site.get("/readyz").status, 200, "beside {}", silent.len());
    let mut first = silent.first().expect("a connection");
    first.set_read_timeout(Some(DEADLINE)).expect("a socket");
    assert_eq!(first.read(&mut [0; 16]).unwrap_or(0), 0, "the oldest was hung up on");
    running.stop(0);
}

#[test]
fn a_start_that_waits_for_its_replica_is_alive_and_not_ready() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    s3.pause();
    sqlite::create(&world.db(), 3);
    let app = App::new(&world.trace()).on_exit("TERM", 0).ready().wait();
    let keeper = Keeper::new(&world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env());
    let running = keeper.args(["--http", "0", "--lease", "off"]).app(app).start();
    let site = Site::of(&running);
    let unready =
        wait_for("an answer", DEADLINE, || Some(site.get("/readyz")).filter(|reply| reply.status == 503));
    assert!(unready.body.starts_with("not ready: "), "{unready:?}");
    assert_eq!(site.get("/livez").status, 200);
    assert!(site.get("/").body.contains("Not ready"));
    s3.resume();
    site.wait("it to be ready", "/readyz", |reply| reply.status == 200);
    running.stop(0);
}

fn post(site: Site, path: &str, headers: &str) -> Reply {
    let host = site.0;
    site.say(&format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n"
    ))
}

#[test]
fn who_waits_hears_when_his_row_is_on_the_replica() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    sqlite::create(&world.db(), 3);
    let app = App::new(&world.trace()).on_exit("TERM", 0).ready().wait();
    let config = world.config(&s3.replica("backups", "app"));
    let running = Keeper::new(&world).config(&config).envs(S3::env()).args(["--http", "0"]).app(app).start();
    let site = Site::of(&running);
    world.trace().wait("ready");
    let id = sqlite::insert(&world.db(), 1);
    let durable = post(site, "/wait?db=app.db&timeout=60s", "");
    assert_eq!(durable.status, 200, "{durable:?}");
    let said: Value = read(&durable.body);
    assert!(said["result"] == "durable" && said["databases"][0]["durable"] == true, "{said}");
    s3.pause();
    sqlite::insert(&world.db(), 1);
    let late = post(site, "/wait?timeout=1s", "");
    assert_eq!(late.status, 504, "{late:?}");
    let said: Value = read(&late.body);
    assert!(said["databases"][0]["path"].as_str().is_some_and(|path| path.ends_with("app.db")), "{said}");
    for (path, status) in [("/wait?db=nowhere.db", 404), ("/wait?timeout=soon", 400), ("/wait?base=x", 400)] {
        assert_eq!(post(site, path, "").status, status, "{path}");
    }
    assert_eq!(post(site, "/wait", "Sec-Fetch-Site: cross-site\r\n").status, 403);
    assert_eq!(post(site, "/wait", "Origin: http://evil.example\r\n").status, 403);
    let get = site.get("/wait");
    assert!(get.status == 405 && get.head.contains("\nallow: post"), "{get:?}");
    s3.resume();
    assert_eq!(post(site, "/wait", "").status, 200);
    // Nobody drains.
    running.signal_group(Signal::SIGKILL);
    running.finish();
    let restored = world.path("restored.db");
    let restore = operator(&world, "restore").config(&config).args(["-o", "restored.db"]);
    restore.run().expect_code(0);
    assert!(sqlite::ids(&restored).contains(&id));
    assert_eq!(sqlite::count(&restored), 5);
}

#[test]
fn a_release_that_confirms_nothing_says_which_one_does() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, OLD, (3, HERE));
    let reply = post(Site::of(&running), "/wait", "");
    assert!(reply.status == 501 && reply.body.contains("0.5.9"), "{reply:?}");
    running.stop(0);
}

/// What is told, what the page names, and what the alerts ask for.
#[test]
fn each_number_has_its_line_in_the_page_and_alerts_ask_for_no_other() {
    let world = World::new();
    let (running, site) = here(&world);
    sqlite::insert(&world.db(), 1);
    site.wait("a confirmation", "/metrics", |reply| reply.body.contains("last_confirmed_timestamp"));
    let numbers = site.get("/metrics").body;
    running.stop(0);
    let names = |text: &str| -> BTreeSet<String> {
        let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
        let name = |rest: &str| {
            format!("litekeeper_{}", rest.chars().take_while(|c| is_part(*c)).collect::<String>())
        };
        text.split("litekeeper_").skip(1).map(name).collect()
    };
    let told = names(&numbers);
    let page = names(&crate::support::docs::page("docs/http.md").text);
    // Of a container only, where its memory has a limit.
    let memory = ["litekeeper_memory_used_bytes", "litekeeper_memory_limit_bytes"].map(str::to_owned);
    assert_eq!(told.union(&memory.into()).cloned().collect::<BTreeSet<_>>(), page);
    let rules = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/prometheus/alerts.yml"))
        .expect("rules");
    let missing: Vec<_> = names(&rules).difference(&page).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}
