//! Captures of a process whose registers, stacks and memory are known.

mod child;
mod contents;
mod crashes;
mod hold;
mod own_structures;
