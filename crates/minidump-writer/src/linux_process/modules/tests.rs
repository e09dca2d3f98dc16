use super::test_elf::{
    Counting, IMAGE_SIZE, MappedFile, ProcessMemory, TestElf, load_file, program_header, put,
};
use super::*;
use crate::sys::TargetFiles;
use minidump_snapshot::{BufferSource, FileVersion, LinkMap, ModuleId};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

mod hostile;
mod live;

const BASE: u64 = 0x7f12_3456_0000;

/// A target made in code.
#[derive(Default)]
struct World {
    text: Vec<u8>,
    memory: BufferSource,
    auxv: Auxv,
    loader: Option<DsoDebug>,
}

impl World {
    /// A target in which `elf` is loaded at [`BASE`] from `file`.
    fn with(elf: &TestElf, file: MappedFile<'_>) -> Self {
        let mut world = Self { text: file.lines(BASE), ..Self::default() };
        elf.load(&mut world.memory, BASE);
        world
    }

    fn read(&self) -> (Vec<Module>, Vec<SoftError>) {
        self.read_through(&self.memory)
    }

    fn read_through(&self, memory: &dyn MemorySource) -> (Vec<Module>, Vec<SoftError>) {
        let mut mappings = Vec::new();
        assert_eq!(maps::parse(&self.text, &mut mappings), 0, "{}", String::from_utf8_lossy(&self.text));
        let files = TargetFiles::open(std::process::id().cast_signed()).expect("this process exists");
        let mut errors = Vec::new();
        let loader = self.loader.as_ref();
        let modules =
            read_modules(&mappings, &self.text, &self.auxv, memory, Some(&files), loader, &mut errors);
        (modules, errors)
    }

    fn only_module(&self) -> Module {
        let (mut modules, errors) = self.read();
        assert_eq!((modules.len(), errors.len()), (1, 0), "{modules:?} {errors:?}");
        modules.remove(0)
    }
}

fn build_id(bytes: &[u8]) -> ModuleId {
    ModuleId::BuildId(bytes.to_vec())
}

fn default_id() -> Option<ModuleId> {
    TestElf::default().build_id.map(ModuleId::BuildId)
}

/// Breakpad's hash, computed the other way round: byte by byte.
fn expected_hash(elf: &TestElf) -> ModuleId {
    let mut hash = [0; 16];
    for (at, byte) in elf.code().iter().take(4096).enumerate() {
        hash[at % 16] ^= byte;
    }
    ModuleId::TextHash(hash)
}

/// A file on disk and how the memory map would show it.
struct DiskFile {
    _directory: TempDir,
    path: PathBuf,
    device: (u32, u32),
    inode: u64,
}

impl DiskFile {
    fn new(name: &str, contents: &[u8]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(name);
        std::fs::write(&path, contents).expect("writable");
        let metadata = std::fs::metadata(&path).expect("exists");
        let device = (libc::major(metadata.dev()), libc::minor(metadata.dev()));
        Self { _directory: directory, path, device, inode: metadata.ino() }
    }

    fn mapped(&self) -> MappedFile<'_> {
        MappedFile {
            path: self.path.as_os_str().as_bytes(),
            device: self.device,
            inode: self.inode,
            origin: 0,
        }
    }
}

fn link_map(base: u64, dynamic: u64) -> DsoDebug {
    let entry = LinkMap { address: 1, base, name_address: 0, name: Vec::new(), dynamic };
    DsoDebug {
        address: 1,
        version: 1,
        map: 1,
        brk: 0,
        ldbase: 0,
        dynamic: 0,
        dynamic_contents: Vec::new(),
        link_maps: vec![entry],
    }
}

