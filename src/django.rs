//! Where a Django project has its settings, for `check` and `init` alike.

/// Finds the module that `manage.py`, `wsgi.py` or `asgi.py` sets `DJANGO_SETTINGS_MODULE` to.
pub fn settings_module(text: &str) -> Option<&str> {
    let (_, behind) = text.split_once("DJANGO_SETTINGS_MODULE")?;
    let text = behind.trim_start_matches(['"', '\'']);
    let (_, module) = text.split_once(['"', '\''])?;
    module.split_once(['"', '\'']).map(|(module, _)| module).filter(|module| !module.is_empty())
}

/// Names the files that a module may be: `shop/settings.py`, `shop/settings/__init__.py`.
pub fn module_files(module: &str) -> [String; 2] {
    let path = module.replace('.', "/");
    [format!("{path}.py"), format!("{path}/__init__.py")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_found_in_either_kind_of_quotes() {
        let set = |quote: char| {
            format!(
                "os.environ.setdefault({quote}DJANGO_SETTINGS_MODULE{quote}, {quote}shop.settings{quote})\n"
            )
        };
        for quote in ['"', '\''] {
            assert_eq!(settings_module(&set(quote)), Some("shop.settings"));
        }
        assert_eq!(settings_module("os.environ['DJANGO_SETTINGS_MODULE']"), None);
    }
}
