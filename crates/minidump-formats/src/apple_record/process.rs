//! The process, the machine, and why the process crashed.

use super::bytes::{Decoder, Encoder};
use super::tables::{SYSTEMS, position};
use minidump_snapshot::{AppleFacts, Cpu, Exception, Process, SharedCache, System, XsaveComponent};

/// Most parameters of an exception, and most parts of an XSAVE area.
const MAX_PARAMETERS: usize = 1024;
const MAX_COMPONENTS: usize = 64;

pub(super) fn process(process: &Process) -> Encoder {
    let mut to = Encoder::default();
    to.number(process.pid);
    to.optional(process.parent_pid.map(Into::into));
    to.optional(process.uid.map(Into::into));
    to.optional_bytes(process.executable.as_deref());
    to.optional(process.start_time_us);
    to.optional(process.user_time_us);
    to.optional(process.kernel_time_us);
    to
}

pub(super) fn read_process(from: &mut Decoder<'_>) -> Option<Process> {
    Some(Process {
        pid: from.small()?,
        parent_pid: from.optional_small()?,
        uid: from.optional_small()?,
        executable: from.optional_bytes()?,
        start_time_us: from.optional_number()?,
        user_time_us: from.optional_number()?,
        kernel_time_us: from.optional_number()?,
    })
}

pub(super) fn system(system: &System) -> Encoder {
    let mut to = Encoder::default();
    to.number(position(&SYSTEMS, &system.os));
    let (major, minor, patch) = system.version;
    for value in [major, minor, patch, system.cpu_count, system.page_size] {
        to.number(value);
    }
    to.optional(system.cpu_max_mhz.map(Into::into));
    to.bytes(system.description.as_bytes());
    to.bytes(system.build.as_bytes());
    if let Cpu::Amd64 { vendor, version_information, feature_information, extended_features, xsave } =
        &system.cpu
    {
        to.flag(true);
        to.raw(vendor);
        let words = [version_information, feature_information, extended_features];
        for word in words {
            to.number(*word);
        }
        to.count(xsave.len());
        for component in xsave {
            to.number(component.index);
            to.number(component.offset);
            to.number(component.size);
        }
    } else {
        to.flag(false);
    }
    to
}

pub(super) fn read_system(from: &mut Decoder<'_>) -> Option<System> {
    let os = *SYSTEMS.get(usize::try_from(from.number()?).ok()?)?;
    let version = (from.small()?, from.small()?, from.small()?);
    let (cpu_count, page_size) = (from.small()?, from.small()?);
    let cpu_max_mhz = from.optional_small()?;
    let (description, build) = (from.text()?, from.text()?);
    let cpu = if from.flag()? { read_amd64(from)? } else { Cpu::Arm64 };
    Some(System { os, version, description, cpu, cpu_count, cpu_max_mhz, page_size, build })
}

fn read_amd64(from: &mut Decoder<'_>) -> Option<Cpu> {
    Some(Cpu::Amd64 {
        vendor: from.array()?,
        version_information: from.small()?,
        feature_information: from.small()?,
        extended_features: from.small()?,
        xsave: from.list(MAX_COMPONENTS, |from| {
            let index = u8::try_from(from.number()?).ok()?;
            Some(XsaveComponent { index, offset: from.small()?, size: from.small()? })
        })?,
    })
}

pub(super) fn exception(exception: &Exception) -> Encoder {
    let mut to = Encoder::default();
    for value in [exception.thread, exception.code, exception.flags] {
        to.number(value);
    }
    to.number(exception.address);
    to.count(exception.parameters.len());
    for parameter in &exception.parameters {
        to.number(*parameter);
    }
    to
}

pub(super) fn read_exception(from: &mut Decoder<'_>) -> Option<Exception> {
    Some(Exception {
        thread: from.small()?,
        code: from.small()?,
        flags: from.small()?,
        address: from.number()?,
        parameters: from.list(MAX_PARAMETERS, Decoder::number)?,
    })
}

/// What only Apple's systems tell of the process, but for its images and the texts of its libraries.
pub(super) fn facts(facts: &AppleFacts, boot_args: Option<&str>) -> Encoder {
    let mut to = Encoder::default();
    to.number(facts.cpu_type);
    to.number(facts.cpu_subtype);
    to.bytes(facts.os_build.as_bytes());
    to.optional(facts.address_bits.map(Into::into));
    to.optional(facts.dyld_all_image_infos);
    to.optional(facts.dyld_version.map(Into::into));
    to.optional_bytes(facts.dyld_error.as_deref());
    to.flag(facts.shared_cache.is_some());
    if let Some(cache) = &facts.shared_cache {
        to.raw(&cache.uuid);
        to.number(cache.base);
        to.number(cache.slide);
    }
    to.optional_bytes(boot_args.map(str::as_bytes));
    to.optional_bytes(facts.bundle_version.as_deref().map(str::as_bytes));
    to
}

pub(super) fn read_facts(from: &mut Decoder<'_>) -> Option<AppleFacts> {
    let cache = |from: &mut Decoder<'_>| {
        Some(SharedCache { uuid: from.array()?, base: from.number()?, slide: from.number()? })
    };
    Some(AppleFacts {
        cpu_type: from.small()?,
        cpu_subtype: from.small()?,
        os_build: from.text()?,
        address_bits: from.optional(|from| from.number()?.try_into().ok())?,
        dyld_all_image_infos: from.optional_number()?,
        dyld_version: from.optional_small()?,
        dyld_error: from.optional_bytes()?,
        shared_cache: from.optional(cache)?,
        boot_args: from.optional_text()?,
        bundle_version: from.optional_text()?,
        ..AppleFacts::default()
    })
}
