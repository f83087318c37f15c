//! What starts the app so far, and its variables there.

use super::compose::Compose;
use super::fly::Fly;
use super::image::Image;
use crate::compose::FILES;
use crate::detect::folder::Folder;

/// The files that deploy a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// The image that the Dockerfile makes.
    pub(in crate::detect) image: Image,
    /// The commands of the Procfile, by their names.
    pub(in crate::detect) procfile: Vec<(String, String)>,
    /// The app's service in a compose file.
    pub(in crate::detect) compose: Compose,
    /// What matters of fly.toml, if there is one.
    pub(in crate::detect) fly: Option<Fly>,
    /// The texts of `.gitignore` and `.dockerignore`.
    pub(in crate::detect) ignored: [String; 2],
}

impl Deployment {
    pub(in crate::detect) fn of(folder: &Folder<'_>) -> Self {
        Self {
            image: folder.text("Dockerfile").map(|text| Image::of(&text)).unwrap_or_default(),
            compose: Compose::of(folder),
            procfile: folder.text("Procfile").map(|text| processes(&text)).unwrap_or_default(),
            fly: folder.text("fly.toml").map(|text| Fly::of(&text)),
            ignored: [".gitignore", ".dockerignore"].map(|file| folder.glimpse(file).unwrap_or_default()),
        }
    }

    /// Finds the port on which the app is expected: Fly's, else the image's.
    pub(in crate::detect) fn port(&self) -> Option<u16> {
        self.fly.as_ref().and_then(|fly| fly.port).or(self.image.port)
    }

    /// Finds a variable as the app has it there, and the file that sets it.
    pub(in crate::detect) fn variable(&self, name: &str) -> Option<(&str, &'static str)> {
        let fly =
            self.fly.as_ref().and_then(|fly| fly.env.get(name)).map(|value| (value.as_str(), "fly.toml"));
        let image = || self.image.env.get(name).map(|value| (value.as_str(), "Dockerfile"));
        fly.or_else(image).or_else(|| self.compose.variable(name))
    }

    /// Finds the command of the Procfile's `web`.
    pub(in crate::detect) fn web(&self) -> Option<&str> {
        self.procfile.iter().find(|(name, _)| name == "web").map(|(_, command)| command.as_str())
    }
}

/// Tells whether a variable's file is one of a deployment.
pub(in crate::detect) fn is_file(file: &str) -> bool {
    ["Dockerfile", "fly.toml"].contains(&file) || FILES.contains(&file)
}

/// Reads `name: command` lines.
fn processes(text: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let (name, command) = line.split_once(':').filter(|_| !line.starts_with('#'))?;
        Some((name.trim().to_owned(), command.trim().to_owned()))
    };
    text.lines().filter_map(line).filter(|(_, command)| !command.is_empty()).collect()
}
