//! How the project is started so far: its Dockerfile, Procfile and fly.toml.

use std::collections::BTreeMap;

use super::compose::Compose;
use super::existing;
use super::place;
use super::project::Project;
use super::shell;

/// What runs a command that is one line.
pub(super) const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Folders of a system's own programs.
const SYSTEM: [&str; 4] = ["/usr", "/bin", "/sbin", "/opt"];

/// Images whose folder is another one than the root, by their names.
const BASES: [(&str, &str); 4] =
    [("php", "/var/www/html"), ("frankenphp", "/app"), ("golang", "/go"), ("httpd", "/usr/local/apache2")];

/// What starts the app so far, and the variables that it then has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// The image that the Dockerfile makes.
    pub(super) image: Image,
    /// The commands of the Procfile, by their names.
    pub(super) procfile: Vec<(String, String)>,
    /// What a compose file says.
    pub(super) compose: Compose,
    /// What fly.toml says, if there is one.
    pub(super) fly: Option<Fly>,
    /// What is kept out of the repository, and out of the image.
    pub(super) ignored: [String; 2],
}

/// The last stage of a Dockerfile, with what it has from the stages before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// Whether there is a Dockerfile.
    pub is_there: bool,
    /// The folder that `WORKDIR` says, as far as its variables are known.
    pub workdir: Option<String>,
    /// Whether there is a `WORKDIR` at all.
    pub sets_workdir: bool,
    /// The image that it is built on.
    base: String,
    /// The first that `EXPOSE` names.
    pub port: Option<u16>,
    /// Whether PHP's server of processes is what it runs.
    pub is_fpm: bool,
    env: BTreeMap<String, String>,
    /// What is copied into it from the project, and where to.
    pub copies: Vec<(String, String)>,
    entrypoint: Option<Words>,
    command: Option<Words>,
}

/// A command in one of Docker's two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Words {
    Exec(Vec<String>),
    Shell(String),
}

/// What is in a fly.toml.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fly {
    env: BTreeMap<String, String>,
    /// The app's name.
    pub app: Option<String>,
    /// `internal_port`.
    pub port: Option<u16>,
    /// Where its volume is.
    pub volume: Option<String>,
    /// `kill_signal` and `kill_timeout`, as they stand there.
    pub kill: Vec<String>,
}

impl Deployment {
    pub(super) fn of(project: &Project<'_>) -> Self {
        Self {
            image: project.text("Dockerfile").map(|text| image(&text)).unwrap_or_default(),
            compose: Compose::of(project),
            procfile: project.text("Procfile").map(|text| processes(&text)).unwrap_or_default(),
            fly: project.text("fly.toml").map(|text| fly(&text)),
            ignored: [".gitignore", ".dockerignore"].map(|file| project.glimpse(file).unwrap_or_default()),
        }
    }

    /// The port on which the app is expected: Fly's, else the image's.
    pub(super) fn port(&self) -> Option<u16> {
        self.fly.as_ref().and_then(|fly| fly.port).or(self.image.port)
    }

    /// A variable as the app has it there, and the file that says so.
    pub(super) fn variable(&self, name: &str) -> Option<(&str, &'static str)> {
        let fly = self.fly.as_ref().and_then(|fly| fly.env.get(name));
        let value = fly.map(|value| (value.as_str(), "fly.toml"));
        value
            .or_else(|| self.image.env.get(name).map(|value| (value.as_str(), "Dockerfile")))
            .or_else(|| self.compose.variable(name))
    }

    /// The command of the Procfile's `web`.
    pub(super) fn web(&self) -> Option<&str> {
        self.procfile.iter().find(|(name, _)| name == "web").map(|(_, command)| command.as_str())
    }
}

impl Image {
    /// All that a container is started with.
    pub fn start(&self) -> Option<Vec<String>> {
        match (&self.entrypoint, &self.command) {
            (None, None) => None,
            // A shell's line passes over the command.
            (Some(entrypoint @ Words::Shell(_)), _) => Some(entrypoint.to_vec()),
            (entrypoint, command) => {
                Some([entrypoint, command].into_iter().flatten().flat_map(Words::to_vec).collect())
            }
        }
    }
}

