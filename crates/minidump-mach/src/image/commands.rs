//! The load commands of an image (mach-o/loader.h). They are the target's: nothing of them is believed.

use super::{Image, Span};
use crate::bytes::{array_at, u32_at, u64_at, until_zero};
use minidump_snapshot::{MachSegment, Protection};

const LC_ID_DYLIB: u32 = 0xd;
const LC_ID_DYLINKER: u32 = 0xf;
const LC_SEGMENT_64: u32 = 0x19;
const LC_UUID: u32 = 0x1b;
const LC_VERSION_MIN_MACOSX: u32 = 0x24;
const LC_VERSION_MIN_IPHONEOS: u32 = 0x25;
const LC_VERSION_MIN_TVOS: u32 = 0x2f;
const LC_VERSION_MIN_WATCHOS: u32 = 0x30;
const LC_BUILD_VERSION: u32 = 0x32;

/// Sizes of `segment_command_64` and `section_64`.
const SEGMENT_SIZE: usize = 72;
const SECTION_SIZE: usize = 80;

/// Most commands that are looked at.
const MOST_COMMANDS: u32 = 10_000;

/// What is wrong with load commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandsEnd {
    #[error("its load commands are cut off")]
    CutOff,
    #[error("one of its load commands has the impossible size {0}")]
    BadSize(u32),
    #[error("it has more than {MOST_COMMANDS} load commands")]
    TooMany,
}

/// Sections of interest, as they are linked.
#[derive(Default)]
struct Linked {
    text: Option<Span>,
    crash_info: Option<Span>,
    unwind_info: Option<Span>,
}

/// Puts what the load commands tell into `image`, whose base is set. `count` is `ncmds`.
pub fn walk(image: &mut Image, commands: &[u8], count: u32) -> Result<(), CommandsEnd> {
    let mut linked = Linked::default();
    let mut rest = commands;
    let mut end = Ok(());
    for index in 0..count {
        if index >= MOST_COMMANDS {
            end = Err(CommandsEnd::TooMany);
            break;
        }
        let (Some(kind), Some(size)) = (u32_at(rest, 0), u32_at(rest, 4)) else {
            end = Err(CommandsEnd::CutOff);
            break;
        };
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        if length < 8 || length % 4 != 0 {
            end = Err(CommandsEnd::BadSize(size));
            break;
        }
        let Some((command, behind)) = rest.split_at_checked(length) else {
            end = Err(CommandsEnd::CutOff);
            break;
        };
        take(image, &mut linked, kind, command);
        rest = behind;
    }
    slide(image, &linked);
    end
}

fn take(image: &mut Image, linked: &mut Linked, kind: u32, command: &[u8]) {
    match kind {
        LC_SEGMENT_64 => segment(image, linked, command),
        LC_UUID => image.uuid = array_at(command, 8).filter(|uuid| *uuid != [0; 16]).or(image.uuid),
        LC_ID_DYLIB => {
            image.version = u32_at(command, 16);
            image.own_name = name(command);
        }
        LC_ID_DYLINKER => image.own_name = name(command),
        LC_BUILD_VERSION => image.platform = u32_at(command, 8),
        LC_VERSION_MIN_MACOSX => image.platform = image.platform.or(Some(1)),
        LC_VERSION_MIN_IPHONEOS => image.platform = image.platform.or(Some(2)),
        LC_VERSION_MIN_TVOS => image.platform = image.platform.or(Some(3)),
        LC_VERSION_MIN_WATCHOS => image.platform = image.platform.or(Some(4)),
        _ => {}
    }
}

/// The string whose offset is the first field of a command.
fn name(command: &[u8]) -> Option<Vec<u8>> {
    let offset = usize::try_from(u32_at(command, 8)?).ok()?;
    let text = until_zero(command.get(offset..)?);
    (!text.is_empty()).then(|| text.to_vec())
}

fn segment(image: &mut Image, linked: &mut Linked, command: &[u8]) {
    let (Some(name), Some(address), Some(size)) =
        (array_at::<16>(command, 8), u64_at(command, 24), u64_at(command, 32))
    else {
        return;
    };
    let label = until_zero(&name);
    if label == b"__TEXT" {
        linked.text = linked.text.or(Some((address, size)));
    }
    if label != b"__PAGEZERO" {
        let bits = u32_at(command, 60).unwrap_or_default();
        let protection = Protection::from_bits_truncate(u8::try_from(bits & 7).unwrap_or_default());
        image.segments.push(MachSegment { name, address, size, protection });
    }
    let sections = command.get(SEGMENT_SIZE..).unwrap_or_default();
    let count = usize::try_from(u32_at(command, 64).unwrap_or_default()).unwrap_or(usize::MAX);
    for section in sections.chunks_exact(SECTION_SIZE).take(count) {
        let Some(name) = array_at::<16>(section, 0) else { continue };
        let span = u64_at(section, 32).zip(u64_at(section, 40));
        match until_zero(&name) {
            // In `__DATA`, `__DATA_CONST`, or, as in dyld, `__DATA_DIRTY`.
            b"__crash_info" if label.starts_with(b"__DATA") => linked.crash_info = span,
            b"__unwind_info" if label == b"__TEXT" => linked.unwind_info = span,
            _ => {}
        }
    }
}

/// Moves everything from where it is linked to where it lies. The header lies at the start of `__TEXT`.
fn slide(image: &mut Image, linked: &Linked) {
    let slide = image.base.wrapping_sub(linked.text.map_or(image.base, |(address, _)| address));
    image.slide = slide;
    image.text_size = linked.text.map_or(0, |(_, size)| size);
    let moved = |span: Option<Span>| span.map(|(address, size)| (address.wrapping_add(slide), size));
    image.crash_info = moved(linked.crash_info);
    image.unwind_info = moved(linked.unwind_info);
    for segment in &mut image.segments {
        segment.address = segment.address.wrapping_add(slide);
        segment.size = segment.size.min(u64::MAX - segment.address);
    }
}
