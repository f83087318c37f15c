//! What Litestream's client of S3 takes from variables and files beside its configuration: Amazon's library for Go, in the
//! order in which that looks (`resolveCredentialChain`, `resolveCredsFromProfile` and `sharedconfig` of its config package).

use std::collections::BTreeMap;

use super::order::CANNOT;

/// A file of profiles has a few lines; nobody reads a longer one.
pub(super) const LONGEST: usize = 1 << 20;

/// What is in a file of profiles: the settings of each section, by their names in lower case. A setting in an indented
/// line below another has both names.
type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// A key that does not change while a request is made.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
}

/// Who gives the key.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum KeySource {
    /// It is written down.
    Keys(Keys),
    /// A server of Amazon's, or of the container or machine, gets asked; variables say which.
    Asked,
    /// Nobody: the machine must not be asked, and nothing else is there.
    Nobody,
}

/// What an environment says, with the files that it names.
pub(super) struct Surroundings<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    /// The settings of the profile that counts, those of the credentials file first.
    profile: BTreeMap<String, String>,
    name: String,
    services: BTreeMap<String, String>,
}

impl<'a> Surroundings<'a> {
    /// Reads them; `read` has a file's text.
    ///
    /// # Errors
    /// The profile that is asked for is nowhere.
    pub(super) fn of(
        variable: &'a dyn Fn(&str) -> Option<String>,
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let home = variable("HOME").unwrap_or_default();
        let text =
            |name: &str, usual: &str| read(&variable(name).unwrap_or_else(|| format!("{home}/.aws/{usual}")));
        let keys = sections(&text("AWS_SHARED_CREDENTIALS_FILE", "credentials").unwrap_or_default());
        let config = sections(&text("AWS_CONFIG_FILE", "config").unwrap_or_default());
        let asked = variable("AWS_PROFILE").or_else(|| variable("AWS_DEFAULT_PROFILE"));
        let name = asked.clone().unwrap_or_else(|| "default".to_owned());
        let in_config = config
            .get(&format!("profile {name}"))
            .or_else(|| config.get(&name).filter(|_| name == "default"));
        let in_keys = keys.get(&name);
        if asked.is_some() && in_config.is_none() && in_keys.is_none() {
            return Err(format!(
                "the profile `{name}` of AWS_PROFILE is not in ~/.aws/credentials, nor in ~/.aws/config"
            ));
        }
        let mut profile = in_config.cloned().unwrap_or_default();
        // A key is taken as a whole: neither half of it with the other file's other half.
        if in_keys.is_some_and(|keys| keys.contains_key("aws_access_key_id")) {
            for half in ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"] {
                profile.remove(half);
            }
        }
        profile.extend(in_keys.cloned().unwrap_or_default());
        let services = profile.get("services").and_then(|name| config.get(&format!("services {name}")));
        let services = services.cloned().unwrap_or_default();
        Ok(Self { variable, profile, name, services })
    }

    /// Who has the key, where the configuration has none.
    ///
    /// # Errors
    /// It is got in a way that only Litestream knows.
    pub(super) fn keys(&self) -> Result<KeySource, String> {
        let first = |names: &[&str]| names.iter().find_map(|name| (self.variable)(name));
        // Litestream copies its own to Amazon's, where those are not set.
        let id = first(&["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "LITESTREAM_ACCESS_KEY_ID"]);
        let secret = first(&["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "LITESTREAM_SECRET_ACCESS_KEY"]);
        if let (Some(id), Some(secret)) = (id, secret) {
            return Ok(KeySource::Keys(Keys { id, secret, token: first(&["AWS_SESSION_TOKEN"]) }));
        }
        if first(&["AWS_WEB_IDENTITY_TOKEN_FILE"]).is_some() {
            return Ok(KeySource::Asked);
        }
        let set = |name: &str| self.profile.get(name).filter(|value| !value.is_empty());
        for (key, by) in [
            ("role_arn", "a role"),
            ("source_profile", "another profile"),
            ("credential_source", "what `credential_source` names"),
            ("web_identity_token_file", "a web identity"),
        ] {
            if set(key).is_some() {
                return Err(self.by(by));
            }
        }
        if let (Some(id), Some(secret)) = (set("aws_access_key_id"), set("aws_secret_access_key")) {
            let (id, secret, token) = (id.clone(), secret.clone(), set("aws_session_token").cloned());
            return Ok(KeySource::Keys(Keys { id, secret, token }));
        }
        for (key, by) in [
            ("sso_session", "single sign-on"),
            ("sso_account_id", "single sign-on"),
            ("login_session", "a login"),
            ("credential_process", "a command"),
        ] {
            if set(key).is_some() {
                return Err(self.by(by));
            }
        }
        let is_container =
            first(&["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"])
                .is_some();
        let is_off =
            first(&["AWS_EC2_METADATA_DISABLED"]).is_some_and(|off| off.eq_ignore_ascii_case("true"));
        Ok(if is_off && !is_container { KeySource::Nobody } else { KeySource::Asked })
    }

    fn by(&self, by: &str) -> String {
        format!("the profile `{}` gets its key by {by}, {CANNOT}", self.name)
    }

    /// Where S3 is, if it is not Amazon's and the configuration does not say so.
    pub(super) fn endpoint(&self) -> Option<String> {
        let variable = |name| (self.variable)(name);
        let is_ignored = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .or_else(|| self.profile.get("ignore_configured_endpoint_urls").cloned())
            .is_some_and(|text| text.eq_ignore_ascii_case("true"));
        if is_ignored {
            return None;
        }
        variable("AWS_ENDPOINT_URL_S3")
            .or_else(|| variable("AWS_ENDPOINT_URL"))
            .or_else(|| self.services.get("s3.endpoint_url").cloned())
            .or_else(|| self.profile.get("endpoint_url").cloned())
            .filter(|endpoint| !endpoint.is_empty())
    }
}

/// An endpoint as the requests for a bucket in the host's name go to it: there they are in the path all the same if the
/// host is an address, or the bucket no name for a host (`endpoint-rule-set` of Amazon's library for S3).
pub(super) fn with_bucket(endpoint: &str, bucket: &str) -> Option<String> {
    let (scheme, rest) = endpoint.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if !port.ends_with(']') => bare,
        Some(_) | None => host,
    };
    let is_address = bare.starts_with('[') || bare.parse::<std::net::Ipv4Addr>().is_ok();
    let part = |part: &str| {
        let inner = part.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
        !part.is_empty() && inner && !part.starts_with('-') && !part.ends_with('-')
    };
    let dots = scheme.eq_ignore_ascii_case("http") || !bucket.contains('.');
    let is_name = (3..=63).contains(&bucket.len()) && dots && bucket.split('.').all(part);
    let is_number = bucket.parse::<std::net::Ipv4Addr>().is_ok();
    (!is_address && is_name && !is_number).then(|| format!("{scheme}://{bucket}.{rest}"))
}

/// `[NAME]`, `KEY = VALUE`, and indented ones below a key without a value.
fn sections(text: &str) -> Sections {
    let mut all = Sections::new();
    let (mut section, mut above): (Option<String>, Option<String>) = (None, None);
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = trimmed.strip_prefix('[') {
            let name = rest.split(']').next().unwrap_or_default();
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            all.entry(name.clone()).or_default();
            (section, above) = (Some(name), None);
            continue;
        }
        let (Some(settings), Some((key, value))) =
            (section.as_ref().and_then(|name| all.get_mut(name)), trimmed.split_once('='))
        else {
            continue;
        };
        let value = [" #", " ;", "\t#", "\t;"]
            .iter()
            .fold(value, |value, mark| value.split(mark).next().unwrap_or(value));
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim().to_owned());
        let key = match &above {
            Some(above) if line.starts_with([' ', '\t']) => format!("{above}.{key}"),
            Some(_) | None => {
                above = Some(key.clone()).filter(|_| value.is_empty());
                key
            }
        };
        settings.insert(key, value);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "[default]\naws_access_key_id = D ; the usual\naws_secret_access_key=DS\n\n[work]\n\
                        AWS_ACCESS_KEY_ID=W\naws_secret_access_key = W#S\naws_session_token = WT\n[half]\naws_access_key_id=H\n";
    const CONFIG: &str = "# ours\n[default]\nregion = eu-west-1\nendpoint_url = http://minio:9000\n[profile sso]\nsso_session = x\n\
                          [profile role]\nrole_arn = arn:x\nsource_profile = work\n[profile proc]\ncredential_process = /bin/x\n\
                          [profile here]\naws_access_key_id = C\naws_secret_access_key = CS\nservices = mine\n\
                          [services mine]\nsqs =\n  endpoint_url = http://sqs\ns3 =\n  endpoint_url = http://s3.mine:9\n";

    fn look<T>(env: &[(&str, &str)], ask: impl Fn(&Surroundings<'_>) -> T) -> Result<T, String> {
        let variable = |name: &str| {
            let found = env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            found.or_else(|| (name == "HOME").then(|| "/home/me".to_owned()))
        };
        let read = |path: &str| match path {
            "/home/me/.aws/credentials" => Some(KEYS.to_owned()),
            "/home/me/.aws/config" => Some(CONFIG.to_owned()),
            "/elsewhere" => Some("[default]\naws_access_key_id=E\naws_secret_access_key=ES\n".to_owned()),
            _ => None,
        };
        Ok(ask(&Surroundings::of(&variable, read)?))
    }

    fn keys(env: &[(&str, &str)]) -> String {
        let found = look(env, |around| around.keys()).and_then(|found| found);
        match found {
            Ok(KeySource::Keys(Keys { id, secret, token })) => {
                format!("{id} {secret} {}", token.unwrap_or_default())
            }
            Ok(KeySource::Asked) => "asked".to_owned(),
            Ok(KeySource::Nobody) => "nobody".to_owned(),
            Err(why) => why,
        }
    }

    #[test]
    fn the_key_is_the_one_that_litestream_takes() {
        let none = ("HOME", "/nowhere");
        for (env, found) in [
            (&[][..], "D DS "),
            (&[("AWS_PROFILE", "work")], "W W#S WT"),
            (&[("AWS_DEFAULT_PROFILE", "work")], "W W#S WT"),
            (&[("AWS_PROFILE", "here")], "C CS "),
            (&[("AWS_SHARED_CREDENTIALS_FILE", "/elsewhere")], "E ES "),
            (
                &[
                    ("AWS_ACCESS_KEY_ID", "A"),
                    ("AWS_SECRET_ACCESS_KEY", "S"),
                    ("AWS_SESSION_TOKEN", "T"),
                    ("AWS_PROFILE", "work"),
                ],
                "A S T",
            ),
            (&[("LITESTREAM_ACCESS_KEY_ID", "L"), ("LITESTREAM_SECRET_ACCESS_KEY", "S")], "L S "),
            (&[("AWS_ACCESS_KEY_ID", "A"), ("LITESTREAM_SECRET_ACCESS_KEY", "S")], "A S "),
            (&[("AWS_ACCESS_KEY_ID", "A")], "D DS "),
            (&[("AWS_PROFILE", "half")], "asked"),
            (&[none], "asked"),
            (&[none, ("AWS_EC2_METADATA_DISABLED", "TRUE")], "nobody"),
            (
                &[
                    none,
                    ("AWS_EC2_METADATA_DISABLED", "true"),
                    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://x"),
                ],
                "asked",
            ),
            (&[none, ("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")], "asked"),
            (
                &[("AWS_PROFILE", "sso")],
                "the profile `sso` gets its key by single sign-on, which litestream can and this client cannot",
            ),
            (
                &[("AWS_PROFILE", "role")],
                "the profile `role` gets its key by a role, which litestream can and this client cannot",
            ),
            (
                &[("AWS_PROFILE", "proc")],
                "the profile `proc` gets its key by a command, which litestream can and this client cannot",
            ),
            (
                &[("AWS_PROFILE", "gone")],
                "the profile `gone` of AWS_PROFILE is not in ~/.aws/credentials, nor in ~/.aws/config",
            ),
        ] {
            assert_eq!(keys(env), found, "{env:?}");
        }
    }

    #[test]
    fn the_endpoint_is_the_one_that_litestream_takes() {
        for (env, found) in [
            (&[][..], Some("http://minio:9000")),
            (&[("AWS_PROFILE", "here")], Some("http://s3.mine:9")),
            (&[("AWS_PROFILE", "work")], None),
            (&[("AWS_ENDPOINT_URL", "http://one")], Some("http://one")),
            (
                &[("AWS_ENDPOINT_URL", "http://one"), ("AWS_ENDPOINT_URL_S3", "http://two")],
                Some("http://two"),
            ),
            (&[("AWS_ENDPOINT", "http://none"), ("AWS_PROFILE", "work")], None),
            (&[("AWS_ENDPOINT_URL", "http://one"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")], None),
        ] {
            assert_eq!(look(env, |around| around.endpoint()).unwrap().as_deref(), found, "{env:?}");
        }
    }

    #[test]
    fn a_bucket_is_in_the_hosts_name_where_it_can_be() {
        for (endpoint, bucket, found) in [
            ("http://minio:9000", "backups", Some("http://backups.minio:9000")),
            ("https://s3.example.com/x", "backups", Some("https://backups.s3.example.com/x")),
            ("http://s3.example.com", "my.backups", Some("http://my.backups.s3.example.com")),
            ("https://s3.example.com", "my.backups", None),
            ("http://127.0.0.1:9000", "backups", None),
            ("http://[::1]:9000", "backups", None),
            ("http://minio:9000", "Backups", None),
            ("http://minio:9000", "b", None),
            ("http://minio:9000", "1.2.3.4", None),
        ] {
            assert_eq!(with_bucket(endpoint, bucket).as_deref(), found, "{endpoint} {bucket}");
        }
    }
}