#[test]
fn a_library_is_known_from_memory_alone() {
    let module =
        World::with(&TestElf::default(), MappedFile::nowhere(b"/opt/my libs/libx\xff.so", 7)).only_module();
    let expected = Module {
        base: BASE,
        size: IMAGE_SIZE,
        path: b"/opt/my libs/libx\xff.so".to_vec(),
        soname: Some("libtest.so.1.2".into()),
        version: Some(FileVersion { major: 1, minor: 2, patch: 0, build: 0 }),
        id: default_id(),
        is_main: false,
        deleted: false,
    };
    assert_eq!(module, expected);
}

#[test]
fn a_soname_is_read_where_the_loader_did_not_relocate_the_string_table() {
    let file = MappedFile::nowhere(b"/lib/libx.so", 7);
    let mut world = World { text: file.lines(BASE), ..World::default() };
    load_file(&TestElf::default().file(), &mut world.memory, BASE);
    assert_eq!(world.only_module().soname.as_deref(), Some("libtest.so.1.2"));
}

#[test]
fn build_ids_of_any_length_are_kept() {
    for length in [1, 8, 16, 20, 32, 64, 100] {
        let elf = TestElf { build_id: Some(vec![0xab; length]), ..TestElf::default() };
        let module = World::with(&elf, MappedFile::nowhere(b"/lib/libx.so", 7)).only_module();
        assert_eq!(module.id, Some(build_id(&vec![0xab; length])));
    }
}

