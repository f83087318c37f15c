//! OpenSSH's server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::backend::{Backend, ReadOnly};
use super::scenarios;
use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{NO_SOCKET, OLD};
use crate::support::server::{Server, free_port, program};
use crate::support::sqlite;
use crate::support::world::World;
use crate::support::wrap;

/// A server to which this user has a key.
pub fn start(world: &World) -> Backend {
    // As Debian's server has them.
    let [host, rsa, ed25519] =
        ["ecdsa", "rsa", "ed25519"].map(|kind| key(world, &format!("host-{kind}"), kind));
    let (client, other) = (key(world, "client", "ed25519"), key(world, "other", "ecdsa"));
    let port = free_port();
    let way_in = by_key(world, &client);
    let server = serve(world, port, &[&rsa, &host, &ed25519], &way_in, Vec::new());
    let closed = free_port();
    // `-R`: no request that changes something is answered (`sftp-server(8)`).
    let closed_server =
        serve(world, closed, &[&host], &format!("{way_in}Subsystem sftp internal-sftp -R\n"), Vec::new());
    let root = world.path("there");
    let right = Replica::new("sftp")
        .set("host", format!("127.0.0.1:{port}"))
        .set("user", user())
        .set("key-path", text(&client))
        .set("host-key", public(&host));
    let no_key = world.write("no-key", "sesame\n");
    let app = right.clone().set("path", text(&root.join("app")));
    let at = move |name: &str| right.clone().set("path", text(&root.join(name)));
    let read_only = {
        let at = at.clone();
        move |name: &str| {
            let _runs = &closed_server;
            at(name).set("host", format!("127.0.0.1:{closed}"))
        }
    };
    let in_folder = {
        let at = at.clone();
        move |name: &str| at(&format!("tenants/{name}"))
    };
    Backend {
        server: Box::new(server),
        at: Box::new(at),
        folder: Some(Box::new(in_folder)),
        refused: vec![
            (app.clone().set("key-path", text(&other)), "check the user, and its password or key"),
            (app.clone().set("host-key", public(&other)), "compare `host-key` with what the server has"),
            (app.clone().set("host-key", public(&rsa)), "takes its ecdsa key if it has one"),
            (app.clone().set("host-key", public(&ed25519)), "takes its ecdsa key if it has one"),
            (app.set("key-path", text(&no_key)), "name a file with a private key"),
        ],
        env: Vec::new(),
        left: Some("/there/app/.litekeeper-check-"),
        read_only: Some(ReadOnly {
            at: Box::new(read_only),
            hint: "check who may read and write there",
            env: Vec::new(),
        }),
        stays: Some(2),
        is_listed: false,
        order: None,
        empty: None,
        gives_up: true,
        has_arrived: None,
    }
}

/// A server with these keys of its own and this way in, behind `wrapper`.
fn serve(world: &World, port: u16, hosts: &[&Path], way_in: &str, mut wrapper: Vec<String>) -> Server {
    let sftp = if way_in.contains("Subsystem") { "" } else { "Subsystem sftp internal-sftp\n" };
    let hosts: String = hosts.iter().map(|host| format!("HostKey {}\n", host.display())).collect();
    let config = world.write(
        &format!("sshd-{port}"),
        &format!(
            "Port {port}\nListenAddress 127.0.0.1\n{hosts}{way_in}StrictModes no\nUsePAM no\nPidFile none\n\
             PermitRootLogin yes\nMaxStartups 100\n{sftp}"
        ),
    );
    // Root's server locks itself up there, and only its unit makes it.
    let _ = fs::create_dir_all("/run/sshd");
    wrapper.push(text(&program("sshd", "openssh-server")));
    Server::start(Path::new(&wrapper[0]), world.root(), port, |command| {
        command.args(&wrapper[1..]).args(["-D", "-e", "-f"]).arg(config);
    })
}

/// Whoever has this key may come in, and nobody else.
fn by_key(world: &World, client: &Path) -> String {
    let keys = world.write("authorized", &public(client));
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).expect("it is ours");
    format!("AuthorizedKeysFile {}\nPasswordAuthentication no\n", keys.display())
}

/// The name of this user.
fn user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    user.expect("this user has a name").name
}

