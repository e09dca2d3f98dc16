use crate::libraries::Libraries;
use crate::maps_text;
use crate::measured::measured;
use crate::snapshots::Captured;
use minidump_formats::{elf_core, minidump};
use minidump_snapshot::ModuleId;
use minidump_writer::bench_internals::MemoryMap;

/// One thing to be counted.
pub struct Bench {
    /// What it is called.
    pub name: &'static str,
    /// How many there are of what it goes through.
    pub count: usize,
    /// What that is, in the singular.
    pub unit: &'static str,
    /// Does it, and says why the result is not what it should be.
    pub run: fn(usize) -> Result<(), String>,
}

const LIBRARIES: usize = 500;
const THREADS: usize = 1024;
const REGIONS: usize = 5000;

pub const BENCHES: &[Bench] = &[
    Bench { name: "maps-parse-5000", count: 5000, unit: "line", run: maps_parse },
    Bench { name: "maps-parse-20000", count: 20000, unit: "line", run: maps_parse },
    Bench { name: "maps-same-modules", count: 5000, unit: "line", run: same_modules },
    Bench { name: "maps-regions", count: 5000, unit: "line", run: regions },
    Bench { name: "modules-500", count: LIBRARIES, unit: "module", run: modules },
    Bench { name: "loader-list-500", count: LIBRARIES, unit: "module", run: loader_list },
    Bench { name: "loader-confirm-500", count: LIBRARIES, unit: "module", run: loader_confirm },
    Bench { name: "layout-minidump", count: THREADS, unit: "thread", run: layout_minidump },
    Bench { name: "layout-core", count: THREADS, unit: "thread", run: layout_core },
];

fn expect(what: &str, found: usize, wanted: usize) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{found} {what}, not {wanted}")) }
}

fn text(lines: Result<Vec<u8>, std::fmt::Error>) -> Result<Vec<u8>, String> {
    lines.map_err(|error| error.to_string())
}

fn maps_parse(count: usize) -> Result<(), String> {
    let mut map = MemoryMap::new(text(maps_text::mixed(count))?);
    expect("lines were skipped", measured(|| map.parse()), 0)?;
    expect("mappings", map.len(), count)
}

fn same_modules(count: usize) -> Result<(), String> {
    let [mut old, mut new] = [(); 2].map(|()| text(maps_text::anonymous(count)).map(MemoryMap::new));
    let (Ok(old), Ok(new)) = (&mut old, &mut new) else { return Err("no text".to_owned()) };
    old.parse();
    new.parse();
    expect("answers", usize::from(measured(|| old.has_modules_of(new))), 1)
}

fn regions(count: usize) -> Result<(), String> {
    let mut map = MemoryMap::new(text(maps_text::mixed(count))?);
    map.parse();
    expect("regions", measured(|| map.regions()).len(), count)
}

fn modules(count: usize) -> Result<(), String> {
    let process = Libraries::new(count).map_err(|error| error.to_string())?;
    let mut map = MemoryMap::new(process.maps);
    map.parse();
    let list = map.loader_list(&process.auxv, &process.memory);
    let modules = measured(|| map.modules(&process.auxv, &process.memory, list.as_ref()));
    expect("modules", modules.len(), count)?;
    let last = modules.last().ok_or("no modules")?;
    let id = ModuleId::BuildId((count as u64 - 1).to_le_bytes().repeat(3).into_iter().take(20).collect());
    let soname = format!("libpart{}.so.2", count - 1);
    if (last.id.as_ref(), last.soname.as_ref()) == (Some(&id), Some(&soname)) {
        Ok(())
    } else {
        Err(format!("the last module is {last:?}"))
    }
}

fn loader_list(count: usize) -> Result<(), String> {
    let process = Libraries::new(count).map_err(|error| error.to_string())?;
    let map = MemoryMap::new(Vec::new());
    let list = measured(|| map.loader_list(&process.auxv, &process.memory)).ok_or("no list")?;
    expect("entries", list.link_maps.len(), count)?;
    let name = format!("/opt/product/lib/libpart{0}.so.2.{0}", count - 1);
    let named = list.link_maps.last().is_some_and(|entry| entry.name == name.as_bytes());
    if named { Ok(()) } else { Err(format!("the last entry is {:?}", list.link_maps.last())) }
}

fn loader_confirm(count: usize) -> Result<(), String> {
    let process = Libraries::new(count).map_err(|error| error.to_string())?;
    let map = MemoryMap::new(Vec::new());
    let list = map.loader_list(&process.auxv, &process.memory).ok_or("no list")?;
    let confirmed = measured(|| map.confirm_loader_list(list, &process.memory));
    expect("entries", confirmed.ok_or("the list is said to have changed")?.link_maps.len(), count)
}

fn layout_minidump(count: usize) -> Result<(), String> {
    let captured = Captured::new(count, REGIONS, LIBRARIES).map_err(|error| error.to_string())?;
    let options = minidump::LayoutOptions::default();
    let layout = measured(|| minidump::layout(&captured.snapshot, &captured.plan, &options));
    let layout = layout.map_err(|error| error.to_string())?;
    expect("streams were left out", layout.soft_errors().len(), 0)?;
    if layout.total_size() > captured.plan.total() { Ok(()) } else { Err("the file is too small".to_owned()) }
}

fn layout_core(count: usize) -> Result<(), String> {
    let captured = Captured::new(count, REGIONS, LIBRARIES).map_err(|error| error.to_string())?;
    let options = elf_core::CoreOptions::default();
    let layout = measured(|| elf_core::layout(&captured.snapshot, &captured.plan, &options));
    let layout = layout.map_err(|error| error.to_string())?;
    expect("notes were left out", layout.soft_errors().len(), 0)?;
    if layout.total_size() > captured.plan.total() { Ok(()) } else { Err("the file is too small".to_owned()) }
}
