use crate::minidump::memory_writer::{count, size_of_encoded};
use crate::minidump::time::seconds;
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{
    MINIDUMP_MISC_INFO_5, MINIDUMP_STREAM_TYPE, MiscInfoFlags, SYSTEMTIME, TIME_ZONE_INFORMATION,
    XSTATE_CONFIG_FEATURE_MSC_INFO, XSTATE_FEATURE,
};
use minidump_snapshot::{Cpu, Snapshot, TimeZone, WindowsFacts, XsaveComponent};

/// Process id and times, clock, what the system and the writer are called, and the shape of XSAVE areas; on Windows also
/// the integrity level, the execute flags and the time zone.
///
/// Source: `MINIDUMP_MISC_INFO_5` of minidumpapiset.h. As in Windows' own dumps the offsets of `XStateData` count from
/// the start of the XSAVE area; x87 (offset 0, 160 bytes) and SSE (offset 160, 256 bytes) are the FXSAVE image.
pub(crate) struct MiscInfoSection<'a>(pub &'a Snapshot);

/// `text` as UTF-16 in a field of `N` code units, cut where it is too long, always terminated.
fn fixed<const N: usize>(text: &str) -> [u16; N] {
    let mut field = [0; N];
    let mut used = 0_usize;
    for character in text.chars() {
        let mut units = [0; 2];
        let units = character.encode_utf16(&mut units);
        let end = used.saturating_add(units.len());
        if end >= N {
            break;
        }
        if let Some(slot) = field.get_mut(used..end) {
            slot.copy_from_slice(units);
        }
        used = end;
    }
    field
}

fn xstate(components: &[XsaveComponent]) -> XSTATE_CONFIG_FEATURE_MSC_INFO {
    let mut info = XSTATE_CONFIG_FEATURE_MSC_INFO::default();
    if components.is_empty() {
        return info;
    }
    let [x87, sse, ..] = &mut info.features;
    *x87 = XSTATE_FEATURE { offset: 0, size: 160 };
    *sse = XSTATE_FEATURE { offset: 160, size: 256 };
    info.enabled_features = 3;
    info.context_size = 512 + 64;
    for component in components {
        let Some(slot) = info.features.get_mut(usize::from(component.index)) else { continue };
        *slot = XSTATE_FEATURE { offset: component.offset, size: component.size };
        info.enabled_features |= 1 << component.index;
        info.context_size = info.context_size.max(component.offset.saturating_add(component.size));
    }
    info
}

/// Source: <https://learn.microsoft.com/windows/win32/api/timezoneapi/ns-timezoneapi-time_zone_information>.
fn time_zone(zone: &TimeZone) -> TIME_ZONE_INFORMATION {
    TIME_ZONE_INFORMATION {
        bias: zone.bias,
        standard_name: fixed(&zone.standard_name),
        standard_date: system_time(zone.standard_date),
        standard_bias: zone.standard_bias,
        daylight_name: fixed(&zone.daylight_name),
        daylight_date: system_time(zone.daylight_date),
        daylight_bias: zone.daylight_bias,
    }
}

fn system_time(parts: [u16; 8]) -> SYSTEMTIME {
    let [year, month, day_of_week, day, hour, minute, second, milliseconds] = parts;
    SYSTEMTIME { year, month, day_of_week, day, hour, minute, second, milliseconds }
}

