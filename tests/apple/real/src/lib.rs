//! Nothing is compiled here.
