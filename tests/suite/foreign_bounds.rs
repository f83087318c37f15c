//! What others say is bounded and holds no secret, in whatever message of ours it is repeated.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

use crate::support::keeper::Keeper;
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::world::World;

/// In two parts, either of which would be too much.
const PARTS: [&str; 2] = ["QQQpart", "ZZZpart"];

/// Some pieces of 2 KiB.
const LONGEST: usize = 7 << 10;

/// A key that the server repeats.
const KEY: &str = "QQQpart/of+the/key/ZZZpart";

#[track_caller]
fn assert_fit(ended: &Ended, what: &str) {
    for text in [&ended.log, &ended.stdout] {
        for line in text.lines() {
            assert!(line.len() < LONGEST, "{what}: a line of {} bytes: {}", line.len(), &line[..200]);
        }
        for part in PARTS {
            assert!(!text.contains(part), "{what}: {text}");
        }
    }
}

/// A server that answers each request with an error of 200 KB; its address. It ends with the test.
fn verbose() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut request = [0; 16 << 10];
                let body = format!(
                    "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>{KEY} s3://u:{KEY}@b {} s3://u:{KEY}@b/p</Message></Error>",
                    "no ".repeat(70_000)
                );
                while stream.read(&mut request).is_ok_and(|read| read > 0) {
                    let head = format!(
                        "HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    );
                    if stream
                        .write_all(head.as_bytes())
                        .and_then(|()| stream.write_all(body.as_bytes()))
                        .is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn an_error_of_200_kb_is_a_line() {
    let url = format!("s3://bucket/app?endpoint=http://{}&region=us-east-1&forcePathStyle=true", verbose());
    for (command, is_there) in [("run", true), ("run", false), ("check", true)] {
        for format in ["text", "json"] {
            let world = World::new();
            if is_there {
                sqlite::create(&world.db(), 3);
            }
            let keeper = Keeper::new(&world).command(command).db(&world.db()).replica(&url);
            let keeper =
                keeper.env("LITESTREAM_ACCESS_KEY_ID", "AKIA").env("LITESTREAM_SECRET_ACCESS_KEY", KEY);
            let keeper = match command {
                "run" => keeper
                    .args(["--gate-timeout", "4s", "--restore-timeout", "4s", "--stop-timeout", "6s"])
                    .args(["--log-format", format, "--log-level", "debug"])
                    .app(["true"]),
                _ if format == "json" => keeper.args(["--online", "--json"]),
                _ => keeper.arg("--online"),
            };
            let ended = keeper.run();
            let said = format!("{}{}", ended.log, ended.stdout);
            assert!(said.contains("AccessDenied") || said.contains("403"), "{said}");
            if command == "run" {
                assert!(said.contains("more bytes)"), "{said}");
                assert_fit(&ended, &format!("{command} {is_there}"));
            } else if format == "text" {
                assert_fit(&ended, command);
            } else {
                // All findings are one line there.
                assert!(said.len() < 10 * LONGEST && PARTS.iter().all(|part| !said.contains(part)), "{said}");
            }
        }
    }
}

#[test]
fn a_broken_url_is_found_and_not_shown() {
    for url in [
        "s3://user:QQQpart%zzZZZpart@bucket/p",
        "s3://user:QQQpart%4@bucket/p?x=ZZZpart",
        "s3://user:QQQpart ZZZpart@bucket/p",
        "s3://user:QQQpart\"ZZZpart@bucket/p",
        "s3://user:QQQpart/ZZZpart@bucket/p",
        "s3://user:QQQpart@ZZZpart@bucket:port/p",
        "s3://user:QQQpart%ZZZpart@",
        "s3://bucket/%zz?secret-access-key=QQQpart&x=ZZZpart",
        "s3://bucket/p#QQQpart%zzZZZpart",
        "s3:/user:QQQpart%zzZZZpart@bucket/p",
    ] {
        let world = World::new();
        sqlite::create(&world.db(), 1);
        let yaml = serde_json::json!({"dbs": [{"path": world.db(), "replica": {"url": url}}]});
        let config = world.write("litestream.yml", &yaml.to_string());
        for is_there in [true, false] {
            if !is_there {
                fs::remove_file(world.db()).expect("ours");
            }
            for command in ["run", "check", "config"] {
                for how in 0..3 {
                    let keeper = Keeper::new(&world).command(command);
                    let keeper = match how {
                        0 => keeper.config(&config),
                        1 => keeper.db(&world.db()).replica(url),
                        _ => keeper.db(&world.db()).env("LITESTREAM_REPLICA_URL", url),
                    };
                    let keeper = match command {
                        "run" => {
                            keeper.args(["--gate-timeout", "2s", "--restore-timeout", "2s"]).app(["true"])
                        }
                        _ => keeper,
                    };
                    let ended = keeper.run();
                    assert_fit(&ended, &format!("{command} {url} {how}"));
                    if command == "check" && how == 0 && url.contains("%zz@") {
                        assert!(ended.stdout.contains("[replica-place]"), "{}", ended.stdout);
                        assert!(ended.stdout.contains("(s3://(hidden)@bucket/p)"), "{}", ended.stdout);
                        assert!(ended.stdout.contains("%25"), "{}", ended.stdout);
                    }
                }
            }
        }
    }
}

#[test]
fn a_parameter_that_litestream_leaves_out_is_found() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    for (url, rule, more) in [
        ("s3://bucket/p?endpoint=http%zz:1&region=r", "broken-escape", ""),
        ("s3://bucket/p", "broken-url", ", endpoint: \"http://u:QQQpart%zz@h:1\""),
        ("s3://user:QQQpart%zzZZZpart@bucket/p", "replica-place", ""),
    ] {
        let text = format!("dbs:\n- path: app.db\n  replica: {{url: \"{url}\"{more}}}\n");
        let config = world.write("litestream.yml", &text);
        let ended = Keeper::new(&world).command("check").config(&config).run();
        assert!(ended.stdout.contains(&format!("[{rule}]")), "{url}: {}", ended.stdout);
        assert!(ended.stdout.contains("%25"), "{url}: {}", ended.stdout);
        assert_fit(&ended, url);
    }
}

#[test]
fn a_resolver_that_talks_is_cut() {
    let world = World::new();
    let talk = format!("{} s3://u:{KEY}@b {}", "x".repeat(64 << 10), "y".repeat(100 << 10));
    world.write("talk", &format!("s3://u:QQQpart ZZZpart@b {talk}\n"));
    world.write(
        "litestream.yml",
        "dbs: []\nlitekeeper: {resolver: {command: [sh, -c, 'cat talk >&2; exit 3']}}\n",
    );
    let keeper = Keeper::new(&world).config(&world.path("litestream.yml")).app(["true"]);
    let ended = keeper.run();
    assert_fit(&ended, "resolver");
    assert!(ended.log.contains("more bytes)"), "{}", ended.log);
}
