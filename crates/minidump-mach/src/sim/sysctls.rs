use super::SimArch;
use std::collections::BTreeMap;

/// What a machine of that kind says of itself.
pub(super) fn typical(arch: SimArch) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut text = |name: &str, value: &str| {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        found.insert(name.to_owned(), bytes);
    };
    text("kern.ostype", "Darwin");
    text("kern.osrelease", "23.5.0");
    text("kern.osproductversion", "14.5.1");
    text("kern.osversion", "23F79");
    text("kern.bootargs", "debug=0x14e");
    let (machine, kernel) = match arch {
        SimArch::Amd64 => ("x86_64", "X86_64"),
        SimArch::Arm64 | SimArch::Arm64e => ("arm64", "ARM64_T6000"),
    };
    text("hw.machine", machine);
    text("kern.version", &format!("Darwin Kernel Version 23.5.0: root:xnu-10063.121.3~5/RELEASE_{kernel}"));
    if arch == SimArch::Amd64 {
        text("machdep.cpu.vendor", "GenuineIntel");
    }
    let mut number = |name: &str, value: u64, size: usize| {
        found.insert(name.to_owned(), value.to_le_bytes().iter().take(size).copied().collect());
    };
    number("hw.ncpu", 8, 4);
    number("hw.pagesize", arch.page_size(), 8);
    number("hw.cputype", u64::from(arch.cpu_type()), 4);
    if arch == SimArch::Amd64 {
        number("hw.cpufrequency_max", 2_600_000_000, 8);
        number("machdep.cpu.signature", 0x0009_06ea, 4);
        number("machdep.cpu.feature_bits", 0x7ffa_fbff_bfeb_fbff, 8);
        number("machdep.cpu.extfeature_bits", 0x0000_0121_2c10_0800, 8);
        number("machdep.cpu.address_bits.virtual", 48, 4);
    } else {
        number("machdep.virtual_address_size", 47, 4);
    }
    found
}
