//! What is known about a module from its files.

use super::super::model::SymbolsFound;
use super::cfi::{CallFrames, Step};
use super::compact_unwind::CompactUnwind;
use super::files::{self, Files, Identity};
use super::lines::{Lines, SourceFrame, demangle};
use super::object_file::ObjectFile;
use super::table::SymbolTable;
use minidump_unwind::{FillSymbolError, FrameSymbolizer, FrameWalker};
use std::collections::HashMap;

/// What debuggers call the frame between a signal handler and what it interrupted.
const SIGNAL_RETURN: &str = "<signal handler called>";
/// Addresses whose functions are remembered, per module.
const MOST_REMEMBERED: usize = 1 << 16;

/// A module whose files were found.
pub struct Loaded {
    /// What to add to the addresses in the files.
    bias: u64,
    /// First and last addresses of what is executable in the files.
    code: Vec<(u64, u64)>,
    call_frames: Option<CallFrames>,
    compact_unwind: Option<CompactUnwind>,
    symbols: SymbolTable,
    lines: LazyLines,
    has_lines: bool,
    remembered: HashMap<u64, Option<Answer>>,
}

/// Debug information is big and needed only when a function is to be named.
enum LazyLines {
    Unread(Box<Files>),
    Read(Option<Lines>),
}

/// The functions at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    /// First address of the function that is called.
    start: u64,
    /// Inlined functions, innermost first, then the one that is called, which has a name.
    frames: Vec<SourceFrame>,
}

impl Loaded {
    /// Finds and reads the files of the module that is loaded at `base`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn load(base: u64, identity: &Identity) -> Result<Self, SymbolsFound> {
        let files = files::find(identity)?;
        let main = files.binary.as_ref().or(files.debug.as_ref());
        let bias = main.and_then(|elf| elf.load_bias(base)).ok_or(SymbolsFound::Mismatch)?;
        let call_frames = main
            .filter(|elf| elf.is_x86_64())
            .and_then(|_| CallFrames::load(files.binary.as_ref(), files.debug.as_ref()));
        let compact_unwind = files.binary.as_ref().and_then(CompactUnwind::load);
        let of_debug = files.debug.as_ref().map(ObjectFile::symbols).filter(|symbols| !symbols.is_empty());
        let symbols = of_debug.or_else(|| files.binary.as_ref().map(ObjectFile::symbols)).unwrap_or_default();
        let has_lines = [&files.debug, &files.binary].into_iter().flatten().any(ObjectFile::has_lines);
        Ok(Self {
            bias,
            code: main.map(ObjectFile::code).unwrap_or_default(),
            call_frames,
            compact_unwind,
            symbols: SymbolTable::new(symbols),
            lines: LazyLines::Unread(Box::new(files)),
            has_lines,
            remembered: HashMap::new(),
        })
    }

    /// What the files are good for.
    pub fn found(&self) -> SymbolsFound {
        if self.has_lines { SymbolsFound::Lines } else { SymbolsFound::Names }
    }

    /// Sets the caller's registers. See [`CallFrames::step`].
    pub fn step(&mut self, address: u64, walker: &mut (dyn FrameWalker + Send)) -> Option<Step> {
        let in_file = address.wrapping_sub(self.bias);
        let by_call_frames = self.call_frames.as_mut().and_then(|frames| frames.step(in_file, walker));
        by_call_frames.or_else(|| self.compact_unwind.as_ref()?.step(in_file, walker))
    }

    /// Whether `address` is in the code that the kernel has handlers of signals return to.
    pub fn is_signal_return(&self, address: u64) -> bool {
        let in_file = address.wrapping_sub(self.bias);
        self.call_frames.as_ref().is_some_and(|frames| frames.is_signal_return(in_file))
    }

    /// Names the function at `address`.
    ///
    /// # Errors
    /// When the address is inside a function that nothing names. Success without a name means that it is in none, or not
    /// even in code.
    pub fn fill(
        &mut self,
        address: u64,
        frame: &mut (dyn FrameSymbolizer + Send),
    ) -> Result<(), FillSymbolError> {
        let in_file = address.wrapping_sub(self.bias);
        if !self.code.iter().any(|(first, last)| (*first..=*last).contains(&in_file)) {
            return Ok(());
        }
        let answer = self.answer(in_file);
        match answer {
            Some(answer) => answer.fill(self.bias, frame),
            None if self.is_function(in_file) => {
                return Err(FillSymbolError {});
            }
            None => {}
        }
        Ok(())
    }

    /// Whether there is a function at an address of the file. Without unwind information nobody knows better.
    fn is_function(&self, address: u64) -> bool {
        if self.call_frames.is_none() && self.compact_unwind.is_none() {
            return true;
        }
        self.start_of_function(address).is_some()
    }

    fn start_of_function(&self, address: u64) -> Option<u64> {
        let by_call_frames = self.call_frames.as_ref().and_then(|frames| frames.function_at(address));
        by_call_frames.or_else(|| self.compact_unwind.as_ref()?.function_at(address))
    }

    fn answer(&mut self, address: u64) -> Option<Answer> {
        if let Some(answer) = self.remembered.get(&address) {
            return answer.clone();
        }
        let answer = self.look_up(address);
        if self.remembered.len() < MOST_REMEMBERED {
            self.remembered.insert(address, answer.clone());
        }
        answer
    }

    fn look_up(&mut self, address: u64) -> Option<Answer> {
        if self.call_frames.as_ref().is_some_and(|frames| frames.is_signal_return(address)) {
            // Not called by anybody: what is below it on the stack was interrupted.
            let frame = SourceFrame { function: Some(SIGNAL_RETURN.into()), ..SourceFrame::default() };
            return Some(Answer { start: address, frames: vec![frame] });
        }
        let mut frames = self.lines().map(|lines| lines.lookup(address)).unwrap_or_default();
        let symbol = self.symbols.lookup(address);
        if frames.is_empty() {
            frames.push(SourceFrame::default());
        }
        let outermost = frames.last_mut()?;
        outermost.function =
            outermost.function.take().or_else(|| symbol.map(|symbol| demangle(&symbol.name)));
        outermost.function.as_ref()?;
        let start = symbol.map(|symbol| symbol.address).or_else(|| self.start_of_function(address));
        let start = start.unwrap_or(address);
        Some(Answer { start, frames })
    }

    fn lines(&mut self) -> Option<&Lines> {
        if let LazyLines::Unread(files) = &self.lines {
            self.lines = LazyLines::Read(Lines::load(files));
        }
        match &self.lines {
            LazyLines::Read(lines) => lines.as_ref(),
            LazyLines::Unread(_) => None,
        }
    }
}

impl Answer {
    /// Tells the unwinder, which wants the outermost function first.
    fn fill(&self, bias: u64, frame: &mut (dyn FrameSymbolizer + Send)) {
        let Some((outermost, inlined)) = self.frames.split_last() else { return };
        let start = self.start.wrapping_add(bias);
        frame.set_function(outermost.function.as_deref().unwrap_or_default(), start, 0);
        if let Some(file) = &outermost.file {
            frame.set_source_file(file, outermost.line.unwrap_or(0), start);
        }
        for inline in inlined.iter().rev() {
            frame.add_inline_frame(
                inline.function.as_deref().unwrap_or_default(),
                inline.file.as_deref(),
                inline.line,
            );
        }
    }
}