#[test]
fn the_auxiliary_vector_tells_the_main_executable() {
    let mut world = World::with(&TestElf::default(), MappedFile::nowhere(b"/bin/program", 7));
    let other = MappedFile::nowhere(b"/lib/libother.so", 8);
    world.text.extend(other.lines(BASE + 0x10_0000));
    TestElf::default().load(&mut world.memory, BASE + 0x10_0000);
    world.auxv.entry = Some(BASE + 0x10_0000 + 0x1000);
    let (modules, errors) = world.read();
    assert_eq!(errors, []);
    assert_eq!(modules.iter().map(|module| module.is_main).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn an_elf_file_mapped_as_data_is_no_module() {
    let file = MappedFile::nowhere(b"/lib/libx.so", 7);
    let mut world = World { text: file.line(BASE, BASE + 0x4000, "r--p", 0), ..World::default() };
    assert!(world.memory.insert(BASE, TestElf::default().file()));
    assert_eq!(world.read(), (vec![], vec![]));
}

#[test]
fn a_data_mapping_right_below_the_loaded_library_is_not_taken_for_it() {
    let file = MappedFile::nowhere(b"/lib/libx.so", 7);
    let below = BASE - 0x4000;
    let text = [file.line(below, BASE, "r--p", 0), file.lines(BASE)].concat();
    let mut world = World { text, ..World::default() };
    let mut data = TestElf::default().file();
    data.resize(0x4000, 0);
    assert!(world.memory.insert(below, data));
    TestElf::default().load(&mut world.memory, BASE);
    let module = world.only_module();
    assert_eq!((module.base, module.size), (BASE, IMAGE_SIZE));
}

#[test]
fn a_single_mapping_is_a_module_when_the_loader_lists_it() {
    let file = MappedFile::nowhere(b"/lib/libdata.so", 7);
    let mut world = World { text: file.line(BASE, BASE + 0x1000, "r--p", 0), ..World::default() };
    TestElf::default().load(&mut world.memory, BASE);
    assert_eq!(world.read().0, []);
    world.loader = Some(link_map(BASE, 0));
    let module = world.only_module();
    assert_eq!((module.base, module.size, module.id), (BASE, 0x1000, default_id()));
}

#[test]
fn two_segments_make_a_module_without_executable_memory() {
    let file = MappedFile::nowhere(b"/lib/libdata.so", 7);
    let text =
        [file.line(BASE, BASE + 0x1000, "r--p", 0), file.line(BASE + 0x4000, BASE + 0x5000, "rw-p", 0x2000)];
    let mut world = World { text: text.concat(), ..World::default() };
    TestElf::default().load(&mut world.memory, BASE);
    let module = world.only_module();
    assert_eq!((module.base, module.size, module.id), (BASE, 0x5000, default_id()));
}

/// An image of two segments that meet inside the first page of the file, as linkers make them without
/// `-z separate-code`. So the ELF header is also seen where the data is mapped.
fn world_with_the_header_twice() -> World {
    let mut page = TestElf::default().file()[..0x1000].to_vec();
    let entries = [
        program_header(1, 5, 0, 0, [0x800; 2], 0x1000),
        program_header(1, 6, 0x800, 0x1800, [0x200, 0x400], 0x1000),
        program_header(2, 6, 0x800, 0x1800, [0x60; 2], 8),
        program_header(4, 4, 0x400, 0x400, [36; 2], 4),
    ];
    put(&mut page, 64, &[entries.concat(), vec![0; 2 * 56]].concat());
    let file = MappedFile::nowhere(b"/lib/libx.so", 7);
    let text =
        [file.line(BASE, BASE + 0x1000, "r-xp", 0), file.line(BASE + 0x1000, BASE + 0x2000, "rw-p", 0)];
    let mut world =
        World { text: text.concat(), loader: Some(link_map(BASE, BASE + 0x1800)), ..World::default() };
    assert!(world.memory.insert(BASE, [page.clone(), page].concat()));
    world
}

#[test]
fn a_header_seen_again_in_the_data_segment_is_no_second_module() {
    let module = world_with_the_header_twice().only_module();
    assert_eq!((module.base, module.size, module.id), (BASE, 0x2000, default_id()));
}

#[test]
fn a_header_seen_only_in_the_data_segment_places_the_whole_image() {
    let mut world = world_with_the_header_twice();
    let mut page = vec![0; 0x2000];
    assert_eq!(world.memory.read(BASE, &mut page).done, 0x2000);
    page[..64].fill(0xaa);
    world.memory = BufferSource::new();
    assert!(world.memory.insert(BASE, page));
    let module = world.only_module();
    assert_eq!((module.base, module.size, module.id), (BASE, 0x2000, default_id()));
}

#[test]
fn split_and_merged_mappings_and_reserved_holes_are_one_module() {
    let file = MappedFile::nowhere(b"/lib/libx.so", 7);
    let text = [
        file.line(BASE, BASE + 0x2000, "r-xp", 0),
        file.line(BASE + 0x2000, BASE + 0x4000, "---p", 0x2000),
        file.line(BASE + 0x4000, BASE + 0x5000, "r--p", 0x2000),
        format!("{:x}-{:x} rw-p 00000000 00:00 0 [anon:.bss]\n", BASE + 0x5000, BASE + 0x6000).into_bytes(),
        format!("{:x}-{:x} rw-p 00000000 00:00 0 \n", BASE + 0x6000, BASE + 0x9000).into_bytes(),
    ];
    let mut world = World { text: text.concat(), ..World::default() };
    TestElf::default().load(&mut world.memory, BASE);
    let module = world.only_module();
    assert_eq!((module.base, module.size, module.id), (BASE, IMAGE_SIZE, default_id()));
}

#[test]
fn libraries_inside_an_archive_are_named_by_their_soname() {
    let archive = MappedFile { origin: 0x8000, ..MappedFile::nowhere(b"/data/app/base.apk", 7) };
    let second = MappedFile { origin: 0x2_0000, ..archive };
    let other = TestElf { soname: None, build_id: Some(vec![9; 20]), ..TestElf::default() };
    let mut world = World::with(&TestElf::default(), archive);
    world.text.extend(second.lines(BASE + 0x6000));
    other.load(&mut world.memory, BASE + 0x6000);
    let (modules, errors) = world.read();
    assert_eq!(errors, []);
    let seen: Vec<_> =
        modules.iter().map(|module| (module.base, module.path.as_slice(), &module.id)).collect();
    let (first, second) = (default_id(), Some(build_id(&[9; 20])));
    assert_eq!(
        seen,
        [
            (BASE, b"/data/app/base.apk/libtest.so.1.2".as_slice(), &first),
            (BASE + 0x6000, b"/data/app/base.apk".as_slice(), &second)
        ]
    );
    assert_eq!(modules[0].version, Some(FileVersion { major: 1, minor: 2, patch: 0, build: 0 }));
}

#[test]
fn the_vdso_is_a_module() {
    let mut file = TestElf { soname: Some("linux-vdso.so.1".into()), ..TestElf::default() }.file();
    file.truncate(0x2000);
    // One segment only, as the kernel's linker script makes it; the rest of the table becomes PT_NULL.
    for entry in [0, 2, 3, 4] {
        file[64 + entry * 56] = 0;
    }
    let text = format!("{BASE:x}-{:x} r-xp 00000000 00:00 0   [vdso]\n", BASE + 0x2000);
    let mut world = World { text: text.into_bytes(), ..World::default() };
    assert!(world.memory.insert(BASE, file));
    let module = world.only_module();
    assert_eq!((module.base, module.size), (BASE, 0x1000));
    assert_eq!((module.path.as_slice(), module.id, module.is_main), (VDSO_NAME, default_id(), false));
}

#[test]
fn an_overwritten_header_is_replaced_by_the_files() {
    let disk = DiskFile::new("libx.so.4", &TestElf::default().file());
    for overwrite in [Some(0xaa), None] {
        let mut world = World { text: disk.mapped().lines(BASE), ..World::default() };
        let mut file = TestElf::default().file();
        if let Some(byte) = overwrite {
            file[..0x1000].fill(byte);
            load_file(&file, &mut world.memory, BASE);
        }
        let module = world.only_module();
        assert_eq!((module.base, module.size, &module.id), (BASE, IMAGE_SIZE, &default_id()));
        assert_eq!(module.soname.as_deref(), Some("libtest.so.1.2"));
        assert_eq!(module.path, disk.path.as_os_str().as_bytes());
    }
}

#[test]
fn hostile_program_headers_in_memory_are_replaced_by_the_files() {
    let disk = DiskFile::new("libx.so.4", &TestElf::default().file());
    let mut world = World { text: disk.mapped().lines(BASE), ..World::default() };
    let mut file = TestElf::default().file();
    // The address of the segment that holds the headers.
    file[64 + 56 + 16 + 2] = 0x77;
    load_file(&file, &mut world.memory, BASE);
    let module = world.only_module();
    assert_eq!((module.base, module.size, module.id), (BASE, IMAGE_SIZE, default_id()));
}

#[test]
fn without_header_and_file_the_mappings_are_the_module() {
    let file = MappedFile::nowhere(b"/lib/libx.so.3 (deleted)", 7);
    let mut world = World { text: file.lines(BASE), ..World::default() };
    let mut bytes = TestElf::default().file();
    bytes[..0x1000].fill(0);
    load_file(&bytes, &mut world.memory, BASE);
    let (modules, errors) = world.read();
    let expected = Module {
        base: BASE,
        size: 0x5000,
        path: b"/lib/libx.so.3".to_vec(),
        soname: None,
        version: Some(FileVersion { major: 3, ..FileVersion::default() }),
        id: None,
        is_main: false,
        deleted: true,
    };
    assert_eq!(modules, [expected]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].message.contains("/lib/libx.so.3 (deleted) has no ELF header in memory"), "{errors:?}");
    assert_eq!(
        (errors[0].address, errors[0].size, errors[0].os_error),
        (Some(BASE), Some(0x5000), Some(libc::ENOENT))
    );
}

#[test]
fn without_header_and_file_distant_mappings_of_a_file_are_not_one_module() {
    let file = MappedFile::nowhere(b"/lib/libx.so", 7);
    let far = BASE + 0x1000_0000;
    let text = [
        file.line(BASE, BASE + 0x1000, "r--p", 0),
        file.line(BASE + 0x1000, BASE + 0x2000, "r-xp", 0x1000),
        file.line(far, far + 0x1000, "r--p", 0x2000),
    ];
    let (modules, errors) = World { text: text.concat(), ..World::default() }.read();
    let ranges: Vec<_> = modules.iter().map(|module| (module.base, module.size)).collect();
    assert_eq!((ranges.as_slice(), errors.len()), ([(BASE, 0x2000)].as_slice(), 1), "{errors:?}");
}

#[test]
fn the_main_executable_survives_the_loss_of_its_header() {
    let file = MappedFile::nowhere(b"/bin/program", 7);
    let mut world = World { text: file.lines(BASE), ..World::default() };
    let mut bytes = TestElf::default().file();
    bytes[..64].fill(0xaa);
    load_file(&bytes, &mut world.memory, BASE);
    world.auxv = Auxv { phdr: Some(BASE + 64), phent: Some(56), phnum: Some(6), ..Auxv::default() };
    let module = world.only_module();
    assert_eq!((module.base, module.size, module.id, module.is_main), (BASE, IMAGE_SIZE, default_id(), true));
}

#[test]
fn without_a_build_id_the_text_of_the_file_is_hashed() {
    let elf = TestElf { build_id: None, ..TestElf::default() };
    let disk = DiskFile::new("libx.so", &elf.file());
    let module = World::with(&elf, disk.mapped()).only_module();
    assert_eq!(module.id, Some(expected_hash(&elf)));
}

#[test]
fn without_a_file_the_text_in_memory_is_hashed() {
    let elf = TestElf { build_id: None, sections: 0xa00, ..TestElf::default() };
    let module = World::with(&elf, MappedFile::nowhere(b"/lib/libx.so", 7)).only_module();
    assert_eq!(module.id, Some(expected_hash(&elf)));
}

#[test]
fn no_id_is_made_up() {
    let elf = TestElf { build_id: None, ..TestElf::default() };
    let (modules, errors) = World::with(&elf, MappedFile::nowhere(b"/lib/libx.so", 7)).read();
    assert_eq!((modules[0].base, &modules[0].id), (BASE, &None));
    assert_eq!(errors.len(), 1);
    assert!(errors[0].message.starts_with("/lib/libx.so has no id"), "{errors:?}");
    assert!(errors[0].message.contains("cannot be opened"), "{errors:?}");
}

#[test]
fn a_build_id_that_only_the_file_has_is_found() {
    let disk = DiskFile::new("libx.so", &TestElf::default().file());
    let mut world = World { text: disk.mapped().lines(BASE), ..World::default() };
    let mut file = TestElf::default().file();
    file[0x400..0x440].fill(0);
    load_file(&file, &mut world.memory, BASE);
    assert_eq!(world.only_module().id, default_id());
    // Not even a note segment: the section tells.
    let mut without_segment = TestElf::default().file();
    without_segment[64 + 5 * 56] = 0;
    std::fs::write(&disk.path, &without_segment).expect("writable");
    assert_eq!(world.only_module().id, default_id());
}

#[test]
fn a_replaced_file_is_not_asked_for_the_id() {
    let elf = TestElf { build_id: None, ..TestElf::default() };
    let disk = DiskFile::new("libx.so", &elf.file());
    let other = MappedFile { inode: disk.inode ^ 1, ..disk.mapped() };
    let (modules, errors) = World::with(&elf, other).read();
    assert_eq!((&modules[0].id, modules[0].deleted), (&None, true));
    assert!(errors[0].message.contains("is another file now"), "{errors:?}");
}

#[test]
fn a_file_on_an_odd_device_counts_when_its_code_is_the_one_in_memory() {
    let elf = TestElf { build_id: None, ..TestElf::default() };
    let disk = DiskFile::new("libx.so", &elf.file());
    let odd = MappedFile { device: (0, 0x7e), ..disk.mapped() };
    assert_eq!(World::with(&elf, odd).only_module().id, Some(expected_hash(&elf)));
    let other = TestElf { code: 0x90, ..elf };
    let (modules, errors) = World::with(&other, odd).read();
    assert_eq!(modules[0].id, None);
    assert!(errors[0].message.contains("cannot be proven"), "{errors:?}");
}

#[test]
fn a_mapping_whose_path_is_a_fifo_now_is_still_a_module() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("libx.so");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    let elf = TestElf { build_id: None, ..TestElf::default() };
    let (modules, errors) = World::with(&elf, MappedFile::nowhere(path.as_os_str().as_bytes(), 7)).read();
    assert_eq!((modules[0].base, modules[0].size, &modules[0].id), (BASE, IMAGE_SIZE, &None));
    assert!(errors[0].message.contains("is a FIFO now, not a regular file"), "{errors:?}");
}

