//! What of a dump the bench looks at. It reads only what it needs: what the harness holds in memory counts as memory of
//! the dumpers it forks.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

/// Size in bytes of a dump.
pub fn size(path: &Path) -> Result<u64, String> {
    let metadata = path.metadata().map_err(|error| format!("no dump at {}: {error}", path.display()))?;
    Ok(metadata.len())
}

/// Number of threads of a minidump.
pub fn threads(path: &Path) -> Result<u32, String> {
    let threads = File::open(path).and_then(|dump| thread_count(&dump));
    let threads = threads.map_err(|error| format!("the dump cannot be read: {error}"))?;
    threads.ok_or_else(|| "the file is not a minidump with a thread list".to_owned())
}

/// Reads the `ThreadListStream` (3) of a little-endian minidump: the header holds the number of streams at 8 and the RVA
/// of the directory at 12, a directory entry is type, size and RVA, and the list starts with its length
/// (`MINIDUMP_HEADER`, `MINIDUMP_DIRECTORY`, `MINIDUMP_THREAD_LIST` in `minidumpapiset.h`).
fn thread_count(dump: &File) -> io::Result<Option<u32>> {
    const SIGNATURE: u32 = u32::from_le_bytes(*b"MDMP");
    const THREAD_LIST: u32 = 3;
    if number(dump, 0)? != SIGNATURE {
        return Ok(None);
    }
    let streams = u64::from(number(dump, 8)?);
    let directory = u64::from(number(dump, 12)?);
    for index in 0..streams {
        let entry = directory + index * 12;
        if number(dump, entry)? == THREAD_LIST {
            return number(dump, number(dump, entry + 8)?.into()).map(Some);
        }
    }
    Ok(None)
}

fn number(dump: &File, at: u64) -> io::Result<u32> {
    let mut bytes = [0; 4];
    dump.read_exact_at(&mut bytes, at)?;
    Ok(u32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::thread_count;
    use std::{fs::File, io, io::Write};

    /// A file with these words behind the signature.
    fn dump(words: &[u32]) -> File {
        file(
            &[b"MDMP".as_slice(), &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>()]
                .concat(),
        )
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn the_thread_count_is_found_behind_other_streams() {
        // Version, two streams, directory at 16; SystemInfo (7) and ThreadList (3) with its list at 40.
        let file = dump(&[0xa793, 2, 16, 7, 4, 40, 3, 4, 40, 99]);
        assert_eq!(thread_count(&file).unwrap(), Some(99));
    }

    #[test]
    fn a_file_without_a_thread_list_has_no_thread_count() {
        assert_eq!(thread_count(&file(b"ELF what is this")).unwrap(), None);
        assert_eq!(thread_count(&dump(&[0xa793, 1, 16, 7, 4, 28, 5])).unwrap(), None);
    }

    #[test]
    fn a_file_that_is_cut_off_is_an_error() {
        for file in [
            file(b""),
            dump(&[0xa793]),
            dump(&[0xa793, u32::MAX, 16, 4, 4, 16]),
            dump(&[0xa793, 1, 16, 3, 4, 4000]),
        ] {
            assert_eq!(thread_count(&file).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
