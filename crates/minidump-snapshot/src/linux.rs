use serde::{Deserialize, Serialize};

/// An entry of the dynamic loader's list (`struct link_map`, <link.h>).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkMap {
    /// Where the structure itself lies in the target.
    pub address: u64,
    /// `l_addr`: load bias.
    pub base: u64,
    /// `l_name`: where the name lies in the target.
    pub name_address: u64,
    /// The name, as raw bytes, at most 4096.
    pub name: Vec<u8>,
    /// `l_ld`: the dynamic section.
    pub dynamic: u64,
}

/// The dynamic loader's rendezvous structure (`struct r_debug`, <link.h>) and its list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DsoDebug {
    /// Where the structure lies in the target.
    pub address: u64,
    /// `r_version`.
    pub version: u32,
    /// `r_map`: first entry of the list.
    pub map: u64,
    /// `r_brk`: the function the loader calls when the list changes.
    pub brk: u64,
    /// `r_ldbase`: where the loader itself is loaded.
    pub ldbase: u64,
    /// Where the executable's dynamic section lies.
    pub dynamic: u64,
    /// The executable's dynamic section, as raw bytes.
    pub dynamic_contents: Vec<u8>,
    /// The list, as far as it could be followed.
    pub link_maps: Vec<LinkMap>,
}

/// Facts of Linux and Android that the minidump format keeps as whole texts, byte for byte as the kernel gave them.
/// `None` means that the text could not be read; a soft error then says why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinuxFacts {
    /// /proc/cpuinfo
    pub cpu_info: Option<Vec<u8>>,
    /// /proc/PID/status
    pub status: Option<Vec<u8>>,
    /// /etc/lsb-release, or else /etc/os-release, of the target's own root
    pub lsb_release: Option<Vec<u8>>,
    /// /proc/PID/cmdline
    pub cmdline: Option<Vec<u8>>,
    /// /proc/PID/environ
    pub environ: Option<Vec<u8>>,
    /// Where `environ` lies in the target's memory, when known.
    pub environ_address: Option<u64>,
    /// /proc/PID/auxv
    pub auxv: Option<Vec<u8>>,
    /// /proc/PID/maps
    pub maps: Option<Vec<u8>>,
    /// /proc/PID/limits
    pub limits: Option<Vec<u8>>,
    /// The dynamic loader's view, when the program has a dynamic loader.
    pub dso_debug: Option<DsoDebug>,
}
