//! The tests are in `tests/proof`.
