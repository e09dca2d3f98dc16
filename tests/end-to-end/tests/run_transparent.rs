//! `minidump-writer run` cannot be told from nothing by what it runs, nor by who runs it: each test does the same with and
//! without it, and sees the same.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::around::{Around, Group, Left, alike, alike_but_for_dumps, shell_code};
use end_to_end::crash_matrix::{Compiled, compiled};
use end_to_end::process;
use end_to_end::{Dump, needs};
use minidump::MinidumpException;
use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};
use tempfile::TempDir;

/// Page faults that a program handles.
const FAULTS: &str = "10000";

fn bystander(test: &str) -> Option<Compiled> {
    compiled(test, "cc", "bystander.c")
}

#[test]
fn codes_and_streams_of_shells_and_pipelines() {
    for (script, code) in [
        ("yes | head -3; exit 5", 5),
        ("seq 1 200 | while read x; do echo $x; echo e$x >&2; done", 0),
        ("exec seq 1 30000", 0),
        ("sh -c 'kill -TERM $$'; echo $?; sh -c 'kill -PIPE $$'; echo $?", 0),
        (
            "for i in 1 2 3; do (exit $i) & jobs=\"$jobs $!\"; done; for job in $jobs; do wait $job; echo $?; done",
            0,
        ),
        ("sh -c 'echo late' & wait; echo done", 0),
        ("trap 'echo bye' EXIT; exit 4", 4),
        ("timeout 0.05 sleep 1000; echo $?; exit 6", 6),
        ("kill -TERM $$", 143),
        ("kill -INT $$", 130),
        ("kill -KILL $$", 137),
        ("yes | head -1; echo ${PIPESTATUS[0]}", 0),
        ("sort | uniq -c", 0),
        ("exec no-such-program", 127),
    ] {
        let left = alike(|around| around.run(&["bash", "-c", script]));
        assert_eq!(left.code, code, "{script}: {left:?}");
    }
}

#[test]
fn a_command_within_a_pipeline() {
    for (script, stdout) in [
        ("printf 'x\\ny\\n' | w cat | wc -l", "2\n"),
        ("yes | w head -1; echo ${PIPESTATUS[@]}", "y\n141 0\n"),
        ("w yes | head -1; echo ${PIPESTATUS[@]}", "y\n141 0\n"),
        ("w sh -c 'kill -TERM $$' | w cat; echo ${PIPESTATUS[@]}", "143 0\n"),
        ("w echo one | w cat | w tr o O; w false || echo failed", "One\nfailed\n"),
        ("x=$(w echo caught); w test -n \"$x\" && echo \"$x\"", "caught\n"),
        ("w read_nothing 2>/dev/null; echo $?", "127\n"),
        ("echo file > f; w cat < f > g; cat g; w cat <<< here", "file\nhere\n"),
        ("w sleep 1000 & kill $!; wait $!; echo $?", "143\n"),
    ] {
        let left = alike(|around| {
            let mut left = around.script("bash", script);
            // Which of them a shell tells of a death depends on who has died.
            left.stderr.clear();
            left
        });
        assert_eq!(left.stdout, stdout, "{script}");
    }
}

#[test]
fn order_and_contents_of_both_streams_in_one_file() {
    let script = "w sh -c 'for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done' > both 2>&1; cat both";
    let left = alike(|around| around.script("sh", script));
    assert_eq!(left.stdout, "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n");
}

#[test]
fn input_that_is_no_terminal() {
    let left = alike(|around| {
        let file = around.work().join("input");
        std::fs::write(&file, "first\nsecond\n").unwrap();
        let script = "read line; echo \"$line\"; test -t 0 || echo no terminal; cat";
        around.run_with_input(&["sh", "-c", script], std::fs::File::open(file).unwrap())
    });
    assert_eq!(left.stdout, "first\nno terminal\nsecond\n");
}

