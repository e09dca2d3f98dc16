//! The folder in which dumps are kept.
