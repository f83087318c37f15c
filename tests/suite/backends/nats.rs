//! NATS with JetStream.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use super::backend::Backend;
use crate::support::config::Replica;
use crate::support::server::{Server, free_port, program};
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
        gives_up: true,
    }
}

/// Litestream wants an object store that is there: the stream of that name, over the protocol itself
/// (`nats-protocol`, and ADR-20 for what an object store is).
fn make_bucket(port: u16, name: &str) {
    let request = serde_json::json!({
        "name": format!("OBJ_{name}"), "subjects": [format!("$O.{name}.C.>"), format!("$O.{name}.M.>")],
        "retention": "limits", "discard": "new", "storage": "file", "num_replicas": 1, "allow_rollup_hdrs": true,
        "allow_direct": true, "max_msgs": -1, "max_bytes": -1, "max_age": 0, "max_consumers": -1
    })
    .to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let connect = r#"CONNECT {"verbose":false,"pedantic":false,"user":"u","pass":"sesame-open"}"#;
    let subject = format!("$JS.API.STREAM.CREATE.OBJ_{name}");
    let ask = format!("{connect}\r\nSUB answer 1\r\nPUB {subject} answer {}\r\n{request}\r\n", request.len());
    stream.write_all(ask.as_bytes()).expect("it reads");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let answer = lines.find(|line| line.starts_with('{')).expect("it answers");
    assert!(!answer.contains("\"error\""), "{answer}");
}
