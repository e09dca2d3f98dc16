//! Installing and removing the client.

use super::channel::Channel;
use super::fallback::Fallback;
use super::hooks::Hooks;
use super::message::{self, About};
use super::monitor::{self, Shared};
use super::reach::{Reached, Source};
use super::reporter::Reporter;
use super::start::Program;
use super::state::{self, ANNOTATIONS, State};
use super::{stack, sys};
use crate::client::{Builder, DumpError, InstallError};
use crate::protocol::RequestKind;
use crate::store::Reserved;
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

/// The client that is installed.
#[derive(Debug)]
pub struct Installed {
    state: &'static State,
    pub shared: Arc<Shared>,
    monitor: Option<JoinHandle<()>>,
    hooks: ManuallyDrop<Option<Hooks>>,
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
    let reserved = builder.reserve()?;
    let fallback = match &reserved {
        Some((reserved, metadata)) => Some(Fallback::new(reserved, metadata).map_err(failed)?),
        None => None,
    };
    let state: &'static State = sys::place(State {
        channel: Channel::default(),
        reporter: Reporter::new().map_err(failed)?,
        fallback,
        about: About::new(&builder.attachments).map_err(failed)?,
        patience: builder.patience,
        first_chance: builder.first_chance,
    })
    .map_err(failed)?;
    let shared = Arc::new(Shared::new().map_err(failed)?);
    let source = source(builder);
    let reached = reach(builder, source.as_ref())?;
    // The threads below have room from their beginning, and so has this one.
    stack::begin();
    stack::reserve();
    let hooked = begin(state, &shared, source, reached);
    let reserved = ManuallyDrop::new(reserved.map(|(reserved, _)| reserved));
    let installed = Installed { state, shared, monitor: None, hooks: ManuallyDrop::new(None), reserved };
    match hooked {
        Ok((monitor, hooks)) => {
            Ok(Installed { monitor: Some(monitor), hooks: ManuallyDrop::new(Some(hooks)), ..installed })
        }
        Err(source) => {
            installed.stop();
            Err(InstallError::Hook { source })
        }
    }
}

/// Starts the threads and puts the hooks in.
fn begin(
    state: &'static State,
    shared: &Arc<Shared>,
    source: Option<Source>,
    reached: Option<Reached>,
) -> std::io::Result<(JoinHandle<()>, Hooks)> {
    Reporter::start(state)?;
    let monitor = monitor::spawn(state, Arc::clone(shared), source, reached)?;
    state::set(state);
    match Hooks::new() {
        Ok(hooks) => Ok((monitor, hooks)),
        Err(error) => {
            shared.stop.store(true, Ordering::Release);
            shared.wake();
            // It ends by itself; that it panicked is nothing to tell.
            let _ = monitor.join();
            Err(error)
        }
    }
}

fn source(builder: &Builder) -> Option<Source> {
    if let Some(name) = &builder.socket {
        return Some(Source::Listens(name.clone().into_os_string()));
    }
    let (path, dump_dir) = (builder.handler.clone()?, builder.dump_dir.as_ref()?);
    let dump_dir = std::path::absolute(dump_dir).unwrap_or_else(|_| dump_dir.clone());
    Some(Source::Started(Program { path, dump_dir, arguments: builder.arguments.clone() }))
}

/// Finds the handler. One that should run already may also come later, when the program can help itself until then.
fn reach(builder: &Builder, source: Option<&Source>) -> Result<Option<Reached>, InstallError> {
    match source.map(Source::reach) {
        None => Ok(None),
        Some(Err(InstallError::Connect { .. })) if builder.dump_dir.is_some() => Ok(None),
        Some(reached) => reached.map(Some),
    }
}

impl Installed {
    /// Has the handler dump this program.
    pub fn dump(&self, reason: &str) -> Result<PathBuf, DumpError> {
        if self.monitor.is_none() {
            return Err(DumpError::NoHandler);
        }
        let thread = (sys::thread_id(), reason);
        self.shared.wish(message::of_wish(RequestKind::Dump, thread, self.state.about, &ANNOTATIONS))
    }

    /// The handler's process id; `None` while it is not known.
    pub fn handler_pid(&self) -> Option<u32> {
        Some(self.state.channel.handler.load(Ordering::Acquire)).filter(|pid| *pid > 0)
    }

    /// Takes it back. The caller has the turn.
    pub fn stop(self) {
        drop(ManuallyDrop::into_inner(self.hooks));
        stack::end();
        state::clear();
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake();
        if let Some(monitor) = self.monitor {
            // It ends by itself; that it panicked is nothing to tell.
            let _ = monitor.join();
        }
        self.state.reporter.stop();
        if self.state.fallback.as_ref().is_some_and(Fallback::give_up) {
            drop(ManuallyDrop::into_inner(self.reserved));
        }
    }
}