#[test]
fn the_mark_for_deleted_files_is_no_part_of_the_path() {
    let deleted = MappedFile::nowhere(b"/lib/libx.so.2 (deleted)", 7);
    let module = World::with(&TestElf::default(), deleted).only_module();
    assert_eq!((module.path.as_slice(), module.deleted), (b"/lib/libx.so.2".as_slice(), true));
    let disk = DiskFile::new("libx.so (deleted)", &TestElf::default().file());
    let module = World::with(&TestElf::default(), disk.mapped()).only_module();
    assert_eq!((module.path.as_slice(), module.deleted), (disk.path.as_os_str().as_bytes(), false));
}

#[test]
fn escaped_newlines_in_paths_are_undone() {
    let module = World::with(&TestElf::default(), MappedFile::nowhere(b"/a\\012b/libx.so", 7)).only_module();
    assert_eq!(module.path, b"/a\nb/libx.so");
}

#[test]
fn a_claimed_size_is_cut_down_to_what_is_mapped() {
    let mut file = TestElf::default().file();
    // The memory size of the last PT_LOAD: 16 TiB.
    file[64 + 3 * 56 + 40 + 5] = 0x10;
    let mapped = MappedFile::nowhere(b"/lib/libx.so", 7);
    let mut world = World { text: mapped.lines(BASE), ..World::default() };
    world.text.extend(MappedFile::nowhere(b"/lib/liby.so", 8).lines(BASE + 0x8000));
    load_file(&file, &mut world.memory, BASE);
    TestElf::default().load(&mut world.memory, BASE + 0x8000);
    let (modules, errors) = world.read();
    assert_eq!(errors, []);
    let ranges: Vec<_> = modules.iter().map(|module| (module.base, module.size)).collect();
    assert_eq!(ranges, [(BASE, IMAGE_SIZE), (BASE + 0x8000, IMAGE_SIZE)]);
}

