//! The streams, one file each. Each is a small struct over the snapshot that implements
//! [`SectionWriter`](super::SectionWriter).

mod apple_facts;
mod breakpad_info;
mod crashpad_info;
mod cv_record;
mod dso_debug;
mod exception;
mod handle_data;
mod linux_text;
mod mac_bootargs;
mod mac_crash_info;
mod memory_info_list;
mod memory_list;
mod misc_info;
mod module_list;
mod names;
mod native_contexts;
mod processor;
mod soft_errors;
mod system_info;
mod thread_extra;
mod thread_info_list;
mod thread_list;
mod thread_names;
mod unloaded_module_list;
mod windows_handles;
mod xsave_list;

pub use native_contexts::NativeContext;
pub use thread_extra::{ThreadExtra, ThreadExtraFlags};
pub use xsave_list::XsaveArea;

pub(crate) use apple_facts::AppleFactsSection;
pub(crate) use breakpad_info::BreakpadInfoSection;
pub(crate) use crashpad_info::CrashpadInfoSection;
pub(crate) use dso_debug::DsoDebugSection;
pub(crate) use exception::ExceptionSection;
pub(crate) use handle_data::HandleDataSection;
pub(crate) use linux_text::{linux_text, linux_texts};
pub(crate) use mac_bootargs::MacBootargsSection;
pub(crate) use mac_crash_info::{MacCrashInfoSection, is_exact};
pub(crate) use memory_info_list::{
    MemoryInfoListSection, count_of_regions, memory_info, windows_memory_info, windows_regions,
};
pub(crate) use memory_list::MemoryListSection;
pub(crate) use misc_info::MiscInfoSection;
pub(crate) use module_list::ModuleListSection;
pub(crate) use native_contexts::NativeContextsSection;
pub(crate) use soft_errors::SoftErrorsSection;
pub(crate) use system_info::SystemInfoSection;
pub(crate) use thread_extra::ThreadExtraSection;
pub(crate) use thread_info_list::ThreadInfoListSection;
pub(crate) use thread_list::ThreadListSection;
pub(crate) use thread_names::ThreadNamesSection;
pub(crate) use unloaded_module_list::UnloadedModuleListSection;
pub(crate) use windows_handles::WindowsHandlesSection;
pub(crate) use xsave_list::{AREA_ALIGNMENT, XsaveAreas};
