//! SQLAlchemy's URLs, and where Flask puts their files.

use super::*;

const SQLITE: &str = "SQLite format 3\0…";
const NEEDS: (&str, &str) = ("requirements.txt", "Flask\nFlask-SQLAlchemy\n");
const APP: &str = "from flask import Flask\nfrom flask_sqlalchemy import SQLAlchemy\napp = Flask(__name__)\n";

fn paths(plan: &Plan) -> Vec<String> {
    plan.databases.iter().filter(|one| one.left_out.is_none()).map(Database::shown_path).collect()
}

#[track_caller]
fn first(files: &[(&str, &str)], env: &[(&str, &str)]) -> (String, String) {
    let plan = look(files, env, NO_PYTHON).unwrap_or_else(|nothing| panic!("{files:?}: {nothing:?}"));
    assert_eq!(paths(&plan).len(), 1, "{plan:?}");
    (plan.databases[0].shown_path(), plan.notes.join("\n"))
}

/// `sqlite:///app.db` is `instance/app.db`, and an `./app.db` of long ago is not it.
#[test]
fn flask_sqlalchemy_keeps_relative_files_below_its_instance_folder() {
    let url = [("DATABASE_URL", "sqlite:///app.db")];
    let app = ("app.py", APP);
    let package = ("shop/__init__.py", APP);
    let literal = format!("{APP}app.config[\"SQLALCHEMY_DATABASE_URI\"] = \"sqlite:///app.db\"\n");
    for (files, env, path) in [
        (&[NEEDS, app][..], &url[..], "instance/app.db"),
        (&[app], &url, "instance/app.db"),
        (&[app, (".env", "DATABASE_URL=sqlite:///app.db\n")], &[], "instance/app.db"),
        (&[app, ("app.db", SQLITE)], &url, "instance/app.db"),
        (&[app, ("app.db", SQLITE), ("instance/app.db", SQLITE)], &url, "instance/app.db"),
        (&[("app.py", &literal)], &[], "instance/app.db"),
        (&[("src/shop/__init__.py", &literal)], &[], "src/instance/app.db"),
        (&[package, NEEDS], &url, "instance/app.db"),
        (&[("shop/app.py", APP), ("shop/__init__.py", "")], &url, "instance/app.db"),
        (&[("web/app.py", APP)], &url, "instance/app.db"),
        (&[("web/app.py", APP), ("web/instance/app.db", SQLITE)], &url, "web/instance/app.db"),
        (&[app], &[("DATABASE_URL", "sqlite:////data/app.db")], "/data/app.db"),
        (&[app, ("pyproject.toml", "dependencies = [\"flask-sqlalchemy>=3.1\"]\n")], &url, "instance/app.db"),
        // Before version 3 it was the folder of the code.
        (&[app, ("requirements.txt", "Flask-SQLAlchemy==2.5.1\n")], &url, "app.db"),
        (&[package, ("requirements.txt", "flask_sqlalchemy<3\n")], &url, "shop/app.db"),
        (
            &[package, ("poetry.lock", "name = \"flask-sqlalchemy\"\nversion = \"2.4.4\"\n")],
            &url,
            "shop/app.db",
        ),
    ] {
        let (found, notes) = first(files, env);
        assert_eq!(found, path, "{files:?}");
        if !path.starts_with('/') {
            assert!(notes.contains(&format!("the database is {path}, as Flask-SQLAlchemy")), "{notes}");
        }
        let has_other = path == "instance/app.db" && files.contains(&("app.db", SQLITE));
        assert_eq!(notes.contains("./app.db is there as well, and is not that file"), has_other, "{notes}");
    }
}

