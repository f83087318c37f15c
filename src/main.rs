//! The launcher that SQLite apps trust: an app and Litestream as one unit.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|command| command == "__shim") {
        let link = args.next().and_then(|link| link.into_string().ok());
        return litekeeper::shim::main(link.as_deref()).into();
    }
    litekeeper::cli::main().get().into()
}
