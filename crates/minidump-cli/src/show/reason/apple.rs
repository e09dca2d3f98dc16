//! Exceptions of Mach, with the parts that the kernel packs into the codes of EXC_RESOURCE and EXC_GUARD.
//!
//! Sources: <kern/exc_resource.h> and <kern/exc_guard.h> of XNU. The flavor of a resource lies in bits 58 to 60 of the code,
//! that of a guard in bits 32 to 60.

use super::kind_of;
use minidump::CrashReason;
use minidump_common::errors::{
    ExceptionCodeMac, ExceptionCodeMacGuardFDFlavor as Descriptor,
    ExceptionCodeMacGuardMachPortFlavor as Port, ExceptionCodeMacGuardRejecteSysCallFlavor as SystemCall,
    ExceptionCodeMacGuardType as Guard, ExceptionCodeMacGuardVNFlavor as Vnode,
    ExceptionCodeMacGuardVirtMemoryFlavor as Memory, ExceptionCodeMacResourceType as Resource,
};
use num_traits::FromPrimitive;
use std::fmt::Debug;

/// Exception and kind of it; `None` when it is none of Mach's.
pub fn reason(reason: CrashReason) -> Option<String> {
    const ACCESS: &str = "EXC_BAD_ACCESS";
    const INSTRUCTION: &str = "EXC_BAD_INSTRUCTION";
    const ARITHMETIC: &str = "EXC_ARITHMETIC";
    const BREAKPOINT: &str = "EXC_BREAKPOINT";
    Some(match reason {
        CrashReason::MacGeneral(ExceptionCodeMac::SIMULATED, _) => "Simulated Exception".into(),
        CrashReason::MacGeneral(exception, flags) => format!("{exception:?} / {flags:#010x}"),
        CrashReason::MacBadAccessKern(kind) => kind_of(ACCESS, &kind),
        CrashReason::MacBadAccessArm(kind) => kind_of(ACCESS, &kind),
        CrashReason::MacBadAccessPpc(kind) => kind_of(ACCESS, &kind),
        CrashReason::MacBadAccessX86(kind) => kind_of(ACCESS, &kind),
        CrashReason::MacBadInstructionArm(kind) => kind_of(INSTRUCTION, &kind),
        CrashReason::MacBadInstructionPpc(kind) => kind_of(INSTRUCTION, &kind),
        CrashReason::MacBadInstructionX86(kind) => kind_of(INSTRUCTION, &kind),
        CrashReason::MacArithmeticArm(kind) => kind_of(ARITHMETIC, &kind),
        CrashReason::MacArithmeticPpc(kind) => kind_of(ARITHMETIC, &kind),
        CrashReason::MacArithmeticX86(kind) => kind_of(ARITHMETIC, &kind),
        CrashReason::MacSoftware(kind) => kind_of("EXC_SOFTWARE", &kind),
        CrashReason::MacBreakpointArm(kind) => kind_of(BREAKPOINT, &kind),
        CrashReason::MacBreakpointPpc(kind) => kind_of(BREAKPOINT, &kind),
        CrashReason::MacBreakpointX86(kind) => kind_of(BREAKPOINT, &kind),
        CrashReason::MacResource(kind, code, subcode) => resource(kind, code, subcode),
        CrashReason::MacGuard(kind, code, subcode) => guard(kind, code, subcode),
        _ => return None,
    })
}

/// `bits` bits of `code` from bit `lowest` on.
fn field(code: u64, lowest: u32, bits: u32) -> u64 {
    (code >> lowest) & ((1 << bits) - 1)
}

/// A limit that was exceeded.
fn resource(kind: Resource, code: u64, subcode: u64) -> String {
    let low = |bits| (field(code, 0, bits), field(subcode, 0, bits));
    let told = match (kind, field(code, 58, 3)) {
        (Resource::RESOURCE_TYPE_CPU, flavor @ (1 | 2)) => {
            let name = if flavor == 1 { "FLAVOR_CPU_MONITOR" } else { "FLAVOR_CPU_MONITOR_FATAL" };
            let (interval, (limit, used)) = (field(code, 7, 25), low(3));
            format!("{name} interval: {interval}s CPU limit: {limit}% CPU consumed: {used}%")
        }
        (Resource::RESOURCE_TYPE_WAKEUPS, 1) => {
            let (interval, (limit, seen)) = (field(code, 20, 20), low(12));
            format!(
                "FLAVOR_WAKEUPS_MONITOR interval: {interval}s wakeups permitted: {limit} wakeups observed: {seen}"
            )
        }
        (Resource::RESOURCE_TYPE_MEMORY, 1) => {
            format!("FLAVOR_HIGH_WATERMARK high watermark limit: {}MiB", field(code, 0, 13))
        }
        (Resource::RESOURCE_TYPE_IO, flavor @ (1 | 2)) => {
            let name = if flavor == 1 { "FLAVOR_IO_PHYSICAL_WRITES" } else { "FLAVOR_IO_LOGICAL_WRITES" };
            let (interval, (limit, seen)) = (field(code, 15, 17), low(15));
            format!("{name} interval: {interval}s I/O limit: {limit}% I/O observed: {seen}%")
        }
        (Resource::RESOURCE_TYPE_THREADS, 1) => {
            format!("FLAVOR_THREADS_HIGH_WATERMARK high watermark limit: {}", field(code, 0, 15))
        }
        _ => format!("{code:#018x} / {subcode:#018x}"),
    };
    format!("EXC_RESOURCE / {kind:?} / {told}")
}