#[test]
fn the_setting_is_found_however_it_is_written() {
    let settings = [
        "class Config:\n    SQLALCHEMY_DATABASE_URI = os.environ.get('DATABASE_URL') or 'sqlite:///x.db'\n",
        "class Config:\n    SQLALCHEMY_DATABASE_URI: str = 'sqlite:///x.db'\n",
        "app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///x.db'\n",
        "app.config.from_mapping(SECRET_KEY='dev', SQLALCHEMY_DATABASE_URI='sqlite:///x.db')\n",
        "app.config.update({'SQLALCHEMY_DATABASE_URI': 'sqlite:///x.db', 'A': f(b=1)})\n",
        "SQLALCHEMY_DATABASE_URI = os.getenv('DB', 'sqlite:///x.db')\n",
        "name = 'x.db'\nSQLALCHEMY_DATABASE_URI = f'sqlite:///{name}'\n",
        "class Testing:\n    SQLALCHEMY_DATABASE_URI = 'sqlite:///:memory:'\nclass Production:\n    SQLALCHEMY_DATABASE_URI = 'sqlite:///x.db'\nclass T:\n    SQLALCHEMY_DATABASE_URI = 'sqlite://'\n",
    ];
    for text in settings {
        let (path, _) = first(&[NEEDS, ("app.py", APP), ("config.py", text)], &[]);
        assert_eq!(path, "instance/x.db", "{text}");
    }
    // From `__file__` it is a whole path, whatever Flask does with others.
    for text in [
        "basedir = os.path.abspath(os.path.dirname(__file__))\nSQLALCHEMY_DATABASE_URI = 'sqlite:///' + os.path.join(basedir, 'x.db')\n",
        "SQLALCHEMY_DATABASE_URI = f'sqlite:///{Path(__file__).parent / \"x.db\"}'\n",
    ] {
        assert_eq!(first(&[NEEDS, ("app.py", APP), ("config.py", text)], &[]).0, "x.db", "{text}");
    }
    let text =
        "app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///' + os.path.join(app.instance_path, 'x.db')\n";
    assert_eq!(first(&[NEEDS, ("app.py", &format!("{APP}{text}"))], &[]).0, "instance/x.db");
    let binds = "SQLALCHEMY_DATABASE_URI = 'sqlite:///a.db'\nSQLALCHEMY_BINDS = {'users': 'sqlite:///b.db', 'x': 'mysql://h/d'}\n";
    let plan = look(&[NEEDS, ("config.py", binds)], &[], NO_PYTHON).expect("databases");
    assert_eq!(paths(&plan), ["instance/a.db", "instance/b.db"]);
    // The environment's own word, where the code asks for it.
    let (path, _) = first(&[NEEDS, ("config.py", settings[0])], &[("DATABASE_URL", "sqlite:///own.db")]);
    assert_eq!(path, "instance/own.db");
}

#[test]
fn a_url_that_cannot_be_read_is_said_beside_the_files() {
    let text = "SQLALCHEMY_DATABASE_URI = os.environ['DATABASE_URL']\n";
    let (path, notes) = first(&[NEEDS, ("config.py", text), ("app.db", SQLITE)], &[]);
    assert_eq!(path, "app.db");
    assert!(notes.contains("DATABASE_URL of config.py is not set here"), "{notes}");
    assert!(notes.contains("a relative one is below instance/"), "{notes}");
    // A configuration that is there says all.
    let old = "dbs: [{path: other.db, replica: {path: /mnt}}]\n";
    let plan = look(&[NEEDS, ("app.py", APP), ("litestream.yml", old)], &[], NO_PYTHON).expect("a plan");
    assert_eq!(plan.framework, Framework::Existing);
}

/// A fresh clone has no database, but code that says where it is going to be.
#[test]
fn sqlalchemy_alone_says_where_a_database_will_be() {
    for text in [
        "SQLALCHEMY_DATABASE_URL = \"sqlite:///./sql_app.db\"\nengine = create_engine(SQLALCHEMY_DATABASE_URL)\n",
        "name = \"sql_app.db\"\nurl = f\"sqlite:///{name}\"\nengine = create_engine(url, echo=True)\n",
        "engine = create_async_engine(\"sqlite+aiosqlite:///sql_app.db\")\n",
        "DATABASE_URL = os.getenv(\"DATABASE_URL\", \"sqlite:///sql_app.db\")\n",
    ] {
        let plan = look(&[("app/database.py", text)], &[], NO_PYTHON).expect("a database");
        assert_eq!(
            (plan.framework, paths(&plan)),
            (Framework::SqlAlchemy, vec!["sql_app.db".to_owned()]),
            "{text}"
        );
        // Files that are there say more.
        let plan = look(&[("app/database.py", text), ("data/x.db", SQLITE)], &[], NO_PYTHON).unwrap();
        assert_eq!(plan.framework, Framework::Files);
    }
    let code = "engine = create_engine(\"postgresql://u:hunter2@h/d\")\n";
    assert!(look(&[("db.py", code)], &[], NO_PYTHON).is_err());
    // How many slashes a path from the root has is its library's word.
    let url = [("DATABASE_URL", "sqlite:///app.db")];
    for (manifest, text, path) in [
        ("requirements.txt", "fastapi\nSQLAlchemy\n", Some("app.db")),
        ("pyproject.toml", "dependencies = [\"sqlmodel\"]\n", Some("app.db")),
        ("Cargo.toml", "sqlx = \"0.8\"\n", Some("/app.db")),
        ("package.json", "{}", None),
    ] {
        let plan = look(&[(manifest, text)], &url, NO_PYTHON);
        assert_eq!(plan.ok().map(|plan| paths(&plan)), path.map(|path| vec![path.to_owned()]), "{manifest}");
    }
}
