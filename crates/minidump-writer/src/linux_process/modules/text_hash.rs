use super::elf_image::Header;
use super::sections::{self, ImageBytes};

/// Bytes of the text section that go into the hash.
const HASHED: usize = 4096;

/// Breakpad's identity of an image without a build id (`common/linux/file_id.cc`, `HashElfTextSection`): the first
/// 4096 bytes of the section `.text`, cut into pieces of 16 bytes that are `XORed` together.
///
/// When the section is shorter, only its own bytes count. `None` when there is no such section, it is empty, or it
/// cannot be read as far as it is hashed: a hash of less would be another identity.
#[must_use]
pub fn text_hash(image: &dyn ImageBytes, header: &Header) -> Option<[u8; 16]> {
    let section = sections::find(image, header, sections::PROGBITS, b".text")?;
    let size = usize::try_from(section.size).unwrap_or(usize::MAX).min(HASHED);
    let text = image.bytes_at(section.offset, size);
    (size > 0 && text.len() == size).then(|| fold(&text))
}

fn fold(text: &[u8]) -> [u8; 16] {
    let mut hash = [0; 16];
    for piece in text.chunks(hash.len()) {
        for (sum, byte) in hash.iter_mut().zip(piece) {
            *sum ^= byte;
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_sixteen_bytes_are_folded() {
        let mut text = vec![0u8; 40];
        text[0] = 0x0f;
        text[16] = 0xff;
        text[17] = 1;
        text[39] = 0x80;
        let mut expected = [0; 16];
        expected[0] = 0xf0;
        expected[1] = 1;
        expected[7] = 0x80;
        assert_eq!(fold(&text), expected);
    }
}
