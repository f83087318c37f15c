//! The image that a Dockerfile makes.

use std::collections::BTreeMap;

use crate::detect::{path, shell};

/// What runs a command that is one line.
pub(in crate::detect) const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Folders of a system's own programs.
const SYSTEM: [&str; 4] = ["/usr", "/bin", "/sbin", "/opt"];

/// Images whose folder is another one than the root, by their names.
const BASES: [(&str, &str); 4] =
    [("php", "/var/www/html"), ("frankenphp", "/app"), ("golang", "/go"), ("httpd", "/usr/local/apache2")];

/// The last stage of a Dockerfile, with what it has from the stages before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::detect) struct Image {
    /// Whether there is a Dockerfile.
    pub is_there: bool,
    /// The folder of `WORKDIR`, as far as its variables are known.
    pub workdir: Option<String>,
    /// Whether there is a `WORKDIR` at all.
    pub sets_workdir: bool,
    /// The image that it is built on.
    base: String,
    /// The first that `EXPOSE` names.
    pub port: Option<u16>,
    /// Whether it runs PHP-FPM.
    pub is_fpm: bool,
    pub env: BTreeMap<String, String>,
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

impl Image {
    pub fn of(text: &str) -> Self {
        let mut stages = Stages::default();
        stages.image.is_there = true;
        for (keyword, rest) in instructions(text) {
            stages.instruction(&keyword, &rest);
        }
        stages.image
    }

    /// Puts together the command that a container is started with.
    pub fn start(&self) -> Option<Vec<String>> {
        match (&self.entrypoint, &self.command) {
            (None, None) => None,
            // `ENTRYPOINT` as a shell's line ignores `CMD`.
            (Some(entrypoint @ Words::Shell(_)), _) => Some(entrypoint.to_vec()),
            (entrypoint, command) => {
                Some([entrypoint, command].into_iter().flatten().flat_map(Words::to_vec).collect())
            }
        }
    }

