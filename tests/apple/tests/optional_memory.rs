//! Cores with more memory than by default: what it tells readers who have no files.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use apple_tests::lldb::{self, Question};
use apple_tests::scene::{Role, Scene};
use apple_tests::strict::Core;
use apple_tests::{Arch, dumps, programs, tools};
use minidump_mach::{CaptureOptions, ImageHeaders};
use minidump_snapshot::{MemoryMode, MemoryPolicy};

const ROLES: [Role; 3] = [Role::Crash, Role::Wait, Role::Plugged];

/// With the headers of images, LLDB lists their names, addresses and identities, without any file.
#[test]
fn headers_of_images_name_the_modules_for_a_reader_without_files() {
    let Some(tools) = tools::find("headers_of_images_name_the_modules_for_a_reader_without_files") else {
        return;
    };
    for arch in Arch::ALL {
        let scene = Scene::of(tools, programs::built(tools, arch), arch, &ROLES);
        let crash = dumps::crash_of(0, dumps::exception(&scene, 0));
        let options = CaptureOptions { image_headers: ImageHeaders::All, ..CaptureOptions::default() };
        let dump = dumps::core_of(&scene.task(), Some(&crash), &options);
        Core::parse(&dump.bytes).unwrap();
        let answer = lldb::ask_one(tools, Question::bare(&dump.path, arch));
        for image in &scene.images {
            let listed = answer.images.iter().filter(|listed| listed.uuid == image.uuid_text());
            let listed: Vec<_> = listed.map(|listed| (listed.address, listed.path.as_str())).collect();
            assert_eq!(listed, [(image.base, image.path.as_str())], "{arch:?}");
        }
        // Headers do not cost frames.
        let depths: Vec<usize> = answer.threads.iter().map(|thread| thread.frames.len()).collect();
        assert_eq!(depths, [7, 4, 6], "{arch:?}");
    }
}

/// With all memory, LLDB names functions from the images in the core itself.
#[test]
fn all_memory_names_functions_for_a_reader_without_files() {
    let Some(tools) = tools::find("all_memory_names_functions_for_a_reader_without_files") else { return };
    for arch in Arch::ALL {
        let scene = Scene::of(tools, programs::built(tools, arch), arch, &ROLES);
        let crash = dumps::crash_of(0, dumps::exception(&scene, 0));
        let memory = MemoryPolicy { mode: MemoryMode::Full, ..MemoryPolicy::default() };
        let options = CaptureOptions { memory, shared_cache: true, ..CaptureOptions::default() };
        let dump = dumps::core_of(&scene.task(), Some(&crash), &options);
        let core = Core::parse(&dump.bytes).unwrap();
        for (index, thread) in scene.threads.iter().enumerate() {
            let stack = core.memory(thread.bottom, thread.stack.len() as u64);
            assert_eq!(stack.as_deref(), Some(&thread.stack[..]), "{arch:?} thread {index}: the whole stack");
        }
        let answer = lldb::ask_one(tools, Question::bare(&dump.path, arch));
        let crashed = [
            "libcrash.dylib`lib_leaf",
            "libcrash.dylib`lib_mid",
            "libcrash.dylib`lib_entry",
            "crasher`app_work",
            "crasher`app_run",
            "crasher`main",
            "dyld`start",
        ];
        let waits = [
            "libsystem_kernel.dylib`__psynch_cvwait",
            "libsystem_pthread.dylib`wait_for_work",
            "crasher`app_idle",
            "libsystem_pthread.dylib`thread_start",
        ];
        assert_eq!(scene.shown(&answer.threads[0].frames), crashed, "{arch:?}");
        assert_eq!(scene.shown(&answer.threads[1].frames), waits, "{arch:?}");
    }
}
