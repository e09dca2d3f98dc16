use super::*;
use minidump_snapshot::{MemorySource, ReadOutcome};
use proptest::prelude::*;

/// What has to hold of the facts of any process.
fn check(facts: &LoaderFacts, errors: &[SoftError]) {
    assert!(errors.len() <= MAX_ERRORS + 1);
    assert!(facts.modules.len() <= 3 + 3 * 4096);
    assert_eq!(facts.modules.len(), facts.images.len());
    for (module, image) in facts.modules.iter().zip(&facts.images) {
        assert!(module.size > 0 && module.base.checked_add(module.size).is_some());
        assert_eq!(module.base, image.base);
        assert!(image.code_view.len() <= 4096);
    }
    for pair in facts.modules.windows(2) {
        assert!(pair[0].base + pair[0].size <= pair[1].base);
    }
    assert!(facts.modules.iter().filter(|module| module.is_main).count() <= 1);
    assert!(facts.structures.len() < 100_000);
    assert!(facts.structures.iter().all(|(address, size)| address.checked_add(*size).is_some()));
    assert!(facts.unloaded_modules.len() <= 4096);
    assert!(facts.environment.as_ref().is_none_or(|block| block.text.len() <= 1 << 19));
}

/// Memory that is readable everywhere: each word is one of a few values, by its address.
struct Everywhere(Vec<u64>);

impl MemorySource for Everywhere {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        for (index, byte) in buffer.iter_mut().enumerate() {
            let at = address.wrapping_add(index as u64);
            let word = self.0[usize::try_from(at / 8 % self.0.len() as u64).unwrap()];
            *byte = word.to_le_bytes()[usize::try_from(at % 8).unwrap()];
        }
        ReadOutcome::complete(buffer.len())
    }
}

fn pointer_sizes() -> impl Strategy<Value = PointerSize> {
    prop_oneof![Just(PointerSize::Four), Just(PointerSize::Eight)]
}

proptest! {
    #[test]
    fn any_bytes_at_any_place_are_survived(
        pointer_size in pointer_sizes(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u64>(), 1_usize..9), 0..12),
        gone in proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
        without_map in any::<bool>(),
    ) {
        let mut world = World::new(pointer_size);
        world.trace = Some(UnloadTrace {
            pointer_size,
            ntdll: MODULES[1].1,
            element_size: PARAMETERS,
            element_count: PARAMETERS + 4,
            elements: PEB + 8,
        });
        if without_map {
            world.address_space.clear();
        }
        let addresses: Vec<u64> = world.pieces.keys().copied().collect();
        for (piece, at, value, size) in changes {
            let address = *piece.get(&addresses);
            let bytes = world.pieces.get_mut(&address).expect("a piece");
            let at = at.index(bytes.len());
            let size = size.min(bytes.len() - at);
            bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        }
        for piece in gone {
            world.pieces.remove(piece.get(&addresses));
        }
        let (facts, errors) = world.examine();
        check(&facts, &errors);
        if !without_map {
            let bases: Vec<u64> = facts.modules.iter().map(|module| module.base).collect();
            prop_assert!(MODULES.iter().all(|(_, base)| bases.contains(base)), "{bases:x?} {errors:?}");
        }
    }

    #[test]
    fn any_memory_map_is_survived(
        regions in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), 0_u32..3, any::<bool>()), 0..20),
    ) {
        let mut world = World::new(PointerSize::Eight);
        world.address_space = regions
            .into_iter()
            .map(|(base, allocation_base, size, state, image)| WindowsRegion {
                base,
                allocation_base,
                size,
                state: [0x1000, 0x2000, 0x1_0000][state as usize],
                kind: if image { 0x100_0000 } else { 0x2_0000 },
                ..WindowsRegion::default()
            })
            .collect();
        let (facts, errors) = world.examine();
        check(&facts, &errors);
    }
}

proptest! {
    // Each follows lists of thousands of entries.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn memory_that_is_readable_everywhere_has_an_end(
        pointer_size in pointer_sizes(),
        words in proptest::collection::vec(prop_oneof![any::<u64>(), 0_u64..0x1_0000, Just(PEB), Just(0x5a4d), Just(0x10_0010)], 1..60),
        peb in any::<u64>(),
    ) {
        let mut world = World::new(pointer_size);
        world.peb = peb;
        world.native = Some(peb.rotate_left(17));
        world.address_space.clear();
        world.trace =
            Some(UnloadTrace { pointer_size, ntdll: 0, element_size: peb, element_count: peb ^ 8, elements: peb ^ 16 });
        let (facts, errors) = world.examine_in(&Everywhere(words));
        check(&facts, &errors);
    }
}
