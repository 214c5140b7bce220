//! A network and a file system of a test's own.

use std::process::Command;

/// Set in the process that runs inside namespaces.
const INSIDE: &str = "SLUICE_TEST_INSIDE";

/// Whether this process runs inside namespaces of its own.
#[must_use]
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs one test of this file again in a network and a file system of its own; whether that is possible here.
///
/// # Panics
/// If the test fails there.
#[expect(clippy::print_stdout, reason = "a skipped test says why")]
pub fn run_inside(test: &str) -> bool {
    let possible = Command::new("unshare").args(["-m", "-n", "ip", "link", "set", "lo", "up"]).output();
    match possible {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            println!("SKIPPED: no namespaces here: {}", String::from_utf8_lossy(&output.stderr).trim());
            return false;
        }
        Err(error) => {
            println!("SKIPPED: no namespaces here: {error}");
            return false;
        }
    }
    let own = std::env::current_exe().expect("a test knows its own path");
    let mut command = Command::new("unshare");
    command.args(["-m", "-n", "setpriv", "--pdeathsig", "KILL"]).arg(own);
    command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    true
}

/// Runs a shell command.
///
/// # Panics
/// If it fails.
pub fn sh(command: &str) {
    let output = Command::new("sh").args(["-ec", command]).output().expect("a shell");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}
