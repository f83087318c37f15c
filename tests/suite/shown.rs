//! What is secret is shown to nobody, in whatever form it stands.

use std::fs;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream;
use crate::support::unit;
use crate::support::world::World;

/// In two parts, either of which would be too much.
const PARTS: [&str; 2] = ["QQQpart", "ZZZpart"];

#[track_caller]
fn assert_not_in(text: &str) {
    for part in PARTS {
        assert!(!text.contains(part), "{text}");
    }
}

#[test]
fn config_shows_no_secret_in_any_form() {
    let world = World::new();
    world.write(
        "litestream.yml",
        r#"
dbs:
- {path: a.db, replica: {url: "s3://b/p?secret-access-key=QQQpart@ZZZpart&x=QQQpart"}}
- {path: b.db, replica: {url: "s3://b/p2#QQQpart@ZZZpart"}}
- {path: c.db, replica: {type: s3, bucket: b, path: c, endpoint: "http://u:QQQpart?ZZZpart@h:1/x#QQQpart"}}
- {path: d.db, replica: {type: s3, bucket: b, path: d, unknown-token: QQQpart, sas_token: ZZZpart}}
litekeeper:
  before: ["migrate --dsn postgres://u:QQQpart@h/d?sslmode=require", "curl -H 'Authorization: Bearer QQQpart' x"]
  app:
    command: [app, "postgres://u:QQQpart@h/d?sslmode=require", "MYSQL_PWD=QQQpart", sh, -c, "PGPASSWORD=QQQpart psql",
      "sh -c 'PGPASSWORD=QQQpart psql'", "--header=X-Api-Key: QQQpart", "Server=h;User Id=u;Password=QQQpart;x=ZZZpart", "host=h password = 'QQQpart'",
      "//u:QQQpart@h/", "u:QQQpart@h/d", curl, -u, "u:QQQpart", --user, "u:QQQpart", '{"password":"QQQpart"}', --dbpass=QQQpart, "PASSWORD:QQQpart",
      "ghp_QQQpartQQQpartQQQpart", "https://hooks.slack.com/services/QQQpart/ZZZpart", mysql, -pQQQpart]
    env: {MYSQL_PWD: QQQpart, HOOK: "https://hooks.example.com/services/QQQpart/ZZZpart", PLAIN: QQQpart, OTHER: {env: OTHER}}
    cwd: .
  resolver: {command: [tenants, --password, QQQpart, "https://h/?k=QQQpart@ZZZpart"]}
  replicas: {t: {url: "sftp://u:QQQpart@ZZZpart@h/p"}}
"#
        .trim_start(),
    );
    for form in [&[][..], &["--json"], &["--origin"], &["--json", "--origin"]] {
        let keeper = Keeper::new(&world).command("config").config(&world.path("litestream.yml")).args(form);
        let ended = keeper.env("OTHER", "QQQpart").run();
        assert_not_in(&ended.stdout);
        assert_not_in(&ended.log);
        for open in ["a.db", "s3://b/p", "h:1/x", "MYSQL_PWD", "OTHER"] {
            assert!(ended.stdout.contains(open) || open == "h:1/x", "{open}: {}{}", ended.stdout, ended.log);
        }
    }
    let ended = Keeper::new(&world)
        .command("check")
        .config(&world.path("litestream.yml"))
        .env("OTHER", "QQQpart")
        .run();
    assert_not_in(&ended.stdout);
    assert_not_in(&ended.log);
}

/// A Litestream that keeps a copy of each file that it is given.
fn curious(world: &World) -> std::path::PathBuf {
    let (seen, real) = (world.path("seen"), litestream::binary(litestream::LATEST));
    let script = format!(
        "#!/bin/sh\nlast=\nfor word in \"$@\"; do [ \"$last\" = -config ] && cat \"$word\" >> '{}'; last=$word; done\nexec '{}' \"$@\"\n",
        seen.display(),
        real.display()
    );
    world.program("litestream", &script)
}

#[test]
fn no_generated_file_holds_a_value_of_the_environment() {
    let secret = PARTS.concat();
    let sftp = |password: &str| {
        format!("replica: {{type: sftp, host: \"127.0.0.1:1\", user: u, password: {password}, path: /b}}")
    };
    let folder = |password: &str| format!("dbs: [{{dir: tenants, pattern: '*.db', {}}}]\n", sftp(password));
    let resolver = "dbs: []\nlitekeeper: {resolver: {command: [cat, answer]}}\n".to_owned();
    let answer = |password: serde_json::Value| serde_json::json!([{"path": "t.db", "replica": {"type": "sftp", "host": "127.0.0.1:1", "user": "u", "password": password, "path": "/b"}}]);
    let template = "litekeeper: {replicas: {t: {type: sftp, host: \"127.0.0.1:1\", user: u, password: {env: SFTP_PW}, path: /b}}}\n";
    for (yaml, said) in [
        (folder("${SFTP_PW}"), None),
        (folder("{env: SFTP_PW}"), None),
        (format!("{template}dbs: [{{dir: tenants, pattern: '*.db', replica: t}}]\n"), None),
        (
            "dbs: [{dir: tenants, pattern: '*.db', replica: {url: \"sftp://u:${SFTP_PW}@127.0.0.1:1/b\"}}]\n"
                .to_owned(),
            None,
        ),
        (resolver.clone(), Some(answer(serde_json::json!({"env": "SFTP_PW"})))),
        (resolver, Some(answer(serde_json::json!(secret)))),
    ] {
        let world = World::new();
        fs::create_dir(world.path("tenants")).expect("ours");
        crate::support::sqlite::create(&world.path("tenants/a.db"), 1);
        world.write("litestream.yml", &yaml);
        if let Some(said) = &said {
            world.write("answer", &said.to_string());
        }
        let keeper = Keeper::new(&world).config(&world.path("litestream.yml")).app(["true"]);
        let keeper = keeper.args(["--gate-timeout", "2s", "--restore-timeout", "2s"]);
        let ended = keeper.env("SFTP_PW", &secret).env("LITESTREAM_BINARY_PATH", curious(&world)).run();
        let seen = fs::read_to_string(world.path("seen"))
            .unwrap_or_else(|_| panic!("no file was made: {}", ended.log));
        assert!(seen.contains("127.0.0.1:1") || seen.contains("${"), "{seen}");
        assert_not_in(&seen);
        assert_not_in(&ended.log);
    }
}

