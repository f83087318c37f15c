//! The control socket where the user wants it.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::world::World;

fn keeper(world: &World, top: &str) -> Keeper {
    let config = world.config_of(top, [(world.db().as_path(), &world.replica())]);
    Keeper::new(world).config(&config)
}

fn app(world: &World) -> App {
    App::new(&world.trace()).on_exit("TERM", 0).insert_forever(&world.db(), 20)
}

fn is_socket(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.file_type().is_socket())
}

#[test]
fn it_is_made_where_the_user_wants_it() {
    let world = World::new();
    let path = world.path("own.sock");
    // What a run that was killed leaves.
    drop(UnixListener::bind(&path).expect("a socket"));
    let running =
        keeper(&world, "socket: {enabled: true, path: own.sock, permissions: 0660}").app(app(&world)).start();
    world.trace().wait_acked(5);
    assert!(is_socket(&path));
    assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, 0o660);
    let lock = fs::read_to_string(world.path(".app.db-litekeeper.lock")).expect("the lock");
    assert!(lock.contains(&format!("socket {}\n", path.display())), "{lock}");
    let names: Vec<_> =
        world.list("rt").into_iter().flat_map(|run| world.list(&format!("rt/{run}"))).collect();
    assert!(!names.iter().any(|name| name == "litestream.sock"), "{names:?}");
    running.stop(0);
    assert!(!path.exists());
}

#[test]
fn the_environment_outweighs_the_file() {
    let world = World::new();
    let path = world.path("of-env.sock");
    let keeper = keeper(&world, "socket: {path: /nowhere/x.sock, enabled: no}");
    let keeper = keeper.env("LITESTREAM_SOCKET_PATH", &path).env("LITESTREAM_SOCKET_ENABLED", "true");
    let running = keeper.app(app(&world)).start();
    world.trace().wait_acked(2);
    assert!(is_socket(&path));
    running.stop(0);
}

#[test]
fn it_cannot_be_switched_off() {
    let world = World::new();
    let keeper = keeper(&world, "socket: {enabled: off, path: /nowhere/x.sock}");
    let ended = keeper.app(App::new(&world.trace()).insert(&world.db(), 1).exit(0)).run().expect_code(0);
    assert!(ended.log.contains("the control socket is switched off"), "{}", ended.log);
}

#[test]
fn a_place_where_none_can_be_made_is_refused() {
    let world = World::new();
    world.write("file", "");
    let _listening = UnixListener::bind(world.path("used")).expect("a socket");
    let long = "x".repeat(120);
    for (path, reason) in [
        (long.as_str(), "no unix socket takes more than 107"),
        ("missing/x", "there is no folder"),
        ("file", "there is something else than a socket"),
        ("used", "is in use by another process"),
    ] {
        let ended =
            keeper(&world, &format!("socket: {{path: {path}}}")).app(app(&world)).run().expect_code(78);
        assert!(ended.log.contains(reason) && ended.log.contains("hint: "), "{}", ended.log);
        assert!(world.trace().is_empty(), "{}", ended.log);
        assert_eq!(world.list("rt"), [""; 0]);
    }
    assert!(is_socket(&world.path("used")));
}
