//! What is said beside the plan: nothing that is not so, and nothing that says the opposite of the next line.

use super::*;

/// `DATABASE_URL` of a developer's Postgres, beside an app that keeps its data in SQLite.
#[test]
fn a_url_of_another_database_is_told_from_what_is_replicated() {
    let postgres = "DATABASE_URL=postgres://u:hunter2@h/d\n";
    let django = "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db.sqlite3'}}\n";
    let rails = "production:\n  primary: {adapter: sqlite3, database: a.db}\n  queue: {adapter: sqlite3, database: b.db}\n";
    for (files, replicated) in [
        (&[("data/app.db", SQLITE)][..], "data/app.db is SQLite, and is"),
        (
            &[("manage.py", super::django::MANAGE), ("shop/settings.py", django)],
            "db.sqlite3 is SQLite, and is",
        ),
        (&[("config/database.yml", rails), ("bin/rails", "")], "a.db, b.db are SQLite, and are"),
        (&[("artisan", "")], "database/database.sqlite is SQLite, and is"),
        (&[("litestream.yml", "dbs: [{path: x.db, replica: {path: /mnt}}]\n")], "x.db is SQLite, and is"),
    ] {
        let said = format!("names PostgreSQL, which is not replicated; {replicated}");
        let files: Vec<_> = files.iter().copied().chain([(".env", postgres)]).collect();
        let plan = look(&files, &[], NO_PYTHON).expect("a database");
        let notes = plan.notes.join("\n");
        assert!(notes.contains(&format!("DATABASE_URL of .env {said}")), "{notes}");
        assert!(!notes.contains("skipped") && !notes.contains("hunter2"), "{notes}");
        let docker = ("Dockerfile", "FROM x\nENV DATABASE_URL=mysql://h/d\n");
        let files: Vec<_> = files.into_iter().chain([docker]).collect();
        let skips = files.iter().any(|(path, _)| *path == "bin/rails");
        if !skips {
            let notes = look(&files, &[], NO_PYTHON).expect("a database").notes.join("\n");
            assert!(notes.contains("DATABASE_URL of Dockerfile names MySQL"), "{notes}");
        }
    }
    // The code asks for it, and has a file for when it is not there.
    let code =
        "import flask_sqlalchemy\nSQLALCHEMY_DATABASE_URI = os.getenv('DATABASE_URL', 'sqlite:///x.db')\n";
    let files = [("config.py", code), ("data/app.db", SQLITE), (".env", postgres)];
    let notes = look(&files, &[], NO_PYTHON).expect("a database").notes.join("\n");
    assert!(notes.contains("is not replicated; data/app.db is SQLite, and is"), "{notes}");
    assert!(!notes.contains("skipped") && !notes.contains("hunter2"), "{notes}");
    // Rails takes its first database from there.
    let files = [("config/database.yml", rails), ("bin/rails", "")];
    let plan = look(&files, &[("DATABASE_URL", "postgres://h/d")], NO_PYTHON).expect("a database");
    let notes = plan.notes.join("\n");
    assert!(
        notes.contains("of the environment names PostgreSQL, which is not replicated; b.db is"),
        "{notes}"
    );
    // A framework's SQLite whose only file is that URL.
    let schema = "datasource db {\n  provider = \"sqlite\"\n  url = env(\"DATABASE_URL\")\n}\n";
    let files = [("prisma/schema.prisma", schema), (".env", postgres), ("package.json", "{}")];
    let nothing = look(&files, &[], NO_PYTHON).unwrap_err().notes.join("\n");
    assert!(nothing.contains("PostgreSQL is not a local SQLite file; DATABASE_URL names it"), "{nothing}");
    // One of SQLite is not told apart from itself.
    let plan = look(&[(".env", "DATABASE_URL=sqlite:a.db\n")], &[], NO_PYTHON).expect("a database");
    assert_eq!(plan.notes, Vec::<String>::new());
}

/// A script's words may name pictures and programs, and nobody misses their text.
#[test]
fn only_files_that_had_to_be_read_are_called_no_utf_8() {
    let dockerfile = "FROM x\nWORKDIR /app\nCOPY logo.png bin/server start.sh /app/\nCMD [\"/app/start.sh\", \"/app/logo.png\"]\n";
    let long = "é".repeat(600_000);
    let files = Files::new(&[("a.db", SQLITE), ("Dockerfile", dockerfile), ("bin/long.sh", &long)])
        .with("logo.png", b"\x89PNG\r\n\x1a\n\0\xff")
        .with("bin/server", b"\x7fELF\0\xff litestream replicate \0")
        .with("app/__pycache__/x.pyc", b"\xe9\0")
        .with("start.sh", b"# caf\xe9\n/app/bin/server; ./bin/long.sh\nlitestream replicate\n")
        .with(".gitignore", b"# caf\xe9\n*.db*\n")
        .with("requirements.txt", b"# caf\xe9\nflask\n")
        .with("manage.py", b"# \xe9 no framework's\n")
        .with("go.mod", b"\xe9\n");
    let plan = look_at(&files, &[], NO_PYTHON).expect("a database");
    let notes = plan.notes.join("\n");
    assert!(!notes.contains("UTF-8") && !notes.contains("larger"), "{notes}");
    assert!(notes.contains("start.sh:3 runs litestream itself"), "what is text in it is read: {notes}");
    assert!(!notes.contains("bin/server:"), "{notes}");
    // What decides is said.
    let files = Files::new(&[("bin/rails", "")])
        .with("config/database.yml", b"# caf\xe9\nproduction: {adapter: sqlite3, database: a.db}\n");
    let notes = look_at(&files, &[], NO_PYTHON).expect("a database").notes.join("\n");
    assert!(notes.contains("config/database.yml is not UTF-8"), "{notes}");
}
