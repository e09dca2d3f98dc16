use crate::macho_core::json::{Hexadecimal, Text};
use minidump_snapshot::{AppleFacts, CrashInfo, MachImage, MachSegment, SharedCache};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct AppleFactsOut<'a> {
    cpu_type: u32,
    cpu_subtype: u32,
    os_build: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_bits: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dyld_all_image_infos: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dyld_version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dyld_error: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_cache: Option<SharedCacheFacts<'a>>,
    images: Vec<ImageFacts<'a>>,
    crash_info: Vec<CrashInfoFacts<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_args: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle_version: Option<&'a str>,
}

impl<'a> AppleFactsOut<'a> {
    pub(super) fn new(facts: &'a AppleFacts) -> Self {
        Self {
            cpu_type: facts.cpu_type,
            cpu_subtype: facts.cpu_subtype,
            os_build: &facts.os_build,
            address_bits: facts.address_bits,
            dyld_all_image_infos: facts.dyld_all_image_infos,
            dyld_version: facts.dyld_version,
            dyld_error: facts.dyld_error.as_deref().map(Text),
            shared_cache: facts.shared_cache.as_ref().map(SharedCacheFacts::new),
            images: facts.images.iter().map(ImageFacts::new).collect(),
            crash_info: facts.crash_info.iter().map(CrashInfoFacts::new).collect(),
            boot_args: facts.boot_args.as_deref(),
            bundle_version: facts.bundle_version.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct SharedCacheFacts<'a> {
    uuid: Hexadecimal<'a>,
    base: u64,
    slide: u64,
}

impl<'a> SharedCacheFacts<'a> {
    fn new(cache: &'a SharedCache) -> Self {
        Self { uuid: Hexadecimal(&cache.uuid), base: cache.base, slide: cache.slide }
    }
}

/// What only Mach-O tells of the module at `base`.
#[derive(Serialize)]
struct ImageFacts<'a> {
    base: u64,
    slide: u64,
    file_type: u32,
    cpu_subtype: u32,
    header_size: u64,
    executing: bool,
    segments: Vec<SegmentFacts<'a>>,
}

impl<'a> ImageFacts<'a> {
    fn new(image: &'a MachImage) -> Self {
        let MachImage { base, slide, file_type, cpu_subtype, header_size, executing, .. } = *image;
        let segments = image.segments.iter().map(segment).collect();
        Self { base, slide, file_type, cpu_subtype, header_size, executing, segments }
    }
}

/// Name, first address, size in bytes, rights (1 read, 2 write, 4 execute). An array, because there are thousands of them.
type SegmentFacts<'a> = (Text<'a>, u64, u64, u8);

fn segment(segment: &MachSegment) -> SegmentFacts<'_> {
    let end = segment.name.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let name = segment.name.get(..end).unwrap_or_default();
    (Text(name), segment.address, segment.size, segment.protection.bits())
}

#[derive(Serialize)]
struct CrashInfoFacts<'a> {
    module_path: Text<'a>,
    version: u64,
    thread: u64,
    dialog_mode: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    abort_cause: Option<u64>,
    message: Text<'a>,
    signature: Text<'a>,
    backtrace: Text<'a>,
    message2: Text<'a>,
}

impl<'a> CrashInfoFacts<'a> {
    fn new(info: &'a CrashInfo) -> Self {
        let CrashInfo { version, thread, dialog_mode, abort_cause, .. } = *info;
        Self {
            module_path: Text(&info.module_path),
            version,
            thread,
            dialog_mode,
            abort_cause,
            message: Text(&info.message),
            signature: Text(&info.signature),
            backtrace: Text(&info.backtrace),
            message2: Text(&info.message2),
        }
    }
}