impl Image {
    /// The folder that the app runs in: what `WORKDIR` says, else where the instructions put things; else the usual one.
    pub fn folder(&self, usual: Option<&str>) -> Option<String> {
        let usual = usual.map(str::to_owned);
        if !self.is_there || self.sets_workdir {
            return self.workdir.clone().or(usual);
        }
        let is_whole = |(from, to): &&(String, String)| place::clean(from) == "." && to.starts_with('/');
        if let Some((_, to)) = self.copies.iter().find(is_whole) {
            return Some(place::clean(to));
        }
        if self.is_where_it_copies() {
            return Some(self.base_folder().to_owned());
        }
        let start = self.start().unwrap_or_default();
        let own = match start.as_slice() {
            [shell, option, line] if [shell.as_str(), option] == SHELL => {
                let first = shell::commands(line).into_iter().next().unwrap_or_default();
                let texts: Vec<&str> = first.iter().map(|word| word.text.as_str()).collect();
                match texts.as_slice() {
                    ["cd", folder, ..] => Some((*folder).to_owned()),
                    ["exec", program, ..] | [program, ..] => Some(place::parent(program)),
                    [] => None,
                }
            }
            [program, ..] => Some(place::parent(program)),
            [] => None,
        };
        let is_own = |folder: &String| {
            folder.starts_with('/') && !SYSTEM.iter().any(|system| place::is_below(folder, system))
        };
        own.filter(is_own).or(usual)
    }

    /// Whether it copies, or starts, what is relative to the folder that its base has.
    pub fn is_where_it_copies(&self) -> bool {
        let is_relative = |path: &str| !path.starts_with(['/', '$', '-']);
        let start = self.start().unwrap_or_default();
        let line = start.get(2).filter(|_| start.starts_with(&SHELL.map(str::to_owned)));
        let first = |line: &String| line.trim_start_matches("exec ").split(' ').next().map(str::to_owned);
        let program = line.map_or_else(|| start.first().cloned(), first);
        self.copies.iter().any(|(_, to)| is_relative(to))
            || program.is_some_and(|program| program.contains('/') && is_relative(&program))
    }

    /// Where the base has its folder, if it is one that is known.
    fn base_folder(&self) -> &'static str {
        let name = place::name(&self.base);
        let name = name.split([':', '@']).next().unwrap_or(name);
        BASES.iter().find(|(base, _)| *base == name).map_or("/", |(_, folder)| folder)
    }

    /// Whether an image of this name is what it is built on.
    pub fn is_built_on(&self, name: &str) -> bool {
        place::name(&self.base).split([':', '@']).next() == Some(name)
    }

    /// Where it has a file of the project, if an instruction names that, or a folder that it is in.
    pub fn place_of(&self, file: &str) -> Option<String> {
        let file = place::clean(file);
        let place = |(from, to): &(String, String)| {
            let from = place::clean(from.trim_start_matches('/'));
            let to = if to.starts_with('/') {
                to.clone()
            } else {
                format!("{}/{to}", self.workdir.as_deref().unwrap_or_else(|| self.base_folder()))
            };
            if from == file {
                let is_folder = to.ends_with('/') || to.ends_with("/.");
                return Some(if is_folder { format!("{to}/{}", place::name(&file)) } else { to });
            }
            // All of the project is said by nobody who means this file, and may be without it.
            let rest = file.strip_prefix(&from)?.strip_prefix('/')?;
            Some(format!("{to}/{rest}"))
        };
        self.copies.iter().find_map(place).map(|path| place::clean(&path))
    }
}

impl Words {
    fn of(text: &str) -> Self {
        serde_json::from_str(text).map_or_else(|_| Self::Shell(text.to_owned()), Self::Exec)
    }

    fn to_vec(&self) -> Vec<String> {
        match self {
            Self::Exec(words) => words.clone(),
            Self::Shell(line) => ["/bin/sh", "-c", line].map(str::to_owned).into(),
        }
    }
}

