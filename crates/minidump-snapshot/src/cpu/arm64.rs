use serde::{Deserialize, Serialize};

/// Floating-point and vector registers of an AArch64 thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm64Vector {
    /// V0 to V31, little-endian.
    pub v: [[u8; 16]; 32],
    /// Floating-point status.
    pub fpsr: u32,
    /// Floating-point control.
    pub fpcr: u32,
}

/// Registers of an AArch64 thread.
///
/// Pointers are as they are in the registers: with pointer authentication, return addresses carry a signature in the
/// bits above the address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "registers carry their architectural names")]
pub struct Arm64State {
    /// X0 to X28.
    pub x: [u64; 29],
    /// X29.
    pub fp: u64,
    /// X30.
    pub lr: u64,
    pub sp: u64,
    pub pc: u64,
    pub cpsr: u32,
    /// `None` when they could not be read.
    pub vector: Option<Box<Arm64Vector>>,
}

impl Arm64State {
    /// The registers that may hold a pointer to data, the likeliest first: not the stack pointer, which always points
    /// at memory that a dump holds, and not the instruction pointer. Only so many that every architecture has as many.
    #[must_use]
    pub fn data_pointers(&self) -> [u64; 17] {
        let [x0, x1, x2, x3, x4, x5, x6, x7, x8, ..] = self.x;
        let [.., x19, x20, x21, x22, x23, x24, x25, x26, _, _] = self.x;
        [x0, x1, x2, x3, x4, x5, x6, x7, x8, x19, x20, x21, x22, x23, x24, x25, x26]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_saved_registers_may_point_at_data() {
        let x = std::array::from_fn(|index| index as u64);
        let state = Arm64State { x, ..Arm64State::default() };
        assert_eq!(state.data_pointers(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 19, 20, 21, 22, 23, 24, 25, 26]);
    }
}
