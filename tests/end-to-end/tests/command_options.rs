//! Options of `dump` in any mixture: what is allowed gives a readable dump, what contradicts itself is refused.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

use end_to_end::unharmed::assert_unharmed;
use end_to_end::{Dump, Target, dump_with, process, programs};
use minidump::{
    Minidump, MinidumpMemoryInfoList, MinidumpMiscInfo, MinidumpModuleList, MinidumpRawContext,
    MinidumpSoftErrors, MinidumpSystemInfo, MinidumpThreadList,
};
use std::process::Command;

const MIXTURES: u64 = 30;

#[test]
fn any_mixture_of_options_gives_a_readable_dump() {
    let mut target = Target::start(["pointers", "12"]);
    let tids: Vec<u32> = target.parked().iter().map(|thread| thread.tid).collect();
    let place = target.parked()[0].frames[0].1;
    for seed in 1..=MIXTURES {
        // Small numbers next to each other begin much alike; this spreads them (Knuth's multiplicative hash).
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let arguments = mixture(&mut random, &tids, place);
        eprintln!("mixture {seed}: {}", arguments.join(" "));
        let dump = dump_with(target.pid(), &arguments);
        let has = |option: &str| arguments.iter().any(|argument| argument == option);
        let bytes = match (has("--format"), has("--compress")) {
            (true, _) => converted(&dump),
            (false, true) => zstd::decode_all(dump.bytes.as_slice()).unwrap(),
            (false, false) => dump.bytes.clone(),
        };
        assert_readable(&bytes, &arguments);
    }
    assert_unharmed(&mut target);
}

/// The minidump that the program makes of a core, which may be compressed.
#[track_caller]
fn converted(core: &Dump) -> Vec<u8> {
    let mut command = Command::new(programs::dumper());
    process::run(command.arg("convert").arg(&core.path).args(["-o", "-"])).expect_success("convert").stdout
}

/// Options that do not contradict each other.
fn mixture(random: &mut Random, tids: &[u32], place: u64) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |text: &str| words.extend(text.split(' ').map(str::to_owned));
    let memory = random.below(3);
    add(["--memory stacks", "--memory indirect", "--memory full"][memory]);
    if random.below(4) == 0 {
        add("--format core");
    }
    match memory {
        0 if random.coin() => add("--sanitize"),
        2 if random.coin() => add("--cow"),
        _ => {}
    }
    if memory < 2 && random.coin() {
        add(&format!("--size-limit {}K", 16 << random.below(8)));
    }
    if memory < 2 && random.below(4) == 0 {
        add(&format!("--stacks-referring-to {place:#x}"));
    }
    if random.coin() {
        add(&format!("--tid {}", tids[random.below(tids.len())]));
    }
    for stream in
        ["environ", "cmdline", "maps", "auxv", "handles", "misc", "memory-info", "thread-names", "xsave"]
    {
        if random.below(4) == 0 {
            add(&format!("--omit {stream}"));
        }
    }
    for option in ["--keep-environ", "--compress", "--show"] {
        if random.below(3) == 0 {
            add(option);
        }
    }
    for index in 0..random.below(3) {
        add(&format!("--annotate key{index}=value"));
    }
    for _ in 0..random.below(3) {
        // Also ranges that are not aligned, overlap, and reach behind the mapping.
        let start = place - 4096 + random.below(8192) as u64;
        add(&format!("--app-memory {start:#x}:{}", 1 + random.below(100_000)));
    }
    words
}

#[track_caller]
fn assert_readable(bytes: &[u8], arguments: &[String]) {
    let dump = Minidump::read(bytes).unwrap();
    let system: MinidumpSystemInfo = dump.get_stream().unwrap();
    let misc: Option<MinidumpMiscInfo> = dump.get_stream().ok();
    let threads: MinidumpThreadList = dump.get_stream().unwrap();
    let modules: MinidumpModuleList = dump.get_stream().unwrap();
    let errors: MinidumpSoftErrors = dump.get_stream().unwrap();
    let _: Vec<serde_json::Value> = serde_json::from_str(errors.as_ref()).unwrap();
    let _: Option<MinidumpMemoryInfoList> = dump.get_stream().ok();
    let memory = dump.get_memory().unwrap();
    assert!(modules.iter().count() > 2, "{arguments:?}");
    // The main thread, twelve in the known chain, one that spins.
    assert_eq!(threads.threads.len(), 14, "{arguments:?}");
    let referring = arguments.iter().any(|argument| argument == "--stacks-referring-to");
    for thread in &threads.threads {
        let context = thread.context(&system, misc.as_ref()).unwrap().into_owned();
        let MinidumpRawContext::Amd64(context) = context.raw else { panic!("{arguments:?}") };
        let stack = memory.memory_at_address(context.rsp);
        let is_there = stack.is_some_and(|range| !range.bytes().is_empty());
        assert!(is_there || referring, "{arguments:?}: the stack of thread {}", thread.raw.thread_id);
    }
    let mut ranges: Vec<(u64, u64)> =
        memory.iter().map(|range| (range.base_address(), range.base_address() + range.size())).collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "{arguments:?}: {pair:x?} overlap");
    }
}

#[test]
fn contradictions_are_refused_with_the_way_out() {
    let target = Target::start(["threads", "1"]);
    for (line, part) in [
        ("--sanitize --memory full", "--memory stacks"),
        ("--sanitize --memory indirect", "--memory stacks"),
        ("--cow", "--memory full"),
        ("--size-limit 1M --memory full", "--memory indirect"),
        ("--stacks-referring-to 4096 --memory full", "--memory full"),
        ("--omit no-such-stream", "cmd-line"),
        ("--omit thread-list", "leave it in"),
        ("--size-limit much", "64K"),
        ("--app-memory 4096", "0x7f0012345678:4K"),
        ("--memory heap", "indirect"),
        ("--format elf", "core"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(programs::dumper());
        command.arg("dump").arg(target.pid().to_string()).args(line.split(' ')).current_dir(folder.path());
        let finished = process::run(&mut command);
        assert_eq!(finished.status.code(), Some(2), "{line}: {}", finished.stderr);
        assert!(finished.stderr.contains(part), "{line}: {}", finished.stderr);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{line}");
    }
}

#[test]
fn an_address_where_nothing_is_mapped_is_refused() {
    let target = Target::start(["threads", "1"]);
    let mut command = Command::new(programs::dumper());
    command.args(["dump", &target.pid().to_string(), "--stacks-referring-to", "0x10", "-o", "/dev/null"]);
    let finished = process::run(&mut command);
    end_to_end::refusal::assert_refusal(&finished, &["0x10", "mapped", "maps"]);
}

/// Marsaglia's xorshift64*, seeded: the same mixtures in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(mixed).unwrap() % limit
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}
