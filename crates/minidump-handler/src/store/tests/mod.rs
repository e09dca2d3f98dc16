//! Tests of the whole dump directory, on real files.

mod crashed_writers;
mod damping;
#[cfg(target_os = "linux")]
mod disk_full;
mod hostile;
mod life;
mod quotas;
mod together;