    /// Finds the folder that the app runs in: of `WORKDIR`, else where the instructions put things, else the usual one.
    pub fn folder(&self, usual: Option<&str>) -> Option<String> {
        let usual = usual.map(str::to_owned);
        if !self.is_there || self.sets_workdir {
            return self.workdir.clone().or(usual);
        }
        let is_whole = |(from, to): &&(String, String)| path::clean(from) == "." && to.starts_with('/');
        if let Some((_, to)) = self.copies.iter().find(is_whole) {
            return Some(path::clean(to));
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
                    ["exec", program, ..] | [program, ..] => Some(path::parent(program)),
                    [] => None,
                }
            }
            [program, ..] => Some(path::parent(program)),
            [] => None,
        };
        let is_own = |folder: &String| {
            folder.starts_with('/') && !SYSTEM.iter().any(|system| path::is_below(folder, system))
        };
        own.filter(is_own).or(usual)
    }

    /// Tells whether it copies to, or starts from, a path relative to its base's folder.
    pub fn is_where_it_copies(&self) -> bool {
        let is_relative = |path: &str| !path.starts_with(['/', '$', '-']);
        let start = self.start().unwrap_or_default();
        let line = start.get(2).filter(|_| start.starts_with(&SHELL.map(str::to_owned)));
        let first = |line: &String| line.trim_start_matches("exec ").split(' ').next().map(str::to_owned);
        let program = line.map_or_else(|| start.first().cloned(), first);
        self.copies.iter().any(|(_, to)| is_relative(to))
            || program.is_some_and(|program| program.contains('/') && is_relative(&program))
    }

    /// Finds the folder of the base image, if that is a known one.
    fn base_folder(&self) -> &'static str {
        let name = path::name(&self.base);
        let name = name.split([':', '@']).next().unwrap_or(name);
        BASES.iter().find(|(base, _)| *base == name).map_or("/", |(_, folder)| folder)
    }

    /// Tells whether it is built on an image of this name.
    pub fn is_built_on(&self, name: &str) -> bool {
        path::name(&self.base).split([':', '@']).next() == Some(name)
    }

    /// Finds the path of a file of the project in it, if an instruction copies that, or a folder that it is in.
    pub fn place_of(&self, file: &str) -> Option<String> {
        let file = path::clean(file);
        let place = |(from, to): &(String, String)| {
            let from = path::clean(from.trim_start_matches('/'));
            let to = if to.starts_with('/') {
                to.clone()
            } else {
                format!("{}/{to}", self.workdir.as_deref().unwrap_or_else(|| self.base_folder()))
            };
            if from == file {
                let is_folder = to.ends_with('/') || to.ends_with("/.");
                return Some(if is_folder { format!("{to}/{}", path::name(&file)) } else { to });
            }
            // `COPY . TO` does not count: the file may be younger than the image, or ignored.
            let rest = file.strip_prefix(&from)?.strip_prefix('/')?;
            Some(format!("{to}/{rest}"))
        };
        self.copies.iter().find_map(place).map(|path| path::clean(&path))
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

/// A Dockerfile as it is read, stage by stage.
#[derive(Default)]
struct Stages {
    /// The named ones that are read already.
    done: BTreeMap<String, Image>,
    /// The name of the present one.
    name: Option<String>,
    image: Image,
    /// Whether the present one has a `CMD`.
    has_command: bool,
    arguments: BTreeMap<String, String>,
}

impl Stages {
    fn instruction(&mut self, keyword: &str, rest: &str) {
        let image = &mut self.image;
        match keyword {
            "FROM" => self.from(rest),
            "ARG" => {
                let pair = rest.split_once('=').filter(|(_, value)| !value.contains('$'));
                self.arguments
                    .extend(pair.map(|(name, value)| (name.to_owned(), unquoted(value).to_owned())));
            }
            "WORKDIR" => self.workdir(rest),
            "COPY" | "ADD" => image.copies.extend(copies(rest)),
            "EXPOSE" => {
                let port = rest.split([' ', '/', '-']).next().and_then(|port| port.parse().ok());
                image.port = image.port.or(port);
            }
            "ENV" => image.env.extend(variables(rest)),
            "ENTRYPOINT" => {
                image.entrypoint = Some(Words::of(rest));
                // The `CMD` of an earlier stage does not go with it.
                image.command.take_if(|_| !self.has_command);
            }
            "CMD" => {
                image.is_fpm |= rest.contains("php-fpm");
                image.command = Some(Words::of(rest));
                self.has_command = true;
            }
            _ => {}
        }
    }

    /// Begins a stage with what its base has.
    fn from(&mut self, rest: &str) {
        if let Some(name) = self.name.take() {
            self.done.insert(name, std::mem::take(&mut self.image));
        }
        let mut words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
        let base = words.next().unwrap_or_default();
        let base_image = || Image { base: base.to_owned(), ..Image::default() };
        self.image = self.done.get(&base.to_lowercase()).cloned().unwrap_or_else(base_image);
        self.image.is_there = true;
        self.image.is_fpm |= base.contains("-fpm");
        self.name = words.nth(1).map(str::to_lowercase);
        self.has_command = false;
    }

    fn workdir(&mut self, rest: &str) {
        let image = &mut self.image;
        let before = image.workdir.take();
        let before = before.or_else(|| (!image.sets_workdir).then(|| image.base_folder().to_owned()));
        image.sets_workdir = true;
        let path = filled(unquoted(rest), &[&image.env, &self.arguments]);
        image.workdir = path.and_then(|path| match path.starts_with('/') {
            true => Some(path::clean(&path)),
            false => before.map(|before| path::join(&before, &path)),
        });
    }
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(['"', '\''])
}

/// Fills in the variables of a text, if all of them are known.
fn filled(text: &str, known: &[&BTreeMap<String, String>]) -> Option<String> {
    let marked = path::with_variables(text);
    if marked.contains('$') {
        return None;
    }
    let value = |name: &str| known.iter().find_map(|known| known.get(name)).cloned();
    path::pieces(&marked)
        .into_iter()
        .map(|piece| piece.map_or_else(value, |literal| Some(literal.to_owned())))
        .collect()
}

/// Splits a Dockerfile into instructions with their arguments, continued lines put together.
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

/// Reads `COPY [--chmod=755] FROM… TO`; what comes from another stage is no file of the project.
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

/// Reads `A=b C="d e"`, or `A b`, without values that have other variables in them.
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

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_last_stage_has_what_its_base_has() {
        let image = Image::of(concat!(
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
            assert_eq!(Image::of(text).start(), words, "{text}");
        }
    }

    #[test]
    fn the_port_of_the_image() {
        for (text, port) in [
            ("FROM x\nEXPOSE 3000", Some(3000)),
            ("FROM x\nEXPOSE 80/tcp 443", Some(80)),
            ("FROM x AS a\nEXPOSE 80\nFROM a", Some(80)),
            ("FROM x\nEXPOSE $PORT", None),
        ] {
            assert_eq!(Image::of(text).port, port, "{text}");
        }
    }
}
