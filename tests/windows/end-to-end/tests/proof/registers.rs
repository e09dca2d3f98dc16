//! Registers that hold known values.

use crate::machine;
use end_to_end::known_registers::{assert_avx, assert_general, assert_low_halves, assert_x87_and_sse, list};
use end_to_end::needs;
use end_to_end::target::number;
use minidump::{MinidumpRawContext, MinidumpSystemInfo, MinidumpThreadList};

#[test]
fn all_registers_are_exact() {
    if !machine::is_wide() {
        return all_registers_of_32_bits_are_exact();
    }
    let target = machine::start(&["registers", "sse"]);
    let context = machine::dump(&target).context(target.tid("tid")).expect("the thread has registers");
    assert_general(&context, &target.facts);
    assert_x87_and_sse(&context, &target.facts);
    assert_eq!(context.context_flags & 0x0010_000f, 0x0010_000f, "all of them");
}

fn all_registers_of_32_bits_are_exact() {
    let target = machine::start(&["wait"]);
    let dump = machine::dump(&target);
    let parsed = dump.parse();
    let threads: MinidumpThreadList = parsed.get_stream().unwrap();
    let system: MinidumpSystemInfo = parsed.get_stream().unwrap();
    let facts = &target.facts["registers"];
    let thread = threads.get_thread(u32::try_from(number(facts, "tid")).unwrap()).unwrap();
    let MinidumpRawContext::X86(context) = thread.context(&system, None).unwrap().into_owned().raw else {
        panic!("a context of another processor");
    };
    let found = [
        ("eax", context.eax),
        ("ebx", context.ebx),
        ("ecx", context.ecx),
        ("edx", context.edx),
        ("esi", context.esi),
        ("edi", context.edi),
        ("ebp", context.ebp),
        ("esp", context.esp),
    ];
    for (name, value) in found {
        assert_eq!(u64::from(value), number(&facts["general"], name), "{name}: {value:#x}");
    }
    let code = number(facts, "loop_start")..number(facts, "loop_end");
    assert!(code.contains(&context.eip.into()), "EIP {:#x} is inside {code:#x?}", context.eip);
    for (index, value) in list(&facts["vectors"]).enumerate() {
        assert_eq!(context.extended_registers[160 + 16 * index..][..16], value, "XMM{index}");
    }
}

#[test]
fn the_upper_halves_of_vector_registers_are_exact() {
    if !machine::is_wide() || !is_x86_feature_detected!("avx") {
        return needs::not_here("the_upper_halves_of_vector_registers_are_exact", "there is no AVX");
    }
    let target = machine::start(&["registers", "avx"]);
    let (dump, tid) = (machine::dump(&target), target.tid("tid"));
    assert_low_halves(&dump, tid, &target.facts);
    let area = dump.xsave(tid).expect("the thread has an XSAVE area");
    assert_avx(&dump, &area, &target.facts);
}
