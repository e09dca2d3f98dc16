//! An image in its file, where the sections lie at other places than in memory.

use super::super::ImageFiles;
use super::headers::{Headers, Section};
use super::{ImageBytes, NoHeaders, PeFacts};
use std::cell::Cell;
use std::io;

/// The file of an image.
pub struct FileImage<'a> {
    files: &'a dyn ImageFiles,
    path: &'a str,
    /// Bytes at the beginning that lie in memory as in the file.
    headers_size: u32,
    sections: Vec<Section>,
    /// The error number of the first read that failed.
    failed: Cell<Option<Failure>>,
}

/// What the system said to a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// In the words of Rust's library.
    pub kind: io::ErrorKind,
    /// In numbers.
    pub os_error: Option<i32>,
}

/// Why a file tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoFile {
    /// It cannot be read.
    #[error("its file cannot be read: {}", .0.kind)]
    Read(Failure),
    /// It is no image.
    #[error("its file is not an image")]
    NoImage,
}

impl NoFile {
    /// The system's error number.
    #[must_use]
    pub fn os_error(self) -> Option<i32> {
        match self {
            Self::Read(failure) => failure.os_error,
            Self::NoImage => None,
        }
    }
}

impl<'a> FileImage<'a> {
    /// What the image in the file `path` tells.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn facts(files: &'a dyn ImageFiles, path: &'a str) -> Result<PeFacts, NoFile> {
        // Until they are known, everything is a header.
        let mut image =
            Self { files, path, headers_size: u32::MAX, sections: Vec::new(), failed: Cell::new(None) };
        let facts = Headers::read(&image).and_then(|headers| {
            image.sections = headers.sections(&image);
            image.headers_size = headers.own_size;
            PeFacts::read(&image)
        });
        facts.map_err(|error| match (error, image.failed.get()) {
            (NoHeaders::Unreadable, Some(failure)) => NoFile::Read(failure),
            _ => NoFile::NoImage,
        })
    }

    /// Where `rva` lies in the file, and how many bytes follow there.
    fn place(&self, rva: u32) -> Option<(u32, u32)> {
        let section = self.sections.iter().find_map(|section| {
            let inside = rva.checked_sub(section.rva).filter(|inside| *inside < section.size)?;
            Some((section.offset.checked_add(inside)?, section.size - inside))
        });
        section.or_else(|| Some((rva, self.headers_size.checked_sub(rva).filter(|room| *room > 0)?)))
    }

    fn read_file(&self, offset: u32, buffer: &mut [u8]) -> usize {
        self.files.read(self.path, offset.into(), buffer).unwrap_or_else(|error| {
            if self.failed.get().is_none() {
                self.failed.set(Some(Failure { kind: error.kind(), os_error: error.raw_os_error() }));
            }
            0
        })
    }
}

impl ImageBytes for FileImage<'_> {
    fn read(&self, rva: u32, buffer: &mut [u8]) -> usize {
        let Some((offset, room)) = self.place(rva) else { return 0 };
        let size = buffer.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        buffer.get_mut(..size).map_or(0, |buffer| self.read_file(offset, buffer)).min(size)
    }

    fn read_data(&self, rva: u32, offset: u32, buffer: &mut [u8]) -> usize {
        if offset == 0 { self.read(rva, buffer) } else { self.read_file(offset, buffer).min(buffer.len()) }
    }
}
