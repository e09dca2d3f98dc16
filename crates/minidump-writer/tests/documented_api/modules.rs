//! Settings about modules.

use crate::child::{INVENTED_BASE, INVENTED_BREAK, INVENTED_LOADER, PAGE};
use crate::dump::Dump;
use crate::target::Target;
use minidump::Module as _;
use minidump_writer::maps_reader::{MappingEntry, MappingInfo, SystemMappingInfo};
use minidump_writer::minidump_writer::DirectAuxvDumpInfo;

fn entry(start: u64, size: u64, name: &str) -> MappingEntry {
    let [start_address, size] = [start, size].map(|value| usize::try_from(value).unwrap());
    let system_mapping_info = SystemMappingInfo { start_address, end_address: start_address + size };
    let name = Some(name.into());
    let mapping = MappingInfo { start_address, size, system_mapping_info, name, ..MappingInfo::default() };
    MappingEntry { mapping, identifier: (1..=20).collect() }
}

#[test]
fn mappings_of_the_caller_are_modules_and_displace_those_found_there() {
    let target = Target::start();
    let found = Dump::of(&mut target.writer()).modules();
    let libc = found.iter().find(|module| module.code_file().contains("libc.so")).unwrap();
    let generated = target.address("generated") as u64;
    assert!(found.module_at_address(generated).is_none(), "nothing but data is there");

    let mut writer = target.writer();
    let page = PAGE as u64;
    let (base, size) = (libc.base_address(), libc.size());
    writer.set_user_mapping_list(vec![entry(generated, page, "jit"), entry(base, size, "/known/better.so")]);
    let modules = Dump::of(&mut writer).modules();
    for (start, size, name) in [(generated, page, "jit"), (base, size, "/known/better.so")] {
        let module = modules.module_at_address(start).unwrap();
        assert_eq!((module.base_address(), module.size()), (start, size));
        assert_eq!(module.code_file(), name);
        assert_eq!(
            module.code_identifier().map(|id| id.to_string()),
            Some("0102030405060708090a0b0c0d0e0f1011121314".to_owned())
        );
    }
    assert_eq!(modules.iter().count(), found.iter().count() + 1, "all others are still there");
    assert!(!modules.iter().any(|module| module.code_file().contains("libc.so")));
}

/// What the dump has of the loader's list: `r_version`, number of libraries, `r_brk`, `r_ldbase`, `l_addr` of the first
/// library (`MDRawDebug64` and `MDRawLinkMap64` of Breakpad).
fn loader_facts(dump: &Dump) -> (u32, u32, u64, u64, u64) {
    const LINUX_DSO_DEBUG: u32 = 0x4767_000a;
    let bytes = dump.minidump.get_raw_stream(LINUX_DSO_DEBUG).unwrap();
    let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    (half(0), half(8), word(bytes, 16), word(bytes, 24), word(&dump.bytes, half(4) as usize))
}

#[test]
fn the_auxiliary_vector_of_the_caller_leads_to_the_program_and_its_libraries() {
    let target = Target::start();
    let mut writer = target.writer();
    let usual = loader_facts(&Dump::of(&mut writer));
    assert!(usual.1 > 2, "the program, the C library, the loader: {usual:x?}");
    let unset = Dump::of(writer.set_direct_auxv_dump_info(DirectAuxvDumpInfo::default()));
    assert_eq!(loader_facts(&unset), usual, "zero means unset");

    let program_header_address = target.address("headers") as u64;
    let info = DirectAuxvDumpInfo {
        program_header_count: 2,
        program_header_address,
        ..DirectAuxvDumpInfo::default()
    };
    let dump = Dump::of(writer.set_direct_auxv_dump_info(info));
    assert_eq!(loader_facts(&dump), (1, 1, INVENTED_BREAK, INVENTED_LOADER, INVENTED_BASE));
}