#[test]
fn an_image_ends_where_the_next_one_begins() {
    // A library in the hole between two segments of another.
    let outer = MappedFile::nowhere(b"/lib/libouter.so", 7);
    let inner = MappedFile::nowhere(b"/lib/libinner.so", 8);
    let text = [
        outer.line(BASE, BASE + 0x1000, "r--p", 0),
        outer.line(BASE + 0x1000, BASE + 0x2000, "r-xp", 0x1000),
        inner.line(BASE + 0x2000, BASE + 0x3000, "r--p", 0),
        inner.line(BASE + 0x3000, BASE + 0x4000, "r-xp", 0x1000),
        outer.line(BASE + 0x4000, BASE + 0x5000, "rw-p", 0x2000),
    ];
    let mut world = World { text: text.concat(), ..World::default() };
    TestElf::default().load(&mut world.memory, BASE);
    assert!(world.memory.insert(BASE + 0x2000, TestElf::default().file()[..0x2000].to_vec()));
    let (modules, _) = world.read();
    let ranges: Vec<_> = modules.iter().map(|module| (module.base, module.size)).collect();
    assert_eq!(ranges, [(BASE, 0x2000), (BASE + 0x2000, 0x2000)]);
}

#[test]
fn shared_executable_memory_and_devices_are_no_modules() {
    let text = [
        MappedFile::nowhere(b"/memfd:doublemapper (deleted)", 7).line(BASE, BASE + 0x1000, "r-xs", 0),
        MappedFile::nowhere(b"/dev/gpu0", 8).line(BASE + 0x2000, BASE + 0x3000, "r-xp", 0),
        MappedFile::nowhere(b"/var/data.bin", 9).line(BASE + 0x3000, BASE + 0x4000, "rw-p", 0),
    ];
    let mut world = World { text: text.concat(), ..World::default() };
    // Even with an ELF header in it, a device is not read.
    assert!(world.memory.insert(BASE + 0x2000, TestElf::default().file()[..0x1000].to_vec()));
    assert_eq!(world.read(), (vec![], vec![]));
}