#[test]
fn a_resolver_names_no_variable_that_is_hidden_from_it() {
    let world = World::new();
    let answer = serde_json::json!([{"path": "t.db", "replica": {"path": {"env": "THE_SECRET"}}}]);
    world.write("answer", &answer.to_string());
    let yaml = |hide: &str| {
        format!(
            "dbs: []\nlitekeeper: {{app: {{hide-env: [{hide}]}}, resolver: {{command: [cat, answer]}}}}\n"
        )
    };
    let backup = world.path("backup").display().to_string();
    world.write("litestream.yml", &yaml("THE_*"));
    let keeper =
        || Keeper::new(&world).config(&world.path("litestream.yml")).app(["true"]).env("THE_SECRET", &backup);
    let ended = keeper().run().expect_code(78);
    assert!(ended.log.contains("THE_SECRET, which is not set"), "{}", ended.log);
    assert!(!ended.log.contains(&backup), "{}", ended.log);
    // What it has itself it may name.
    world.write("litestream.yml", &yaml("OTHER"));
    keeper().run().expect_code(0);
}

#[test]
fn what_litestream_says_of_a_url_is_masked() {
    let world = World::new();
    let error = "parse \"s3://u:QQQpart%zz@b/p?k=ZZZpart\": invalid URL escape";
    let message =
        serde_json::json!({"time": "2026-01-01T00:00:00Z", "level": "ERROR", "msg": error, "error": error});
    world.write("message", &format!("{message}\n{error}\n"));
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = version ] && {{ echo 0.5.17; exit; }}\ncat '{}' >&2\nexit 1\n",
        world.path("message").display()
    );
    for format in ["text", "json"] {
        let fake = world.program("litestream", &script);
        let keeper = unit::keeper(&world).env("LITESTREAM_BINARY_PATH", fake).app(["true"]);
        let ended = keeper.args(["--log-format", format, "--log-level", "trace"]).run();
        assert!(ended.log.contains("invalid URL escape"), "{}", ended.log);
        assert_not_in(&ended.log);
    }
}

/// `/proc/PID` of a process that is not dumpable belongs to root, whoever runs it; another user may not look in.
#[test]
fn the_environment_of_a_root_keeper_is_nobody_elses() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    // With no right beside being root, which is all that whoever looks has.
    let weak = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    let running = unit::keeper(&world).wrapped(weak).app(App::new(&world.trace()).ready().wait()).start();
    world.trace().wait("ready");
    for process in [running.keeper(), running.shim()] {
        let script = format!("cat /proc/{}/environ /proc/{0}/maps", process.pid);
        let ended = std::process::Command::new(weak[0])
            .args(&weak[1..])
            .args(["sh", "-c", &script])
            .output()
            .expect("setpriv");
        // The same user, but without the right to look into what is hidden.
        assert!(!ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    }
    running.stop(143);
}

/// What cannot be read is told all the same, and may be a secret's.
#[test]
fn what_is_refused_shows_no_secret() {
    let world = World::new();
    for text in [
        "s3:/AKID:QQQpart@b/p",
        " s3://u:QQQpart@b/p",
        "\"s3://u:QQQpart@b/p\"",
        "u:QQQpart@h",
        "s3:u:QQQpart@h",
        "s3://b/p?secret-access-key=QQQpart",
    ] {
        for option in
            ["--restore-from", "--restore-txid", "--stop-timeout", "--gate", "--log-level", "--no-such"]
        {
            let keeper = || Keeper::new(&world).db(&world.db()).replica("s3://b/p").app(["true"]);
            let mut told =
                vec![keeper().args([option, text]).run(), keeper().args([&format!("{option}={text}")]).run()];
            let name = format!("LITEKEEPER_{}", option[2..].to_uppercase().replace('-', "_"));
            told.push(keeper().env(&name, text).args(["--gate-timeout", "1s"]).run());
            for ended in told {
                assert!(!ended.log.contains("QQQpart"), "{option} {text}: {}", ended.log);
            }
        }
    }
    let config =
        world.write("exec.yml", "exec: 'PGPASSWORD=QQQpart9 a'\ndbs: [{path: app.db, replica: {path: r}}]\n");
    for command in ["run", "check", "config"] {
        let ended = Keeper::new(&world).command(command).config(&config).run();
        let said = format!("{}{}", ended.stdout, ended.log);
        assert!(!said.contains("QQQpart9"), "{command}: {said}");
    }
}