/// The other ends of its pipes see what the command closes, and do not wait for the supervisor.
#[test]
fn a_pipe_ends_when_the_command_closes_it() {
    let Some(program) = bystander("a_pipe_ends_when_the_command_closes_it") else { return };
    alike(|around| {
        let mut command = around.wrapped(&[program.path().to_str().unwrap(), "close"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Around::start(&mut command);
        // Both are events of the pipe, and come while the command lives.
        let (mut output, mut text) = (running.leader().child().stdout.take().unwrap(), String::new());
        output.read_to_string(&mut text).unwrap();
        let input = running.leader().child().stdin.take().unwrap();
        let refused = std::io::Write::write(&mut &input, b"x").unwrap_err().kind();
        assert!(running.leader().child().try_wait().unwrap().is_none(), "it still runs");
        running.signal_leader(libc::SIGTERM);
        (text, refused, running.code())
    });
}

/// All that a program can look at but its parent and its tracer: ids, descriptors, signals, limits, timers, environment.
#[test]
fn what_a_program_sees_of_its_start() {
    let test = "what_a_program_sees_of_its_start";
    let Some(program) = bystander(test) else { return };
    let program = program.path();
    let look = program.to_str().unwrap();
    for start in [
        "w LOOK",
        "exec w LOOK",
        "w LOOK <&-",
        "w LOOK >out <&- 2>&-; cat out",
        "exec 5<&0 9>nine; w LOOK",
        "trap '' PIPE HUP USR1; w LOOK",
        "trap '' TSTP TTIN TTOU INT; ulimit -c 0 -n 99; umask 77; cd /; w LOOK",
        "nohup w LOOK",
        "nice -n 3 w LOOK",
        "setsid -w w LOOK",
        "perl -e 'use POSIX; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGUSR2, SIGTERM, SIGCONT)); exec @ARGV' w LOOK",
        "w env | sort | grep -v ^_=",
        "w sh -c 'cat /proc/self/cmdline /proc/self/limits /proc/self/oom_score_adj /proc/self/cgroup; pwd; umask; id'",
    ] {
        let script = start.replace("LOOK", &format!("'{look}' look"));
        let left = alike(|around| {
            let script = format!("export STARTER=$$; {script}");
            let mut left = around.script("sh", &script);
            left.stdout = without(&left.stdout, "STARTER=");
            left
        });
        assert!(left.code == 0 && left.stdout.len() > 100, "{start}: {left:?}");
    }
}

/// Fields of /proc/PID/status that are of the one process, or of how much memory it happens to have.
const OWN: [&str; 13] = [
    "SigQ",
    "Tgid",
    "Pid",
    "PPid",
    "TracerPid",
    "NStgid",
    "NSpid",
    "NSpgid",
    "NSsid",
    "VmPTE",
    "voluntary_ctxt_switches",
    "nonvoluntary_ctxt_switches",
    "Cpus_allowed",
];

#[test]
fn what_the_kernel_tells_of_a_program() {
    let left = alike(|around| {
        let mut left = around.run(&["cat", "/proc/self/status"]);
        for field in OWN {
            left.stdout = without(&left.stdout, &format!("{field}:"));
        }
        left.stdout = without(&without(&left.stdout, "Vm"), "Rss");
        left
    });
    // What whoever runs the tests ignores, but for SIGPIPE, which Rust ignores in this process and gives back to others.
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = own.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    let ignored = u64::from_str_radix(ignored, 16).unwrap() & !(1 << (libc::SIGPIPE - 1));
    assert!(left.stdout.contains(&format!("SigIgn:\t{ignored:016x}\n")), "{}", left.stdout);
    assert!(
        left.stdout.contains("NoNewPrivs:\t0\n") && left.stdout.contains("Seccomp:\t0\n"),
        "{}",
        left.stdout
    );
}

/// The text without lines that begin so.
fn without(text: &str, beginning: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with(beginning)).collect()
}

#[test]
fn process_group_and_session_are_those_of_whoever_was_started() {
    alike(|around| {
        let mut command = around.wrapped(&["sh", "-c", "echo $$; read line"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Around::start(&mut command);
        let mut lines = lines_of(&mut running);
        let shell: i32 = lines.next().unwrap().unwrap().parse().unwrap();
        // SAFETY: numbers only; the processes live, as the shell waits for a line.
        let (group, session) = unsafe { (libc::getpgid(shell), libc::getsid(shell)) };
        assert_eq!(group, running.leader().pid(), "the group is led by the process that was started");
        // SAFETY: as above.
        assert_eq!(session, unsafe { libc::getsid(0) });
        drop(running.leader().child().stdin.take());
    });
}

fn lines_of(running: &mut Group) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(running.leader().child().stdout.take().unwrap()).lines()
}

/// Signals that a process gets from others and lives on. SIGCONT stands far from those that stop: they take each other away
/// where they have not been taken yet.
fn signals() -> impl Iterator<Item = i32> {
    let ours = [libc::SIGKILL, libc::SIGSTOP, libc::SIGTERM, libc::SIGCHLD, libc::SIGCONT];
    (1..=31)
        .chain([libc::SIGRTMIN(), libc::SIGRTMAX()])
        .filter(move |number| !ours.contains(number))
        .chain([libc::SIGCONT])
}

/// `bystander count`, which has all signals blocked and takes one after the other. `send` sends one to the process.
fn each_signal(around: &Around, program: &Path, send: impl Fn(&Group, i32)) -> i32 {
    let mut command = around.wrapped(&[program.to_str().unwrap(), "count"]);
    let mut running = Around::start(command.stdout(Stdio::piped()));
    let mut lines = lines_of(&mut running);
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    for round in 1..=20 {
        for number in signals() {
            send(&running, number);
            assert_eq!(lines.next().unwrap().unwrap(), format!("{number}: {round}"));
            // The kernel makes one of two equal signals that a process has not taken yet.
            let status = format!("/proc/{}/status", running.leader().pid());
            process::wait_until("the signal is taken", || {
                std::fs::read_to_string(&status).unwrap().contains("ShdPnd:\t0000000000000000\n")
            });
        }
    }
    send(&running, libc::SIGTERM);
    assert_eq!(lines.next().unwrap().unwrap(), "15: 1");
    running.code()
}

#[test]
fn every_signal_to_the_process_that_was_started_reaches_the_command() {
    let test = "every_signal_to_the_process_that_was_started_reaches_the_command";
    let Some(program) = bystander(test) else { return };
    alike(|around| each_signal(around, &program.path(), Group::signal_leader));
}

#[test]
fn a_signal_to_the_process_group_reaches_the_command_once() {
    let Some(program) = bystander("a_signal_to_the_process_group_reaches_the_command_once") else { return };
    alike(|around| each_signal(around, &program.path(), Group::signal_all));
}

#[test]
fn an_alarm_that_was_set_before_goes_off() {
    let script = "exec perl -e 'alarm 1; exec @ARGV' w sleep 1000";
    assert_eq!(alike(|around| around.script("sh", script).code), 128 + libc::SIGALRM);
}

#[test]
fn a_command_that_ignores_hangups_survives_one() {
    alike(|around| {
        let mut command = around.command("nohup");
        command.args(["w", "sh", "-c", "echo ready; read line; echo got $line; exit 3"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Around::start(&mut command);
        let mut lines = lines_of(&mut running);
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        running.signal_leader(libc::SIGHUP);
        running.signal_all(libc::SIGHUP);
        std::io::Write::write_all(&mut running.leader().child().stdin.take().unwrap(), b"it\n").unwrap();
        (lines.next().unwrap().unwrap(), running.code())
    });
}

/// A shell gives up its script only if the command that was interrupted has died of the interrupt.
#[test]
fn an_interrupt_ends_the_script_that_runs_the_command() {
    for shell in ["sh", "bash"] {
        alike(|around| {
            let script = "while :; do w sh -c 'echo ready; exec sleep 1000'; done";
            let mut command = around.command(shell);
            let mut running = Around::start(command.args(["-c", script]).stdout(Stdio::piped()));
            let mut lines = lines_of(&mut running);
            assert_eq!(lines.next().unwrap().unwrap(), "ready");
            running.signal_all(libc::SIGINT);
            (running.code(), lines.map(Result::unwrap).collect::<Vec<_>>())
        });
    }
}

#[test]
fn a_program_that_gets_over_its_page_faults() {
    let Some(program) = bystander("a_program_that_gets_over_its_page_faults") else { return };
    let path = program.path();
    let left = alike(|around| around.run(&[path.to_str().unwrap(), "recover", FAULTS]));
    assert_eq!(left, of_stdout(7, &format!("recovered from {FAULTS}\n")));
}

fn of_stdout(code: i32, stdout: &str) -> Left {
    Left { code, stdout: stdout.into(), stderr: String::new() }
}

/// A Java program of `tests/crashers/java`, compiled; and the program that runs it.
fn java(test: &str) -> Option<(PathBuf, TempDir)> {
    let java = needs::program(test, &["java"], "default-jre-headless")?;
    let compiler = needs::program(test, &["javac", "ecj"], "ecj")?;
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crashers/java/Faults.java");
    let mut command = std::process::Command::new(compiler);
    command.args(["-source", "11", "-target", "11", "-nowarn", "-d"]).arg(folder.path()).arg(source);
    process::run(&mut command).expect_success("the Java compiler");
    Some((java, folder))
}

/// The simple compiler of the machine leaves null checks to page faults however many of them there are; counted with strace,
/// there is one SIGSEGV for each exception.
#[test]
fn a_java_virtual_machine_that_uses_page_faults() {
    let Some((java, classes)) = java("a_java_virtual_machine_that_uses_page_faults") else { return };
    let (java, classes) = (java.to_str().unwrap(), classes.path().to_str().unwrap());
    for options in [&["-XX:TieredStopAtLevel=1"][..], &[], &["-XX:+UseParallelGC", "-Xmx16m"], &["-Xint"]] {
        let words = [&[java], options, &["-cp", classes, "Faults", "recover", FAULTS]].concat();
        let left = alike(|around| around.run(&words));
        assert_eq!(left, of_stdout(7, &format!("caught {FAULTS}, sum 100000\n")), "{options:?}");
    }
}

#[test]
fn a_java_virtual_machine_that_dies_has_one_dump() {
    let Some((java, classes)) = java("a_java_virtual_machine_that_dies_has_one_dump") else { return };
    let (java, classes) = (java.to_str().unwrap(), classes.path().to_str().unwrap());
    let (left, dumps) = alike_but_for_dumps(|around| {
        let left = around.run(&[java, "-XX:-CreateCoredumpOnCrash", "-cp", classes, "Faults", "die"]);
        let with_core = around.run(&[java, "-cp", classes, "Faults", "die"]);
        let reports = std::fs::read_dir(around.work()).unwrap();
        let reports = reports
            .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("hs_err_pid"));
        (left.code, with_core.code, left.stderr, reports.count())
    });
    assert_eq!((left.1, left.3), (134, 2), "{left:?}");
    let aborts = dumps.iter().map(signal_of).filter(|signal| *signal == libc::SIGABRT);
    // Without cores the machine exits, or aborts as well, depending on its version.
    assert_eq!(aborts.count(), [left.0, left.1].iter().filter(|code| **code == 134).count());
    assert_eq!(dumps.iter().filter(|dump| signal_of(dump) != libc::SIGABRT).count(), 0);
}

fn signal_of(dump: &Dump) -> i32 {
    let parsed = dump.parse();
    let exception = parsed.get_stream::<MinidumpException>().unwrap();
    exception.raw.exception_record.exception_code.try_into().unwrap()
}

/// The Go program of `tests/crashers/go`, compiled.
fn go(test: &str) -> Option<(PathBuf, TempDir)> {
    let compiler = needs::program(test, &["go"], "golang-go")?;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("faults");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crashers/go/faults.go");
    let mut command = std::process::Command::new(compiler);
    command.args(["build", "-o"]).arg(&program).arg(source).current_dir(folder.path());
    // Nothing from the network, and no folder but this one.
    command.env("GO111MODULE", "off").env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local");
    command.env("GOCACHE", folder.path().join("cache")).env("GOPATH", folder.path().join("path"));
    process::run(&mut command).expect_success("the Go compiler");
    Some((program, folder))
}

#[test]
fn a_go_program_that_recovers_from_page_faults() {
    let Some((program, _folder)) = go("a_go_program_that_recovers_from_page_faults") else { return };
    let program = program.to_str().unwrap();
    let left = alike(|around| around.run(&[program, "recover", FAULTS]));
    assert_eq!(left, of_stdout(7, "recovered [2500 2500 2500 2500]\n"));
}

#[test]
fn a_go_program_that_ends_by_itself_has_no_dump_and_one_that_aborts_has_one() {
    let test = "a_go_program_that_ends_by_itself_has_no_dump_and_one_that_aborts_has_one";
    let Some((program, _folder)) = go(test) else { return };
    let program = program.to_str().unwrap();
    for (how, word) in
        [("panic", "panic: on purpose"), ("fault", "panic: runtime error: invalid memory address")]
    {
        let first_line = |mut left: Left| {
            left.stderr.truncate(left.stderr.find('\n').unwrap());
            left
        };
        let left = alike(|around| first_line(around.run(&[program, how])));
        assert!(left.code == 2 && left.stderr.starts_with(word), "{left:?}");
        let aborting = |around: &Around| {
            let mut command = around.wrapped(&[program, how]);
            shell_code(process::run(command.env("GOTRACEBACK", "crash")).status)
        };
        let (code, dumps) = alike_but_for_dumps(aborting);
        assert_eq!((code, dumps.len()), (134, 1), "{how}");
        assert_eq!(signal_of(&dumps[0]), libc::SIGABRT);
    }
}