#[test]
fn five_hundred_libraries_are_read_in_three_batches() {
    let mut world = World::default();
    for index in 0..500u64 {
        let path = format!("/lib/lib{index}.so");
        let base = BASE + index * 0x1_0000;
        let id = index.to_le_bytes().repeat(2);
        let elf =
            TestElf { build_id: Some(id), soname: Some(format!("lib{index}.so.1")), ..TestElf::default() };
        world.text.extend(MappedFile::nowhere(path.as_bytes(), index + 1).lines(base));
        elf.load(&mut world.memory, base);
    }
    let counting = Counting::new(&world.memory);
    let (modules, errors) = world.read_through(&counting);
    assert_eq!((modules.len(), errors.len()), (500, 0));
    assert_eq!((counting.batches.get(), counting.reads.get()), (3, 0));
    assert!(counting.bytes.get() < 500 * 4096, "{} bytes", counting.bytes.get());
    assert_eq!(modules[499].soname.as_deref(), Some("lib499.so.1"));
    assert_eq!(modules[499].id, Some(build_id(&499u64.to_le_bytes().repeat(2))));
}

#[test]
fn memory_maps_are_compared_by_their_images() {
    let file = MappedFile::nowhere(b"/lib/libx.so", 7);
    let anonymous = b"1000-2000 rw-p 00000000 00:00 0 \n".to_vec();
    let shared = MappedFile::nowhere(b"/var/db", 9).line(0x3000, 0x4000, "rw-s", 0);
    let base = file.lines(BASE);
    let same = |a: &[u8], b: &[u8]| {
        let [mut old, mut new] = [Vec::new(), Vec::new()];
        maps::parse(a, &mut old);
        maps::parse(b, &mut new);
        same_modules(&old, a, &new, b)
    };
    assert!(same(&base, &[anonymous, shared, base.clone()].concat()));
    assert!(!same(&base, &[base.clone(), file.lines(BASE + 0x10_0000)].concat()));
    assert!(!same(&[base.clone(), file.lines(BASE + 0x10_0000)].concat(), &base));
    assert!(!same(&base, &MappedFile { inode: 8, ..file }.lines(BASE)));
    assert!(!same(&base, &MappedFile { path: b"/lib/liby.so", ..file }.lines(BASE)));
    assert!(!same(&base, &file.lines(BASE + 0x1000)));
    assert!(!same(&base, &String::from_utf8_lossy(&base).replace("r-xp", "rwxp").into_bytes()));
}

/// What the snapshot promises of its modules.
fn assert_sorted(modules: &[Module]) {
    assert!(modules.iter().all(|module| module.size > 0 && module.base.checked_add(module.size).is_some()));
    assert!(modules.windows(2).all(|pair| pair[0].base + pair[0].size <= pair[1].base));
}

/// The path of a program on this machine that a test can copy and run.
fn program(name: &str) -> PathBuf {
    let places = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(name));
    places.into_iter().find(|path| path.exists()).expect("every Linux has it")
}
