//! The `wsbench` program: everything it does is in the library; this is only the door.

fn main() -> std::process::ExitCode {
    wsbench::cli::main()
}
