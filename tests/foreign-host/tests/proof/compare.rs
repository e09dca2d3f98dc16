//! Both builds, at the same dump.

use crate::hosts::Host;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What both builds show of the dump `name` in `folder`: as JSON, which is returned, and for people.
#[track_caller]
pub fn shown(folder: &Path, name: &str) -> Value {
    let show = |host: Host, arguments: &[&str]| {
        let left = host.run(folder, arguments, None);
        assert_eq!((left.code, left.complaint.as_str()), (Some(0), ""), "{host:?} {arguments:?}");
        String::from_utf8(left.output).unwrap()
    };
    for arguments in [&["show", "--json", name][..], &["show", name]] {
        let (here, there) = (show(Host::Native, arguments), show(Host::Foreign, arguments));
        assert!(here == there, "{arguments:?}: here\n{here}\nthere\n{there}");
    }
    serde_json::from_str(&show(Host::Native, &["show", "--json", name])).unwrap()
}

/// What both builds convert the dump `name` in `folder` into: the file `into` there.
#[track_caller]
pub fn converted(folder: &Path, name: &str, format: &str, into: &str) {
    let convert = |host: Host, output: &str| {
        let arguments = ["convert", name, "--format", format, "-o", output];
        let left = host.run(folder, &arguments, None);
        assert_eq!(left.code, Some(0), "{host:?} {arguments:?}: {}", left.complaint);
        fs::read(folder.join(output)).unwrap()
    };
    let there = convert(Host::Foreign, "there");
    let here = convert(Host::Native, into);
    let same = here.iter().zip(&there).take_while(|(a, b)| a == b).count();
    assert!(
        here == there,
        "{name}: the files have {} and {} bytes, the same up to {same}",
        here.len(),
        there.len()
    );
    fs::remove_file(folder.join("there")).unwrap();
}
