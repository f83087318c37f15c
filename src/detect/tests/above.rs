//! A configuration in a folder above, which may be another project's.

use super::*;

/// What was here was not mentioned, and the one above began a backup of a file that is not there.
#[test]
fn a_configuration_above_counts_for_its_own_databases_only() {
    let config = |path: &str| format!("dbs: [{{path: {path}, replica: {{url: 's3://b/x'}}}}]\n");
    for (path, here) in [
        ("app.db", "a.db"),
        ("app/other.db", "a.db"),
        ("/srv/app.db", "a.db"),
        ("$DB", "a.db"),
        ("$DIR/b.db", "a.db"),
        ("tenants/*.db", "a.db"),
    ] {
        let plan =
            look(&[("../litestream.yml", &config(path)), (here, SQLITE)], &[], NO_PYTHON).expect("a plan");
        assert_eq!((plan.framework, plan.databases[0].path.as_str()), (Framework::Files, here), "{path}");
        assert!(plan.databases[0].replica.is_none());
        let said: Vec<&String> =
            plan.notes.iter().filter(|note| note.contains("../litestream.yml")).collect();
        assert!(said.len() == 1 && said[0].contains("is for other databases"), "{path}: {:?}", plan.notes);
    }
    // One that has what is here, by its own folder or by this one.
    for path in ["a.db", "app/a.db", "/srv/app/a.db", "$DIR/a.db", "sqlite3://a.db", "$DB2"] {
        let env = [("DB2", "/srv/app/a.db")];
        let plan =
            look(&[("../litestream.yml", &config(path)), ("a.db", SQLITE)], &env, NO_PYTHON).expect("a plan");
        assert_eq!(plan.framework, Framework::Existing, "{path}");
    }
    let tenants = "dbs: [{dir: app/t, pattern: '*.db', replica: {url: 's3://b/x'}}]\n";
    for (file, framework) in [("t/a.db", Framework::Existing), ("t/a.sqlite", Framework::Files)] {
        let plan = look(&[("../litestream.yml", tenants), (file, SQLITE)], &[], NO_PYTHON).expect("a plan");
        assert_eq!(plan.framework, framework, "{file}");
    }
    // All of them, and a framework's as well.
    let two =
        [("../litestream.yml", config("a.db")), ("a.db", SQLITE.to_owned()), ("b.db", SQLITE.to_owned())];
    let two: Vec<(&str, &str)> = two.iter().map(|(path, text)| (*path, text.as_str())).collect();
    assert_eq!(look(&two, &[], NO_PYTHON).expect("a plan").framework, Framework::Files);
    let drizzle = "export default { dialect: 'sqlite', dbCredentials: { url: './a.db' } }";
    let files = [("../litestream.yml", &config("x.db")[..]), ("drizzle.config.ts", drizzle)];
    let plan = look(&files, &[], NO_PYTHON).expect("a plan");
    assert!(
        plan.notes.join("\n").contains("../litestream.yml is for other databases (x.db)"),
        "{:?}",
        plan.notes
    );
    // And the place that the environment names is taken.
    let files = [("../litestream.yml", &config("app.db")[..]), ("a.db", SQLITE)];
    let plan = look(&files, &[("LITESTREAM_REPLICA_URL", "s3://b/y")], NO_PYTHON).expect("a plan");
    assert!(yaml(&plan, Target::Bucket).contains("      url: ${LITESTREAM_REPLICA_URL}\n"));
}

/// `REPLICA_URL` alone was said to be needed, and the start ended for want of a key.
#[test]
fn a_url_that_is_a_variable_needs_its_keys() {
    let keys = "LITESTREAM_ACCESS_KEY_ID  LITESTREAM_SECRET_ACCESS_KEY";
    let url = "dbs: [{path: /data/app.db, replicas: [{url: '${REPLICA_URL}'}]}]\n";
    let below = "dbs: [{path: /data/app.db, replica: {url: '${REPLICA_URL}/app'}}]\n";
    let typed = "dbs: [{path: /data/app.db, replica: {type: $KIND, bucket: b, path: p}}]\n";
    let own = "dbs: [{path: a.db, replica: {url: $REPLICA_URL, access-key-id: $K, secret-access-key: $S}}]\n";
    for (text, env, needed) in [
        (url, &[][..], format!("REPLICA_URL  {keys}")),
        (below, &[], format!("REPLICA_URL  {keys}")),
        (url, &[("REPLICA_URL", "s3://b/x")], format!("REPLICA_URL  {keys}")),
        (url, &[("REPLICA_URL", "sftp://h/x")], "REPLICA_URL".to_owned()),
        (url, &[("REPLICA_URL", "/mnt/backup")], "REPLICA_URL".to_owned()),
        (typed, &[], format!("KIND  {keys}")),
        (typed, &[("KIND", "gs")], "KIND  GOOGLE_APPLICATION_CREDENTIALS".to_owned()),
        (own, &[], "REPLICA_URL  K  S".to_owned()),
    ] {
        let files = [
            ("etc/litestream.yml", text),
            (
                "Dockerfile",
                "FROM debian\nCOPY etc/litestream.yml /etc/litestream.yml\nCMD [\"/scripts/run.sh\"]\n",
            ),
            ("scripts/run.sh", "exec litestream replicate -exec '/usr/local/bin/app'\n"),
        ];
        let plan = look(&files, env, NO_PYTHON).expect("a plan");
        let text = advice(&plan, Target::Bucket, "etc/litestream.yml");
        let said = text.split_once("Set where it runs:\n  ").expect("a last part").1;
        assert_eq!(said.lines().next().unwrap(), needed, "{env:?} {text}");
    }
    // The variable that `init` names itself as well.
    let plan =
        look(&[("a.db", SQLITE)], &[("LITESTREAM_REPLICA_URL", "sftp://h/x")], NO_PYTHON).expect("a plan");
    assert!(!yaml(&plan, Target::Bucket).contains("ACCESS_KEY"));
    assert!(!advice(&plan, Target::Bucket, "litestream.yml").contains("ACCESS_KEY"));
}
