//! The lines for a Dockerfile, whatever it says of its folders, and what is read from it.

use super::*;

const POCKETBASE: &str = "FROM alpine:latest\n\nARG PB_VERSION=0.30.0\n\nRUN apk add --no-cache unzip ca-certificates\n\n\
    ADD https://github.com/pocketbase/pocketbase/releases/download/v${PB_VERSION}/pocketbase_${PB_VERSION}_linux_amd64.zip /tmp/pb.zip\n\
    RUN unzip /tmp/pb.zip -d /pb/\n\n# COPY ./pb_migrations /pb/pb_migrations\n\nEXPOSE 8080\n\n\
    CMD [\"/pb/pocketbase\", \"serve\", \"--http=0.0.0.0:8080\"]\n";

fn lines(files: &[(&str, &str)], file: &str) -> String {
    let plan = look(files, &[], NO_PYTHON).unwrap_or_else(|nothing| panic!("{nothing:?}"));
    let text = advice(&plan, Target::Bucket, file);
    text.split("\n\nProcfile:").next().unwrap().to_owned()
}

/// Where the app is started is where its file has to be: with what was printed `run` ended with 64.
#[test]
fn the_file_is_where_the_app_is_started() {
    for (dockerfile, expected) in [
        // No folder is said: the lines say one.
        ("FROM alpine\nCMD [\"server\"]\n", &["  WORKDIR /app\n  COPY litestream.yml /app/\n"][..]),
        (
            "FROM alpine\nCOPY . /srv/shop\nCMD [\"server\"]\n",
            &["  WORKDIR /srv/shop\n  COPY litestream.yml /srv/shop/\n"],
        ),
        (
            "FROM alpine\nCOPY server /opt/x/\nCMD [\"/shop/server\"]\n",
            &["  WORKDIR /shop\n  COPY litestream.yml /shop/\n"],
        ),
        (
            "FROM alpine\nCMD cd /shop && exec ./server\n",
            &["  WORKDIR /shop\n  COPY litestream.yml /shop/\n"],
        ),
        // Of an earlier stage it is not the last one's.
        ("FROM go AS build\nWORKDIR /src\nFROM alpine\nCMD [\"server\"]\n", &["  WORKDIR /app\n"]),
        // What is relative is so to the base's folder, and stays so.
        ("FROM node\nCOPY . .\nCMD [\"node\", \".\"]\n", &["\n  COPY litestream.yml ./\n"]),
        ("FROM node\nCOPY server ./\nCMD ./server\n", &["\n  COPY litestream.yml ./\n"]),
        ("FROM x\nARG D\nWORKDIR $D\nCMD [\"server\"]\n", &["\n  COPY litestream.yml ./\n"]),
        // It is said, in one way or another.
        (
            "FROM x\nENV HOME_DIR=/srv/a\nWORKDIR ${HOME_DIR}\nWORKDIR b\n",
            &["\n  COPY litestream.yml /srv/a/b/\n"],
        ),
        ("FROM x\nARG D=/srv/a\nWORKDIR \"$D\"\n", &["\n  COPY litestream.yml /srv/a/\n"]),
        ("FROM x\nWORKDIR /\n", &["\n  COPY litestream.yml /\n"]),
    ] {
        let text = lines(&[APP_DB, ("Dockerfile", dockerfile)], "litestream.yml");
        for part in expected {
            assert!(text.contains(part), "{dockerfile}: {part} is not in\n{text}");
        }
        assert_eq!(text.contains("WORKDIR"), expected[0].contains("WORKDIR"), "{text}");
        assert!(!text.contains("--config"), "{text}");
    }
    assert!(lines(&[APP_DB], "litestream.yml").contains("  WORKDIR /app\n  COPY litestream.yml /app/\n"));
    // Under a name that nobody looks for it is named.
    let text = lines(&[APP_DB, ("Dockerfile", "FROM x\nWORKDIR /srv\nCMD [\"a\"]\n")], "my conf/x.yml");
    assert!(text.contains("  COPY [\"my conf/x.yml\", \"/srv/\"]\n"), "{text}");
    assert!(
        text.contains("ENTRYPOINT [\"litekeeper\", \"run\", \"--config\", \"/srv/x.yml\", \"--\"]\n"),
        "{text}"
    );
}

