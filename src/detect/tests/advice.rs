//! The lines for Dockerfile, Procfile and fly.toml, beside those that are there already.

use super::*;

const SETTINGS: &str =
    "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'data/app.db'}}\n";

fn advised(files: &[(&str, &str)]) -> String {
    let mut all = vec![("manage.py", super::django::MANAGE), ("shop/settings.py", SETTINGS)];
    all.extend(files);
    let plan = look(&all, &[], NO_PYTHON).expect("a database");
    format!("{}\n{}", advice(&plan, Target::Bucket, "litestream.yml"), plan.notes.join("\n"))
}

#[test]
fn what_starts_the_app_already_goes_on_below_litekeeper() {
    let dockerfile = "FROM python:3.13 AS base\nWORKDIR /srv/shop\nFROM base\n\
        ENTRYPOINT [\"./entrypoint.sh\"]\nCMD [\"gunicorn\", \"shop.wsgi\", \"-b\", \"0.0.0.0:80\"]\n";
    let procfile = "web: python manage.py check && gunicorn shop.wsgi -b :$PORT\nrelease: python manage.py migrate\nworker: huey\n";
    let fly = "app = 'shop'\nkill_timeout = 5\n[env]\n  PORT = '80'\n[mounts]\n  source = 'd'\n  destination = '/data'\n";
    let files = [("Dockerfile", dockerfile), ("Procfile", procfile), ("fly.toml", fly)];
    insta::assert_snapshot!(advised(&files), @r#"
    Dockerfile:
      # from the image that, in Litekeeper's sources, `docker build --target litekeeper -f examples/docker/Dockerfile -t litekeeper .` makes
      COPY --from=litekeeper /usr/local/bin/litekeeper /usr/local/bin/litestream /usr/local/bin/
      COPY litestream.yml /srv/shop/
      VOLUME /srv/shop/data
      ENV LITEKEEPER_STOP_TIMEOUT=9s
      # in place of ENTRYPOINT and CMD; this command counts, and not litekeeper.app.command:
      ENTRYPOINT ["litekeeper", "run", "--"]
      CMD ["./entrypoint.sh", "gunicorn", "shop.wsgi", "-b", "0.0.0.0:80"]

    Procfile:
      web: litekeeper run -- sh -c 'python manage.py check && gunicorn shop.wsgi -b :$PORT'

    fly.toml:
      # above the first [section], in place of `kill_timeout = 5`:
      kill_signal = "SIGTERM"
      kill_timeout = "30s"
      # in [env]:
        LITEKEEPER_STOP_TIMEOUT = "28s"
      # in [mounts], in place of "/data", where the database is not:
        destination = "/srv/shop/data"

    systemd, in [Service]:
      # TERM goes to litekeeper alone; 143 is how many apps end when they are told to stop
      KillMode=process
      SuccessExitStatus=143
      OOMPolicy=continue
      RuntimeDirectory=litekeeper
      RuntimeDirectoryPreserve=yes

    .gitignore:
      *.db*
      .*-litestream
      .*-litekeeper.lock

    .dockerignore:
      **/*.db*
      **/.*-litestream
      **/.*-litekeeper.lock

    Set where it runs:
      LITESTREAM_REPLICA_BUCKET  LITESTREAM_ACCESS_KEY_ID  LITESTREAM_SECRET_ACCESS_KEY
    the `release` of Procfile runs where no database is restored, and beside replication: take it out, litekeeper.before has the migrations
    Procfile also starts `worker`: all that writes to the database has to run below one litekeeper, as in examples/procfile
    Django itself could not be asked (there is no Python): shop/settings.py was read as text; run init again where Django is installed to be sure
    the command is the one of Dockerfile
    "#);
}

#[test]
fn what_has_litekeeper_already_is_left_alone() {
    let files = [
        ("Dockerfile", "FROM x\nENTRYPOINT [\"litekeeper\", \"run\", \"--\"]\nCMD [\"bin/server\"]\n"),
        ("Procfile", "web: litekeeper run -- bin/server\n"),
        ("fly.toml", "[[mounts]]\n  destination = \"/app/data\"\n"),
    ];
    let text = advised(&files);
    assert!(!text.contains("ENTRYPOINT") && !text.contains("mounts"), "{text}");
    assert!(text.contains("\n  web: litekeeper run -- bin/server\n"), "{text}");
}

/// A volume there would hide the migrations of every later image.
#[test]
fn no_volume_hides_code() {
    let schema = "datasource db {\n  provider = \"sqlite\"\n  url = \"file:./dev.db\"\n}\n";
    let project = [("prisma/schema.prisma", schema), ("package.json", "{}")];
    let laravel = [("artisan", ""), ("database/migrations/0001_users.php", "<?php")];
    for files in [&project[..], &laravel] {
        let plan = look(files, &[], NO_PYTHON).expect("a database");
        let text = advice(&plan, Target::Bucket, "litestream.yml");
        assert!(!text.contains("VOLUME") && !text.contains("[mounts]"), "{text}");
        assert!(text.contains("# no volume: the database lies beside the code"), "{text}");
    }
    let plan =
        look(&[("artisan", ""), ("database/.gitignore", "*.sqlite*")], &[], NO_PYTHON).expect("a database");
    assert!(advice(&plan, Target::Bucket, "litestream.yml").contains("VOLUME /var/www/html/database\n"));
}

/// `.env` is the developer's.
#[test]
fn variables_of_the_deployment_are_stronger_than_dotenv() {
    let schema = "datasource db {\n  provider = \"sqlite\"\n  url = env(\"DATABASE_URL\")\n}\n";
    let mut files = vec![
        ("prisma/schema.prisma", schema),
        ("package.json", "{}"),
        (".env", "DATABASE_URL=file:./dev.db\n"),
        (
            "Dockerfile",
            "FROM node AS build\nENV DATABASE_URL=file:/tmp/build.db\nFROM node\nENV DATABASE_URL=\"file:/data/app.db\"\n",
        ),
    ];
    let found = look(&files, &[], NO_PYTHON);
    insta::assert_snapshot!(shown(&found), @r"
    Prisma from prisma/schema.prisma
      db: /data/app.db
    - DATABASE_URL is the one of Dockerfile
    - package.json has no start script: put the app's command into litekeeper.app.command
    ");
    files.push(("fly.toml", "[env]\n  DATABASE_URL = \"file:/mnt/app.db\"\n"));
    assert_eq!(look(&files, &[], NO_PYTHON).expect("a database").databases[0].path, "/mnt/app.db");
    let env = [("DATABASE_URL", "file:/srv/own.db")];
    assert_eq!(look(&files, &env, NO_PYTHON).expect("a database").databases[0].path, "/srv/own.db");
}

/// Two Litestreams on one database take each other's files away.
#[test]
fn a_script_that_runs_litestream_itself_is_followed_and_has_to_go() {
    let dockerfile = "FROM python:3.13\nWORKDIR /srv/shop\nCOPY docker/start.sh /usr/local/bin/start\n\
        ENTRYPOINT [\"/usr/local/bin/start\"]\nCMD [\"web\"]\n";
    let start = "#!/bin/sh\nset -e\n# litestream replicate is below\nlitestream restore -if-replica-exists /data/app.db\nexec /srv/shop/bin/run.sh\n";
    let run = "#!/bin/sh\nexec litestream replicate -exec \"gunicorn shop.wsgi\"\n";
    let files = [("Dockerfile", dockerfile), ("docker/start.sh", start), ("bin/run.sh", run)];
    let text = advised(&files);
    assert!(
        text.contains("bin/run.sh:2 runs litestream itself (`exec litestream replicate -exec \"gunicorn shop.wsgi\"`): take it out"),
        "{text}"
    );
    assert!(!text.contains("docker/start.sh:"), "{text}");
    for (file, body) in [
        ("Dockerfile", "FROM x\nCMD litestream replicate -exec 'gunicorn shop.wsgi'\n"),
        ("Dockerfile", "FROM x\nCMD [\"litestream\", \"replicate\", \"-exec\", \"gunicorn\"]\n"),
        ("Procfile", "web: litestream replicate -exec 'gunicorn shop.wsgi'\n"),
        ("supervisord.conf", "[program:litestream]\ncommand=litestream replicate\n"),
        ("compose.yaml", "services:\n  backup:\n    image: litestream/litestream:0.5\n"),
        (
            "config/deploy.yml",
            "accessories:\n  litestream:\n    image: litestream/litestream\n    cmd: replicate\n",
        ),
    ] {
        let text = advised(&[(file, body)]);
        assert!(text.contains(file) && text.contains("runs litestream itself"), "{file}: {text}");
    }
    assert!(!advised(&[("Procfile", "web: gunicorn shop.wsgi\n")]).contains("runs litestream itself"));
}

/// What stands behind `-exec` is the app: nobody should have to type it again.
#[test]
fn the_app_below_a_litestream_of_the_projects_own_is_taken_out_of_it() {
    let image = "FROM node\nWORKDIR /app\nCOPY . .\nCMD [\"./start.sh\"]\n";
    let script =
        |line: &str| format!("#!/bin/sh\nset -e\nlitestream restore -if-replica-exists app.db\n{line}\n");
    let database = ("app.db", "SQLite format 3\0…");
    for (line, words) in [
        ("exec litestream replicate -exec \"node server.js\"", "\"node\", \"server.js\""),
        ("litestream replicate -exec 'node server.js'", "\"node\", \"server.js\""),
        (
            "exec litestream replicate -config /etc/litestream.yml -exec \"node server.js\"",
            "\"node\", \"server.js\"",
        ),
        (
            "litestream replicate -exec 'node server.js' -config /etc/litestream.yml",
            "\"node\", \"server.js\"",
        ),
        (
            "exec litestream replicate \\\n  -config x \\\n  -exec=\"node server.js\"",
            "\"node\", \"server.js\"",
        ),
        ("APP=\"node server.js\"\nlitestream replicate -exec \"$APP -x\"", "\"node\", \"server.js\", \"-x\""),
        ("litestream replicate -exec \"sh -c 'a && b'\"", "\"sh\", \"-c\", \"a && b\""),
        (
            "litestream replicate -exec \"node x -p ${PORT:-80}\"",
            "\"sh\", \"-c\", \"exec node x -p ${PORT:-80}\"",
        ),
    ] {
        let script = script(line);
        let plan = look(&[database, ("Dockerfile", image), ("start.sh", &script)], &[], NO_PYTHON).unwrap();
        let text = advice(&plan, Target::Bucket, "litestream.yml");
        let cmd = format!("ENTRYPOINT [\"litekeeper\", \"run\", \"--\"]\n  CMD [{words}]\n");
        assert!(text.contains(&cmd), "{line}: {text}");
        assert!(
            !text.contains("YOUR COMMAND") && text.contains("\n  web: litekeeper run\n"),
            "{line}: {text}"
        );
        let file = yaml(&plan, Target::Bucket);
        assert!(
            file.contains(&format!("    command: [{}]\n", words.replace('$', "\\x24"))),
            "{line}: {file}"
        );
        let notes = plan.notes.join("\n");
        assert!(notes.contains("start.sh:") && notes.contains("take it out"), "{notes}");
    }
    // Nobody knows what this is.
    for line in [
        "APP=$(cat app)\nlitestream replicate -exec \"$APP\"",
        "litestream replicate",
        "litestream replicate -exec \"$@\"",
    ] {
        let script = script(line);
        let plan = look(&[database, ("Dockerfile", image), ("start.sh", &script)], &[], NO_PYTHON).unwrap();
        assert_eq!(plan.command, Vec::<String>::new(), "{line}");
    }
    // The arguments of the script, the Dockerfile's own line, and a Procfile's.
    let passes = script("exec litestream replicate -exec \"$*\"");
    let entry = "FROM x\nENTRYPOINT [\"./start.sh\"]\nCMD [\"node\", \"a b.js\"]\n";
    for (files, command) in [
        (&[("Dockerfile", entry), ("start.sh", &passes)][..], &["node", "a b.js"][..]),
        (&[("Dockerfile", "FROM x\nCMD litestream replicate -exec 'node x'\n")], &["node", "x"]),
        (
            &[("Dockerfile", "FROM x\nCMD [\"litestream\", \"replicate\", \"-exec\", \"node x\"]\n")],
            &["node", "x"],
        ),
        (&[("Procfile", "web: litestream replicate -exec 'node x' -config y\n")], &["node", "x"]),
        (
            &[
                ("Procfile", "web: ./start.sh node\n"),
                ("start.sh", &script("litestream replicate -exec 'node x'")),
            ],
            &["node", "x"],
        ),
    ] {
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (*path, &text[..])).chain([database]).collect();
        let plan = look(&files, &[], NO_PYTHON).unwrap();
        assert_eq!(plan.command, command, "{files:?}");
        let text = advice(&plan, Target::Bucket, "litestream.yml");
        assert!(!text.contains("litestream replicate") && !text.contains("YOUR COMMAND"), "{text}");
    }
    // Through npm, which the image may start or not.
    let package =
        "{\"scripts\": {\"start\": \"npm run serve\", \"serve\": \"litestream replicate -exec 'node x'\"}}";
    let loops = "{\"scripts\": {\"start\": \"npm run serve\", \"serve\": \"yarn start\"}}";
    for dockerfile in ["FROM node\n", "FROM node\nCMD [\"npm\", \"start\"]\n", "FROM node\nCMD yarn serve\n"]
    {
        let files = [database, ("package.json", package), ("Dockerfile", dockerfile)];
        let plan = look(&files, &[], NO_PYTHON).unwrap();
        assert_eq!(plan.command, ["node", "x"], "{dockerfile}");
        let text = advice(&plan, Target::Bucket, "litestream.yml");
        assert!(text.contains("CMD [\"node\", \"x\"]"), "{text}");
        assert!(plan.notes.join("\n").contains("package.json runs litestream itself"), "{:?}", plan.notes);
        let files = [database, ("package.json", loops), ("Dockerfile", dockerfile)];
        assert_eq!(look(&files, &[], NO_PYTHON).unwrap().command, ["npm", "start"]);
    }
    // What a framework's reader would guess is not what is deployed, and what is said of its guess is taken back.
    let text = advised(&[
        ("Dockerfile", image),
        ("start.sh", &script("litestream replicate -exec 'gunicorn shop.wsgi'")),
    ]);
    assert!(
        text.contains("CMD [\"gunicorn\", \"shop.wsgi\"]") && !text.contains("server for development"),
        "{text}"
    );
    let files = [
        ("drizzle.config.ts", "export default { dialect: 'sqlite', dbCredentials: { url: 'a.db' } }"),
        ("Dockerfile", image),
        ("start.sh", &script("litestream replicate -exec 'node x'")),
    ];
    let plan = look(&files, &[], NO_PYTHON).unwrap();
    assert!(!plan.notes.join("\n").contains("put the app's command"), "{:?}", plan.notes);
}

/// A file that stays has no command unless it says so.
#[test]
fn the_lines_for_a_file_without_a_command_have_one() {
    let old = "dbs: [{path: a.db, replica: {path: /mnt}}]\n";
    let package = ("package.json", "{\"scripts\": {\"start\": \"node server.js\"}}");
    let plan = look(&[("litestream.yml", old), package], &[], NO_PYTHON).expect("a plan");
    let text = advice(&plan, Target::Bucket, "litestream.yml");
    assert!(text.contains("\"--\"]\n  CMD [\"node\", \"server.js\"]\n"), "{text}");
    assert!(text.contains("web: litekeeper run -- node server.js\n"), "{text}");
    let with = format!("exec: node x\n{old}");
    let plan = look(&[("litestream.yml", &with), package], &[], NO_PYTHON).expect("a plan");
    let text = advice(&plan, Target::Bucket, "litestream.yml");
    assert!(
        text.contains("ENTRYPOINT [\"litekeeper\", \"run\"]\n") && text.contains("web: litekeeper run\n"),
        "{text}"
    );
}
