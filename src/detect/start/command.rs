//! The app's command where no framework tells it, and its port.

use super::litestream::Below;
use crate::detect::deploy::SHELL;
use crate::detect::found::Found;
use crate::detect::project::Project;
use crate::detect::{Deployment, Framework, path, shell};

/// Puma with the project's own file. `rails server` does the same, but a killed one leaves its pid file behind, with which the
/// next one does not start.
pub(in crate::detect) const PUMA: [&str; 5] = ["bundle", "exec", "puma", "-C", "config/puma.rb"];

/// PHP-FPM in the foreground: in the background it would be an app that has ended.
pub(in crate::detect) const PHP_FPM: [&str; 2] = ["php-fpm", "-F"];

/// Finds the command of a project without a framework, as far as its files have it.
pub(in crate::detect) fn plain(project: &Project<'_>) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    if project.has("package.json") {
        node(project)
    } else if project.has("config/puma.rb") {
        words(&PUMA)
    } else if project.deployment().image.is_fpm {
        words(&PHP_FPM)
    } else {
        Vec::new()
    }
}

/// Reads how package.json starts the app: by `node …` itself where that is all, since npm does not pass signals on.
pub(in crate::detect) fn node(project: &Project<'_>) -> Vec<String> {
    let start = project.text("package.json").and_then(|text| {
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(json["scripts"]["start"].as_str()?.to_owned())
    });
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    match start {
        Some(start)
            if start.starts_with("node ")
                && !start.contains(['$', '&', '|', ';', '<', '>', '"', '\'', '`', '*']) =>
        {
            words(&start)
        }
        Some(_) => words("npm start"),
        None => {
            project
                .note("package.json has no start script: put the app's command into litekeeper.app.command");
            Vec::new()
        }
    }
}

/// Finds the command that the project is deployed with, and the file that has it.
pub(in crate::detect) fn deployed(
    project: &Project<'_>,
    below: &Below,
) -> Option<(Vec<String>, &'static str)> {
    let deployment = project.deployment();
    let [is_image, is_web] = below.is_run;
    let image = || {
        let start = deployment.image.start().filter(|_| !is_image)?;
        Some((of_image(project, &start)?, "Dockerfile"))
    };
    let web = || Some((of_line(deployment.web().filter(|_| !is_web)?)?, "Procfile"));
    let compose = || {
        let (start, file) = deployment.compose.start()?;
        let is_plain = !start.iter().any(|word| path::name(word).starts_with("litestream"));
        Some((of_image(project, start).filter(|_| is_plain)?, file))
    };
    image().or_else(web).or_else(compose)
}

/// Takes the app's command out of an image's: without litekeeper, if it is there already, and with the path that the
/// program has in the project.
fn of_image(project: &Project<'_>, start: &[String]) -> Option<Vec<String>> {
    if let [shell, option, line] = start
        && [shell.as_str(), option] == SHELL
    {
        return of_line(line);
    }
    let mut words = behind_litekeeper(start)?;
    if words.last().is_some_and(|word| word == PHP_FPM[0]) {
        words.push(PHP_FPM[1].to_owned());
    }
    let folder = project.deployment().image.folder(None);
    if let (Some(program), Some(folder)) = (words.first_mut(), folder)
        && let Some(own) = program.strip_prefix(&format!("{}/", folder.trim_end_matches('/')))
        && (folder != "/" || project.has(own))
    {
        *program = format!("./{own}");
    }
    Some(words)
}

/// Takes the app's command out of a shell's line: its words, or the shell with it where only a shell can split it.
fn of_line(line: &str) -> Option<Vec<String>> {
    let in_shell = |line: String| Some(vec!["sh".to_owned(), "-c".to_owned(), line]);
    let line = line.trim();
    if shell::is_shells(line) {
        return if line.contains("litekeeper") { None } else { in_shell(line.to_owned()) };
    }
    let words = shell::commands(line).into_iter().next()?;
    let sets = words.first().is_some_and(|word| word.text.contains('='));
    let needs = sets || words.iter().any(|word| word.expands) || line.contains(['*', '?', '~']);
    let mut words = behind_litekeeper(&words.into_iter().map(|word| word.text).collect::<Vec<_>>())?;
    if needs {
        let app = line
            .split_once("litekeeper")
            .map_or(Some(line), |(_, behind)| behind.split_once(" -- ").map(|(_, app)| app.trim()))?;
        return in_shell(if sets || app.starts_with("exec ") {
            app.to_owned()
        } else {
            format!("exec {app}")
        });
    }
    if words.first().is_some_and(|word| word == "exec") {
        words.remove(0);
    }
    Some(words).filter(|words| !words.is_empty())
}

/// Takes the words behind `litekeeper run --`; all of them where there is no litekeeper.
fn behind_litekeeper(words: &[String]) -> Option<Vec<String>> {
    let Some(at) = words.iter().position(|word| path::name(word) == "litekeeper") else {
        return Some(words.to_vec());
    };
    let behind = &words[at..];
    let app = behind.iter().position(|word| word == "--").and_then(|end| behind.get(end + 1..))?;
    Some(app.to_vec()).filter(|app| !app.is_empty())
}

/// Replaces the framework's usual port by the one on which the platform expects the app.
pub(in crate::detect) fn ports(deployment: &Deployment, found: &mut Found) {
    let Some(port) = deployment.port().filter(|_| !found.has_own_command && !found.has_given_command) else {
        return;
    };
    match found.framework {
        Framework::Rails if found.command.iter().any(|word| word == "bin/thrust") => {}
        Framework::Rails if port != 3000 => found.command.extend(["-p".to_owned(), port.to_string()]),
        // It reads the variable.
        Framework::Phoenix if port != 4000 => found.env.push(("PORT".to_owned(), port.to_string())),
        Framework::Django | Framework::Laravel | Framework::PocketBase => {
            let usual = ["8000", "8090"];
            for word in &mut found.command {
                let end = word.rfind([':', '=']).map_or(0, |at| at + 1);
                if usual.contains(&&word[end..]) {
                    word.replace_range(end.., &port.to_string());
                }
            }
        }
        Framework::Rails | Framework::Phoenix | Framework::Prisma | Framework::Drizzle => {}
        Framework::Flask | Framework::SqlAlchemy | Framework::DatabaseUrl => {}
        Framework::Files | Framework::Existing => {}
    }
}
