//! The note "all image infos", followed by its offsets.

use crate::build::{empty, encode, image, module, segment};
use crate::parse::{Core, word32, word64};
use minidump_snapshot::Protection;

/// What the note tells of an image.
#[derive(Debug, PartialEq, Eq)]
struct Image {
    path: Option<Vec<u8>>,
    uuid: [u8; 16],
    base: u64,
    segments: Option<Vec<([u8; 16], u64)>>,
    executing: u32,
}

fn index(value: u64) -> usize {
    usize::try_from(value).unwrap()
}

/// Reads the note as a reader does: by offsets in the file, which must all lie in the note.
fn images(core: &Core) -> Vec<Image> {
    let note = core.note("all image infos").unwrap();
    let bytes = &core.bytes;
    let range = note.offset..note.offset + note.contents.len();
    let at = note.offset;
    assert_eq!((word32(bytes, at), word32(bytes, at + 16), word32(bytes, at + 20)), (1, 48, 0));
    let (count, entries) = (word32(bytes, at + 4), word64(bytes, at + 8));
    let mut ends = vec![];
    let images = (0..u64::from(count)).map(|number| {
        let entry = index(entries + number * 48);
        assert!(range.contains(&entry) && range.contains(&(entry + 47)));
        let path = Some(word64(bytes, entry)).filter(|offset| *offset != u64::MAX).map(index);
        let path = path.map(|offset| {
            assert!(range.contains(&offset));
            let path = bytes[offset..range.end].split(|byte| *byte == 0).next().unwrap().to_vec();
            ends.push(offset + path.len() + 1);
            path
        });
        let place = Some(word64(bytes, entry + 32)).filter(|offset| *offset != u64::MAX).map(index);
        let segments = place.map(|offset| {
            let count = usize::try_from(word32(bytes, entry + 40)).unwrap();
            assert!(range.contains(&offset) && offset + 32 * count <= range.end);
            let segment = |number: usize| {
                let at = offset + 32 * number;
                assert_eq!(word64(bytes, at + 24), 0, "unused");
                (bytes[at..at + 16].try_into().unwrap(), word64(bytes, at + 16))
            };
            (0..count).map(segment).collect()
        });
        assert!(place.is_some() || word32(bytes, entry + 40) == 0);
        let uuid = bytes[entry + 8..entry + 24].try_into().unwrap();
        let executing = word32(bytes, entry + 44);
        Image { path, uuid, base: word64(bytes, entry + 24), segments, executing }
    });
    let images: Vec<Image> = images.collect();
    if let Some(end) = ends.last() {
        assert_eq!(*end, range.end, "the last path ends the note");
    }
    images
}

#[test]
fn images_have_paths_uuids_and_slid_segments_the_main_one_first() {
    let mut snapshot = empty();
    let code = Protection::READ | Protection::EXECUTE;
    let main_segments = vec![
        segment(b"__TEXT", 0x2_0000_0000, 0x4000, code),
        segment(b"__a_name_of_16__", 0x2_0000_4000, 0x4000, Protection::READ),
    ];
    let library_segments = vec![segment(b"__TEXT", 0x1_0000_0000, 0x8000, code)];
    snapshot.modules = vec![
        module(0x1_0000_0000, b"/usr/lib/libA.dylib", 1),
        module(0x2_0000_0000, "/Applications/Zürich".as_bytes(), 2),
        module(0x3_0000_0000, b"", 3),
    ];
    snapshot.modules[1].is_main = true;
    snapshot.modules[2].id = None;
    let mut library = image(0x1_0000_0000, 0x1_0000_0000, library_segments);
    library.executing = false;
    snapshot.apple.as_mut().unwrap().images =
        vec![library, image(0x2_0000_0000, 0x1_0000_0000, main_segments)];
    let mut text = [0; 16];
    text[..6].copy_from_slice(b"__TEXT");
    let expected = [
        Image {
            path: Some("/Applications/Zürich".into()),
            uuid: [2; 16],
            base: 0x2_0000_0000,
            segments: Some(vec![(text, 0x2_0000_0000), (*b"__a_name_of_16__", 0x2_0000_4000)]),
            executing: 1,
        },
        Image {
            path: Some(b"/usr/lib/libA.dylib".to_vec()),
            uuid: [1; 16],
            base: 0x1_0000_0000,
            segments: Some(vec![(text, 0x1_0000_0000)]),
            executing: 0,
        },
        Image { path: None, uuid: [0; 16], base: 0x3_0000_0000, segments: None, executing: 0 },
    ];
    assert_eq!(images(&encode(&snapshot)), expected);
}

#[test]
fn two_thousand_images_are_all_listed() {
    let mut snapshot = empty();
    let bases = (0..2000_u64).map(|number| 0x1_0000_0000 + number * 0x10_0000);
    snapshot.modules =
        bases.clone().map(|base| module(base, format!("/lib{base:x}").as_bytes(), 1)).collect();
    let segments = |base| vec![segment(b"__TEXT", base, 0x8000, Protection::READ); 4];
    snapshot.apple.as_mut().unwrap().images =
        bases.clone().map(|base| image(base, base, segments(base))).collect();
    let found = images(&encode(&snapshot));
    assert_eq!(found.len(), 2000);
    for (image, base) in found.iter().zip(bases) {
        assert_eq!((image.base, image.segments.as_ref().unwrap()[3].1), (base, base));
        assert_eq!(image.path, Some(format!("/lib{base:x}").into_bytes()));
    }
}
