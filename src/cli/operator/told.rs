//! What a running keeper says of itself, asked at its own control socket.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::opened::Opened;
use crate::cli::{databases, keeper_socket, settings};
use crate::error::Failure;
use crate::foreign;
use crate::holder::{self, Holder};
use crate::litestream::database::Database;
use crate::status::{self, Document};

/// A running keeper.
pub(super) struct Told {
    /// What it left in a lock; none of one that has no database yet.
    pub(super) holder: Option<Holder>,
    /// What it says.
    pub(super) answer: Answer,
}

/// What came of asking a keeper.
pub(super) enum Answer {
    /// It said this.
    Said(Box<Document>),
    /// Nobody can ask it from here, or it does not know the question: what is known is what can be seen from outside.
    None,
    /// It should have answered, and this is why it has not.
    Silent(String),
}

impl Told {
    /// What it says.
    pub(super) fn document(&self) -> Option<&Document> {
        match &self.answer {
            Answer::Said(document) => Some(document),
            Answer::None | Answer::Silent(_) => None,
        }
    }
}

/// A keeper that was found, and how it is asked.
pub(super) struct Reached {
    /// What it left in a lock; none of one that has no database yet.
    pub(super) holder: Option<Holder>,
    /// Its own control socket, and the lock that it is to have; none of one that nobody can ask.
    pub(super) at: Option<(PathBuf, Option<(u64, u64)>)>,
}

/// Asks the keeper that runs on one of these, or on what the sources of the configuration name; none where none runs.
///
/// # Errors
/// As [`find`].
pub(super) fn ask<'a>(
    opened: &Opened,
    databases: impl Iterator<Item = &'a Database>,
    limit: Duration,
) -> Result<Option<Told>, Failure> {
    let Some(Reached { holder, at }) = find(opened, databases)? else { return Ok(None) };
    let is_elsewhere = holder.as_ref().is_some_and(|holder| holder.elsewhere.is_some());
    let answer = match at {
        Some((socket, lock)) => answer(ask_at(&socket, lock, limit), is_elsewhere, &socket),
        None => Answer::None,
    };
    Ok(Some(Told { holder, answer }))
}

/// Finds that keeper.
///
/// # Errors
/// What is wrong with the resolver's settings; this user may not look whether a keeper runs.
pub(super) fn find<'a>(
    opened: &Opened,
    databases: impl Iterator<Item = &'a Database>,
) -> Result<Option<Reached>, Failure> {
    let held: Vec<_> = databases.filter_map(|db| holder::now(db).transpose()).collect::<Result<_, _>>()?;
    let mut held = held.into_iter().filter(|(holder, _)| !holder.is_restore).peekable();
    if held.peek().is_none() {
        return of_sources(opened);
    }
    let mut first = None;
    for (holder, lock) in held {
        if let Some(socket) = holder.keeper.clone() {
            return Ok(Some(Reached { holder: Some(holder), at: Some((socket, Some(lock))) }));
        }
        first.get_or_insert(holder);
    }
    Ok(first.map(|holder| Reached { holder: Some(holder), at: None }))
}

/// The same where no database of the configuration is there to tell.
fn of_sources(opened: &Opened) -> Result<Option<Reached>, Failure> {
    if !has_sources(opened)? {
        return Ok(None);
    }
    let config = &opened.said.configured;
    let file = config.origin().file().map(|file| settings::real(&opened.said.cwd, file));
    let Some(socket) = keeper_socket::of_configuration(file.as_deref(), config.socket().as_deref()) else {
        return Ok(None);
    };
    keeper_socket::belong_to_owner(&socket);
    Ok(Some(Reached { holder: None, at: Some((socket, None)) }))
}

/// Whether databases come from elsewhere than the configuration's own list.
///
/// # Errors
/// What is wrong with the resolver's settings.
pub(super) fn has_sources(opened: &Opened) -> Result<bool, Failure> {
    let config = &opened.said.configured;
    Ok(databases::resolver(config)?.is_some() || !config.directories().is_empty())
}

