//! A Litestream that the project starts itself, beside the one that litekeeper runs.

use std::collections::BTreeMap;

use crate::detect::path;
use crate::detect::project::Project;
use crate::detect::shell::{self, Word, is_comment};

/// How deep a script is followed that another one starts.
const MAX_DEPTH: usize = 4;
/// How many files are looked at.
const MAX_FILES: usize = 40;
/// Where the files of an image usually are in the project.
const FOLDERS: &str = " bin script scripts docker .docker deploy docker/rootfs rootfs";
/// Files of service managers and platforms, which run things beside the app.
const SERVICES: &str = "Procfile supervisord.conf docker/supervisord.conf compose.yaml compose.yml \
    docker-compose.yml docker-compose.yaml config/deploy.yml fly.toml";

/// The commands that a Litestream of the project's own has as its `-exec`: they are the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Below {
    /// The one below the image's command.
    pub(in crate::detect) image: Option<Vec<String>>,
    /// The one below the Procfile's `web`.
    pub(in crate::detect) web: Option<Vec<String>>,
    /// Whether the image's command, and the Procfile's `web`, run a Litestream, with an `-exec` or without.
    pub(in crate::detect) is_run: [bool; 2],
}

/// Notes each place that starts one, which has to go, and finds the command below it.
pub(in crate::detect) fn find(project: &Project<'_>) -> Below {
    let deployment = project.deployment();
    // The command that `init` itself takes without an image.
    let npm = || ["npm", "start"].map(str::to_owned).into();
    let start = deployment.image.start().unwrap_or_else(npm);
    let mut search = Search::new(project);
    if let Some(command) = start.iter().flat_map(|word| word.lines()).find(|line| replicates(line)) {
        search.note("Dockerfile", command);
        search.is_run = true;
    } else if replicates(&start.join(" ")) {
        search.note("Dockerfile", &start.join(" "));
        search.is_run = true;
    }
    search.start(&start);
    for file in SERVICES.split(' ') {
        search.look(file, 0);
    }
    let web = deployment.web().map(|line| {
        // Its files are noted by now.
        let mut search = Search { is_quiet: true, ..Search::new(project) };
        search.start(&["/bin/sh", "-c", line].map(str::to_owned));
        (search.exec, search.is_run || replicates(line))
    });
    let (web, is_web) = web.unwrap_or_default();
    Below { image: search.exec, web, is_run: [search.is_run, is_web] }
}

struct Search<'a, 'b> {
    project: &'a Project<'b>,
    is_quiet: bool,
    /// The files that were looked at.
    seen: Vec<String>,
    /// The words behind the script that is looked at.
    arguments: Vec<String>,
    /// Whether what is looked at is started, and does not only lie in the project.
    is_start: bool,
    /// Whether what is started runs a Litestream.
    is_run: bool,
    exec: Option<Vec<String>>,
}

impl<'a, 'b> Search<'a, 'b> {
    fn new(project: &'a Project<'b>) -> Self {
        Self {
            project,
            is_quiet: false,
            seen: Vec::new(),
            arguments: Vec::new(),
            is_start: false,
            is_run: false,
            exec: None,
        }
    }
}

/// The variables that a script has set so far; nothing where the value is not known.
type Known = BTreeMap<String, Option<String>>;

impl Search<'_, '_> {
    /// Looks at a command, and the scripts that it names.
    fn start(&mut self, start: &[String]) {
        self.is_start = true;
        self.script(start);
        let plain: Vec<Word> = start.iter().map(|word| Word::plain(word)).collect();
        self.take(&[plain], &Known::new());
        for (index, word) in start.iter().enumerate() {
            for line in word.lines().filter(|line| line.contains(char::is_whitespace)) {
                let commands = shell::commands(line);
                self.take(&commands, &Known::new());
                for command in commands {
                    self.script(&command.into_iter().map(|word| word.text).collect::<Vec<_>>());
                }
            }
            self.arguments = start.get(index + 1..).unwrap_or_default().to_vec();
            for word in words(word) {
                self.follow(&word, 0);
            }
        }
        self.is_start = false;
    }

