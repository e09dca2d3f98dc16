use super::test_pe::{put, utf16};
use super::world::{TRACE, messages};
use super::*;

/// A world with three unloaded modules in an array that has begun anew, and an unused element.
fn world(pointer_size: PointerSize) -> World {
    let mut world = World::new(pointer_size);
    let layout = &world.layout().unloaded;
    let element = layout.size + 12;
    let array = TRACE + 0x100;
    let mut bytes = vec![0; 0x100 + 4 * element];
    put(&mut bytes, 0, &u32::try_from(element).unwrap().to_le_bytes());
    put(&mut bytes, 4, &4_u32.to_le_bytes());
    put(&mut bytes, 8, &world.pointer(array));
    for (index, (sequence, name)) in
        [(66_u32, "c.dll"), (64, "a.dll"), (65, "a name of just thirty-two units.")].into_iter().enumerate()
    {
        let at = 0x100 + index * element;
        put(&mut bytes, at, &world.pointer(0x2000_0000 + u64::from(sequence) * 0x1_0000));
        put(&mut bytes, at + layout.image_size, &world.pointer(0x5000));
        put(&mut bytes, at + layout.sequence, &sequence.to_le_bytes());
        put(&mut bytes, at + layout.time_stamp, &(sequence + 1).to_le_bytes());
        put(&mut bytes, at + layout.check_sum, &(sequence + 2).to_le_bytes());
        put(&mut bytes, at + layout.name, &utf16(name));
    }
    world.pieces.insert(TRACE, bytes);
    world.trace = Some(UnloadTrace {
        pointer_size,
        ntdll: MODULES[1].1,
        element_size: TRACE,
        element_count: TRACE + 4,
        elements: TRACE + 8,
    });
    world
}

#[test]
fn the_latest_comes_first() {
    for pointer_size in BOTH {
        let (facts, errors) = world(pointer_size).examine();
        assert_eq!(errors, []);
        let expected = |sequence: u32, name: &str| UnloadedModule {
            base: 0x2000_0000 + u64::from(sequence) * 0x1_0000,
            size: 0x5000,
            check_sum: sequence + 2,
            time_stamp: sequence + 1,
            name: name.to_owned(),
        };
        let all =
            [expected(66, "c.dll"), expected(65, "a name of just thirty-two units."), expected(64, "a.dll")];
        assert_eq!(facts.unloaded_modules, all);
    }
}

#[test]
fn an_array_that_was_never_made_is_empty() {
    for pointer_size in BOTH {
        let mut world = world(pointer_size);
        world.set_pointer(TRACE + 8, 0);
        let (facts, errors) = world.examine();
        assert_eq!((facts.unloaded_modules, errors), (vec![], vec![]));
    }
}

#[test]
fn the_variables_of_another_ntdll_are_not_read() {
    let mut world = world(PointerSize::Eight);
    world.trace.as_mut().expect("there").ntdll += 0x1_0000;
    let (facts, errors) = world.examine();
    assert_eq!(facts.unloaded_modules, []);
    assert_eq!(
        messages(&errors),
        ["the unloaded modules are not known: ntdll is not where the dumper has it"]
    );
}

#[test]
fn broken_variables_and_arrays_are_soft_errors() {
    type Breakage = (fn(&mut World), &'static str);
    let breakages: [Breakage; 5] = [
        (|world| world.set(TRACE, &3_u32.to_le_bytes()), "4 elements of 3 bytes are implausible"),
        (|world| world.set(TRACE, &[0xff; 4]), "4 elements of 4294967295 bytes are implausible"),
        (|world| world.set(TRACE + 4, &[0xff; 4]), "4294967295 elements of 104 bytes are implausible"),
        (|world| world.set_pointer(TRACE + 8, 0x66), "their array cannot be read"),
        (|world| world.pieces.retain(|address, _| *address != TRACE), "ntdll's variables cannot be read"),
    ];
    for (breakage, expected) in breakages {
        let mut world = world(PointerSize::Eight);
        breakage(&mut world);
        let (facts, errors) = world.examine();
        assert_eq!(facts.unloaded_modules, []);
        assert_eq!(messages(&errors), [format!("the unloaded modules are not known: {expected}")]);
    }
}

#[test]
fn an_array_that_ends_early_is_kept_up_to_there() {
    let mut world = world(PointerSize::Eight);
    world.set(TRACE + 4, &4096_u32.to_le_bytes());
    let (facts, errors) = world.examine();
    assert_eq!((facts.unloaded_modules.len(), errors.len()), (3, 0));
}
