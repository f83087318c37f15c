//! How the app is started where no framework says so, and on which port.

use super::deploy::Deployment;
use super::drizzle;
use super::find::Found;
use super::plan::Framework;
use super::project::Project;

/// Puma with the project's own file. `rails server` would do the same, but leaves a file behind when it is killed with
/// which the next one does not start.
pub(super) const PUMA: [&str; 5] = ["bundle", "exec", "puma", "-C", "config/puma.rb"];

/// PHP's server of processes, in the foreground: in the background it would be an app that has ended.
pub(super) const PHP_FPM: [&str; 2] = ["php-fpm", "-F"];

/// What a project without a framework is started with, as far as its files say.
pub(super) fn plain(project: &Project<'_>) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    if project.has("package.json") {
        drizzle::node_command(project)
    } else if project.has("config/puma.rb") {
        words(&PUMA)
    } else if project.deployment().image.is_fpm {
        words(&PHP_FPM)
    } else {
        Vec::new()
    }
}

/// Puts the port on which the platform expects the app in the place of the one that is usual.
pub(super) fn ports(deployment: &Deployment, found: &mut Found) {
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
        Framework::Rails
        | Framework::Phoenix
        | Framework::Prisma
        | Framework::Drizzle
        | Framework::Flask
        | Framework::SqlAlchemy
        | Framework::DatabaseUrl
        | Framework::Files
        | Framework::Existing => {}
    }
}
