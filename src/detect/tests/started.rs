//! The command that a project is deployed with: found once, and the same one everywhere.

use super::*;

const FLASK: (&str, &str) = (
    "app.py",
    "from flask_sqlalchemy import SQLAlchemy\napp = Flask(__name__)\napp.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///app.db'\n",
);
const FASTAPI: (&str, &str) = ("main.py", "engine = create_engine('sqlite:///./app.db')\n");
const DJANGO: (&str, &str) = (
    "shop/settings.py",
    "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'data/a.db'}}\n",
);
const MANAGE: (&str, &str) = ("manage.py", super::django::MANAGE);

#[test]
fn what_is_deployed_is_the_command_where_nothing_better_is_known() {
    let uvicorn = "FROM python:3.13\nWORKDIR /app\nCOPY . .\nCMD [\"uvicorn\", \"main:app\", \"--host\", \"0.0.0.0\"]\n";
    let package = ("package.json", "{\"name\": \"x\"}");
    let compose = "services:\n  web:\n    build: .\n    command: uvicorn main:app\n";
    for (files, command) in [
        (&[FLASK, ("Procfile", "web: gunicorn app:app -w 2\n")][..], &["gunicorn", "app:app", "-w", "2"][..]),
        (
            &[FLASK, ("Procfile", "web: exec gunicorn app:app -b :$PORT\n")],
            &["sh", "-c", "exec gunicorn app:app -b :$PORT"],
        ),
        (
            &[FLASK, ("Procfile", "web: flask db upgrade && gunicorn app:app\n")],
            &["sh", "-c", "flask db upgrade && gunicorn app:app"],
        ),
        (
            &[FLASK, ("Procfile", "web: WORKERS=2 gunicorn app:app\n")],
            &["sh", "-c", "WORKERS=2 gunicorn app:app"],
        ),
        (&[FLASK, ("Procfile", "web: litekeeper run -- gunicorn app:app\n")], &["gunicorn", "app:app"]),
        (&[FASTAPI, ("Dockerfile", uvicorn)], &["uvicorn", "main:app", "--host", "0.0.0.0"]),
        (&[FASTAPI, ("Dockerfile", "FROM x\nCMD uvicorn main:app\n")], &["uvicorn", "main:app"]),
        (
            &[
                FASTAPI,
                ("Dockerfile", "FROM x\nENTRYPOINT [\"litekeeper\", \"run\", \"--\"]\nCMD [\"a\", \"b\"]\n"),
            ],
            &["a", "b"],
        ),
        (&[FASTAPI, ("compose.yml", compose)], &["uvicorn", "main:app"]),
        (
            &[APP_DB, ("Dockerfile", "FROM x\nWORKDIR /srv\nCMD [\"/srv/bin/server\", \"/srv/x\"]\n")],
            &["./bin/server", "/srv/x"],
        ),
        (&[APP_DB, package, ("Procfile", "web: node x.js\n")], &["node", "x.js"]),
        // The server for development is what nobody deploys.
        (&[MANAGE, DJANGO, ("Procfile", "web: gunicorn shop.wsgi\n")], &["gunicorn", "shop.wsgi"]),
        (
            &[("artisan", ""), ("Dockerfile", "FROM dunglas/frankenphp\nCMD [\"frankenphp\", \"run\"]\n")],
            &["frankenphp", "run"],
        ),
        (&[("pb_hooks/main.pb.js", ""), ("Procfile", "web: ./shop serve\n")], &["./shop", "serve"]),
    ] {
        let plan = look(files, &[], NO_PYTHON).unwrap_or_else(|nothing| panic!("{files:?}: {nothing:?}"));
        assert_eq!(plan.command, command, "{files:?}");
        assert!(plan.is_command_written, "{files:?}");
        let text = format!("{}\n{}", advice(&plan, Target::Bucket, "litestream.yml"), plan.notes.join("\n"));
        assert!(!text.contains("YOUR COMMAND") && !text.contains("your app's command"), "{text}");
        assert!(!text.contains(" put the ") && text.contains("the command is the one of "), "{text}");
        let words: Vec<String> =
            command.iter().map(|word| format!("\"{}\"", word.replace('$', "\\x24"))).collect();
        let file = yaml(&plan, Target::Bucket);
        assert!(file.contains(&format!("    command: [{}]\n", words.join(", "))), "{file}");
    }
    // What knows better: the framework's own server, a start script, and a file that is there.
    let gunicorn = ("requirements.txt", "django\ngunicorn\n");
    let start = ("package.json", "{\"scripts\": {\"start\": \"node server.js\"}}");
    for (files, command) in [
        (&[MANAGE, DJANGO, gunicorn, ("Procfile", "web: x\n")][..], "gunicorn"),
        (&[APP_DB, start, ("Procfile", "web: x\n")], "node"),
        (&[APP_DB, ("litestream.yml", "exec: y\ndbs: [{path: app.db}]\n"), ("Procfile", "web: x\n")], "y"),
    ] {
        assert_eq!(look(files, &[], NO_PYTHON).expect("a plan").command[0], command, "{files:?}");
    }
    // A file that stays has no command, and what is typed has.
    let old = ("litestream.yml", "dbs: [{path: app.db, replica: {path: /mnt}}]\n");
    let plan = look(&[old, ("Dockerfile", uvicorn)], &[], NO_PYTHON).expect("a plan");
    assert_eq!((plan.command[0].as_str(), plan.is_command_written), ("uvicorn", false));
    assert!(
        advice(&plan, Target::Bucket, "litestream.yml").contains("web: litekeeper run -- uvicorn main:app")
    );
}
