use super::commands::walk;
use super::{HEADER_SIZE, Image, MAGIC};
use crate::bytes::u32_at;
use crate::memory::TaskMemory;
use minidump_snapshot::{SoftError, Stage};

/// Most bytes of load commands of one image.
const MOST_COMMANDS: usize = 1 << 20;

/// Most bytes of load commands of all images: those of a process with two thousand are a tenth of it.
const MOST_IN_ALL: usize = 64 << 20;

/// Read at first: mostly, header and load commands lie in it.
const FIRST: usize = 4096;

/// Reads images from the target's memory.
#[derive(Debug)]
pub struct ImageReader<'a> {
    memory: &'a TaskMemory<'a>,
    /// Bytes that may still be read.
    left: usize,
}

impl<'a> ImageReader<'a> {
    pub fn new(memory: &'a TaskMemory<'a>) -> Self {
        Self { memory, left: MOST_IN_ALL }
    }

    /// The image whose header lies at `base`. What is wrong with it is reported, and what can be known is kept.
    pub fn read(&mut self, base: u64, path: Vec<u8>, errors: &mut Vec<SoftError>) -> Image {
        let mut image = Image { base, path, ..Image::default() };
        if let Err(message) = self.fill(&mut image) {
            let name = String::from_utf8_lossy(&image.path).into_owned();
            let message = format!("the image {name} is incomplete: {message}");
            errors.push(SoftError::new(Stage::Module, message).range(base, image.header_size));
        }
        if image.path.is_empty() {
            image.path = image.own_name.clone().unwrap_or_default();
        }
        image
    }

    fn fill(&mut self, image: &mut Image) -> Result<(), String> {
        let mut bytes = vec![0; FIRST.min(self.left)];
        let (done, error) = self.memory.read_some(image.base, &mut bytes);
        bytes.truncate(done);
        let fields = [0, 4, 8, 12, 16, 20].map(|offset| u32_at(&bytes, offset));
        let [Some(magic), Some(cpu_type), Some(cpu_subtype), Some(file_type), Some(count), Some(size)] =
            fields
        else {
            return Err(match error {
                Some(error) => format!("its header cannot be read: {error}"),
                None => "its header is not read, as the others have taken all the room".into(),
            });
        };
        if magic != MAGIC {
            return Err(format!("its header begins with {magic:#x}, which is no 64-bit Mach-O image's"));
        }
        (image.cpu_type, image.cpu_subtype, image.file_type) = (cpu_type, cpu_subtype, file_type);
        let wanted = usize::try_from(size).unwrap_or(usize::MAX);
        let size = wanted.min(MOST_COMMANDS).min(self.left.saturating_sub(HEADER_SIZE));
        self.left = self.left.saturating_sub(size.max(HEADER_SIZE));
        let end = HEADER_SIZE.saturating_add(size);
        if bytes.len() == FIRST && end > FIRST {
            bytes.resize(end, 0);
            let behind = image.base.saturating_add(FIRST as u64);
            let (more, _) = self.memory.read_some(behind, bytes.get_mut(FIRST..).unwrap_or_default());
            bytes.truncate(FIRST.saturating_add(more));
        }
        bytes.truncate(end);
        image.header_size = bytes.len() as u64;
        let walked = walk(image, bytes.get(HEADER_SIZE..).unwrap_or_default(), count);
        if wanted > size {
            return Err(format!("its load commands have {wanted} bytes"));
        }
        walked.map_err(|error| error.to_string())
    }
}
