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
