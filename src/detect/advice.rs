//! The lines that belong into Dockerfile, Procfile and fly.toml.

use super::place;
use super::plan::Plan;
use super::write::{Target, uses_bucket, variables};

/// What to add to the files that start the app; `file` is the configuration's name.
pub fn advice(plan: &Plan, target: Target<'_>, file: &str) -> String {
    let workdir = plan.workdir.as_deref().unwrap_or("/app");
    let volumes = volumes(plan, workdir);
    let mut lines: Vec<String> = Vec::new();
    let heading = |lines: &mut Vec<String>, text: &str| {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(text.to_owned());
    };

    heading(&mut lines, "Dockerfile:");
    lines.push("  # a stage `litekeeper` that has both programs is in examples/docker/Dockerfile".to_owned());
    lines.push(
        "  COPY --from=litekeeper /usr/local/bin/litekeeper /usr/local/bin/litestream /usr/local/bin/"
            .to_owned(),
    );
    lines.push(format!("  COPY {file} {workdir}/"));
    lines.extend(volumes.iter().map(|volume| format!("  VOLUME {volume}")));
    lines.push("  ENV LITEKEEPER_STOP_TIMEOUT=9s".to_owned());
    let command: Vec<&str> = plan.command.iter().map(String::as_str).collect();
    if command.is_empty() {
        lines.push(
            "  ENTRYPOINT [\"litekeeper\", \"run\", \"--\"]    # and your app's command as CMD".to_owned(),
        );
    } else {
        lines.push("  ENTRYPOINT [\"litekeeper\", \"run\"]".to_owned());
    }

    heading(&mut lines, "Procfile:");
    lines.push(if command.is_empty() {
        "  web: litekeeper run -- YOUR COMMAND".to_owned()
    } else {
        "  web: litekeeper run".to_owned()
    });

    heading(&mut lines, "fly.toml:");
    lines.extend(["  kill_signal = \"SIGTERM\"", "  kill_timeout = \"30s\"", "  [env]"].map(str::to_owned));
    lines.push("    LITEKEEPER_STOP_TIMEOUT = \"28s\"".to_owned());
    // A path that is a variable is set to where the volume is.
    for name in path_variables(plan) {
        lines.push(format!("    {name} = \"/data/{}.db\"", name.to_lowercase().replace("_path", "")));
    }
    let mount = volumes.first().map(String::as_str).or_else(|| path_variables(plan).first().map(|_| "/data"));
    match mount {
        Some(mount) => {
            lines.push("  [mounts]".to_owned());
            lines.push("    source = \"data\"".to_owned());
            lines.push(format!("    destination = \"{mount}\""));
        }
        None => lines.push(
            "  # no volume: the database lies beside the code, so it is restored at each start; move it into a folder \
             of its own to keep it"
                .to_owned(),
        ),
    }
    if volumes.len() > 1 {
        lines.push("  # Fly mounts one volume: bring the databases into one folder".to_owned());
    }

    heading(&mut lines, "Set where it runs:");
    lines.push(format!("  {}", needed(plan, target).join("  ")));
    lines.join("\n")
}

/// The variables without which it does not start.
fn needed(plan: &Plan, target: Target<'_>) -> Vec<String> {
    let mut names = variables(plan, target);
    let s3 = matches!(target, Target::Below(url) if url.starts_with("s3://"));
    let bucket = uses_bucket(plan, target);
    let mut add = |name: &str| {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    };
    if bucket {
        add("LITESTREAM_REPLICA_BUCKET");
    }
    if bucket || s3 {
        add("LITESTREAM_ACCESS_KEY_ID");
        add("LITESTREAM_SECRET_ACCESS_KEY");
    }
    if names.is_empty() { vec!["nothing".to_owned()] } else { names }
}

/// The folders with databases that are folders of their own, as the image has them.
fn volumes(plan: &Plan, workdir: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for database in plan.databases.iter().filter(|database| database.left_out.is_none()) {
        let folder = place::parent(&database.path);
        let is_plain = place::variables(&database.path).next().is_none();
        if is_plain && folder != "." && folder != plan.folder && folder != "/" {
            let volume = place::join(workdir, &folder);
            if !found.contains(&volume) {
                found.push(volume);
            }
        }
    }
    // A folder below another one is in that one's volume.
    let all = found.clone();
    found.retain(|one| !all.iter().any(|other| one != other && one.starts_with(&format!("{other}/"))));
    found
}

fn path_variables(plan: &Plan) -> Vec<&str> {
    let whole = |database: &'_ str| place::pieces(database).first().is_some_and(Result::is_err);
    let databases =
        plan.databases.iter().filter(|database| database.left_out.is_none() && whole(&database.path));
    databases.filter_map(|database| place::variables(&database.path).next()).collect()
}
