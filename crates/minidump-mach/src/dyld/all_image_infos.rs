use crate::bytes::{array_at, pair, u32_at, u64_at};
use crate::memory::TaskMemory;
use crate::{KernReturn, MachTask, TaskFlavor};
use minidump_snapshot::SharedCache;

/// Size of the structure in version 18.
const SIZE: u64 = 368;

/// Most bytes of dyld's message.
const MOST_MESSAGE: usize = 4096;

/// `dyld_all_image_infos` (mach-o/dyld_images.h), as far as the target's version and size go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllImageInfos {
    /// Its address.
    pub address: u64,
    pub version: u32,
    pub count: u32,
    /// Address of the list; 0 while dyld changes it.
    pub array: u64,
    pub dyld_base: Option<u64>,
    /// Addresses of strings.
    pub dyld_path: Option<u64>,
    pub error_message: Option<u64>,
    pub shared_cache: Option<SharedCache>,
    pub platform: Option<u32>,
    /// When dyld changed the list last; it sets this before the list is valid again.
    pub changed_at: Option<u64>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoInfos {
    #[error("the kernel does not tell where dyld's structures are: {0}")]
    NotTold(KernReturn),
    #[error("the kernel does not tell where dyld's structures are")]
    Short,
    #[error("the process has no dyld, or has not begun to load it")]
    None,
    #[error("the process has 32 bits, which are not supported")]
    NotSixtyFour,
    #[error("dyld's structures cannot be read: {0}")]
    Unreadable(KernReturn),
    #[error("dyld's structures are {0} bytes, which is too few")]
    TooSmall(u64),
    #[error("dyld's structures have version 0: they are not set up")]
    NotSetUp,
}

impl AllImageInfos {
    /// Finds the structure, and reads what there is of it.
    pub fn read(task: &dyn MachTask, memory: &TaskMemory<'_>) -> Result<Self, NoInfos> {
        let mut words = [0; 5];
        let count = task.task_info(TaskFlavor::Dyld, &mut words).map_err(NoInfos::NotTold)?;
        let words = words.get(..count).ok_or(NoInfos::Short)?;
        let address = pair(words, 0).ok_or(NoInfos::Short)?;
        let size = pair(words, 2).ok_or(NoInfos::Short)?;
        if address == 0 {
            return Err(NoInfos::None);
        }
        // Systems before 10.8 tell no format, and no system that is in use runs programs of 32 bits.
        if words.get(4) == Some(&0) {
            return Err(NoInfos::NotSixtyFour);
        }
        let mut bytes = vec![0; usize::try_from(size.min(SIZE)).unwrap_or_default()];
        let (done, error) = memory.read_some(address, &mut bytes);
        bytes.truncate(done);
        match (Self::decode(address, &bytes), error) {
            (Some(infos), _) if infos.version == 0 => Err(NoInfos::NotSetUp),
            (Some(infos), _) => Ok(infos),
            (None, Some(error)) => Err(NoInfos::Unreadable(error)),
            (None, None) => Err(NoInfos::TooSmall(size)),
        }
    }

    /// Decodes the structure, of which there may be less than its version tells.
    pub fn decode(address: u64, bytes: &[u8]) -> Option<Self> {
        let version = u32_at(bytes, 0)?;
        let since = |least: u32, offset: usize| u64_at(bytes, offset).filter(|_| version >= least);
        let pointer = |least: u32, offset: usize| since(least, offset).filter(|value| *value != 0);
        let uuid: Option<[u8; 16]> = array_at(bytes, 160).filter(|uuid| version >= 13 && *uuid != [0; 16]);
        let cache = uuid.zip(pointer(15, 176)).zip(since(12, 152));
        Some(Self {
            address,
            version,
            count: u32_at(bytes, 4)?,
            array: u64_at(bytes, 8)?,
            dyld_base: pointer(2, 32),
            dyld_path: pointer(15, 192),
            error_message: pointer(5, 56),
            shared_cache: cache.map(|((uuid, base), slide)| SharedCache { uuid, base, slide }),
            changed_at: pointer(15, 184),
            platform: u32_at(bytes, 320).filter(|platform| version >= 17 && *platform != 0),
        })
    }

    /// What dyld said when it ended the process.
    pub fn error(&self, memory: &TaskMemory<'_>) -> Option<Vec<u8>> {
        let (text, _) = memory.read_string(self.error_message?, MOST_MESSAGE).ok()?;
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::tests::bytes_with;

    fn infos() -> Vec<u8> {
        let word = u64::to_le_bytes;
        bytes_with(
            368,
            &[
                (0, &18_u32.to_le_bytes()),
                (4, &7_u32.to_le_bytes()),
                (8, &word(0x1000)),
                (16, &word(0xbad)),
                (32, &word(0x2000)),
                (48, &word(0xbad)),
                (56, &word(0x3000)),
                (152, &word(0x4000)),
                (160, &[0xab; 16]),
                (176, &word(0x5000)),
                (184, &word(0x6000)),
                (192, &word(0x7000)),
                (320, &2_u32.to_le_bytes()),
            ],
        )
    }

    #[test]
    fn fields_lie_where_dyld_puts_them() {
        let found = AllImageInfos::decode(0x99, &infos()).unwrap();
        let expected = AllImageInfos {
            address: 0x99,
            version: 18,
            count: 7,
            array: 0x1000,
            dyld_base: Some(0x2000),
            dyld_path: Some(0x7000),
            error_message: Some(0x3000),
            shared_cache: Some(SharedCache { uuid: [0xab; 16], base: 0x5000, slide: 0x4000 }),
            platform: Some(2),
            changed_at: Some(0x6000),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn any_part_of_it_is_decoded_as_far_as_it_goes() {
        let whole = infos();
        for size in 0..whole.len() {
            let found = AllImageInfos::decode(0, &whole[..size]);
            assert_eq!(found.is_some(), size >= 16);
            let Some(found) = found else { continue };
            assert_eq!(found.dyld_base.is_some(), size >= 40);
            assert_eq!(found.shared_cache.is_some(), size >= 184);
            assert_eq!(found.dyld_path.is_some(), size >= 200);
            assert_eq!(found.platform.is_some(), size >= 324);
        }
    }
}
