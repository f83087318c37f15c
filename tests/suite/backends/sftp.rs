//! OpenSSH's server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::backend::Backend;
use crate::support::config::Replica;
use crate::support::server::{Server, free_port, program};
use crate::support::world::World;

/// A server to which this user has a key.
pub fn start(world: &World) -> Backend {
    // As Debian's server has them.
    let [host, rsa, ed25519] =
        ["ecdsa", "rsa", "ed25519"].map(|kind| key(world, &format!("host-{kind}"), kind));
    let (client, other) = (key(world, "client", "ed25519"), key(world, "other", "ecdsa"));
    let port = free_port();
    let keys = world.write("authorized", &public(&client));
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let config = world.write(
        "sshd",
        &format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\nPasswordAuthentication no\n\
             StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nMaxStartups 100\nSubsystem sftp internal-sftp\n",
            rsa.display(),
            host.display(),
            ed25519.display(),
            keys.display()
        ),
    );
    // Root's server locks itself up there, and only its unit makes it.
    let _ = fs::create_dir_all("/run/sshd");
    let server = Server::start(&program("sshd", "openssh-server"), world.root(), port, |command| {
        command.args(["-D", "-e", "-f"]).arg(config);
    });
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    let user = user.expect("this user has a name").name;
    let root = world.path("there");
    let right = Replica::new("sftp")
        .set("host", format!("127.0.0.1:{port}"))
        .set("user", user)
        .set("key-path", text(&client))
        .set("host-key", public(&host));
    let no_key = world.write("no-key", "sesame\n");
    let app = right.clone().set("path", text(&root.join("app")));
    let at = move |name: &str| right.clone().set("path", text(&root.join(name)));
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
        gives_up: true,
        has_arrived: None,
    }
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