#[test]
fn a_file_that_the_image_has_is_not_copied_again() {
    let old = "dbs: [{path: /data/app.db, replica: {url: '${REPLICA_URL}'}}]\n";
    for (copy, config) in [
        ("COPY etc/litestream.yml /etc/litestream.yml", ""),
        ("COPY ./etc/litestream.yml /etc/", ""),
        ("COPY --chown=app etc /etc", ""),
        ("COPY etc/litestream.yml litestream.yml", ""),
        ("ADD [\"etc/litestream.yml\", \"/conf/l.yml\"]", ", \"--config\", \"/conf/l.yml\""),
    ] {
        let dockerfile = format!("FROM debian\n{copy}\nCMD [\"/usr/local/bin/server\"]\n");
        let text = lines(&[("etc/litestream.yml", old), ("Dockerfile", &dockerfile)], "etc/litestream.yml");
        assert!(!text.contains("COPY etc") && !text.contains("WORKDIR"), "{copy}: {text}");
        assert!(
            text.contains(&format!("ENTRYPOINT [\"litekeeper\", \"run\"{config}, \"--\"]\n")),
            "{copy}: {text}"
        );
    }
}

/// The whole of a project that follows PocketBase's own documentation.
#[test]
fn pocketbase_may_be_nothing_but_its_image() {
    for (dockerfile, path, start) in [
        (POCKETBASE.to_owned(), "pb_data/data.db", "./pocketbase serve --http=0.0.0.0:8080"),
        (
            POCKETBASE.replace("\"serve\"", "\"serve\", \"--dir=/data\""),
            "/data/data.db",
            "./pocketbase serve --dir=/data --http=0.0.0.0:8080",
        ),
        (
            POCKETBASE.replace("\"serve\"", "\"serve\", \"--dir\", \"/pb/d\""),
            "d/data.db",
            "./pocketbase serve --dir /pb/d --http=0.0.0.0:8080",
        ),
        (
            "FROM ghcr.io/muchobien/pocketbase:latest\n".to_owned(),
            "pb_data/data.db",
            "./pocketbase serve --http=0.0.0.0:8090",
        ),
        (
            "FROM alpine\nRUN get-it\nCMD /pb/pocketbase serve --http=0.0.0.0:8090\n".to_owned(),
            "pb_data/data.db",
            "/pb/pocketbase serve --http=0.0.0.0:8090",
        ),
    ] {
        let files = [("Dockerfile", dockerfile.as_str())];
        let plan = look(&files, &[], NO_PYTHON).unwrap_or_else(|nothing| panic!("{dockerfile}: {nothing:?}"));
        assert_eq!(
            (plan.framework, plan.databases[0].path.as_str()),
            (Framework::PocketBase, path),
            "{dockerfile}"
        );
        assert_eq!(plan.command.join(" "), start, "{dockerfile}");
        assert!(
            lines(&files, "litestream.yml").contains("  WORKDIR /pb\n  COPY litestream.yml /pb/\n"),
            "{dockerfile}"
        );
    }
    // Whoever only speaks to one is none.
    let client = [("Dockerfile", "FROM node\nRUN npm install pocketbase\nCMD [\"node\", \"x.js\"]\n")];
    assert!(look(&client, &[], NO_PYTHON).is_err());
}

#[test]
fn a_compose_file_says_where_the_database_is() {
    let built = "services:\n  db: {image: postgres, environment: {DATABASE_URL: postgres://x}}\n  web:\n    build: .\n    environment:\n";
    for (file, environment, path) in [
        ("compose.yml", "      DATABASE_URL: sqlite:////data/app.db\n", "/data/app.db"),
        ("docker-compose.yml", "      - PORT=80\n      - DATABASE_URL=sqlite:data/app.db\n", "data/app.db"),
        ("compose.yaml", "      DATABASE_URL: ${DATABASE_URL:-sqlite:app.db}\n", "app.db"),
    ] {
        let text = format!("{built}{environment}");
        let plan =
            look(&[(file, &text)], &[], NO_PYTHON).unwrap_or_else(|nothing| panic!("{text}: {nothing:?}"));
        assert_eq!((plan.framework, plan.source.as_str()), (Framework::DatabaseUrl, file));
        assert_eq!(plan.databases[0].path, path);
        assert!(plan.notes.contains(&format!("DATABASE_URL is the one of {file}")), "{:?}", plan.notes);
    }
    for text in [
        "services: []\n",
        "[",
        "services: {web: {environment: {DATABASE_URL: $X}}}\n",
        "services: {web: 1}\n",
    ] {
        assert!(look(&[("compose.yml", text)], &[], NO_PYTHON).is_err(), "{text}");
    }
}
