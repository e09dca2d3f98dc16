use minidump_snapshot::{Module, Protection, Region, RegionKind, Snapshot, Thread};

/// Most that is kept of a module that is no file. The vdso has two pages.
const MOST_OF_VDSO: u64 = 64 << 10;
/// Most that is kept of one region of variables.
const MOST_OF_VARIABLES: u64 = 64 << 10;
/// Kept below the thread pointer, where thread-local variables lie, and from it on, where glibc's `struct pthread` lies.
const THREAD_VARIABLES: u64 = 1 << 10;
const THREAD_STRUCTURE: u64 = 0xa00;

/// Memory that debuggers look for in a core besides what every plan keeps, as (first address, size in bytes). Ranges may
/// overlap.
///
/// * The first page of each module, and the whole of the vdso, which is in no file. The page holds the ELF header, the
///   program headers and, where linkers put it, the build id, by which a debugger makes sure that a file on disk is the
///   one that was running.
/// * What GDB's libthread_db reads to tell threads apart and to find thread-local variables: the surroundings of each
///   thread pointer, and the variables of the dynamic loader, among which is the list of threads, and of the C library,
///   which points there.
#[must_use]
pub fn wanted_ranges(snapshot: &Snapshot) -> Vec<(u64, u64)> {
    let page = u64::from(snapshot.system.page_size).max(4096);
    let most = |module: &Module| if module.path.starts_with(b"/") { page } else { MOST_OF_VDSO };
    let heads = snapshot.modules.iter().map(|module| (module.base, module.size.min(most(module))));
    let threads = snapshot.threads.iter().filter_map(|thread| thread_range(snapshot, thread));
    heads.chain(threads).chain(library_ranges(snapshot)).collect()
}

fn thread_range(snapshot: &Snapshot, thread: &Thread) -> Option<(u64, u64)> {
    let pointer = thread.thread_pointer?;
    let region = readable(snapshot.region_at(pointer)?)?;
    let start = pointer.saturating_sub(THREAD_VARIABLES).max(region.start);
    let end = pointer.saturating_add(THREAD_STRUCTURE).min(region.end);
    Some((start, end.saturating_sub(start)))
}

/// The variables of loader and C library: writable memory, and the region before it, which was writable until the loader
/// had relocated it. Not what has no place in the file: the list and the way to it are initialised.
fn library_ranges(snapshot: &Snapshot) -> impl Iterator<Item = (u64, u64)> {
    let debug = snapshot.linux.as_ref().and_then(|facts| facts.dso_debug.as_ref());
    let loader = debug.map(|debug| debug.address);
    let holds = move |module: &&Module| {
        let is_loader =
            loader.and_then(|at| at.checked_sub(module.base)).is_some_and(|into| into < module.size);
        is_loader || has_threads(&module.path)
    };
    snapshot.modules.iter().filter(holds).flat_map(|module| variables(&snapshot.regions, module))
}

/// Whether this is the C library or, as it was in glibc before 2.34, the library of threads beside it.
fn has_threads(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    [b"libc.so".as_slice(), b"libc-2", b"libpthread"].iter().any(|start| name.starts_with(start))
}

fn variables<'a>(regions: &'a [Region], module: &Module) -> impl Iterator<Item = (u64, u64)> + 'a {
    let end = module.base.saturating_add(module.size);
    let first = regions.partition_point(|region| region.end <= module.base);
    let inside = regions.get(first..).unwrap_or_default();
    let is_writable = |region: &Region| region.protection.contains(Protection::WRITE);
    let before_writable =
        move |index: usize| inside.get(index + 1).is_some_and(|next| is_writable(next) && next.start < end);
    let regions = inside.iter().enumerate().take_while(move |(_, region)| region.start < end);
    let regions = regions.filter(move |(index, region)| is_writable(region) || before_writable(*index));
    let data = regions.map(|(_, region)| region).filter_map(readable);
    let data = data
        .filter(|region| region.kind == RegionKind::File && !region.protection.contains(Protection::EXECUTE));
    data.map(|region| (region.start, region.size().min(MOST_OF_VARIABLES)))
}

fn readable(region: &Region) -> Option<&Region> {
    Some(region).filter(|region| region.protection.contains(Protection::READ))
}
