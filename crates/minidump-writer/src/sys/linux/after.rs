//! After the target runs again: what does not need it to stand still.

use super::Capture;
use super::before::{Before, Image};
use super::handles::handles;
use super::kept::Kept;
use super::loader;
use super::modules::{ModuleFiles, read_modules};
use super::source::Source;
use super::target::Target;
use super::target_files::TargetFiles;
use super::task_list::TaskList;
use super::thread_facts::{Clock, ThreadFacts, ThreadTable};
use super::tracer::Tracer;
use super::window::Window;
use crate::DumpOptions;
use crate::snapshot::{DsoDebug, LinuxFacts, Module, Process, Snapshot, SoftError, Stage};
use crate::sys::wishes;

/// Puts the snapshot together. With `keep`, what may serve another capture stays with it.
pub fn complete(
    target: &Target,
    options: &DumpOptions,
    before: Before,
    window: Window,
    tracer: Tracer,
    keep: bool,
) -> Capture {
    let Window { mut snapshot, plan, held, stopped, .. } = window;
    let Before { mut image, threads, mut arena, spare_text, system, registers, tasks, .. } = before;
    arena.release_unused();
    let dso_debug = snapshot.linux.take().and_then(|linux| linux.dso_debug);
    finish_modules(target, &mut image, dso_debug.as_ref());
    let memory = match held {
        Some(memory) => Source::Held { memory, copied: arena, expired: tracer.expired() },
        None => Source::Arena(arena),
    };
    let dso_debug = match dso_debug {
        Some(list) if !image.list_is_of_the_window => {
            list_of_the_window(&list, &memory, target, &image, &mut snapshot.soft_errors)
        }
        found => found,
    };
    let clock = Clock::new();
    fill_threads(&tasks, &threads, clock, &mut snapshot);
    let kept = if keep { image.copy(dso_debug.clone()).ok() } else { None };
    let kept = kept.map(|image| Kept { image, spare_text, system, registers, tasks, arena: None });
    snapshot.process = Process {
        pid: target.pid.unsigned_abs(),
        parent_pid: Some(target.stat.parent),
        uid: super::proc_fs::status_number(&target.status, "Uid"),
        executable: image.executable,
        start_time_us: clock.time_us(target.stat.start),
        user_time_us: Some(clock.duration_us(target.stat.user)),
        kernel_time_us: Some(clock.duration_us(target.stat.kernel)),
    };
    for (region, mapping) in snapshot.regions.iter_mut().zip(&image.mappings) {
        region.name = mapping.path(&image.maps_text).into_owned();
    }
    snapshot.modules = wishes::with_user_modules(image.modules, &options.user_modules);
    snapshot.annotations.clone_from(&options.annotations);
    snapshot.linux = Some(LinuxFacts { maps: Some(image.maps_text), dso_debug, ..image.facts });
    snapshot.soft_errors.extend(image.soft_errors);
    snapshot.soft_errors.extend(image.module_errors);
    snapshot.handles = handles(target, &mut snapshot.soft_errors);
    let plan = wishes::plan(plan, &options.memory, &mut snapshot, &memory);
    Capture { snapshot, plan, memory, stopped, tracer, kept }
}

/// Names, times and the like, which were read before the stop, or are read now of threads that have come since.
fn fill_threads(tasks: &TaskList, known: &ThreadTable, clock: Clock, snapshot: &mut Snapshot) {
    for thread in &mut snapshot.threads {
        let Ok(tid) = libc::pid_t::try_from(thread.id) else { continue };
        match known.get(tid).cloned().map_or_else(|| ThreadFacts::read(tasks.folder(), tid), Ok) {
            Ok(facts) => facts.fill(thread, clock),
            Err(error) => {
                let soft = SoftError::new(Stage::ThreadFacts, "name and times of a thread could not be read");
                snapshot.soft_errors.push(soft.thread(thread.id).os_error(error.raw_os_error()));
            }
        }
    }
}

/// The loader's list, which was read before the stop, if it was the same in the window. The dump has the memory that the
/// list is made of; so this takes no time of the window. A list that had changed is read anew, from memory as it is now.
fn list_of_the_window(
    list: &DsoDebug,
    memory: &Source,
    target: &Target,
    image: &Image,
    soft_errors: &mut Vec<SoftError>,
) -> Option<DsoDebug> {
    if let Some(list) = loader::revalidate(list.clone(), memory) {
        return Some(list);
    }
    let mut errors = Vec::new();
    let found = loader::read(&image.auxv, &image.memory(target.live_tid, false), &mut errors);
    if found.as_ref() == Some(list) {
        // A list that is corrupt, or whose memory the dump has no room for.
        return found;
    }
    let message =
        "the loader's list changed during the capture; the one in the dump is from after the standstill";
    soft_errors.push(SoftError::new(Stage::Loader, message).range(list.address, 0));
    soft_errors.extend(errors);
    found
}

/// Completes modules that were read from memory alone, because the target changed between the two readings, with
/// what their files tell. Memory as it was in the window counts more than as it is now.
fn finish_modules(target: &Target, image: &mut Image, loader: Option<&DsoDebug>) {
    if image.modules_are_final {
        return;
    }
    let files = TargetFiles::open(target.live_tid).ok();
    let lent = files.as_ref().map(|files| -> &dyn ModuleFiles { files });
    let memory = image.memory(target.live_tid, false);
    let mut errors = Vec::new();
    let (mappings, text) = (&image.mappings, &image.maps_text);
    let now = read_modules(mappings, text, &image.auxv, &memory, lent, loader, &mut errors);
    image.modules = merged(std::mem::take(&mut image.modules), now);
    image.module_errors = errors;
}

/// The modules of `now`, with identities that only `then` has, and with modules that are no more.
fn merged(then: Vec<Module>, now: Vec<Module>) -> Vec<Module> {
    let mut result = now;
    for old in then {
        match result.iter_mut().find(|module| module.base == old.base) {
            Some(module) if module.id.is_none() => module.id = old.id,
            Some(_) => {}
            None => result.push(old),
        }
    }
    result.sort_by_key(|module| module.base);
    wishes::without_overlaps(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::ModuleId;

    fn module(base: u64, id: Option<u8>) -> Module {
        Module {
            base,
            size: 0x1000,
            path: format!("/lib/{base:x}.so").into_bytes(),
            soname: None,
            version: None,
            id: id.map(|byte| ModuleId::BuildId(vec![byte; 20])),
            is_main: false,
            deleted: false,
        }
    }

    #[test]
    fn a_module_that_went_away_after_the_window_is_kept_and_ids_complete_each_other() {
        let then = vec![module(0x1000, Some(1)), module(0x3000, Some(3)), module(0x5000, None)];
        let now = vec![module(0x1000, None), module(0x5000, Some(5))];
        let expected = vec![module(0x1000, Some(1)), module(0x3000, Some(3)), module(0x5000, Some(5))];
        assert_eq!(merged(then, now), expected);
    }

    #[test]
    fn modules_never_overlap_after_the_merge() {
        let merged = merged(vec![module(0x1800, None)], vec![module(0x1000, None), module(0x2000, None)]);
        assert_eq!(merged, vec![module(0x1000, None), module(0x2000, None)]);
    }
}
