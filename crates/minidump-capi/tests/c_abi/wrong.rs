//! Calls that are wrong.

use crate::built::{Program, WAYS};
use end_to_end::process;

#[test]
fn wrong_arguments_have_their_codes_and_do_no_harm() {
    for linked in WAYS {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::new("wrong.c", linked);
        process::run(program.command().arg(folder.path())).expect_success("wrong");
    }
}
