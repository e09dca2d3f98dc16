//! The fixtures themselves: the emulator runs the programs to where their sources say.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use apple_tests::emulator::Stop;
use apple_tests::scene::{DEEP_STACK, Role, STACK, Scene};
use apple_tests::{Arch, programs, tools};

#[test]
fn emulated_threads_stop_where_the_sources_say() {
    let Some(tools) = tools::find("emulated_threads_stop_where_the_sources_say") else { return };
    for arch in Arch::ALL {
        let roles = [
            (Role::Crash, "libcrash.dylib`lib_leaf", Stop::Write(0x10)),
            (Role::Wait, "libsystem_kernel.dylib`__psynch_cvwait", Stop::SystemCall),
            (Role::Plugged, "libsystem_kernel.dylib`__psynch_cvwait", Stop::SystemCall),
            (Role::Abort, "libsystem_kernel.dylib`__pthread_kill", Stop::SystemCall),
            (Role::CallNull, "", Stop::Fetch(0)),
            (Role::Overflow, "crasher`app_recurse", Stop::Write(0)),
            (Role::DeepOverflow, "crasher`app_recurse", Stop::Write(0)),
            (Role::Descend(9), "libsystem_kernel.dylib`__psynch_cvwait", Stop::SystemCall),
        ];
        let scene = Scene::of(tools, programs::built(tools, arch), arch, &roles.map(|(role, ..)| role));
        for (index, (role, place, stop)) in roles.into_iter().enumerate() {
            let pc = scene.cpu(index).instruction_pointer();
            assert_eq!(scene.place(pc).unwrap_or_default(), place, "{arch:?} {role:?}");
            match (stop, scene.threads[index].stop) {
                (Stop::Write(0), Stop::Write(address)) => {
                    let bottom = scene.threads[index].bottom;
                    assert!(address < bottom && bottom - address < 64, "{address:#x} is below {bottom:#x}");
                }
                (expected, found) => assert_eq!(expected, found, "{arch:?} {role:?}"),
            }
            let size = if role == Role::DeepOverflow { DEEP_STACK } else { STACK };
            assert_eq!(scene.threads[index].stack.len() as u64, size);
        }
    }
}
