//! NATS with JetStream.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use super::backend::Backend;
use super::scenarios;
use crate::support::config::Replica;
use crate::support::process::Running;
use crate::support::server::{Server, free_port, program};
use crate::support::unit;
use crate::support::world::World;

/// A server with a user, and with the buckets of the scenarios.
pub fn start(world: &World) -> Backend {
    let port = free_port();
    let config = world.write(
        "nats.conf",
        &format!(
            "port: {port}\nhost: 127.0.0.1\njetstream {{store_dir: {:?}}}\nauthorization {{user: u, password: sesame-open}}\n",
            world.path("jetstream")
        ),
    );
    let server = Server::start(&program("nats-server", "nats-server"), world.root(), port, |command| {
        command.arg("-c").arg(config);
    });
    for bucket in ["app", "other", "tenants"] {
        make_bucket(port, bucket);
    }
    let at = move |bucket: &str| {
        Replica::new("nats")
            .set("url", format!("nats://127.0.0.1:{port}/{bucket}"))
            .set("username", "u")
            .set("password", "sesame-open")
    };
    Backend {
        server: Box::new(server),
        at: Box::new(at),
        // A bucket of NATS has no folders.
        folder: None,
        refused: vec![
            (at("app").set("password", "sesame-closed"), "check the user, and its password or key"),
            (at("nowhere"), "create the bucket"),
        ],
        env: Vec::new(),
        left: Some("was listed only: a NATS bucket has no folders"),
        read_only: None,
        stays: None,
        is_listed: false,
        order: None,
        empty: None,
        gives_up: true,
        has_arrived: Some(Box::new(move || has_arrived(port))),
    }
}

/// A call that was under way when the server went is waited for without end by Litestream 0.5.17: seen in its stacks in
/// `List` of nats.go 1.44 (jetstream/object.go).
#[test]
fn what_was_asked_of_a_server_that_went_is_asked_again_at_the_stop() {
    let world = World::new();
    let (backend, unit) = stalled(&world);
    let ended = unit.stop(0).expect_log("everything is on the replica");
    ended.expect_log(AFRESH);
    scenarios::assert_equal(&world, &backend, &world.db());
}

#[test]
fn what_was_asked_of_a_server_that_went_is_asked_again_while_the_app_runs() {
    let world = World::new();
    let trace = world.trace();
    let (backend, unit) = stalled(&world);
    let app = unit.app();
    unit.wait_log(1, scenarios::STALLED);
    unit::wait_successor(&trace, app.pid);
    let ended = unit.stop(0).expect_log(AFRESH).expect_log("everything is on the replica");
    assert_eq!(ended.log.matches(AFRESH).count(), 1, "the next one goes on: {}", ended.log);
    scenarios::assert_equal(&world, &backend, &world.db());
}

const AFRESH: &str = "litestream does not go on: ending it for a fresh one to drain";

/// A unit whose server went in the middle of a call, and is back.
fn stalled(world: &World) -> (Backend, Running) {
    let mut backend = start(world);
    let unit =
        unit::start_writing(world, backend.keeper(world).args(["--max-lag", "3s", "--stop-timeout", "1m"]));
    // Whatever it is sent from now on it takes with it.
    backend.server.pause();
    unit.wait_log(1, "not ready until it has caught up");
    backend.server.down();
    backend.server.up();
    (backend, unit)
}

/// Litestream wants an object store that is there: the stream of that name, over the protocol itself
/// (`nats-protocol`, and ADR-20 for what an object store is).
fn make_bucket(port: u16, name: &str) {
    let request = serde_json::json!({
        "name": format!("OBJ_{name}"), "subjects": [format!("$O.{name}.C.>"), format!("$O.{name}.M.>")],
        "retention": "limits", "discard": "new", "storage": "file", "num_replicas": 1, "allow_rollup_hdrs": true,
        "allow_direct": true, "max_msgs": -1, "max_bytes": -1, "max_age": 0, "max_consumers": -1
    });
    let answer = ask(port, &format!("CREATE.OBJ_{name}"), &request.to_string());
    assert!(!answer.contains("\"error\""), "{answer}");
}

/// Whether each upload so far is whole, a subject of its content and one of its name, and none more comes.
fn has_arrived(port: u16) -> bool {
    let subjects = || {
        let answer = ask(port, "INFO.OBJ_app", r#"{"subjects_filter":">"}"#);
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        let of = &answer["state"]["subjects"];
        of.as_object().map(|of| of.keys().cloned().collect::<BTreeSet<_>>()).unwrap_or_default()
    };
    let first = subjects();
    let of_content = first.iter().filter(|subject| subject.starts_with("$O.app.C.")).count();
    2 * of_content == first.len() && (0..5).all(|_| subjects() == first)
}

/// What JetStream answers about a stream.
fn ask(port: u16, what: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let connect = r#"CONNECT {"verbose":false,"pedantic":false,"user":"u","pass":"sesame-open"}"#;
    let length = request.len();
    let ask =
        format!("{connect}\r\nSUB answer 1\r\nPUB $JS.API.STREAM.{what} answer {length}\r\n{request}\r\n");
    stream.write_all(ask.as_bytes()).expect("it reads");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.find(|line| line.starts_with('{')).expect("it answers")
}
