//! What one capture leaves for the next one of the same process.

use super::arena::Arena;
use super::before::Image;
use super::registers::RegisterReader;
use super::target::Target;
use super::task_list::TaskList;
use crate::DumpOptions;
use crate::snapshot::System;

/// What need not be read or made ready again, as long as the process runs the same program.
#[derive(Debug)]
pub struct Kept {
    /// The program image: memory map, modules, the loader's list.
    pub image: Image,
    /// Room for the text of a memory map.
    pub spare_text: Vec<u8>,
    /// The machine.
    pub system: System,
    /// Reads registers.
    pub registers: RegisterReader,
    /// Lists threads.
    pub tasks: TaskList,
    /// Takes memory.
    pub arena: Option<Arena>,
}

impl Kept {
    /// The same, up to date with the running process; `None` when it runs another program now.
    pub fn renewed(mut self, target: &Target, options: &DumpOptions) -> Option<Self> {
        let same_program = self.image.renew(target, options.auxv, &mut self.spare_text);
        if let Some(arena) = &mut self.arena {
            arena.clear();
        }
        same_program.then_some(self)
    }
}