fn key(world: &World, name: &str, kind: &str) -> PathBuf {
    let path = world.path(name);
    let mut keygen = Command::new(program("ssh-keygen", "openssh-client"));
    let made = keygen.args(["-q", "-t", kind, "-N", "", "-f"]).arg(&path).status();
    assert!(made.expect("it can be started").success());
    path
}

/// The kind and the key of `KIND KEY COMMENT`.
fn public(private: &Path) -> String {
    let text = fs::read_to_string(private.with_extension("pub")).expect("ssh-keygen has made it");
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn text(path: &Path) -> String {
    path.to_str().expect("the world's paths are UTF-8").to_owned()
}

/// Only root's server may ask for a password, and this one believes in a file of its own.
#[test]
fn a_password_is_enough() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let (host, port) = (key(&world, "host", "ed25519"), free_port());
    let shadow = world.write("shadow", &format!("root:{HASH}:19000:0:99999:7:::\n"));
    let wrapper = wrap::bound(&shadow, Path::new("/etc/shadow"));
    let server = serve(&world, port, &[&host], "PasswordAuthentication yes\n", wrapper);
    let root = world.path("there");
    let right = Replica::new("sftp")
        .set("host", format!("127.0.0.1:{port}"))
        .set("user", "root")
        .set("password", "sesame-open")
        .set("host-key", public(&host));
    let app = right.clone().set("path", text(&root.join("app")));
    let backend = Backend {
        server: Box::new(server),
        at: Box::new(move |name: &str| right.clone().set("path", text(&root.join(name)))),
        folder: None,
        refused: vec![(app.set("password", "sesame-closed"), "check the user, and its password or key")],
        env: Vec::new(),
        left: None,
        read_only: None,
        stays: Some(2),
        is_listed: false,
        order: None,
        empty: None,
        gives_up: true,
        has_arrived: None,
    };
    scenarios::main_job(&world, &backend);
    let world = World::new();
    scenarios::refused(&world, &backend);
}

/// Of `sesame-open` (`crypt(5)`).
const HASH: &str =
    "$6$litekeeper$9MYydpDQkkXHLPiGUN3N5qGSeTLjjB8CgdLiRtVj3iRbADccfwomElHsSWoVyfP8e0un4rGNVlu8UyrG4D.SB1";

/// Go's client asks for ecdsa first, then rsa, and for ed25519 last (`preferredHostKeyAlgos` in its `x/crypto/ssh`).
#[test]
fn of_several_host_keys_the_one_that_is_advised_is_right() {
    let world = World::new();
    let kinds = ["ecdsa", "rsa", "ed25519"];
    let keys = kinds.map(|kind| key(&world, kind, kind));
    let client = key(&world, "client", "ed25519");
    let way_in = by_key(&world, &client);
    sqlite::create(&world.db(), 1);
    for first in 0..keys.len() {
        let port = free_port();
        let hosts: Vec<&Path> = keys[first..].iter().map(PathBuf::as_path).collect();
        let _server = serve(&world, port, &hosts, &way_in, Vec::new());
        for (place, key) in keys.iter().enumerate().skip(first) {
            let replica = Replica::new("sftp")
                .set("host", format!("127.0.0.1:{port}"))
                .set("user", user())
                .set("key-path", text(&client))
                .set("host-key", public(key))
                .set("path", text(&world.path("there")));
            let keeper =
                Keeper::new(&world).config(&world.config(&replica)).command("check").args(["--online"]);
            let ended = keeper.run().expect_code(if place == first { 0 } else { 78 });
            assert_eq!(ended.stdout.contains("host key mismatch"), place != first, "{}", ended.stdout);
        }
    }
}

/// It cannot write once, so nobody learns of it before the app has made a database.
#[test]
fn with_an_older_litestream_nothing_is_tried() {
    for version in [OLD, NO_SOCKET] {
        let world = World::new();
        let backend = start(&world);
        let keeper = backend.keeper(&world).litestream(version).args(["--allow-litestream", version]);
        keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(0).expect_log("holds no backup");
        world.trace().wait("start");
        assert!(!world.path("there/app/.litekeeper-check-start").exists(), "{version}");
    }
}
