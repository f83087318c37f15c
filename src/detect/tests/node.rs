//! Prisma and Drizzle.

use super::*;

#[test]
fn prisma_paths_are_relative_to_what_names_them() {
    let six = "generator client {\n  provider = \"prisma-client-js\"\n}\n\ndatasource db {\n  provider = \"sqlite\"\n  url      = env(\"DATABASE_URL\")\n}\n";
    let six_files = [
        ("prisma/schema.prisma", six),
        (".env", "DATABASE_URL=\"file:./dev.db\"\n"),
        ("package.json", r#"{"scripts": {"start": "node server.js"}}"#),
    ];
    insta::assert_snapshot!(shown(&look(&six_files, &[], NO_PYTHON)), @r"
    Prisma from prisma/schema.prisma
      db: prisma/dev.db
    ");
    insta::assert_snapshot!(shown(&look(&[("prisma/schema.prisma", six)], &[], NO_PYTHON)), @r#"
    nothing; Some((Prisma, "."))
    - DATABASE_URL is not set here, and no .env has it: set it (file:./dev.db) and run init again
    - package.json has no start script: put the app's command into litekeeper.app.command
    "#);
    let seven = "datasource db {\n  provider = \"sqlite\"\n}\n";
    let config = "import 'dotenv/config'\nimport { defineConfig, env } from 'prisma/config'\nexport default defineConfig({\n  schema: 'prisma/schema.prisma',\n  datasource: {\n    url: env('DATABASE_URL'),\n  },\n})\n";
    let seven_files = [
        ("prisma.config.ts", config),
        ("prisma/schema.prisma", seven),
        (".env", "DATABASE_URL=\"file:./dev.db\"\n"),
    ];
    insta::assert_snapshot!(shown(&look(&seven_files, &[], NO_PYTHON)), @r"
    Prisma from prisma/schema.prisma
      db: dev.db
    - package.json has no start script: put the app's command into litekeeper.app.command
    ");
    let postgres = six.replace("\"sqlite\"", "\"postgresql\"");
    insta::assert_snapshot!(shown(&look(&[("prisma/schema.prisma", postgres.as_str())], &[], NO_PYTHON)), @r#"
    nothing; Some((Prisma, "."))
    - prisma/schema.prisma has the provider PostgreSQL, not SQLite, and Litestream replicates nothing else
    "#);
}

#[test]
fn drizzle_urls_in_their_usual_forms() {
    for (config, env, expected) in [
        ("dbCredentials: { url: './data/db.sqlite' }", "", "data/db.sqlite"),
        ("dbCredentials: { url: process.env.DB_FILE_NAME! }", "DB_FILE_NAME=file:local.db", "local.db"),
        ("dbCredentials: { url: process.env.DB ?? \"file:fallback.db\" },", "", "fallback.db"),
        ("dbCredentials: { url: process.env['DB'] || `${dir}/x.db` }", "", "data/x.db"),
        ("dbCredentials: { url: path.join(dir, \"x.db\") }", "", "data/x.db"),
        ("dbCredentials: { url: process.env.DB! }", "", "?"),
        ("dbCredentials: { url: \"libsql://x.turso.io\" }", "", "?"),
        ("driver: 'd1-http', dbCredentials: { url: 'x.db' }", "", "?"),
    ] {
        let config = format!(
            "import {{ defineConfig }} from 'drizzle-kit';\nconst dir = './data';\n// url: 'no'\nexport default defineConfig({{\n  dialect: 'sqlite',\n  {config}\n}});\n"
        );
        let files = [("drizzle.config.ts", config.as_str()), (".env", env)];
        let text = shown(&look(&files, &[], NO_PYTHON));
        assert_eq!(text.contains(&format!("  default: {expected}\n")), expected != "?", "{config}\n{text}");
    }
    let postgres = [("drizzle.config.ts", "export default defineConfig({ dialect: 'postgresql' })")];
    insta::assert_snapshot!(shown(&look(&postgres, &[], NO_PYTHON)), @r#"
    nothing; Some((Drizzle, "."))
    - drizzle.config.ts has PostgreSQL, not SQLite, and Litestream replicates nothing else
    "#);
}

#[test]
fn without_an_env_file_the_example_counts() {
    let config = "export default { dialect: 'sqlite', dbCredentials: { url: process.env.DB! } }";
    let files = [
        ("drizzle.config.js", config),
        (".env.example", "DB=file:./data/example.db\n"),
        ("package.json", r#"{"scripts": {"start": "node ."}}"#),
    ];
    insta::assert_snapshot!(shown(&look(&files, &[], NO_PYTHON)), @r"
    Drizzle from drizzle.config.js
      default: data/example.db
    - there is no .env here: variables are those of .env.example
    ");
}

#[test]
fn an_env_file_is_read_as_run_reads_it() {
    let config = "export default { dialect: 'sqlite', dbCredentials: { url: process.env.DB! } }";
    for (env, expected) in [
        ("# DB=a.db\nexport DB=b.db # why\n", "b.db"),
        ("DB=a.db\nDB='b.db'\n", "b.db"),
        ("DIR=data\nDB=\"file:./${DIR}/a.db\" # x\n", "data/a.db"),
        ("DB=file:a.db\nKEY='one\nDB=two.db\n'\n", "a.db"),
        ("DB=\"a\\\"b.db\"\n", "a\"b.db"),
    ] {
        let files = [("drizzle.config.js", config), (".env", env)];
        let text = shown(&look(&files, &[], NO_PYTHON));
        assert!(text.contains(&format!("  default: {expected}\n")), "{env}\n{text}");
    }
}

#[test]
fn a_schema_may_be_a_folder() {
    let schema = "datasource db {\n  provider = \"sqlite\"\n  url = env(\"DATABASE_URL\")\n}\n";
    let env = [("DATABASE_URL", "file:../../data/app.db")];
    for (package, file) in [
        ("{}", "prisma/schema/base.prisma"),
        ("{\"prisma\": {\"schema\": \"./db/models\"}}", "db/models/main.prisma"),
    ] {
        let files = [("package.json", package), (file, schema)];
        let plan = look(&files, &env, NO_PYTHON).expect("a database");
        assert_eq!(
            (plan.framework, plan.databases[0].path.as_str()),
            (Framework::Prisma, "data/app.db"),
            "{file}"
        );
    }
}