/// Something guarded that was touched.
fn guard(kind: Guard, code: u64, subcode: u64) -> String {
    let what = field(code, 0, 28);
    let told = match kind {
        Guard::GUARD_TYPE_NONE => Some(String::new()),
        Guard::GUARD_TYPE_MACH_PORT => flavor::<Port>(code).map(|name| {
            let more = if subcode == 0 { String::new() } else { format!(" subcode: {subcode}") };
            format!(" / {name} port name: {what}{more}")
        }),
        Guard::GUARD_TYPE_FD => flavor::<Descriptor>(code)
            .map(|name| format!(" / {name} file descriptor: {what} guard identifier: {subcode}")),
        Guard::GUARD_TYPE_USER => {
            Some(format!("/ namespace: {} guard identifier: {subcode}", field(code, 0, 32)))
        }
        Guard::GUARD_TYPE_VN => {
            flavor::<Vnode>(code).map(|name| format!(" / {name} pid: {what} guard identifier: {subcode}"))
        }
        Guard::GUARD_TYPE_VIRT_MEMORY => {
            flavor::<Memory>(code).map(|name| format!(" / {name} offset: {subcode}"))
        }
        Guard::GUARD_TYPE_REJECTED_SC => {
            flavor::<SystemCall>(code).map(|name| format!(" / {name} syscall: {subcode}"))
        }
    };
    let told = told.unwrap_or_else(|| format!(" / {code:#018x} / {subcode:#018x}"));
    format!("EXC_GUARD / {kind:?}{told}")
}

/// The name of the flavor of a guard.
fn flavor<T: FromPrimitive + Debug>(code: u64) -> Option<String> {
    T::from_u64(field(code, 32, 29)).map(|flavor| format!("{flavor:?}"))
}

#[cfg(test)]
mod tests {
    use super::super::reason;
    use super::super::tests::exception;
    use minidump::CrashReason;
    use minidump::format::MINIDUMP_EXCEPTION_STREAM;
    use minidump::system_info::{Cpu, Os};

    fn check(raw: &MINIDUMP_EXCEPTION_STREAM, cpu: Cpu) {
        let record = &raw.exception_record;
        let unknown = CrashReason::Unknown(record.exception_code, record.exception_flags);
        let theirs = CrashReason::from_mac_exception(raw, cpu).unwrap_or(unknown).to_string();
        assert_eq!(reason(raw, Os::MacOs, cpu), theirs);
    }

    #[test]
    fn exceptions_are_called_as_by_other_readers() {
        let flags = (0..0x210).chain(0x1_0000..0x1_0010).chain([u32::MAX]);
        for (code, flags) in flags.flat_map(|flags| (0..16).map(move |code| (code, flags))) {
            for cpu in [Cpu::Arm64, Cpu::X86_64, Cpu::Ppc] {
                check(&exception(code, flags, &[]), cpu);
            }
        }
        check(&exception(0x4350_7378, 0, &[]), Cpu::Arm64);
        assert_eq!(
            reason(&exception(1, 1, &[]), Os::Ios, Cpu::Arm64),
            "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS"
        );
    }

    #[test]
    fn resources_and_guards_are_told_as_by_other_readers() {
        const RESOURCE: u32 = 11;
        const GUARD: u32 = 12;
        let noise = 0x0123_4567_89ab_cdef_u64 & ((1 << 32) - 1);
        for kind in 0..8_u32 {
            for flavor in 0..8_u64 {
                let code = u64::from(kind) << 61 | flavor << 58 | 0x00ab_cdef_0123_4567;
                check(&exception(RESOURCE, kind << 29, &[0, code, 0xfedc_ba98_7654_3210]), Cpu::Arm64);
            }
            for flavor in (0..20).chain((4..29).map(|bit| 1 << bit)) {
                let code = u64::from(kind) << 61 | flavor << 32 | noise;
                for subcode in [0, 0x55] {
                    check(&exception(GUARD, kind << 29, &[0, code, subcode]), Cpu::Arm64);
                }
            }
        }
    }
}
