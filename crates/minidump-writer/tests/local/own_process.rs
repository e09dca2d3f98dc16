//! Test bodies that change what belongs to the whole process.

use std::process::Command;

/// Says which test is to run its body.
const BODY: &str = "LOCAL_DUMP_TEST_BODY";

/// Runs `body` in a process of its own. `name` is the full name of the test that calls this.
pub fn run(name: &str, body: fn()) {
    if std::env::var_os(BODY).is_some_and(|body| body == name) {
        return body();
    }
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new(own);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(BODY, name);
    let output = command.output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{said}\n{told}", output.status);
    assert!(said.contains("1 passed"), "there is no test {name}:\n{said}");
}
