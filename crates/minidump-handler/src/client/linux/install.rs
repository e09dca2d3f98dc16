//! Installing and removing the client.

use super::fallback::Fallback;
use super::held::Held;
use super::message::About;
use super::monitor::{self, Shared, Source};
use super::region::Region;
use super::signals::Previous;
use super::start::{self, Program};
use super::state::{self, Channel, State};
use super::{forks, stacks, sys, wish};
use crate::client::heartbeat::Beats;
use crate::client::{Builder, DumpError, InstallError};
use crate::protocol::RequestKind;
use crate::store::Reserved;
use crate::wake::Waker;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd as _, IntoRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Bytes of what a crash needs: the recorder's memory, and texts.
const REGION: usize = 512 << 10;

/// The client that is installed.
#[derive(Debug)]
pub struct Installed {
    state: &'static State,
    pub shared: Arc<Shared>,
    monitor: Option<JoinHandle<()>>,
    /// Files for a dump of its own, which stay when this value goes.
    reserved: ManuallyDrop<Option<Reserved>>,
}

/// Whether there is a client.
pub fn is_installed() -> bool {
    state::current().is_some()
}

/// Installs what was described. There is no client yet.
pub fn install(builder: &Builder) -> Result<Installed, InstallError> {
    let failed = |source| InstallError::Connection { source };
    let mut region = Region::new(REGION).map_err(failed)?;
    let (fallback, reserved) = prepare_fallback(builder, &mut region)?;
    let waker = Waker::new().map_err(failed)?;
    let attachments = builder.attachments.iter().map(|path| path.as_os_str().as_bytes());
    let about = About::new(&mut region, attachments).map_err(failed)?;
    let (channel, source) = reach(builder)?;
    let state: &'static State = region
        .put(State {
            channel,
            fallback,
            previous: Previous::look_up(),
            about,
            patience_ms: u64::try_from(builder.patience.as_millis()).unwrap_or(u64::MAX),
            first_chance: builder.first_chance,
            ask_yama: asks_yama(),
        })
        .map_err(failed)?;
    let shared = Arc::new(Shared { beats: Beats::default(), stop: AtomicBool::new(false), waker });
    state::set(state);
    forks::watch();
    // It stays with its thread.
    let _ = stacks::install();
    #[cfg(target_os = "linux")]
    super::interpose::begin();
    if builder.present_threads {
        stacks::install_for_all();
    }
    let hooked = state.previous.replace();
    let monitor = source.map(|source| monitor::spawn(state, Arc::clone(&shared), source));
    let installed = Installed { state, shared, monitor: None, reserved: ManuallyDrop::new(reserved) };
    // From here on dropping it is not enough to take it back.
    let failed = hooked.err().or_else(|| monitor.as_ref()?.as_ref().err().map(copy));
    if let Some(source) = failed {
        installed.stop();
        return Err(InstallError::Hook { source });
    }
    Ok(Installed { monitor: monitor.and_then(Result::ok), ..installed })
}

impl Installed {
    /// Has the handler dump this program.
    pub fn dump(&self, reason: &str) -> Result<PathBuf, DumpError> {
        wish::dump(self.state, RequestKind::Dump, sys::thread_id(), reason)
    }

    /// The handler's process id; `None` while it is not known.
    pub fn handler_pid(&self) -> Option<u32> {
        u32::try_from(self.state.channel.handler.load(Ordering::Acquire)).ok().filter(|pid| *pid > 0)
    }

    /// Takes it back. The caller has the turn.
    pub fn stop(self) {
        self.state.previous.put_back();
        #[cfg(target_os = "linux")]
        super::interpose::end();
        state::clear();
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake();
        if let Some(monitor) = self.monitor {
            // It ends by itself; that it panicked is nothing to tell.
            let _ = monitor.join();
        }
        let channel = &self.state.channel;
        let [first, second] = &channel.reply;
        [&channel.control, &channel.theirs, first, second].into_iter().for_each(Held::close);
        let is_reserved = |fallback: &Fallback| fallback.give_up() && fallback.has_files();
        if self.state.fallback.as_ref().is_some_and(is_reserved) {
            drop(ManuallyDrop::into_inner(self.reserved));
        }
    }
}

fn prepare_fallback(
    builder: &Builder,
    region: &mut Region,
) -> Result<(Option<Fallback>, Option<Reserved>), InstallError> {
    let Some((reserved, metadata)) = builder.reserve()? else { return Ok((None, None)) };
    let fallback = Fallback::new(region, &reserved, &metadata);
    Ok((fallback.map_err(|source| InstallError::Connection { source })?, Some(reserved)))
}

/// Finds the handler.
fn reach(builder: &Builder) -> Result<(Channel, Option<Source>), InstallError> {
    if let Some(path) = &builder.socket {
        let reached = match start::connect(path) {
            // The thread that looks after the connection goes on trying; until then the program helps itbuilder.
            Err(_) if builder.dump_dir.is_some() => start::ended_connection(),
            reached => reached,
        };
        let control = reached?.into_raw_fd();
        return Ok((Channel::new(control, -1), Some(Source::Listens(path.clone()))));
    }
    let (Some(path), Some(dump_dir)) = (&builder.handler, &builder.dump_dir) else {
        return Ok((Channel::new(-1, -1), None));
    };
    let dump_dir = std::path::absolute(dump_dir).unwrap_or_else(|_| dump_dir.clone());
    let program = Program { path: path.clone(), dump_dir, arguments: builder.arguments.clone() };
    let [control, theirs] = start::connection()?;
    program.start(theirs.as_fd())?;
    let channel = Channel::new(control.into_raw_fd(), theirs.into_raw_fd());
    Ok((channel, Some(Source::Started(program))))
}

fn copy(error: &std::io::Error) -> std::io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), std::io::Error::from_raw_os_error)
}

/// Whether a process has to say who may trace it (Documentation/admin-guide/LSM/Yama.rst).
fn asks_yama() -> bool {
    std::fs::read("/proc/sys/kernel/yama/ptrace_scope").is_ok_and(|scope| scope.first() == Some(&b'1'))
}