/// The image of the last stage.
fn image(text: &str) -> Image {
    let mut stages: BTreeMap<String, Image> = BTreeMap::new();
    let (mut name, mut image) = (None, Image::default());
    let mut has_command = false;
    let mut arguments: BTreeMap<String, String> = BTreeMap::new();
    image.is_there = true;
    for (keyword, rest) in instructions(text) {
        match keyword.as_str() {
            "FROM" => {
                if let Some(name) = name.take() {
                    stages.insert(name, std::mem::take(&mut image));
                }
                let words: Vec<&str> =
                    rest.split_whitespace().filter(|word| !word.starts_with("--")).collect();
                image = words
                    .first()
                    .and_then(|base| stages.get(&base.to_lowercase()))
                    .cloned()
                    .unwrap_or_default();
                image.is_there = true;
                if !words.first().is_some_and(|base| stages.contains_key(&base.to_lowercase())) {
                    image.base = words.first().map(|base| (*base).to_owned()).unwrap_or_default();
                }
                image.is_fpm |= words.first().is_some_and(|base| base.contains("-fpm"));
                name = words.get(2).map(|name| name.to_lowercase());
                has_command = false;
            }
            "ARG" => {
                let pair = rest.split_once('=').filter(|(_, value)| !value.contains('$'));
                arguments.extend(
                    pair.map(|(name, value)| (name.to_owned(), value.trim_matches(['"', '\'']).to_owned())),
                );
            }
            "WORKDIR" => {
                let before = image.workdir.take();
                let before = before.or_else(|| (!image.sets_workdir).then(|| image.base_folder().to_owned()));
                image.sets_workdir = true;
                let path = filled(rest.trim_matches(['"', '\'']), &[&image.env, &arguments]);
                image.workdir = path.and_then(|path| match path.starts_with('/') {
                    true => Some(place::clean(&path)),
                    false => before.map(|before| place::join(&before, &path)),
                });
            }
            "COPY" | "ADD" => image.copies.extend(copies(&rest)),
            "EXPOSE" => {
                let port = rest.split([' ', '/', '-']).next().and_then(|port| port.parse().ok());
                image.port = image.port.or(port);
            }
            "ENV" => image.env.extend(variables(&rest)),
            "ENTRYPOINT" => {
                image.entrypoint = Some(Words::of(&rest));
                // One of an earlier stage does not go with it.
                image.command = image.command.filter(|_| has_command);
            }
            "CMD" => {
                image.is_fpm = image.is_fpm || rest.contains("php-fpm");
                image.command = Some(Words::of(&rest));
                has_command = true;
            }
            _ => {}
        }
    }
    image
}

/// A text with the values of its variables; nothing where one of them is not known.
fn filled(text: &str, known: &[&BTreeMap<String, String>]) -> Option<String> {
    let marked = existing::with_variables(text);
    if marked.contains('$') {
        return None;
    }
    let value = |name: &str| known.iter().find_map(|known| known.get(name)).cloned();
    place::pieces(&marked)
        .into_iter()
        .map(|piece| piece.map_or_else(value, |literal| Some(literal.to_owned())))
        .collect()
}

/// The instructions of a Dockerfile with what follows them, lines put together.
fn instructions(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut whole = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(part) = line.strip_suffix('\\') {
            whole.push_str(part);
            whole.push(' ');
            continue;
        }
        whole.push_str(line);
        let line = std::mem::take(&mut whole);
        if let Some((keyword, rest)) = line.split_once(char::is_whitespace) {
            found.push((keyword.to_uppercase(), rest.trim().to_owned()));
        }
    }
    found
}

/// `COPY [--chmod=755] FROM… TO`; what comes from another stage is no file of the project.
fn copies(text: &str) -> Vec<(String, String)> {
    let words: Vec<String> =
        serde_json::from_str(text).unwrap_or_else(|_| text.split_whitespace().map(str::to_owned).collect());
    if words.iter().any(|word| word.starts_with("--from")) {
        return Vec::new();
    }
    let words: Vec<String> = words.into_iter().filter(|word| !word.starts_with("--")).collect();
    let Some((to, from)) = words.split_last() else { return Vec::new() };
    from.iter().map(|from| (from.clone(), to.clone())).collect()
}

/// `A=b C="d e"`, or `A b`. What other variables are in is not known here.
fn variables(text: &str) -> Vec<(String, String)> {
    let pairs = match text.split_once(char::is_whitespace) {
        Some((name, value)) if !name.contains('=') => vec![(name.to_owned(), value.trim().to_owned())],
        _ => {
            let words = shlex::split(text).unwrap_or_default();
            words
                .iter()
                .filter_map(|word| word.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        }
    };
    pairs.into_iter().filter(|(_, value)| !value.contains('$')).collect()
}

/// `name: command` lines.
fn processes(text: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let (name, command) = line.split_once(':').filter(|_| !line.starts_with('#'))?;
        Some((name.trim().to_owned(), command.trim().to_owned()))
    };
    text.lines().filter_map(line).filter(|(_, command)| !command.is_empty()).collect()
}

