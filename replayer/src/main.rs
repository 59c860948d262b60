//! The program `dashcam`.
#![deny(unsafe_code)]

fn main() -> std::process::ExitCode {
    dashcam_replayer::cli::main()
}
