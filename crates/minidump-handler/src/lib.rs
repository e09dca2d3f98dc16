//! Ways from a crash to a dump.
//!
//! - [`store`]: the folder in which dumps are kept, with what is known of each, within limits.
#![warn(missing_docs)]

pub mod store;
