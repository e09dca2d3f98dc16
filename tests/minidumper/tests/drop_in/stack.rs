//! Unwinds the stack of a dump by the call frame information of the files on this machine.

use crate::report::Report;
use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, FrameAddress, Module, Unwinder as _};
use minidump::Module as _;
use object::{Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, SymbolKind};

/// Most frames looked at.
const MOST: usize = 4096;

/// A function on the stack.
#[derive(Debug)]
#[expect(dead_code, reason = "shown when a test fails")]
pub struct Frame {
    pub address: u64,
    /// Path of the module.
    pub module: String,
    /// Name of the function, without hash; empty when the module does not tell.
    pub function: String,
}

/// A function of a module: start, size, name.
type Function = (u64, u64, String);

struct Image {
    path: String,
    start: u64,
    end: u64,
    functions: Vec<Function>,
}

/// The frames from the registers (instruction, stack, frame pointer) on.
pub fn unwind(report: &Report, [ip, sp, bp]: [u64; 3]) -> Vec<Frame> {
    let mut unwinder = UnwinderX86_64::<Vec<u8>>::new();
    let images: Vec<Image> =
        report.modules().iter().filter_map(|module| add_module(&mut unwinder, module)).collect();
    let mut cache = CacheX86_64::<_>::new();
    let mut read = |address| {
        let word = report.memory_at(address, 8).and_then(|bytes| bytes.try_into().ok());
        word.map(u64::from_le_bytes).ok_or(())
    };
    let mut frames = unwinder.iter_frames(ip, UnwindRegsX86_64::new(ip, sp, bp), &mut cache, &mut read);
    let mut found = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        found.push(name(&images, &frame));
        if found.len() == MOST {
            break;
        }
    }
    found
}

fn name(images: &[Image], frame: &FrameAddress) -> Frame {
    let address = frame.address_for_lookup();
    let image = images.iter().find(|image| (image.start..image.end).contains(&address));
    let holds = |(start, size, _): &&Function| address.checked_sub(*start).is_some_and(|into| into < *size);
    let function = image.and_then(|image| image.functions.iter().find(holds));
    Frame {
        address: frame.address(),
        module: image.map(|image| image.path.clone()).unwrap_or_default(),
        function: function.map(|(_, _, name)| name.clone()).unwrap_or_default(),
    }
}

fn add_module(unwinder: &mut UnwinderX86_64<Vec<u8>>, module: &minidump::MinidumpModule) -> Option<Image> {
    let path = module.code_file().into_owned();
    let (start, end) = (module.base_address(), module.base_address() + module.size());
    let bytes = std::fs::read(&path).ok()?;
    let file = object::File::parse(bytes.as_slice()).ok()?;
    // A segment need not start at a page; what is mapped does.
    let base_svma = file.segments().map(|segment| segment.address() & !0xfff).min()?;
    let section = |name| file.section_by_name(name);
    let range = |name| section(name).map(|found| found.address()..found.address() + found.size());
    let data = |name| section(name).and_then(|found| Some(found.data().ok()?.to_vec()));
    let sections = ExplicitModuleSectionInfo {
        base_svma,
        text_svma: range(".text"),
        text: data(".text"),
        eh_frame_svma: range(".eh_frame"),
        eh_frame: data(".eh_frame"),
        eh_frame_hdr_svma: range(".eh_frame_hdr"),
        eh_frame_hdr: data(".eh_frame_hdr"),
        ..ExplicitModuleSectionInfo::default()
    };
    unwinder.add_module(Module::new(path.clone(), start..end, start, sections));
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
    let functions = functions.filter_map(|symbol| {
        let address = symbol.address().checked_sub(base_svma)?.checked_add(start)?;
        Some((address, symbol.size(), format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?))))
    });
    let functions = functions.collect();
    Some(Image { path, start, end, functions })
}
