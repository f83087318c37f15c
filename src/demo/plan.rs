//! What the demo runs, where it keeps it, and what there is to try.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::guestbook::{self, Port};

/// The folder that the demo makes where it is started.
pub const DEFAULT_DIR: &str = "litekeeper-demo";

/// What the command line said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `--dir`.
    pub dir: Option<PathBuf>,
    /// `--port`.
    pub port: Option<u16>,
}

/// Everything that `litekeeper demo` needs to start a keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoPlan {
    /// Holds all of it; not made yet.
    pub dir: PathBuf,
    /// The guest book's database.
    pub db: PathBuf,
    /// The folder of the file replica.
    pub replica: PathBuf,
    /// Where the guest book will listen.
    pub port: u16,
    /// The app's command: this program again, as the guest book.
    pub app: Vec<OsString>,
}

/// Plans a demo below `cwd` for the program `exe`; `env` looks a variable up (`PORT`).
///
/// The port is chosen here, so that it can be printed before the app runs and stays the same when the app is restarted.
///
/// # Errors
/// A `PORT` that is no number, or no free port.
pub fn plan(
    wanted: &Wanted,
    env: impl Fn(&str) -> Option<OsString>,
    cwd: &Path,
    exe: &Path,
) -> Result<DemoPlan, guestbook::Error> {
    let variable = env("PORT").map(|value| value.to_string_lossy().into_owned());
    let port = guestbook::free_port(Port::chosen(wanted.port, variable.as_deref())?)?;
    let dir = cwd.join(wanted.dir.as_deref().unwrap_or(Path::new(DEFAULT_DIR)));
    let (db, replica) = (dir.join("guestbook.db"), dir.join("replica"));
    let mut app: Vec<OsString> =
        vec![exe.into(), "demo".into(), "--app".into(), "--db".into(), db.clone().into()];
    app.extend(["--port".into(), port.to_string().into()]);
    Ok(DemoPlan { dir, db, replica, port, app })
}

impl DemoPlan {
    /// The page.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// What to try, for standard error; `keeper` is the pid of the process that will start Litestream.
    ///
    /// Litestream is the keeper's only child, so its parent names it, whatever its binary is called.
    pub fn text(&self, keeper: u32, cwd: &Path) -> String {
        let url = self.url();
        let shown = |path: &Path| quoted(path.strip_prefix(cwd).unwrap_or(path));
        let (db, replica) = (shown(&self.db), shown(&self.replica));
        format!(
            "\
The guest book: {url}
  database  {db}
  replica   {replica}

Try it from another terminal:
  curl -d 'name=Ada&message=hello' {url}       write a row (or use the browser)
  curl {url}rows                               read all rows
  pkill -9 -P {keeper}                          kill Litestream: the app stops with it, both come back

Then lose the database and get it back:
  press Ctrl-C here
  rm {db}*
  start the demo again: the rows are back

See what its backup can do, one command after the other:
  litekeeper demo --tour
"
        )
    }
}

/// A path as a POSIX shell takes it, for people to copy.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    shlex::try_quote(&text).map_or_else(|_| text.clone(), |quoted| quoted.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn all_of_it_lies_in_one_folder_here() {
        let plan = plan(&Wanted::default(), none, Path::new("/home/ada"), Path::new("/bin/litekeeper"))
            .expect("a plan");
        assert_eq!(plan.db, Path::new("/home/ada/litekeeper-demo/guestbook.db"));
        assert_eq!(plan.replica, Path::new("/home/ada/litekeeper-demo/replica"));
        let port = plan.port.to_string();
        let app: Vec<_> = plan.app.iter().map(|word| word.to_string_lossy()).collect();
        let db = "/home/ada/litekeeper-demo/guestbook.db";
        assert_eq!(app, ["/bin/litekeeper", "demo", "--app", "--db", db, "--port", &port]);
    }

    #[test]
    fn the_text_can_be_copied() {
        let wanted = Wanted { dir: Some("my demo".into()), port: Some(0) };
        let plan = plan(&wanted, none, Path::new("/home/ada"), Path::new("/bin/litekeeper")).expect("a plan");
        let text = plan.text(4711, Path::new("/home/ada"));
        assert!(text.contains("pkill -9 -P 4711") && text.contains(&plan.url()), "{text}");
        assert!(text.contains("rm 'my demo/guestbook.db'*"), "{text}");
    }

    #[test]
    fn a_port_of_rubbish_is_refused_and_a_taken_one_is_named() {
        let rubbish = |name: &str| (name == "PORT").then(|| OsString::from("http"));
        let error =
            plan(&Wanted::default(), rubbish, Path::new("/"), Path::new("/x")).expect_err("no number");
        assert_eq!(error.to_string(), "PORT is not a port number: \"http\"");

        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("an address").port();
        let wanted = Wanted { port: Some(port), ..Wanted::default() };
        let error = plan(&wanted, none, Path::new("/"), Path::new("/x")).expect_err("taken");
        assert!(error.to_string().starts_with(&format!("cannot listen on 127.0.0.1:{port}")), "{error}");
    }
}
