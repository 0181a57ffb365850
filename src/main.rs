//! The one binary: server, operator's commands, clients and query workers.

use std::process::ExitCode;

fn main() -> ExitCode {
    amigo_admin::cli::main()
}
