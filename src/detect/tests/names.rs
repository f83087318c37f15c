//! What a project is called, and so where its backups are.

use super::*;

const RAILS: (&str, &str) =
    ("config/database.yml", "production: {adapter: sqlite3, database: storage/production.sqlite3}\n");
const REPO: (&str, &str) = (
    "config/runtime.exs",
    "config :x, X.Repo, database: System.get_env(\"DATABASE_PATH\") || raise \"no\"\n",
);

fn in_folder(root: &str, files: &[(&str, &str)], env: &[(&str, &str)]) -> Plan {
    let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let ask = |_: &Question| Err("there is no Python".to_owned());
    find(&Surroundings {
        tree: &Files::new(files),
        root,
        env: &env,
        ask: &ask,
        keep_replicas: true,
        existing: true,
        parents: 0,
    })
    .unwrap_or_else(|nothing| panic!("{nothing:?}"))
}

/// Two apps in folders of the same name had one place, although each has a name that somebody gave it.
#[test]
fn the_name_that_a_generator_was_given_counts_whatever_it_is() {
    let rails = |application: &'static str, deploy: &'static str| {
        let files =
            [("config/application.rb", application), ("config/deploy.yml", deploy), RAILS, ("bin/rails", "")];
        files
            .into_iter()
            .filter(|(_, text)| !text.is_empty() || RAILS.1 == *text)
            .chain([("bin/rails", "")])
            .collect::<Vec<_>>()
    };
    let phoenix = |mix: &'static str| vec![("mix.exs", mix), REPO];
    for (files, name) in [
        (rails("require_relative \"boot\"\n\nmodule Blog\n  class Application\n", ""), "blog"),
        (rails("module MyApp\r\n", ""), "my_app"),
        (rails("  module HTMLShop2Go\n", ""), "html_shop2_go"),
        (rails("module Acme::Shop\n", ""), "acme-shop"),
        (rails("", "# Kamal\nservice: blog\nimage: me/blog\n"), "blog"),
        (rails("module App\n", "service: \"corner\" # why\n"), "corner"),
        (rails("module App\n", "service: <%= ENV['X'] %>\n"), "xyz"),
        (phoenix("[app: :my_app, deps: [{:phoenix, 1}, {:ecto_sqlite3, 1}]]"), "my_app"),
        (phoenix("# app: :old\n[app:  :hello]\n{:phoenix} ecto_sqlite3"), "hello"),
        (phoenix("[app: :\"shop\"]\n{:phoenix} ecto_sqlite3"), "shop"),
        (phoenix("defmodule Corner.Umbrella.MixProject do\n apps_path: \"apps\", ecto_sqlite3"), "corner"),
        (phoenix("[app: :phoenix]\n{:phoenix} ecto_sqlite3"), "xyz"),
    ] {
        assert_eq!(in_folder("/srv/xyz", &files, &[]).project, name, "{files:?}");
    }
    // Of two names that say nothing it is the app's.
    assert_eq!(in_folder("/rails", &rails("module Api\n", ""), &[]).project, "api");
}

/// The second run of `init` wrote another place, where nothing of the first one's backup was found.
#[test]
fn a_place_is_the_same_whether_a_variable_is_set_or_not() {
    let mix = ("mix.exs", "[app: :my_app]\n{:phoenix} ecto_sqlite3");
    let rails = |database: &'static str| {
        vec![("config/database.yml", database), ("bin/rails", ""), ("config/application.rb", "module Shop\n")]
    };
    let flask = vec![
        (
            "app.py",
            "import os\nfrom flask_sqlalchemy import SQLAlchemy\napp = Flask(__name__)\napp.config['SQLALCHEMY_DATABASE_URI'] = os.environ.get('DATABASE_URL', 'sqlite:///app.db')\n",
        ),
        ("pyproject.toml", "[project]\nname = 'shop'\n"),
    ];
    for (files, set, place) in [
        (vec![mix, REPO], ("DATABASE_PATH", "/data/my_app.db"), "my_app/repo.db"),
        (
            rails("production: {adapter: sqlite3, database: <%= ENV['DATABASE_PATH'] %>}\n"),
            ("DATABASE_PATH", "/data/prod.sqlite3"),
            "shop/primary.db",
        ),
        (
            rails(
                "production: {adapter: sqlite3, database: <%= ENV.fetch('DATABASE_PATH', 'storage/p.sqlite3') %>}\n",
            ),
            ("DATABASE_PATH", "/data/prod.sqlite3"),
            "shop/p.sqlite3",
        ),
        (flask, ("DATABASE_URL", "sqlite:////data/prod.db"), "shop/app.db"),
    ] {
        for env in [&[][..], &[set]] {
            let text = yaml(&in_folder("/srv/phx", &files, env), Target::Bucket);
            assert!(text.contains(&format!("      path: {place}\n")), "{set:?} {env:?}: {text}");
        }
        // Of a `.env` as well.
        let dotenv = format!("{}={}\n", set.0, set.1);
        let files: Vec<_> = files.into_iter().chain([(".env", dotenv.as_str())]).collect();
        let text = yaml(&in_folder("/srv/phx", &files, &[]), Target::Bucket);
        assert!(text.contains(&format!("      path: {place}\n")), ".env {set:?}: {text}");
    }
}
