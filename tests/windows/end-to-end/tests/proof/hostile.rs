//! Targets whose structures lie, or that change all the time.

use crate::machine;
use end_to_end::{Dump, Target};

/// Fails unless the dump has all threads, readable memory, and the program among the modules.
#[track_caller]
fn assert_useful(target: &Target, dump: &Dump) {
    dump.assert_parked(&target.parked());
    let (instruction, _) = dump.instruction_and_stack_pointer(target.parked()[0].tid).unwrap();
    assert!(dump.module_at(instruction).is_some(), "code is in a module: {:?}", dump.modules());
}

#[track_caller]
fn assert_damage_is_told(kind: &str) {
    let mut target = machine::start(&["loader", kind]);
    let dump = machine::dump(&target);
    assert_useful(&target, &dump);
    assert!(!dump.soft_errors().is_empty(), "{kind}: somebody is told of it");
    assert_eq!(target.ask("ping")["pong"], true);
}

macro_rules! damages {
    ($($name:ident: $kind:literal;)*) => {
        $(
            #[test]
            fn $name() {
                assert_damage_is_told($kind);
            }
        )*
    };
}

damages! {
    a_list_of_modules_that_is_nowhere: "nowhere";
    a_list_of_modules_at_an_odd_place: "odd";
    a_list_of_modules_in_the_kernel: "kernel";
    a_list_of_modules_at_the_end_of_all_memory: "end";
    a_list_of_modules_that_is_a_ring_without_head: "loop";
    a_list_of_modules_that_is_cut: "cut";
    modules_whose_names_are_nowhere: "names";
    modules_that_are_nowhere: "bases";
    parameters_that_are_nowhere: "parameters";
    all_of_it: "all";
}

/// The headers in memory tell the right size.
#[test]
fn modules_whose_sizes_the_loader_has_wrong_have_the_right_ones() {
    let sane = machine::start(&["threads", "1"]);
    let target = machine::start(&["loader", "sizes"]);
    let dump = machine::dump(&target);
    assert_useful(&target, &dump);
    assert_eq!(dump.modules(), machine::dump(&sane).modules());
}

/// A program that is being started has no list.
#[test]
fn without_a_list_of_modules_there_are_the_images_in_memory() {
    let target = machine::start(&["loader", "null"]);
    assert_useful(&target, &machine::dump(&target));
}

#[test]
fn a_program_without_headers_is_dumped() {
    for filling in ["zeros", "garbage"] {
        let target = machine::start(&["header-wiped", filling]);
        let dump = machine::dump(&target);
        assert_useful(&target, &dump);
        assert!(dump.module_at(target.number("base")).is_some(), "{filling}: the loader knows it still");
    }
}

#[test]
fn modules_that_come_and_go_are_no_trouble() {
    let mut target = machine::start(&["load-churn"]);
    for _ in 0..20 {
        assert_useful(&target, &machine::dump(&target));
    }
    let before = target.ask("ping")["counter"].as_u64().unwrap();
    end_to_end::unharmed::assert_advances(&mut target, before);
}

#[test]
fn threads_that_come_and_go_are_no_trouble() {
    let mut target = machine::start(&["thread-churn"]);
    for _ in 0..20 {
        assert_useful(&target, &machine::dump(&target));
    }
    let before = target.ask("ping")["counter"].as_u64().unwrap();
    end_to_end::unharmed::assert_advances(&mut target, before);
}

#[test]
fn ten_thousand_regions_are_all_told() {
    let target = machine::start(&["many-regions"]);
    let dump = machine::dump(&target);
    assert_useful(&target, &dump);
    let parsed = dump.parse();
    let list: minidump::MinidumpMemoryInfoList = parsed.get_stream().unwrap();
    let (start, count) = (target.number("start"), target.number("count"));
    let found = list
        .iter()
        .filter(|region| region.raw.base_address >= start && region.raw.base_address < start + count * 4096);
    assert_eq!(found.count() as u64, count);
}