/// What matters of a fly.toml, whose values are one line each.
fn fly(text: &str) -> Fly {
    let mut found = Fly::default();
    let mut section = String::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']', ' ']).to_owned();
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
        let (key, value) = (key.trim().trim_matches(['"', '\'']), value.trim());
        let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.split(quote).next());
        let value = quoted.unwrap_or_else(|| value.split('#').next().unwrap_or_default().trim());
        match (section.as_str(), key) {
            ("", "kill_signal" | "kill_timeout") => found.kill.push(line.to_owned()),
            ("", "app") => found.app = Some(value.to_owned()),
            ("http_service" | "services", "internal_port") => found.port = found.port.or(value.parse().ok()),
            ("env", _) => drop(found.env.insert(key.to_owned(), value.to_owned())),
            ("mounts", "destination") if found.volume.is_none() => {
                found.volume = Some(value.trim_end_matches('/').to_owned());
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_last_stage_has_what_its_base_has() {
        let image = image(concat!(
            "# syntax=docker/dockerfile:1\n",
            "FROM --platform=linux/amd64 ruby:3.4 AS base\nWORKDIR /rails\n",
            "ENV RAILS_ENV=\"production\" \\\n    # why\n    BUNDLE_PATH=/usr/local/bundle\n",
            "FROM base AS build\nENV DATABASE_URL=sqlite:///tmp/none.db\nRUN make\n",
            "FROM Base\nENV DATABASE_PATH /data/x.db\nENV OTHER=$PATH:/x\n",
            "ENTRYPOINT [\"/rails/bin/docker-entrypoint\"]\nCMD [\"./bin/rails\", \"server\"]\n",
        ));
        assert_eq!(image.workdir.as_deref(), Some("/rails"));
        let env: Vec<_> = image.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            env,
            ["BUNDLE_PATH=/usr/local/bundle", "DATABASE_PATH=/data/x.db", "RAILS_ENV=production"]
        );
        assert_eq!(image.start().unwrap(), ["/rails/bin/docker-entrypoint", "./bin/rails", "server"]);
    }

    #[test]
    fn both_forms_of_a_command_are_put_together_as_docker_does() {
        for (text, words) in [
            ("CMD gunicorn shop.wsgi", Some(vec!["/bin/sh", "-c", "gunicorn shop.wsgi"])),
            ("ENTRYPOINT [\"./start\"]\nCMD serve now", Some(vec!["./start", "/bin/sh", "-c", "serve now"])),
            ("ENTRYPOINT ./start\nCMD [\"x\"]", Some(vec!["/bin/sh", "-c", "./start"])),
            ("CMD [\"x\"]\nENTRYPOINT [\"y\"]", Some(vec!["y", "x"])),
            ("FROM x AS a\nCMD [\"x\"]\nFROM a\nENTRYPOINT [\"y\"]", Some(vec!["y"])),
            ("FROM x AS a\nCMD [\"x\"]\nFROM a", Some(vec!["x"])),
            ("FROM x AS a\nCMD [\"x\"]\nFROM y", None),
            ("FROM x\n", None),
        ] {
            let words = words.map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(image(text).start(), words, "{text}");
        }
    }

    #[test]
    fn the_port_of_the_image_and_of_fly() {
        for (text, port) in [
            ("FROM x\nEXPOSE 3000", Some(3000)),
            ("FROM x\nEXPOSE 80/tcp 443", Some(80)),
            ("FROM x AS a\nEXPOSE 80\nFROM a", Some(80)),
            ("FROM x\nEXPOSE $PORT", None),
        ] {
            assert_eq!(image(text).port, port, "{text}");
        }
        let text = "app = 'x'\n[http_service]\n  internal_port = 8080\n";
        assert_eq!((fly(text).port, fly(text).app.as_deref()), (Some(8080), Some("x")));
        assert_eq!(fly("[[services]]\ninternal_port = 9000\n").port, Some(9000));
    }

    #[test]
    fn what_matters_of_fly_is_found() {
        let found = fly(concat!(
            "app = 'shop'\nkill_timeout = 5 # s\n\n[env]\n  PORT = \"8080\"\n  DATABASE_URL = 'file:/data/x.db'\n",
            "[[mounts]]\n  source = \"data\"\n  destination = \"/data/\"\n[http_service]\n  kill_signal = \"x\"\n",
        ));
        assert_eq!(found.volume.as_deref(), Some("/data"));
        assert_eq!(found.kill, ["kill_timeout = 5 # s"]);
        assert_eq!(found.env.get("DATABASE_URL").map(String::as_str), Some("file:/data/x.db"));
        assert_eq!(found.env.len(), 2);
    }
}
