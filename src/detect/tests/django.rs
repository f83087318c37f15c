//! Django.

use super::*;

pub(super) const MANAGE: &str = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\nfrom django.core import management\n";

fn django(settings: &str, env: &[(&str, &str)]) -> String {
    shown(&look(&[("manage.py", MANAGE), ("shop/settings.py", settings)], env, NO_PYTHON))
}

#[test]
fn django_settings_are_read_as_text_in_their_usual_forms() {
    for (name, expected) in [
        ("BASE_DIR / 'db.sqlite3'", "db.sqlite3"),
        ("BASE_DIR / 'data' / f'{PROJECT}.sqlite3'", "data/shop.sqlite3"),
        ("str(BASE_DIR / 'db.sqlite3')", "db.sqlite3"),
        ("BASE_DIR.joinpath('a', 'db.sqlite3')", "a/db.sqlite3"),
        ("os.path.join(ROOT, 'db.sqlite3')", "db.sqlite3"),
        ("os.path.join(os.path.dirname(__file__), '..', 'db.sqlite3')", "db.sqlite3"),
        ("'db.sqlite3'", "db.sqlite3"),
        ("'/data/' 'db.sqlite3'", "/data/db.sqlite3"),
        ("os.environ.get('DB_PATH', BASE_DIR / 'db.sqlite3')", "db.sqlite3"),
        ("os.environ['DB_PATH']", "${DB_PATH}"),
        ("os.getenv('SET') or 'x'", "/data/set.db"),
        ("config('DB_PATH', default='c.db')", "c.db"),
        ("env('SET')", "/data/set.db"),
        ("'/data/x.db' if os.environ.get('SET') else 'y.db'", "/data/x.db"),
        ("PARENTS[1] / 'db.sqlite3'", "?"),
    ] {
        let settings = format!(
            "import os\nfrom pathlib import Path\n\
             BASE_DIR = Path(__file__).resolve().parent.parent  # the project\n\
             ROOT: str = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))\n\
             PROJECT = \"shop\"\n\
             DATABASES = {{\n  'default': {{\n    'ENGINE': 'django.db.backends.sqlite3',  # }}\n    'NAME': {name},\n  }},\n}}\n"
        );
        let text = django(&settings, &[("SET", "/data/set.db")]);
        assert_eq!(text.contains(&format!("  default: {expected}\n")), expected != "?", "{name}\n{text}");
    }
}

