use super::super::parameters::without_environment;
use super::super::reader::units;
use super::test_pe::utf16;
use super::world::{ENVIRONMENT, PARAMETERS, World, messages};
use super::*;

fn environment_text(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

#[test]
fn the_environment_ends_at_its_empty_text() {
    for pointer_size in BOTH {
        let world = World::new(pointer_size);
        let block = world.examine().0.environment.expect("found");
        assert_eq!(block.address, ENVIRONMENT);
        assert_eq!(block.text, environment_text("PATH=C:\\Windows\0TOKEN=abc\0"));
    }
}

#[test]
fn an_environment_of_unknown_size_is_read_to_its_end() {
    for told in [0, u64::MAX] {
        let mut world = World::new(PointerSize::Eight);
        let field = world.layout().parameters.environment_size;
        world.set_pointer(PARAMETERS + field as u64, told);
        // The zeros at the end lie in two different pieces of those that are read one after the other.
        let text = format!("NAME={}\0", "x".repeat(2047 - 5));
        world.pieces.insert(ENVIRONMENT, [utf16(&text), vec![0, 0], vec![9; 64]].concat());
        let (facts, errors) = world.examine();
        assert_eq!(facts.environment.expect("found").text, environment_text(&text));
        assert_eq!(errors, []);
    }
}

#[test]
fn an_empty_environment_is_one() {
    let mut world = World::new(PointerSize::Eight);
    world.pieces.insert(ENVIRONMENT, vec![0; 4]);
    let (facts, errors) = world.examine();
    assert_eq!(facts.environment, Some(EnvironmentBlock { address: ENVIRONMENT, text: vec![] }));
    assert_eq!(errors, []);
}

#[test]
fn an_environment_without_an_end_is_cut_and_reported() {
    let mut world = World::new(PointerSize::Eight);
    world.pieces.insert(ENVIRONMENT, utf16("PATH=C:\\"));
    let (facts, errors) = world.examine();
    assert_eq!(facts.environment.expect("found").text, environment_text("PATH=C:\\"));
    assert_eq!(messages(&errors), ["the environment has no end, or cannot be read to its end"]);
    assert_eq!((errors[0].address, errors[0].size), (Some(ENVIRONMENT), Some(16)));
}

#[test]
fn parameters_that_were_not_adapted_yet_have_offsets_instead_of_pointers() {
    for pointer_size in BOTH {
        let mut world = World::new(pointer_size);
        let layout = &world.layout().parameters;
        world.set(PARAMETERS + layout.flags as u64, &0_u32.to_le_bytes());
        let pointer = pointer_size.bytes();
        world.set_pointer(PARAMETERS + (layout.image_path + pointer) as u64, 0x400);
        world.set_pointer(PARAMETERS + (layout.command_line + pointer) as u64, 0x480);
        world.set_pointer(PARAMETERS + layout.environment as u64, ENVIRONMENT - PARAMETERS);
        let (facts, errors) = world.examine();
        assert_eq!(errors, []);
        assert_eq!(facts, World::new(pointer_size).examine().0);
    }
}

#[test]
fn texts_that_cannot_be_read_are_soft_errors() {
    for pointer_size in BOTH {
        let mut world = World::new(pointer_size);
        let layout = &world.layout().parameters;
        let odd = world.string(7, PARAMETERS + 0x400);
        world.set(PARAMETERS + layout.image_path as u64, &odd);
        let dangling = world.string(8, 0x66);
        world.set(PARAMETERS + layout.command_line as u64, &dangling);
        let (facts, errors) = world.examine();
        assert_eq!(facts.executable.as_deref(), Some(b"C:\\".as_slice()));
        assert_eq!(facts.command_line, None);
        let expected = [
            "the path of the executable cannot be read to its end",
            "the command line cannot be read to its end",
        ];
        assert_eq!(messages(&errors), expected);
        assert_eq!((errors[1].address, errors[1].size), (Some(0x66), Some(8)));
    }
}

#[test]
fn parameters_and_block_that_cannot_be_read_are_soft_errors() {
    let mut world = World::new(PointerSize::Eight);
    world.pieces.remove(&PARAMETERS);
    let (facts, errors) = world.examine();
    assert_eq!(messages(&errors), ["the process parameters cannot be read"]);
    assert_eq!((facts.executable, facts.command_line, facts.environment), (None, None, None));
    world.peb = 0x66;
    let (facts, errors) = world.examine();
    assert_eq!(messages(&errors), ["the process environment block cannot be read"]);
    assert_eq!(errors[0].address, Some(0x66));
    assert_eq!(facts.modules.len(), 3, "the memory map shows them");
    assert!(facts.modules[0].is_main, "the only program");
}

#[test]
fn what_lies_in_the_environment_is_taken_out_of_ranges() {
    let block = EnvironmentBlock { address: 0x1000, text: vec![0; 0x80] };
    let ranges =
        vec![(0xf00, 0x100), (0xf00, 0x101), (0x1000, 0x100), (0x10ff, 2), (0x1100, 1), (0x800, 0x1000)];
    let expected =
        [(0xf00, 0x100), (0xf00, 0x100), (0x1100, 1), (0x1100, 1), (0x800, 0x800), (0x1100, 0x700)];
    assert_eq!(without_environment(ranges, &block), expected);
    assert_eq!(units(&[1, 2, 3]), [0x0201]);
}

#[test]
fn the_command_line_and_the_environment_are_among_the_structures_as_asked_for() {
    for pointer_size in BOTH {
        let facts = World::new(pointer_size).examine().0;
        let holds = |structures: &[(u64, u64)], (start, size): (u64, u64)| {
            let covered =
                |at| structures.iter().any(|(address, size)| (*address..address + size).contains(&at));
            let count = (start..start + size).filter(|at| covered(*at)).count() as u64;
            assert!(count == 0 || count == size, "{count} of {size} bytes");
            count > 0
        };
        let command_line = facts.command_line_at.unwrap();
        assert_eq!(command_line, (PARAMETERS + 0x480, 2 * 30));
        let environment = (ENVIRONMENT, facts.environment.as_ref().unwrap().text.len() as u64 * 2);
        for (line, environ) in [(false, false), (false, true), (true, false), (true, true)] {
            let structures = facts.structures_with(line, environ);
            assert_eq!(holds(&structures, command_line), line);
            assert_eq!(holds(&structures, environment), environ);
        }
    }
}