/// Where the keeper at a socket is, in a word; none where it does not say.
pub(super) fn phase(socket: &Path, limit: Duration) -> Option<String> {
    let answer = read(&ask_at(socket, None, limit).ok()?).ok()?;
    match answer {
        Answer::Said(document) => document.keeper.map(|keeper| keeper.phase),
        Answer::None | Answer::Silent(_) => None,
    }
}

fn ask_at(socket: &Path, lock: Option<(u64, u64)>, limit: Duration) -> io::Result<Vec<u8>> {
    keeper_socket::ask(socket, status::ASK, lock, limit)
}

fn answer(said: io::Result<Vec<u8>>, is_elsewhere: bool, socket: &Path) -> Answer {
    let silent = |why: &str| Answer::Silent(format!("{}: {}", socket.display(), foreign::piece(why)));
    match said {
        Ok(line) => read(&line).unwrap_or_else(|why| silent(&why)),
        Err(_) if is_elsewhere => Answer::None,
        // Another user's is closed.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Answer::None,
        Err(error) => silent(&error.to_string()),
    }
}

/// Reads what a keeper says.
///
/// # Errors
/// It is nothing that any keeper says.
fn read(line: &[u8]) -> Result<Answer, String> {
    let said: serde_json::Value =
        serde_json::from_slice(line).map_err(|_| keeper_socket::cut_off().to_string())?;
    let version = said.get("version").and_then(serde_json::Value::as_u64);
    match version {
        Some(version) if version == u64::from(status::VERSION) => {
            let document: Document = serde_json::from_value(said)
                .map_err(|error| format!("its answer is none that a keeper gives: {error}"))?;
            let is_meant = document.holds && document.keeper.is_some();
            Ok(if is_meant { Answer::Said(Box::new(document)) } else { Answer::None })
        }
        // It is newer.
        Some(_) => Ok(Answer::None),
        // It is older: there is no such word.
        None if said.get("exit_code").is_some() => Ok(Answer::None),
        None => Err("its answer is none that a keeper gives".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<Option<Document>, String> {
        read(text.as_bytes()).map(|answer| match answer {
            Answer::Said(document) => Some(*document),
            Answer::None => None,
            Answer::Silent(why) => panic!("{why}"),
        })
    }

    #[test]
    fn only_what_this_version_says_of_the_database_that_was_asked_about_counts() {
        let keeper =
            r#"{"pid":1,"version":"9","started_at":null,"phase":"running","ready":true,"reasons":[]}"#;
        let document = |version: u32, holds: bool| {
            format!(
                r#"{{"version":{version},"holds":{holds},"keeper":{keeper},"app":null,"litestream":null,"databases":[],"more":1}}"#
            )
        };
        let counts = said(&document(status::VERSION, true)).expect("it is one");
        assert!(counts.and_then(|document| document.keeper).is_some_and(|keeper| keeper.ready));
        assert_eq!(said(&document(status::VERSION, false)), Ok(None), "another keeper's");
        assert_eq!(said(&document(status::VERSION + 1, true)), Ok(None), "a newer one's");
        let other = String::from_utf8(serde_json::to_vec(&Document::of_another()).expect("texts"));
        assert_eq!(said(&other.expect("JSON")), Ok(None));
        let older = r#"{"added":[],"removed":[],"failed":[],"error":"`status`: no such word","hint":null,"exit_code":64}"#;
        assert_eq!(said(older), Ok(None), "an older one's");
    }

    #[test]
    fn what_no_keeper_says_is_refused() {
        let cut = &r#"{"version":1,"holds":true,"keeper":null,"databases":[{"path":"/a"#;
        for (text, why) in [
            ("", "ended before"),
            (cut, "ended before"),
            ("[]", "none that"),
            ("{}", "none that"),
            (r#"{"version":1}"#, "none that"),
            (r#"{"version":"1","holds":true}"#, "none that"),
            (r#"{"version":1,"holds":true,"keeper":{"pid":"x"}}"#, "none that"),
        ] {
            assert!(said(text).is_err_and(|error| error.contains(why)), "{text}");
        }
    }
}