#[test]
fn django_settings_in_several_files_and_databases() {
    let base = "
from pathlib import Path
import dj_database_url
BASE_DIR = Path(__file__).resolve().parents[2]
DATABASES = {
    \"default\": dj_database_url.config(default=\"sqlite:///db.sqlite3\"),
    \"logs\": {\"ENGINE\": \"django.db.backends.sqlite3\", \"NAME\": BASE_DIR / \"data\" / \"logs.sqlite3\"},
    \"legacy\": {\"ENGINE\": \"django.db.backends.postgresql\", \"NAME\": \"legacy\", \"PASSWORD\": \"hunter2\"},
    \"geo\": {\"ENGINE\": \"django.contrib.gis.db.backends.spatialite\", \"NAME\": get_path()},
    \"memory\": {\"ENGINE\": \"django.db.backends.sqlite3\", \"NAME\": \":memory:\"},
    **more(),
}
WSGI_APPLICATION = 'shop.wsgi.application'
";
    let production = "
from .base import *
DEBUG = False
DATABASES['logs']['NAME'] = '/data/logs.sqlite3'
LITESTREAM = {
    \"path_prefix\": \"shop\",
    \"dbs\": [
        {\"path\": \"default\"},
        {\"path\": \"logs\", \"replica\": {\"type\": \"s3\", \"bucket\": \"logs\", \"secret_access_key\": \"hunter2\"}},
    ],
    \"vfs\": {\"reports\": \"s3://reports/db\", \"max_lag_seconds\": 60},
    \"addr\": \":9090\",
    \"levels\": [{\"interval\": \"5m\"}],
    \"access-key-id\": \"hunter2\",
    \"exec\": \"gunicorn shop.wsgi -w 4\",
    \"bin_path\": \"/opt/litestream\",
}
";
    let manage = MANAGE.replace("shop.settings", "shop.settings.production");
    let files = [
        ("manage.py", manage.as_str()),
        ("shop/settings/__init__.py", ""),
        ("shop/settings/base.py", base),
        ("shop/settings/production.py", production),
        ("requirements.txt", "Django\ngunicorn\n"),
    ];
    let found = look(&files, &[], NO_PYTHON);
    insta::assert_snapshot!(shown(&found), @r"
    Django from shop/settings/production.py
      default: db.sqlite3
      logs: /data/logs.sqlite3
    - Django itself could not be asked (there is no Python): shop/settings/production.py was read as text; run init again where Django is installed to be sure
    - legacy was skipped: PostgreSQL is not SQLite, and Litestream replicates nothing else
    - geo was skipped: its NAME cannot be read here; write its path into the file by hand
    - memory was skipped: it is a database in memory
    - LITESTREAM: the value of secret-access-key was not copied, put it into the variable LITESTREAM_SECRET_ACCESS_KEY
    - LITESTREAM: the value of access-key-id was not copied, put it into the variable LITESTREAM_ACCESS_KEY_ID
    ");
    let text = yaml(&found.expect("databases"), Target::Bucket);
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text, @r#"
    # Written by `litekeeper init` for Django: shop/settings/production.py.
    #
    # `litekeeper run` finds this file in the folder that it is started in, and relative paths are relative
    # to that folder. Plain Litestream reads the file too; it passes over the part `litekeeper`.
    #
    # Set where it runs; secrets never go into this file:
    #   LITESTREAM_REPLICA_BUCKET     the bucket
    #   LITESTREAM_ACCESS_KEY_ID      its key, and
    #   LITESTREAM_SECRET_ACCESS_KEY  its secret; AWS's own variables and roles do as well
    addr: ":9090"
    levels: [{"interval": "5m"}]
    access-key-id: ${LITESTREAM_ACCESS_KEY_ID}
    dbs:
      # default
      - path: db.sqlite3
        replica:
          type: s3
          bucket: ${LITESTREAM_REPLICA_BUCKET}
          path: shop/db.sqlite3
          # region: eu-central-1           # Amazon's is found out when it is not given
          # endpoint: https://HOST         # Tigris, R2, MinIO and others that speak S3
      # logs: outside of the project: see that a volume holds it
      - path: /data/logs.sqlite3
        replica:
          type: s3
          bucket: logs
          secret-access-key: ${LITESTREAM_SECRET_ACCESS_KEY}

    # Other kinds of replica, in place of type, bucket and path:
    #   url: gs://BUCKET/PATH                  Google Cloud Storage
    #   url: abs://ACCOUNT@CONTAINER/PATH      Azure
    #   url: sftp://USER@HOST:22/PATH          with key-path: beside it
    #   path: /mnt/backups/NAME                a folder

    litekeeper:
      app:
        command: ["gunicorn", "shop.wsgi", "-w", "4"]
      # After the restore, under replication, before the app:
      before:
        - ["python", "manage.py", "migrate", "--noinput"]
      path-prefix: shop
      # Names of the databases, as Django has them:
      aliases:
        default: db.sqlite3
        logs: /data/logs.sqlite3
      vfs:
        reports: s3://reports/db
        max_lag_seconds: 60
    "#);
}

#[test]
fn django_is_asked_first() {
    let answer = r#"{"databases": [["default", {"ENGINE": "django.db.backends.sqlite3", "NAME": "/srv/app/data/db.sqlite3"}],
        ["other", {"ENGINE": "django.db.backends.mysql", "NAME": "x"}]],
        "litestream": null, "wsgi": "shop.wsgi.application", "asgi": null}"#;
    let files = [("manage.py", MANAGE), ("shop/settings.py", "DATABASES = {}\n")];
    insta::assert_snapshot!(shown(&look(&files, &[], Ok(answer))), @r"
    Django from shop.settings, as the project's own Python has it
      default: data/db.sqlite3
    - other was skipped: MySQL is not SQLite, and Litestream replicates nothing else
    - the command is Django's server for development: put the one that you deploy with in its place
    ");
    insta::assert_snapshot!(shown(&look(&files, &[], Ok("no json"))), @r#"
    nothing; Some((Django, "."))
    - Django itself could not be asked (its answer is no JSON: expected ident at line 1 column 2): shop/settings.py was read as text; run init again where Django is installed to be sure
    - the settings have no DATABASES that can be read here
    - the command is Django's server for development: put the one that you deploy with in its place
    "#);
}

#[test]
fn django_settings_under_conditions() {
    let sqlite =
        |name: &str| format!("{{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': '{name}'}}}}");
    let (a, b) = (sqlite("a.db"), sqlite("b.db"));
    for (settings, expected) in [
        (
            format!(
                "DATABASES = {a}\nif os.environ.get('NONE'):\n    DATABASES['default'] = dj_database_url.config()\n"
            ),
            "a.db",
        ),
        (
            format!("URL = os.environ.get('NONE')\nif URL:\n  DATABASES = {a}\nelse:\n  DATABASES = {b}\n"),
            "b.db",
        ),
        (
            format!(
                "if 'SET' in os.environ:\n  DATABASES = {a}\nelif DEBUG:\n  DATABASES = {b}\nelse:\n  DATABASES = {b}\n"
            ),
            "a.db",
        ),
        (
            format!(
                "DEBUG = os.getenv('SET') == 'no'\nif not DEBUG:\n  if True:\n    DATABASES = {a}\n  X = 1\nelse:\n  DATABASES = {b}\n"
            ),
            "a.db",
        ),
        (
            format!(
                "DATABASES = {a}\nif 'test' in sys.argv:\n  DATABASES = {b}\ndef f():\n  DATABASES = {b}\n"
            ),
            "a.db",
        ),
        (format!("try:\n  DATABASES = {a}\nexcept ImportError:\n  DATABASES = {b}\n"), "a.db"),
        (format!("DATABASES = {a}\ncall(\nDATABASES = {b}\n)\n"), "a.db"),
        (format!("DATABASES = {a}\nif unknown():\n  DATABASES = {b}\n"), "b.db"),
    ] {
        let text = django(&settings, &[("SET", "yes")]);
        assert!(text.contains(&format!("  default: {expected}\n")), "{settings}\n{text}");
    }
}

/// Cookiecutter's layout: manage.py is for the developer, wsgi.py for production.
#[test]
fn the_servers_settings_count_and_not_those_of_manage() {
    let manage = MANAGE.replace("shop.settings", "shop.settings.local");
    let server = MANAGE.replace("shop.settings", "shop.settings.production");
    let database = |name: &str| {
        format!("DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': '{name}'}}}}\n")
    };
    let (local, production) = (database("dev.db"), database("/data/shop.db"));
    let files = [
        ("manage.py", manage.as_str()),
        ("shop/wsgi.py", server.as_str()),
        ("shop/settings/local.py", local.as_str()),
        ("shop/settings/production.py", production.as_str()),
    ];
    let found = look(&files, &[], NO_PYTHON);
    insta::assert_snapshot!(shown(&found), @r"
    Django from shop/settings/production.py
      default: /data/shop.db
    - manage.py has the settings shop.settings.local, the server shop.settings.production: these are the databases of shop.settings.production
    - Django itself could not be asked (there is no Python): shop/settings/production.py was read as text; run init again where Django is installed to be sure
    - the command is Django's server for development: put the one that you deploy with in its place
    ");
    let plan = found.expect("a database");
    assert_eq!(
        plan.before[0].join(" "),
        "python manage.py migrate --noinput --settings=shop.settings.production"
    );
    assert_eq!(plan.command.last().map(String::as_str), Some("--settings=shop.settings.production"));
    // Whoever says which ones gets them.
    let plan =
        look(&files, &[("DJANGO_SETTINGS_MODULE", "shop.settings.local")], NO_PYTHON).expect("a database");
    assert_eq!(plan.databases[0].path, "dev.db");
    assert_eq!(plan.before[0].join(" "), "python manage.py migrate --noinput");
}
