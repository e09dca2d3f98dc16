//! The note "main bin spec".

use crate::elf_core::Fields;
use minidump_snapshot::{Module, ModuleId, OperatingSystem, Snapshot};

/// A field of 64 bits that is not set.
const UNSET: u64 = u64::MAX;
const VERSION: u32 = 2;
/// Neither kernel nor dyld: LLDB then takes the slide as it stands here and looks for nothing in memory.
const TYPE_UNSPECIFIED: u32 = 0;

/// The main executable. LLDB finds it by its UUID; without one there is no note.
///
/// 56 bytes: version, type, address, slide, UUID, binary logarithm of the page size, platform. The address is only set
/// where the slide is not known.
pub(crate) fn contents(snapshot: &Snapshot) -> Option<Vec<u8>> {
    let main = main_module(snapshot)?;
    let Some(ModuleId::Uuid(uuid)) = main.id else { return None };
    let image = snapshot.apple.as_ref().and_then(|facts| facts.image_at(main.base));
    let slide = image.map(|image| image.slide);
    let address = if slide.is_some() { UNSET } else { main.base };
    let page_size = Some(snapshot.system.page_size).filter(|size| size.is_power_of_two());
    // PLATFORM_MACOS, PLATFORM_IOS (<mach-o/loader.h>)
    let platform = match snapshot.system.os {
        OperatingSystem::MacOs => 1,
        OperatingSystem::Ios => 2,
        _ => 0,
    };
    let fields = Fields::with_capacity(56).u32(VERSION).u32(TYPE_UNSPECIFIED).u64(address);
    let fields = fields.u64(slide.unwrap_or(UNSET)).bytes(&uuid);
    Some(fields.u32(page_size.map_or(0, u32::trailing_zeros)).u32(platform).finish())
}

/// The module of the main executable.
fn main_module(snapshot: &Snapshot) -> Option<&Module> {
    snapshot.modules.iter().find(|module| module.is_main)
}
