//! Makes a snapshot of a task that stands still, or of what was recorded of one.

use crate::arch::Arch;
use crate::dyld::{AllImageInfos, Images, images};
use crate::exception::MachCrash;
use crate::image::{Image, crash_infos};
use crate::memory::TaskMemory;
use crate::plan::{Planned, plan_and_copy};
use crate::thread::ThreadReader;
use crate::{CaptureOptions, MachTask, blame, process, regions, sysctl, system};
use minidump_snapshot::{AppleFacts, Module, Process, Region, RegionKind, Snapshot, SoftError, Stage};
use std::time::{SystemTime, UNIX_EPOCH};

/// What was read of a task before.
#[derive(Debug, Default)]
pub struct Before {
    pub images: Option<Images>,
    pub regions: Option<Vec<Region>>,
}

/// Reads everything from a task that stands still, or from what was recorded of one.
pub fn take(
    task: &dyn MachTask,
    before: Before,
    options: &CaptureOptions,
    crash: Option<&MachCrash>,
    errors: &mut Vec<SoftError>,
) -> (Snapshot, Planned) {
    let memory = TaskMemory::new(task);
    let mut regions = before.regions.unwrap_or_else(|| regions::list(task, errors));
    let images = before
        .images
        .unwrap_or_else(|| images(task, &memory, &regions, options.executable.as_deref(), errors));
    name_files(&mut regions, &images);
    let arch = arch_of(task, &images);
    let platform = images.main_image().and_then(|image| image.platform);
    let platform = platform.or_else(|| images.infos.as_ref().and_then(|infos| infos.platform));
    let system = system::system(task, arch, platform, &options.program, errors);
    let mut snapshot = Snapshot::new(Process::default(), system);
    snapshot.captured_at_us = now_us();
    snapshot.regions = regions;
    snapshot.modules = modules(&images, errors);
    snapshot.apple = Some(apple_facts(task, arch, &images, &memory, options, errors));
    snapshot.process = process::process(task, images.main_image(), options, errors);
    let mut reader = ThreadReader { task, memory: &memory, arch, crash, unknown: 0 };
    blame::threads(&mut reader, &mut snapshot, options, crash, errors);
    blame::exception(&mut snapshot, arch, crash);
    let planned = plan_and_copy(&mut snapshot, &images, &memory, options, errors);
    (snapshot, planned)
}

/// The images of a task that runs, to be used when it stands still if dyld has not changed its list by then. `None` when
/// that cannot be told, or when anything of them could not be read.
pub fn images_ahead(task: &dyn MachTask, options: &CaptureOptions) -> Option<Images> {
    let memory = TaskMemory::new(task);
    let infos = AllImageInfos::read(task, &memory).ok()?;
    if infos.array == 0 || infos.changed_at.is_none() {
        return None;
    }
    let mut errors = Vec::new();
    let images = images(task, &memory, &[], options.executable.as_deref(), &mut errors);
    (errors.is_empty() && images.infos == Some(infos)).then_some(images)
}

/// The architecture of the program, which is not always the machine's.
pub fn arch_of(task: &dyn MachTask, images: &Images) -> Arch {
    let main = images.main_image().and_then(|image| Arch::of_cpu_type(image.cpu_type));
    let any = || images.list.iter().find_map(|image| Arch::of_cpu_type(image.cpu_type));
    main.or_else(any).unwrap_or_else(|| Arch::of_machine(task))
}

/// Names the regions of files after the images that lie in them.
fn name_files(regions: &mut [Region], images: &Images) {
    const MOST_OF_A_SEGMENT: usize = 256;
    const PATH_MAX: usize = 1024;
    for image in &images.list {
        for segment in &image.segments {
            let first = regions.partition_point(|region| region.end <= segment.address);
            let end = segment.address.saturating_add(segment.size);
            let inside = regions.get_mut(first..).unwrap_or_default().iter_mut();
            let inside = inside.take_while(|region| region.start < end);
            // A segment has a few regions; one of a hostile image may span all of them.
            for region in inside.take(MOST_OF_A_SEGMENT).filter(|region| region.kind == RegionKind::File) {
                if region.name.is_empty() {
                    region.name = image.path.get(..PATH_MAX).unwrap_or(&image.path).to_vec();
                }
            }
        }
    }
}

/// The modules, cut where the next one begins.
fn modules(images: &Images, errors: &mut Vec<SoftError>) -> Vec<Module> {
    let is_main = |base: u64| images.main == Some(base);
    let mut modules: Vec<_> = images.list.iter().map(|image| image.module(is_main(image.base))).collect();
    let bases: Vec<u64> = modules.iter().map(|module| module.base).skip(1).collect();
    for (module, next) in modules.iter_mut().zip(bases) {
        let room = next.saturating_sub(module.base);
        if module.size > room {
            let name = String::from_utf8_lossy(&module.path);
            let message = format!("the image {name} reaches into the next one");
            errors.push(SoftError::new(Stage::Module, message).range(module.base, module.size));
            module.size = room;
        }
    }
    modules
}

fn apple_facts(
    task: &dyn MachTask,
    arch: Arch,
    images: &Images,
    memory: &TaskMemory<'_>,
    options: &CaptureOptions,
    errors: &mut Vec<SoftError>,
) -> AppleFacts {
    let infos = images.infos.as_ref();
    let main = images.main_image().filter(|image| Arch::of_cpu_type(image.cpu_type) == Some(arch));
    AppleFacts {
        cpu_type: arch.cpu_type(),
        cpu_subtype: main.map_or_else(|| machine_subtype(task, arch), |image| image.cpu_subtype),
        os_build: sysctl::text(task, "kern.osversion").unwrap_or_default(),
        address_bits: system::address_bits(task, errors),
        dyld_all_image_infos: infos.map(|infos| infos.address),
        dyld_version: infos.map(|infos| infos.version),
        dyld_error: infos.and_then(|infos| infos.error(memory)),
        shared_cache: infos.and_then(|infos| infos.shared_cache),
        images: images.list.iter().map(Image::facts).collect(),
        crash_info: crash_infos(&images.list, memory, errors),
        boot_args: sysctl::text(task, "kern.bootargs").filter(|text| !text.is_empty()),
        bundle_version: options.bundle_version.clone(),
    }
}

/// `hw.cpusubtype`, where the machine's type is the program's.
fn machine_subtype(task: &dyn MachTask, arch: Arch) -> u32 {
    let told = sysctl::number(task, "hw.cpusubtype").filter(|_| Arch::of_machine(task) == arch);
    // CPU_SUBTYPE_X86_64_ALL and CPU_SUBTYPE_ARM64_ALL.
    let all = if arch == Arch::Amd64 { 3 } else { 0 };
    told.and_then(|value| u32::try_from(value).ok()).unwrap_or(all)
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
