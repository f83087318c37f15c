//! Databases that something else than the configuration names: a program's answer, a folder's files.

use super::json;
use crate::config::error::{Error, Origin};
use crate::config::model::database::Database;
use crate::config::model::register;
use crate::config::model::whole::Config;
use crate::config::values::variables;
use crate::yaml::Node;

/// Returns the databases of an answer: a list of them, or `{"dbs": […]}`; each as it stands under `dbs`. What is a
/// secret among it is in no file that is generated, wherever that program has it from.
///
/// # Errors
/// What is wrong with the answer, or the limit that it passes; it holds no value of it, which may be a secret.
pub fn parse_answer(answer: &[u8]) -> Result<Vec<Node>, Error> {
    let mut entries =
        json::databases(answer).map_err(|problem| Error::new(Origin::Resolver, 0, 0, problem))?;
    entries.iter_mut().for_each(variables::keep_all);
    Ok(entries)
}

/// What a running Litestream takes a database in by. No `Debug`: a URL may hold secrets.
pub struct Registration {
    /// The database.
    pub database: Database,
    /// That URL, or what keeps it from that.
    pub url: Result<String, String>,
    /// The same text for all that tells Litestream the same; none without a URL.
    pub told: Option<String>,
}

/// Returns the same configuration with what a resolver answered.
#[cfg(test)]
pub(in crate::config) fn with_databases(
    config: &Config,
    json: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Error> {
    let entries = parse_answer(json.as_bytes())?;
    let (config, result) = config.with_entries(entries, &[], env, env);
    result.map(|()| config)
}

/// Returns the last `count` databases, each with what a running Litestream takes it in by.
///
/// `env` are the variables that Litestream was started with.
pub fn registrations(
    config: &Config,
    count: usize,
    env: &dyn Fn(&str) -> Option<String>,
) -> Vec<Registration> {
    let nodes = config.root().get("dbs").and_then(Node::as_list).unwrap_or_default();
    let databases = config.databases();
    let nodes = &nodes[nodes.len().saturating_sub(count)..];
    let databases = &databases[databases.len().saturating_sub(count)..];
    let each = nodes.iter().zip(databases);
    let registration = |(node, database): (&Node, &Database)| {
        let url = register::url_of(config, node, database, env);
        let told = database.replicas.first().zip(url.as_ref().ok());
        let told = told.map(|(replica, url)| register::told(replica, url));
        Registration { database: database.clone(), url, told }
    };
    each.map(registration).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::sound;

    #[test]
    fn an_answer_is_a_list_or_has_one() {
        let list = r#"[{"path": "a.db", "replica": {"url": "s3://b/a"}}]"#;
        assert_eq!(parse_answer(list.as_bytes()).expect("a list").len(), 1);
        assert_eq!(parse_answer(format!("{{\"dbs\": {list}}}").as_bytes()).expect("a mapping").len(), 1);
        assert!(parse_answer(b"[]\n").expect("no tenant").is_empty());
        for (rubbish, reason) in [
            (&b""[..], "no JSON (line 1, column 0)"),
            (b"hello", "no JSON"),
            (b"[] []", "no JSON"),
            (b"{}", "neither a list"),
            (b"7", "neither a list"),
            (b"[{\"path\": \"a\"}, {\"path\": 7}]", "without a `path` in its entry 2"),
            (b"[\"a.db\"]", "entry 1"),
            (b"[{\"dir\": \"/data\"}]", "without a `path`"),
        ] {
            let error = parse_answer(rubbish).expect_err("rubbish");
            assert!(error.to_string().starts_with("resolver: "), "{error}");
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn databases_that_are_found_later_are_as_good() {
        let text = "litekeeper: {resolver: {command: [x]}, replicas: {s3: {type: s3, bucket: b}}}\n\
                    dbs: [{path: a.db, replica: s3}]";
        let config = sound(text);
        let places = |config: &Config| {
            let replicas = config.databases().iter().flat_map(|database| &database.replicas);
            replicas.map(|replica| replica.display.clone()).collect::<Vec<_>>()
        };
        let env = |name: &str| (name == "SECRET").then(|| "hunter2".to_owned());
        let more = with_databases(
            &config,
            r#"[{"path": "t\/1.db", "replica": "s3"}, {"path": "2.db", "replica": {"template": "s3", "access_key_id": {"env": "SECRET"}}}]"#,
            &env,
        );
        let more = more.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(places(&more), ["s3://b/a.db", "s3://b/1.db", "s3://b/2.db"]);
        assert_eq!(places(&config), ["s3://b/a.db"]);
        for (json, message) in [
            ("oops", "resolver: its answer is no JSON (line 1, column 1)"),
            ("[5]", "resolver: its answer is without a `path` in its entry 1"),
            (
                r#"[{"path": "x/a.db", "replica": "s3"}]"#,
                "resolver: the databases `/srv/a.db` and `/srv/x/a.db` have the same replica, s3://b/a.db",
            ),
            (
                r#"[{"path": "b.db", "replica": "s4"}]"#,
                "resolver: the database `b.db` refers to the replica `s4`, which `litekeeper.replicas` does not define",
            ),
        ] {
            let error = with_databases(&config, json, &env).expect_err(json);
            assert_eq!(error.to_string(), message);
        }
    }
}
