//! The facts of a snapshot as JSON. The fields of every object are in the order of their names.

use crate::json::{Json, Object};
use minidump_snapshot::{
    Cpu, DsoDebug, Exception, LinkMap, MemoryPlan, Module, ModuleId, Process, Purpose, Snapshot, System,
    Thread, XsaveComponent,
};

/// What cores have no note for, without memory, registers and environment.
pub(super) fn facts(snapshot: &Snapshot, plan: &MemoryPlan) -> Object {
    let annotations = snapshot.annotations.iter();
    let annotations: Vec<_> = annotations.map(|(name, value)| [name.as_str(), value.as_str()]).collect();
    let dso_debug = snapshot.linux.as_ref().and_then(|facts| facts.dso_debug.as_ref());
    let full_memory = plan.ranges().iter().any(|range| range.purpose == Purpose::Full);
    Object::default()
        .field("annotations", annotations)
        .field("blamed_thread", snapshot.blamed_thread)
        .field("captured_at_us", snapshot.captured_at_us)
        .field("dso_debug", dso_debug.map(debug))
        .field("exception", snapshot.exception.as_ref().map(exception))
        .field("full_memory", full_memory)
        .field("modules", snapshot.modules.iter().map(module).collect::<Vec<_>>())
        .field("process", process(&snapshot.process))
        .field("system", system(&snapshot.system))
        .field("threads", snapshot.threads.iter().map(thread).collect::<Vec<_>>())
        .field("version", 1_u32)
}

/// Bytes that should be a text.
struct Text<'a>(&'a [u8]);

impl Json for Text<'_> {
    fn write(&self, to: &mut Vec<u8>) {
        String::from_utf8_lossy(self.0).as_ref().write(to);
    }
}

fn process(process: &Process) -> Object {
    Object::default()
        .field("executable", process.executable.as_deref().map(Text))
        .field("kernel_us", process.kernel_time_us)
        .field("parent_pid", process.parent_pid)
        .field("pid", process.pid)
        .field("start_us", process.start_time_us)
        .field("uid", process.uid)
        .field("user_us", process.user_time_us)
}

fn thread(thread: &Thread) -> Object {
    Object::default()
        .field("affinity", thread.affinity)
        .field("id", thread.id)
        .field("kernel_us", thread.times.map(|times| times.kernel_us))
        .field("name", thread.name.as_deref().map(Text))
        .field("priority", thread.priority)
        .field("registers", thread.cpu.is_some())
        .field("start_us", thread.times.map(|times| times.start_us))
        .field("state", thread.state.map(String::from).as_deref())
        .field("thread_pointer", thread.thread_pointer)
        .field("user_us", thread.times.map(|times| times.user_us))
}

fn module(module: &Module) -> Object {
    let id = module.id.as_ref().map(|id| hexadecimal(id.as_bytes()));
    let is_build_id = matches!(module.id, Some(ModuleId::BuildId(_)));
    let version = module.version;
    Object::default()
        .field("base", module.base)
        .field("build_id", id.as_deref().filter(|_| is_build_id))
        .field("deleted", module.deleted)
        .field("is_main", module.is_main)
        .field("path", Text(&module.path))
        .field("size", module.size)
        .field("soname", module.soname.as_deref())
        .field("text_hash", id.as_deref().filter(|_| !is_build_id))
        .field("version", version.map(|version| [version.major, version.minor, version.patch, version.build]))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let nibble = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
        digits.extend([nibble(byte >> 4), nibble(byte & 15)]);
    }
    digits
}

// The rest is as these types are serialised, so that they can be deserialised from it.

fn system(system: &System) -> Object {
    let (major, minor, patch) = system.version;
    Object::default()
        .field("build", system.build.as_str())
        .field("cpu", &system.cpu)
        .field("cpu_count", system.cpu_count)
        .field("cpu_max_mhz", system.cpu_max_mhz)
        .field("description", system.description.as_str())
        .field("os", format!("{:?}", system.os).as_str())
        .field("page_size", system.page_size)
        .field("version", [major, minor, patch])
}

impl Json for Cpu {
    fn write(&self, to: &mut Vec<u8>) {
        let (name, facts) = match self {
            Self::Amd64 { vendor, version_information, feature_information, extended_features, xsave } => {
                let numbers = [*extended_features, *feature_information, *version_information];
                ("Amd64", intel(vendor, numbers, xsave))
            }
            Self::X86 { vendor, version_information, feature_information, extended_features, xsave } => {
                let numbers = [*extended_features, *feature_information, *version_information];
                ("X86", intel(vendor, numbers, xsave))
            }
            // Nothing but a name.
            other => return format!("{other:?}").as_str().write(to),
        };
        Object::default().field(name, facts).write(to);
    }
}

fn intel(vendor: &[u8; 12], [extended, feature, version]: [u32; 3], xsave: &[XsaveComponent]) -> Object {
    let component = |component: &XsaveComponent| {
        Object::default()
            .field("index", component.index)
            .field("offset", component.offset)
            .field("size", component.size)
    };
    Object::default()
        .field("extended_features", extended)
        .field("feature_information", feature)
        .field("vendor", vendor)
        .field("version_information", version)
        .field("xsave", xsave.iter().map(component).collect::<Vec<_>>())
}

fn exception(exception: &Exception) -> Object {
    Object::default()
        .field("address", exception.address)
        .field("code", exception.code)
        .field("flags", exception.flags)
        .field("parameters", &exception.parameters)
        .field("thread", exception.thread)
}

fn debug(debug: &DsoDebug) -> Object {
    Object::default()
        .field("address", debug.address)
        .field("brk", debug.brk)
        .field("dynamic", debug.dynamic)
        .field("dynamic_contents", &debug.dynamic_contents)
        .field("ldbase", debug.ldbase)
        .field("link_maps", debug.link_maps.iter().map(link_map).collect::<Vec<_>>())
        .field("map", debug.map)
        .field("version", debug.version)
}

fn link_map(map: &LinkMap) -> Object {
    Object::default()
        .field("address", map.address)
        .field("base", map.base)
        .field("dynamic", map.dynamic)
        .field("name", &map.name)
        .field("name_address", map.name_address)
}
