//! A process made by hand: environment blocks, loader's lists, parameters, images.

use super::super::layout::Layout;
use super::super::{ImageFiles, LoaderFacts, NativeBlocks, PointerSize, ProcessView, UnloadTrace, examine};
use super::test_pe::{SIZE, TestPe, put, utf16};
use minidump_snapshot::{
    BufferSource, MemorySource, Protection, Region, RegionKind, SoftError, WindowsRegion,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io;

pub const PEB: u64 = 0x7ffd_0000;
pub const TEBS: [u64; 2] = [0x7ffe_0000, 0x7ffe_4000];
pub const LOADER: u64 = 0x7701_0000;
pub const ENTRIES: u64 = 0x0050_0000;
pub const ENTRY_STEP: u64 = 0x200;
pub const NAMES: u64 = 0x0060_0000;
pub const NAME_STEP: u64 = 0x400;
pub const PARAMETERS: u64 = 0x0070_0000;
pub const ENVIRONMENT: u64 = 0x0070_1000;
pub const TRACE: u64 = 0x0080_0000;

/// Images: name, address.
pub const MODULES: [(&str, u64); 3] = [
    (r"C:\program\main.exe", 0x0100_0000),
    (r"C:\Windows\System32\ntdll.dll", 0x7700_0000),
    (r"C:\Windows\System32\kernel32.dll", 0x7600_0000),
];
/// `TimeDateStamp` of the image number `index`.
pub fn time_stamp(index: usize) -> u32 {
    0x6000_0000 + u32::try_from(index).unwrap()
}

/// Files by path; notes which were asked for.
#[derive(Default)]
pub struct TestFiles {
    pub files: HashMap<String, Vec<u8>>,
    pub asked: RefCell<Vec<String>>,
}

impl ImageFiles for TestFiles {
    fn read(&self, path: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.asked.borrow_mut().push(path.to_owned());
        let file = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        let tail = usize::try_from(offset).ok().and_then(|offset| file.get(offset..)).unwrap_or_default();
        let size = tail.len().min(buffer.len());
        buffer[..size].copy_from_slice(&tail[..size]);
        Ok(size)
    }
}

pub struct World {
    pub pointer_size: PointerSize,
    /// Bytes by address.
    pub pieces: BTreeMap<u64, Vec<u8>>,
    pub regions: Vec<Region>,
    pub address_space: Vec<WindowsRegion>,
    pub files: TestFiles,
    pub peb: u64,
    pub native: Option<u64>,
    pub trace: Option<UnloadTrace>,
}

impl World {
    /// A process with [`MODULES`], all in order.
    pub fn new(pointer_size: PointerSize) -> Self {
        let mut world = Self {
            pointer_size,
            pieces: BTreeMap::new(),
            regions: Vec::new(),
            address_space: Vec::new(),
            files: TestFiles::default(),
            peb: PEB,
            native: None,
            trace: None,
        };
        world.add_peb();
        world.add_list();
        world.add_parameters();
        for (index, (path, base)) in MODULES.into_iter().enumerate() {
            let mut pe = TestPe::new(pointer_size, time_stamp(index));
            pe.is_library = index != 0;
            world.map_image(path, base, &pe);
        }
        for address in [PEB, ENTRIES, NAMES, PARAMETERS, TRACE] {
            world.map_private(address, 0x1_0000);
        }
        world
    }

    pub fn layout(&self) -> &'static Layout {
        self.pointer_size.layout()
    }

    /// `value` as the process' structures have pointers.
    pub fn pointer(&self, value: u64) -> Vec<u8> {
        value.to_le_bytes()[..self.pointer_size.bytes()].to_vec()
    }

    /// `UNICODE_STRING`.
    pub fn string(&self, length: usize, address: u64) -> Vec<u8> {
        let length = u16::try_from(length).unwrap().to_le_bytes();
        let mut bytes = [length, length].concat();
        bytes.resize(self.pointer_size.bytes(), 0);
        bytes.extend(self.pointer(address));
        bytes
    }

    /// Overwrites bytes.
    pub fn set(&mut self, address: u64, bytes: &[u8]) {
        let (start, piece) = self.pieces.range_mut(..=address).next_back().expect("memory there");
        put(piece, usize::try_from(address - start).unwrap(), bytes);
    }

    /// Overwrites a pointer.
    pub fn set_pointer(&mut self, address: u64, value: u64) {
        let bytes = self.pointer(value);
        self.set(address, &bytes);
    }

    /// Address of the entry number `index` of the list, or of `field` in it.
    pub fn entry(index: usize, field: usize) -> u64 {
        ENTRIES + index as u64 * ENTRY_STEP + field as u64
    }

    fn add_peb(&mut self) {
        let peb = &self.layout().peb;
        self.pieces.insert(PEB, vec![0; peb.size]);
        self.set_pointer(PEB + peb.image_base as u64, MODULES[0].1);
        self.set_pointer(PEB + peb.loader as u64, LOADER);
        self.set_pointer(PEB + peb.parameters as u64, PARAMETERS);
    }

    /// Three rings: in load order, the same, and backwards.
    fn add_list(&mut self) {
        let (loader, entry) = (&self.layout().loader, &self.layout().entry);
        self.pieces.insert(LOADER, vec![0; loader.size]);
        for (index, (path, base)) in MODULES.into_iter().enumerate() {
            let name = utf16(path);
            let name_at = NAMES + index as u64 * NAME_STEP;
            let file = path.rfind('\\').unwrap() * 2 + 2;
            self.pieces.insert(Self::entry(index, 0), vec![0; entry.size]);
            self.set_pointer(Self::entry(index, entry.base), base);
            self.set(Self::entry(index, entry.image_size), &u32::try_from(SIZE).unwrap().to_le_bytes());
            self.set(Self::entry(index, entry.time_stamp), &time_stamp(index).to_le_bytes());
            let full = self.string(name.len(), name_at);
            self.set(Self::entry(index, entry.full_name), &full);
            let base_name = self.string(name.len() - file, name_at + file as u64);
            self.set(Self::entry(index, entry.base_name), &base_name);
            self.pieces.insert(name_at, name);
        }
        for (order, (head, link)) in loader.lists.into_iter().zip(entry.links).enumerate() {
            let mut at = LOADER + head as u64;
            let entries = 0..MODULES.len();
            let entries: Vec<usize> = if order == 2 { entries.rev().collect() } else { entries.collect() };
            for index in entries {
                self.set_pointer(at, Self::entry(index, link));
                at = Self::entry(index, link);
            }
            self.set_pointer(at, LOADER + head as u64);
        }
    }

    fn add_parameters(&mut self) {
        let parameters = &self.layout().parameters;
        let (path, command) = (utf16(MODULES[0].0), utf16(r#""C:\program\main.exe" --secret"#));
        self.pieces.insert(PARAMETERS, vec![0; 0x500]);
        let (path_at, command_at) = (PARAMETERS + 0x400, PARAMETERS + 0x480);
        self.set(path_at, &path);
        self.set(command_at, &command);
        self.set(PARAMETERS + parameters.length as u64, &0x500_u32.to_le_bytes());
        self.set(PARAMETERS + parameters.flags as u64, &1_u32.to_le_bytes());
        let string = self.string(path.len(), path_at);
        self.set(PARAMETERS + parameters.image_path as u64, &string);
        let string = self.string(command.len(), command_at);
        self.set(PARAMETERS + parameters.command_line as u64, &string);
        let environment = utf16("PATH=C:\\Windows\0TOKEN=abc\0\0stale");
        self.set_pointer(PARAMETERS + parameters.environment as u64, ENVIRONMENT);
        self.set_pointer(PARAMETERS + parameters.environment_size as u64, environment.len() as u64);
        self.pieces.insert(ENVIRONMENT, environment);
    }

    /// Maps an image at `base`: memory, address space, memory map. Its file is not there.
    pub fn map_image(&mut self, path: &str, base: u64, pe: &TestPe) {
        self.pieces.insert(base, pe.memory());
        for (offset, size) in [(0, 0x1000), (0x1000, SIZE as u64 - 0x1000)] {
            self.address_space.push(WindowsRegion {
                base: base + offset,
                allocation_base: base,
                size,
                state: 0x1000,
                kind: 0x100_0000,
                ..WindowsRegion::default()
            });
        }
        self.address_space.sort_by_key(|region| region.base);
        self.regions.push(Region {
            start: base,
            end: base + SIZE as u64,
            protection: Protection::READ,
            shared: false,
            kind: RegionKind::File,
            dont_dump: false,
            offset: 0,
            name: path.as_bytes().to_vec(),
        });
        self.regions.sort_by_key(|region| region.start);
    }

    /// Notes private memory at `base`.
    pub fn map_private(&mut self, base: u64, size: u64) {
        let region = WindowsRegion {
            base,
            allocation_base: base,
            size,
            state: 0x1000,
            kind: 0x2_0000,
            ..WindowsRegion::default()
        };
        self.address_space.push(region);
        self.address_space.sort_by_key(|region| region.base);
    }

    pub fn memory(&self) -> BufferSource {
        let mut memory = BufferSource::new();
        for (address, bytes) in &self.pieces {
            assert!(memory.insert(*address, bytes.clone()), "{address:#x}");
        }
        memory
    }

    /// What [`examine`] says, with its soft errors.
    pub fn examine(&self) -> (LoaderFacts, Vec<SoftError>) {
        self.examine_in(&self.memory())
    }

    /// The same with other memory.
    pub fn examine_in(&self, memory: &dyn MemorySource) -> (LoaderFacts, Vec<SoftError>) {
        let view = ProcessView {
            memory,
            regions: &self.regions,
            address_space: &self.address_space,
            pointer_size: self.pointer_size,
            peb: self.peb,
            tebs: &TEBS,
            native: self.native.map(|peb| NativeBlocks { peb, tebs: &TEBS }),
            files: &self.files,
            unload_trace: self.trace,
        };
        let mut soft_errors = Vec::new();
        let facts = examine(&view, &mut soft_errors);
        (facts, soft_errors)
    }
}

/// The messages of `errors`.
pub fn messages(errors: &[SoftError]) -> Vec<&str> {
    errors.iter().map(|error| error.message.as_str()).collect()
}
