//! A Litestream that the project starts itself, beside the one that litekeeper runs.

use super::place;
use super::project::Project;

/// How deep a script is followed that another one starts.
const MAX_DEPTH: usize = 4;
/// How many files are looked at.
const MAX_FILES: usize = 40;
/// Where the files of an image usually are in the project.
const FOLDERS: [&str; 9] =
    ["", "bin", "script", "scripts", "docker", ".docker", "deploy", "docker/rootfs", "rootfs"];
/// Files of service managers and platforms, which run things beside the app.
const SERVICES: [&str; 9] = [
    "Procfile",
    "supervisord.conf",
    "docker/supervisord.conf",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "config/deploy.yml",
    "fly.toml",
];

/// Says of each place that starts one that it has to go.
pub(super) fn note(project: &Project<'_>) {
    let mut search = Search { project, seen: Vec::new() };
    let image = &project.deployment().image;
    let start = image.start().unwrap_or_default();
    if let Some(command) = start.iter().flat_map(|word| word.lines()).find(|line| replicates(line)) {
        search.say("Dockerfile", command);
    } else if replicates(&start.join(" ")) {
        search.say("Dockerfile", &start.join(" "));
    }
    for word in start.iter().flat_map(|word| words(word)) {
        search.follow(&word, 0);
    }
    for file in SERVICES {
        search.look(file, 0);
    }
}

struct Search<'a, 'b> {
    project: &'a Project<'b>,
    seen: Vec<String>,
}

impl Search<'_, '_> {
    fn say(&self, place: &str, line: &str) {
        const LONGEST: usize = 80;
        let line: String = line.trim().chars().take(LONGEST).collect();
        self.project.note(format!(
            "{place} runs litestream itself (`{}`): take it out. litekeeper runs litestream, and two on one database \
             take each other's files away",
            line
        ));
    }

    /// Looks at the file of the project that a word of a command names, if it names one.
    fn follow(&mut self, word: &str, depth: usize) {
        let is_plain = !word.is_empty() && !word.starts_with('-') && !word.contains('$');
        if !is_plain || depth > MAX_DEPTH {
            return;
        }
        let name = word.rsplit('/').next().unwrap_or(word);
        let image = &self.project.deployment().image;
        let workdir = image.workdir.as_deref().unwrap_or("/app");
        let inside = word.strip_prefix(workdir).unwrap_or(word).trim_start_matches('/');
        let inside = place::clean(inside);
        let copied = image.copies.iter().filter_map(|(from, to)| {
            let is_it = to == word || to.trim_end_matches('/') == inside;
            let is_in = to.ends_with('/') && from.rsplit('/').next() == Some(name);
            (is_it || is_in).then(|| place::clean(from.trim_start_matches('/')))
        });
        let mut files: Vec<String> = copied.collect();
        files.push(inside);
        // A bare word is a program of the system's as well.
        if word.contains('/') || name.contains('.') || name.contains("entrypoint") {
            files.extend(FOLDERS.iter().map(|folder| place::join(folder, name)));
        }
        if let Some(file) = files.into_iter().find(|file| self.project.has(file)) {
            self.look(&file, depth);
        }
    }

    fn look(&mut self, file: &str, depth: usize) {
        if self.seen.len() >= MAX_FILES
            || self.seen.iter().any(|seen| seen == file)
            || !self.project.has(file)
        {
            return;
        }
        self.seen.push(file.to_owned());
        let Some(text) = self.project.glimpse(file) else { return };
        for (number, line) in (1..).zip(text.lines()) {
            if replicates(line) || is_image(line) {
                self.say(&format!("{}:{number}", self.project.in_tree(file)), line);
            }
            if !is_comment(line) {
                for word in words(line).iter().filter(|word| word.contains('/') || word.ends_with(".sh")) {
                    self.follow(word, depth + 1);
                }
            }
        }
    }
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('#') || line.starts_with("//") || line.starts_with(';')
}

/// The words of a line, as far as quotes and what binds commands together do not matter.
fn words(line: &str) -> Vec<String> {
    line.split(|c: char| c.is_whitespace() || "\"'`()[]{},;&|=".contains(c))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `litestream replicate`, with options in between or not.
fn replicates(line: &str) -> bool {
    if is_comment(line) {
        return false;
    }
    let words = words(line);
    let is_it = |word: &String| word.rsplit('/').next().is_some_and(|name| name.starts_with("litestream"));
    words
        .iter()
        .position(is_it)
        .is_some_and(|place| words[place + 1..].iter().any(|word| word == "replicate"))
}

/// A service of its own, by Litestream's image.
fn is_image(line: &str) -> bool {
    !is_comment(line)
        && line.trim_start().trim_start_matches("- ").starts_with("image:")
        && line.contains("litestream/litestream")
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn lines_that_replicate_are_told() {
        for line in [
            "exec litestream replicate -exec \"bin/server\"",
            "/usr/local/bin/litestream replicate -config /etc/litestream.yml &",
            "command=litestream replicate",
            "  [\"litestream\", \"replicate\"]",
            "if true; then litestream -config x replicate; fi",
        ] {
            assert!(replicates(line), "{line}");
        }
        for line in [
            "# exec litestream replicate",
            "litestream restore -if-replica-exists /data/app.db",
            "echo replicate with litestream",
            "COPY litestream.yml /etc/",
        ] {
            assert!(!replicates(line), "{line}");
        }
        assert!(is_image("    image: litestream/litestream:0.5") && !is_image("    image: app"));
    }
}