    /// Looks at the script of package.json that a command names: `npm start`, `npm run serve`, `yarn serve`.
    fn script(&mut self, command: &[String]) {
        let is_runner = |word: &String| ["npm", "yarn", "pnpm", "bun"].contains(&path::name(word));
        let Some(at) = command.iter().position(is_runner) else { return };
        let mut words = command[at + 1..].iter().filter(|word| !word.starts_with('-'));
        let name = words.find(|word| !["run", "run-script"].contains(&word.as_str()));
        let line = name.and_then(|name| {
            let json: serde_json::Value =
                serde_json::from_str(&self.project.glimpse("package.json")?).ok()?;
            Some(json["scripts"][name.as_str()].as_str()?.to_owned())
        });
        let Some(line) = line.filter(|line| !self.seen.contains(line)) else { return };
        if self.seen.len() >= MAX_FILES {
            return;
        }
        // Kept as a file would be: scripts may name each other.
        self.seen.push(line.clone());
        if replicates(&line) {
            self.note("package.json", &line);
        }
        self.start(&["/bin/sh", "-c", &line].map(str::to_owned));
        self.is_start = true;
    }

    /// Takes the app out of the first `-exec`.
    fn take(&mut self, commands: &[Vec<Word>], known: &Known) {
        if !self.is_start || self.exec.is_some() {
            return;
        }
        let found = commands
            .iter()
            .find_map(|command| shell::exec_of(command).cloned().or_else(|| shell::exec_in_one(command)));
        self.exec = found.and_then(|word| self.app(&word, known)).filter(|words| !words.is_empty());
    }

    /// Splits an app's command as Litestream does, after the shell's expansion.
    fn app(&self, word: &Word, known: &Known) -> Option<Vec<String>> {
        if !word.expands {
            return shlex::split(&word.text);
        }
        if ["$@", "$*", "${@}", "${*}"].contains(&word.text.as_str()) {
            return Some(self.arguments.clone());
        }
        let marked = path::with_variables(&word.text);
        let mut text = String::new();
        for piece in path::pieces(&marked) {
            match piece {
                Ok(literal) => text.push_str(literal),
                Err(name) => match known.get(name) {
                    Some(value) => text.push_str(value.as_ref()?),
                    None => text.push_str(&format!("${{{name}}}")),
                },
            }
        }
        match text.contains(['$', '`']) {
            false => shlex::split(&text),
            // Only a shell can expand it.
            true => Some(["sh", "-c", &format!("exec {text}")].map(str::to_owned).into()),
        }
    }

    fn note(&mut self, place: &str, line: &str) {
        const LONGEST: usize = 80;
        self.is_run |= self.is_start;
        if self.is_quiet {
            return;
        }
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
        let inside = path::clean(inside);
        let copied = image.copies.iter().filter_map(|(from, to)| {
            let is_it = to == word || to.trim_end_matches('/') == inside;
            let is_in = to.ends_with('/') && from.rsplit('/').next() == Some(name);
            (is_it || is_in).then(|| path::clean(from.trim_start_matches('/')))
        });
        let mut files: Vec<String> = copied.collect();
        files.push(inside);
        // A bare word may be a program of the system's.
        if word.contains('/') || name.contains('.') || name.contains("entrypoint") {
            files.extend(FOLDERS.split(' ').map(|folder| path::join(folder, name)));
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
        let mut known = Known::new();
        for (number, line) in &shell::lines(&text) {
            if replicates(line) || is_image(line) {
                self.note(&format!("{}:{number}", self.project.in_tree(file)), line);
            }
            if !is_comment(line) {
                let commands = if self.is_start { shell::commands(line) } else { Vec::new() };
                self.take(&commands, &known);
                commands.iter().for_each(|command| remember(command, &mut known));
                for word in words(line).iter().filter(|word| word.contains('/') || word.ends_with(".sh")) {
                    self.follow(word, depth + 1);
                }
            }
        }
    }
}

/// Remembers the variables that a command of a script sets: `NAME=value`, `export NAME=value`.
fn remember(command: &[Word], known: &mut Known) {
    let sets =
        command.iter().skip_while(|word| ["export", "readonly", "local"].contains(&word.text.as_str()));
    let pair = |word: &Word| {
        let (name, value) = word.text.split_once('=')?;
        path::is_name(name).then(|| (name.to_owned(), (!word.expands).then(|| value.to_owned())))
    };
    let pairs: Vec<_> = sets.map(pair).collect();
    // In front of a command they are for that one only.
    if pairs.iter().all(Option::is_some) {
        known.extend(pairs.into_iter().flatten());
    }
}

/// Splits a line into words, without regard to quotes and operators.
fn words(line: &str) -> Vec<String> {
    line.split(|c: char| c.is_whitespace() || "\"'`()[]{},;&|=".contains(c))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Tells whether a line runs `litestream replicate`, with options in between or not.
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

/// Tells whether a line names Litestream's image, which is a service of its own.
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
