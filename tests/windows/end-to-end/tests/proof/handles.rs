//! The list of open handles.

use crate::machine;
use end_to_end::target::number;
use minidump::MinidumpHandleDataStream;

#[test]
fn handles_have_types_and_names_and_no_pipe_blocks_the_dumper() {
    let mut target = machine::start(&["handles"]);
    let dump = machine::dump(&target);
    let parsed = dump.parse();
    let list: MinidumpHandleDataStream = parsed.get_stream().expect("there are handles");
    for told in target.facts["handles"].as_array().unwrap() {
        let found = list.iter().find(|handle| handle.raw.handle().copied() == Some(number(told, "value")));
        let found = found.unwrap_or_else(|| panic!("{told} is not there"));
        assert_eq!(found.type_name.as_deref(), told["type"].as_str(), "{told}");
        if let Some(name) = told["name"].as_str() {
            let object = found.object_name.as_deref().unwrap_or_default();
            assert!(object.ends_with(name), "{told}: {object}");
        }
    }
    assert_eq!(target.ask("ping")["pong"], true);
}
