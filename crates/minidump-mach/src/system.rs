use crate::arch::Arch;
use crate::bytes::low_half;
use crate::{MachTask, sysctl};
use minidump_snapshot::{Cpu, OperatingSystem, SoftError, Stage, System};

/// The machine and the system. `platform` is that of the main executable (LC_BUILD_VERSION).
pub fn system(
    task: &dyn MachTask,
    arch: Arch,
    platform: Option<u32>,
    program: &str,
    errors: &mut Vec<SoftError>,
) -> System {
    let mut text = |name: &str| known(sysctl::text(task, name), name, errors);
    let version = text("kern.osproductversion").map(|text| version(&text)).unwrap_or_default();
    let names = ["kern.ostype", "kern.osrelease", "kern.version", "hw.machine"];
    let description: Vec<String> = names.iter().filter_map(|name| text(name)).collect();
    let mut number = |name: &str| {
        known(sysctl::number(task, name), name, errors).map(|value| u32::try_from(value).unwrap_or(u32::MAX))
    };
    let cpu_count = number("hw.ncpu").unwrap_or_default();
    let page_size = number("hw.pagesize").filter(|size| size.is_power_of_two()).unwrap_or(arch.page_size());
    let mhz = sysctl::number(task, "hw.cpufrequency_max").map(|hertz| hertz / 1_000_000);
    System {
        os: operating_system(platform),
        version,
        description: description.join(" "),
        cpu: cpu(task, arch),
        cpu_count,
        cpu_max_mhz: mhz.and_then(|mhz| u32::try_from(mhz).ok()).filter(|mhz| *mhz > 0),
        page_size,
        build: program.to_owned(),
    }
}

/// How many bits an address has. What lies above is a signature, where the processor signs pointers.
pub fn address_bits(task: &dyn MachTask, errors: &mut Vec<SoftError>) -> Option<u8> {
    let names = ["machdep.virtual_address_size", "machdep.cpu.address_bits.virtual"];
    let found = names.iter().find_map(|name| sysctl::number(task, name));
    let bits = found.and_then(|bits| u8::try_from(bits).ok()).filter(|bits| (32..=64).contains(bits));
    known(bits, "machdep.virtual_address_size", errors)
}

/// `value`, and a note when there is none.
fn known<T>(value: Option<T>, name: &str, errors: &mut Vec<SoftError>) -> Option<T> {
    if value.is_none() {
        errors.push(SoftError::new(Stage::System, format!("the system does not tell {name}")));
    }
    value
}

/// The numbers of a version such as "14.5.1"; missing ones are 0.
fn version(text: &str) -> (u32, u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or_default());
    let mut next = || parts.next().unwrap_or_default();
    (next(), next(), next())
}

/// The family of the platforms of LC_BUILD_VERSION (mach-o/loader.h, PLATFORM_*).
fn operating_system(platform: Option<u32>) -> OperatingSystem {
    match platform {
        // macOS, Mac Catalyst, DriverKit; and what says nothing of itself, as old programs do.
        None | Some(0 | 1 | 6 | 10) => OperatingSystem::MacOs,
        Some(_) => OperatingSystem::Ios,
    }
}

fn cpu(task: &dyn MachTask, arch: Arch) -> Cpu {
    match arch {
        Arch::Arm64 => Cpu::Arm64,
        Arch::Amd64 => {
            let mut vendor = [0; 12];
            let text = sysctl::text(task, "machdep.cpu.vendor").unwrap_or_default();
            for (place, byte) in vendor.iter_mut().zip(text.bytes()) {
                *place = byte;
            }
            let number = |name: &str| sysctl::number(task, name).unwrap_or_default();
            let features = number("machdep.cpu.feature_bits");
            Cpu::Amd64 {
                vendor,
                version_information: low_half(number("machdep.cpu.signature")),
                feature_information: low_half(features),
                extended_features: low_half(number("machdep.cpu.extfeature_bits")),
                xsave: Vec::new(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_up_to_three_numbers() {
        assert_eq!(version("14.5.1"), (14, 5, 1));
        assert_eq!(version("26.0"), (26, 0, 0));
        assert_eq!(version("x.2.99999999999"), (0, 2, 0));
    }

    #[test]
    fn the_platform_tells_the_family_of_the_system() {
        for platform in [None, Some(1), Some(6)] {
            assert_eq!(operating_system(platform), OperatingSystem::MacOs);
        }
        for platform in [2, 3, 4, 7, 11] {
            assert_eq!(operating_system(Some(platform)), OperatingSystem::Ios);
        }
    }
}
