use crate::minidump::deferred::Deferred;
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::MINIDUMP_STREAM_TYPE;
use minidump_snapshot::{LinuxFacts, Snapshot};

/// A file of /proc or /etc, byte for byte, as a stream of its own. Breakpad's invention.
pub(crate) struct LinuxTextSection<'a> {
    stream_type: MINIDUMP_STREAM_TYPE,
    text: &'a [u8],
}

/// The texts there are. `LinuxMaps`, usually the longest, comes last.
pub(crate) fn linux_texts(facts: &LinuxFacts) -> impl Iterator<Item = LinuxTextSection<'_>> {
    let texts = [
        (MINIDUMP_STREAM_TYPE::LinuxAuxv, &facts.auxv),
        (MINIDUMP_STREAM_TYPE::LinuxCmdLine, &facts.cmdline),
        (MINIDUMP_STREAM_TYPE::LinuxProcStatus, &facts.status),
        (MINIDUMP_STREAM_TYPE::LinuxLsbRelease, &facts.lsb_release),
        (MINIDUMP_STREAM_TYPE::MozLinuxLimits, &facts.limits),
        (MINIDUMP_STREAM_TYPE::LinuxEnviron, &facts.environ),
        (MINIDUMP_STREAM_TYPE::LinuxCpuInfo, &facts.cpu_info),
        (MINIDUMP_STREAM_TYPE::LinuxMaps, &facts.maps),
    ];
    texts
        .into_iter()
        .filter_map(|(stream_type, text)| text.as_deref().map(|text| LinuxTextSection { stream_type, text }))
}

/// The text of the stream of this type.
pub(crate) fn linux_text(snapshot: &Snapshot, stream_type: MINIDUMP_STREAM_TYPE) -> Option<&[u8]> {
    let mut texts = snapshot.linux.iter().flat_map(linux_texts);
    texts.find(|section| section.stream_type == stream_type).map(|section| section.text)
}

impl SectionWriter for LinuxTextSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        // The auxiliary vector is an array of 64-bit words.
        buffer.align(8);
        let location = buffer.defer(self.text.len() as u64, Deferred::Text(self.stream_type))?;
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        self.stream_type.into()
    }
}