impl MiscInfoSection<'_> {
    fn windows<T>(&self, fact: impl FnOnce(&WindowsFacts) -> Option<T>) -> Option<T> {
        self.0.windows.as_ref().and_then(fact)
    }

    fn time_zone(&self) -> Option<&TimeZone> {
        self.0.windows.as_ref()?.time_zone.as_ref()
    }

    fn flags(&self) -> MiscInfoFlags {
        let mut flags = MiscInfoFlags::MINIDUMP_MISC1_PROCESS_ID | MiscInfoFlags::MINIDUMP_MISC4_BUILDSTRING;
        flags.set(MiscInfoFlags::MINIDUMP_MISC1_PROCESS_TIMES, self.0.process.start_time_us.is_some());
        flags.set(MiscInfoFlags::MINIDUMP_MISC1_PROCESSOR_POWER_INFO, self.0.system.cpu_max_mhz.is_some());
        let integrity = self.windows(|facts| facts.integrity_level);
        flags.set(MiscInfoFlags::MINIDUMP_MISC3_PROCESS_INTEGRITY, integrity.is_some());
        let execute = self.windows(|facts| facts.execute_flags);
        flags.set(MiscInfoFlags::MINIDUMP_MISC3_PROCESS_EXECUTE_FLAGS, execute.is_some());
        flags.set(MiscInfoFlags::MINIDUMP_MISC3_TIMEZONE, self.time_zone().is_some());
        flags
    }
}

impl SectionWriter for MiscInfoSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let Snapshot { process, system, .. } = self.0;
        let components = match &system.cpu {
            Cpu::Amd64 { xsave, .. } | Cpu::X86 { xsave, .. } => xsave.as_slice(),
            _ => &[],
        };
        let raw = MINIDUMP_MISC_INFO_5 {
            size_of_info: count(size_of_encoded::<MINIDUMP_MISC_INFO_5>())?,
            flags1: self.flags().bits(),
            process_id: process.pid,
            process_create_time: process.start_time_us.map_or(0, seconds),
            process_user_time: process.user_time_us.map_or(0, seconds),
            process_kernel_time: process.kernel_time_us.map_or(0, seconds),
            processor_max_mhz: system.cpu_max_mhz.unwrap_or(0),
            processor_current_mhz: 0,
            processor_mhz_limit: 0,
            processor_max_idle_state: 0,
            processor_current_idle_state: 0,
            process_integrity_level: self.windows(|facts| facts.integrity_level).unwrap_or(0),
            process_execute_flags: self.windows(|facts| facts.execute_flags).unwrap_or(0),
            protected_process: 0,
            time_zone_id: self.time_zone().map_or(0, |zone| zone.id),
            time_zone: self.time_zone().map(time_zone).unwrap_or_default(),
            build_string: fixed(&system.description),
            dbg_bld_str: fixed(&system.build),
            xstate_data: xstate(components),
            process_cookie: 0,
        };
        buffer.align(4);
        Ok(MDRawDirectory { stream_type: self.section_type(), location: buffer.write(raw)? })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::MiscInfoStream.into()
    }

    fn size_hint(&self) -> usize {
        size_of_encoded::<MINIDUMP_MISC_INFO_5>() + 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters_and_terminated() {
        assert_eq!(fixed::<4>("ab"), [97, 98, 0, 0]);
        assert_eq!(fixed::<4>("abcd"), [97, 98, 99, 0]);
        assert_eq!(fixed::<4>("ab\u{1f980}"), [97, 98, 0, 0]);
    }

    #[test]
    fn xstate_tells_where_each_component_lies_in_the_area() {
        let avx = XsaveComponent { index: 2, offset: 576, size: 256 };
        let pkru = XsaveComponent { index: 9, offset: 2688, size: 8 };
        let nonsense = XsaveComponent { index: 64, offset: u32::MAX, size: u32::MAX };
        let info = xstate(&[avx, pkru, nonsense]);
        assert_eq!(info.enabled_features, 0b10_0000_0111);
        assert_eq!(info.context_size, 2696);
        assert_eq!(info.features[0], XSTATE_FEATURE { offset: 0, size: 160 });
        assert_eq!(info.features[1], XSTATE_FEATURE { offset: 160, size: 256 });
        assert_eq!(info.features[2], XSTATE_FEATURE { offset: 576, size: 256 });
        assert_eq!(info.features[9], XSTATE_FEATURE { offset: 2688, size: 8 });
        assert_eq!(xstate(&[]).enabled_features, 0);
    }
}
