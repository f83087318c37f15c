//! Apache's mod_dav.

use std::fs;
use std::os::unix::process::CommandExt;

use serde_json::{Value, json};

use super::backend::{Backend, ReadOnly};
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::server::{Server, free_port, program};
use crate::support::strace;
use crate::support::tenants::Tenants;
use crate::support::world::World;
use crate::user::Shared;

const MODULES: [&str; 8] =
    ["mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "dav", "dav_fs"];

/// A server with one user.
pub fn start(_: &World) -> Backend {
    let port = free_port();
    // Of its own user where this one is root, whom Apache does not serve: the world itself is closed to that.
    let folder = tempfile::Builder::new().prefix("lk-dav-").tempdir_in("/tmp").expect("/tmp can be written");
    let path = folder.path().to_owned();
    let show = path.display();
    fs::create_dir_all(path.join("files/closed")).expect("it is new");
    // `htpasswd -s` of `sesame-open`.
    fs::write(path.join("users"), "u:{SHA}68IRRwWtv1xgtjvcYAqsSZA1yPE=\n").expect("it is new");
    let modules: String = MODULES
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let text = format!(
        "{modules}ServerRoot \"{show}\"\nServerName 127.0.0.1\nListen 127.0.0.1:{port}\nPidFile {show}/pid\n\
         ErrorLog {show}/error\nDavLockDB {show}/locks\nDocumentRoot {show}/files\nStartServers 1\n\
         <Directory {show}/files>\nDav On\nAuthType Basic\nAuthName backups\nAuthUserFile {show}/users\n\
         Require valid-user\n</Directory>\n<Directory {show}/files/closed>\n\
         <LimitExcept GET HEAD OPTIONS PROPFIND>\nRequire all denied\n</LimitExcept>\n</Directory>\n"
    );
    fs::write(path.join("apache.conf"), text).expect("it is new");
    let nobody = nix::unistd::geteuid().is_root().then(|| {
        let found = nix::unistd::User::from_name("www-data").ok().flatten();
        found.expect("the package makes that user")
    });
    if let Some(user) = &nobody {
        for path in [&path, &path.join("files"), &path.join("files/closed")] {
            std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .expect("we are root");
        }
    }
    let apache = program("apache2", "apache2-bin");
    let server = Server::start(&apache, &path, port, |command| {
        command.args(["-X", "-f"]).arg(path.join("apache.conf"));
        if let Some(user) = nobody {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
    });
    let at = move |name: &str| {
        Replica::new("webdav")
            .set("webdav-url", format!("http://127.0.0.1:{port}"))
            .set("webdav-username", "u")
            .set("webdav-password", "sesame-open")
            .set("path", format!("/{name}"))
    };
    let read_only = move |name: &str| at(&format!("closed/{name}"));
    Backend {
        server: Box::new(WithFolder(server, folder)),
        at: Box::new(at),
        folder: Some(Box::new(move |name: &str| at(&format!("tenants/{name}")))),
        refused: vec![
            (at("app").set("webdav-password", "sesame-closed"), "check the user, and its password or key"),
            (at("app").set("webdav-username", "v"), "check the user, and its password or key"),
        ],
        env: Vec::new(),
        left: None,
        read_only: Some(ReadOnly {
            at: Box::new(read_only),
            hint: "check who may read and write there",
            env: Vec::new(),
        }),
        stays: Some(0),
        is_listed: false,
        order: None,
        empty: None,
        gives_up: true,
        has_arrived: None,
    }
}

/// The folder goes after its server.
struct WithFolder(Server, #[expect(dead_code, reason = "it is held")] tempfile::TempDir);

impl super::backend::Goes for WithFolder {
    fn down(&mut self) {
        self.0.down();
    }

    fn pause(&self) {
        self.0.pause();
    }

    fn up(&mut self) {
        self.0.up();
    }
}

/// A tenant that moves there, or begins there, while the app runs.
#[test]
fn a_tenant_is_taken_to_no_place_that_cannot_be_written() {
    let tenants = Tenants::in_folders();
    let server = start(&tenants.world);
    let place: Value = serde_json::from_str(&(server.at)("").text()).expect("JSON");
    let host = place["webdav-url"].as_str().and_then(|url| url.strip_prefix("http://")).expect("a URL");
    let at = |name: &str, place: &str| {
        let url = format!("webdav://u:sesame-open@{host}/{place}");
        json!({"path": tenants.path(name), "replica": {"url": url}})
    };
    let answer = |entries: &[Value]| tenants.answer(&Value::from(entries.to_vec()).to_string());
    let running = tenants.start_with_a(5);
    for entries in [vec![at("a", "closed/a")], vec![tenants.entry("a"), at("b", "closed/b")]] {
        answer(&entries);
        let ended = tenants.reload().expect_code(69).expect_log(": 403");
        ended.expect_log("hint: check who may read and write there");
    }
    answer(&[at("a", "a"), at("b", "b")]);
    let ended = tenants.reload().expect_code(0);
    assert!(ended.stdout.contains("added"), "{}", ended.stdout);
    assert!(!running.log().contains("to try its replica"), "{}", running.log());
    running.stop(143);
    assert_eq!(server.files(&tenants.world, "a/.litekeeper-check-start"), 0);
    assert_eq!(server.files(&tenants.world, "b/.litekeeper-check-start"), 0);
    let there = at("a", "a")["replica"].clone();
    let moved = Tenants { replica: Box::new(move |_| there.clone()), ..tenants };
    assert_eq!(moved.backup("a"), 5);
}

/// All that is done in folders of another user's is done with that user's rights.
#[test]
fn root_does_nothing_by_path_while_it_tries_for_another_user() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    assert!(strace::is_there(), "this test needs strace, and may trace: apt-get install strace");
    let shared = Shared::new();
    let world = &shared.world;
    let server = start(world);
    let config = world.config_of("", [(shared.db().as_path(), &(server.at)("app"))]);
    let traced = world.path("strace");
    let keeper = Keeper::new(world).config(&config).args(["--user", "nobody"]);
    let keeper = keeper.env("LITESTREAM_BINARY_PATH", world.path("litestream"));
    keeper.wrapped(strace::wrapper(&traced)).app(["true"]).run().expect_code(0);
    let calls = fs::read_to_string(&traced).expect("it is there");
    assert!(calls.contains("check.db"), "it was tried");
    let theirs =
        [world.path("data/"), world.runtime_dir().join("run-")].map(|path| path.display().to_string());
    assert_eq!(strace::by_path(&traced, &theirs, true), [""; 0]);
}
