//! Sections of debug information that are compressed (`SHF_COMPRESSED`, ELF gABI; `.zdebug` of GNU).

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use object::{CompressedData, CompressionFormat};
use std::borrow::Cow;

/// What a section holds; `None` when it is damaged, or compressed in another way than by zlib or zstd.
pub fn decompressed(section: CompressedData<'_>) -> Option<Cow<'_, [u8]>> {
    let CompressedData { format, data, uncompressed_size } = section;
    let size = usize::try_from(uncompressed_size).ok()?;
    let contents = match format {
        CompressionFormat::None => return Some(Cow::Borrowed(data)),
        CompressionFormat::Zlib => decompress_to_vec_zlib_with_limit(data, size).ok()?,
        CompressionFormat::Zstandard => from_zstd(data, size)?,
        _ => return None,
    };
    (contents.len() == size).then_some(Cow::Owned(contents))
}

fn from_zstd(data: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut contents = Vec::new();
    // The size is the file's word: there may be no room for it.
    contents.try_reserve_exact(size).ok()?;
    zstd::bulk::Decompressor::new().ok()?.decompress_to_buffer(data, &mut contents).ok()?;
    Some(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::compress_to_vec_zlib;

    fn read(format: CompressionFormat, data: &[u8], size: usize) -> Option<Vec<u8>> {
        let section = CompressedData { format, data, uncompressed_size: size as u64 };
        decompressed(section).map(Cow::into_owned)
    }

    #[test]
    fn sections_of_either_kind_are_read_and_damaged_ones_are_not() {
        let contents: Vec<u8> = (0..40_000_u32).flat_map(|word| (word / 5).to_le_bytes()).collect();
        let size = contents.len();
        let zlib = (CompressionFormat::Zlib, compress_to_vec_zlib(&contents, 6));
        let zstd = (CompressionFormat::Zstandard, zstd::encode_all(contents.as_slice(), 1).unwrap());
        for (format, packed) in [zlib, zstd] {
            assert!(packed.len() < size / 2);
            assert_eq!(read(format, &packed, size), Some(contents.clone()));
            for wrong in [0, size - 1, size + 1, usize::MAX] {
                assert_eq!(read(format, &packed, wrong), None, "{format:?} {wrong}");
            }
            assert_eq!(read(format, &packed[..packed.len() / 2], size), None, "{format:?}");
            assert_eq!(read(format, &[], size), None, "{format:?}");
        }
        assert_eq!(read(CompressionFormat::None, b"as it is", 8), Some(b"as it is".to_vec()));
        assert_eq!(read(CompressionFormat::Unknown, b"", 0), None);
    }
}
