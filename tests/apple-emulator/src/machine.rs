//! A processor with the library in its memory.

use crate::heap;
use crate::macho::MachO;
use crate::system::{Guest, System};
use crate::unicorn::{Engine, Handle, Unicorn};
use crate::{Arch, Error};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::path::Path;
use std::time::Duration;

/// Where things lie in the emulated program.
const LIBRARY: u64 = 0x1_0400_0000;
const STACK: u64 = 0x5_0000_0000;
const STACK_SIZE: u64 = 0x80_0000;
const END: u64 = 0x6_0000_0000;
const VARIABLES: u64 = 0x6_1000_0000;
const STUBS: u64 = 0x7_0000_0000;
/// Bytes of a stub: one instruction, which returns.
const STUB: u64 = 16;
const PAGE: u64 = 0x4000;
/// Longest that a call may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// A processor with the library in its memory.
#[derive(Debug)]
pub struct Machine {
    engine: Engine,
    arch: Arch,
    exports: BTreeMap<String, u64>,
    /// Names of the imported functions, in the order of their stubs.
    stubs: Vec<String>,
    /// Address and size of the initial values of thread-local variables.
    locals: (u64, u64),
}

/// Functions that no library needs to have, and that ours looks up by name.
const LOOKED_UP: &[&str] = &["_task_identity_token_get_task_port"];

/// What a hook needs.
struct Run<'a, 'b> {
    guest: Guest<'a>,
    stubs: &'a [String],
    system: RefCell<&'a mut System<'b>>,
    failure: RefCell<Option<String>>,
}

impl Machine {
    /// Loads the library into the emulator, whose own library is at `emulator`.
    ///
    /// # Errors
    /// When there is no such emulator, or it has no room for the library.
    pub fn new(emulator: &Path, library: &MachO) -> Result<Self, Error> {
        let arch = library.arch;
        let made = Engine::new(Unicorn::load(emulator)?, arch.unicorn(), arch.model());
        let mut machine = Self {
            engine: made.map_err(Error::Emulator)?,
            arch,
            exports: library.exports.clone(),
            stubs: Vec::new(),
            locals: (LIBRARY + library.locals.address, library.locals.size),
        };
        machine.load(library).map_err(Error::Emulator)?;
        Ok(machine)
    }

    fn load(&mut self, library: &MachO) -> Result<(), String> {
        let end = library.segments.iter().map(|segment| segment.address + segment.size).max().unwrap_or(0);
        self.engine.map(LIBRARY, end.next_multiple_of(PAGE))?;
        for segment in &library.segments {
            self.engine.write(LIBRARY + segment.address, &segment.bytes)?;
        }
        for (at, target) in &library.fixups.rebases {
            let mut bytes = [0; 8];
            self.engine.read(LIBRARY + at, &mut bytes)?;
            let target = target.unwrap_or(u64::from_le_bytes(bytes));
            self.engine.write(LIBRARY + at, &(LIBRARY.wrapping_add(target)).to_le_bytes())?;
        }
        self.engine.map(STACK, STACK_SIZE)?;
        self.engine.map(heap::START, heap::SIZE)?;
        self.engine.map(END, PAGE)?;
        self.engine.map(VARIABLES, PAGE)?;
        self.bind(library)
    }

    /// Writes the pointers to other libraries: variables lie in memory, functions are stubs.
    fn bind(&mut self, library: &MachO) -> Result<(), String> {
        let mut addresses = BTreeMap::new();
        let mut next_variable = VARIABLES;
        for name in library.imports() {
            let address = if let Some(value) = System::variable(name) {
                self.engine.write(next_variable, &value.to_le_bytes())?;
                next_variable += 8;
                next_variable - 8
            } else {
                self.stubs.push(name.to_owned());
                STUBS + (self.stubs.len() as u64 - 1) * STUB
            };
            addresses.insert(name, address);
        }
        self.stubs.extend(LOOKED_UP.iter().map(|name| (*name).to_owned()));
        self.engine.map(STUBS, (self.stubs.len() as u64 * STUB).next_multiple_of(PAGE).max(PAGE))?;
        for index in 0..self.stubs.len() as u64 {
            self.engine.write(STUBS + index * STUB, self.arch.ret())?;
        }
        for import in &library.fixups.imports {
            let address = addresses.get(import.name.as_str()).copied().unwrap_or(0);
            let value = address.wrapping_add_signed(import.addend);
            self.engine.write(LIBRARY + import.at, &value.to_le_bytes())?;
        }
        Ok(())
    }

    /// Calls a function of the library, whose name in C is `name`, with at most six arguments. Returns its result;
    /// of a 32-bit one the upper half is not defined.
    ///
    /// # Errors
    /// When it does what no program may, calls what is not played, or does not end.
    pub fn call(&self, name: &str, arguments: &[u64], system: &mut System<'_>) -> Result<u64, Error> {
        let function =
            *self.exports.get(&format!("_{name}")).ok_or_else(|| Error::NoFunction(name.to_owned()))?;
        let run = Run {
            guest: Guest { engine: &self.engine, arch: self.arch },
            stubs: &self.stubs,
            system: RefCell::new(system),
            failure: RefCell::new(None),
        };
        let ran = self.enter(LIBRARY + function, arguments, &run);
        let failure = run.failure.take().map_or(ran, Err);
        let system = run.system.into_inner();
        let pc = self.engine.get(self.arch.program_counter()).unwrap_or(0);
        match failure {
            Ok(()) if pc == END => self.engine.get(self.arch.result()).map_err(Error::Emulator),
            Ok(()) => Err(stopped("it took too long".to_owned(), pc, system)),
            Err(what) => Err(stopped(what, pc, system)),
        }
    }

    /// Puts `bytes` into memory of the emulated program, and tells where.
    ///
    /// # Errors
    /// When there is no room.
    pub fn place(&self, bytes: &[u8], system: &mut System<'_>) -> Result<u64, Error> {
        let guest = Guest { engine: &self.engine, arch: self.arch };
        system.prepare(&guest, self.locals).map_err(Error::Emulator)?;
        let address = system.heap.allocate(bytes.len() as u64, 16).map_err(Error::Emulator)?;
        self.engine.write(address, bytes).map_err(Error::Emulator)?;
        Ok(address)
    }

    /// The 64-bit number at `address` in the emulated program.
    ///
    /// # Errors
    /// When there is none.
    pub fn number(&self, address: u64) -> Result<u64, Error> {
        Guest { engine: &self.engine, arch: self.arch }.u64(address).map_err(Error::Emulator)
    }

    /// The text at `address` in the emulated program.
    ///
    /// # Errors
    /// When there is none.
    pub fn text(&self, address: u64) -> Result<String, Error> {
        Guest { engine: &self.engine, arch: self.arch }.text(address).map_err(Error::Emulator)
    }

    fn looked_up(&self) -> BTreeMap<String, u64> {
        let stubs = (0_u64..).zip(&self.stubs);
        let found = stubs.filter(|(_, name)| LOOKED_UP.contains(&name.as_str()));
        found.map(|(index, name)| (name.clone(), STUBS + index * STUB)).collect()
    }

    fn enter(&self, function: u64, arguments: &[u64], run: &Run<'_, '_>) -> Result<(), String> {
        run.system.borrow_mut().prepare(&run.guest, self.locals)?;
        run.system.borrow_mut().symbols = self.looked_up();
        for (index, argument) in arguments.iter().enumerate() {
            let register = self.arch.argument(index).ok_or("there are too many arguments")?;
            self.engine.set(register, *argument)?;
        }
        let mut stack = STACK + STACK_SIZE - 0x1000;
        if let Some(link) = self.arch.link() {
            self.engine.set(link, END)?;
        } else {
            stack -= 8;
            self.engine.write(stack, &END.to_le_bytes())?;
        }
        self.engine.set(self.arch.stack_pointer(), stack)?;
        let stubs = (STUBS, STUBS + self.stubs.len() as u64 * STUB);
        let user = std::ptr::from_ref(run).cast_mut().cast::<c_void>();
        #[expect(unsafe_code, reason = "the hook is given a pointer")]
        // SAFETY: `imported` reads `user` as the `Run` that it is, and shares it with nobody else meanwhile.
        unsafe {
            self.engine.run((function, END, PATIENCE), stubs, imported, user)
        }
    }
}

fn stopped(what: String, pc: u64, system: &System<'_>) -> Error {
    Error::Stopped { what, pc, base: LIBRARY, calls: system.last_calls() }
}

/// Called before the instruction of a stub: plays the function.
extern "C" fn imported(_: Handle, address: u64, _: u32, user: *mut c_void) {
    #[expect(unsafe_code, reason = "a pointer of C")]
    // SAFETY: `enter` passes a `Run`, which outlives the emulation.
    let run = unsafe { &*user.cast_const().cast::<Run<'_, '_>>() };
    let index = usize::try_from((address - STUBS) / STUB).unwrap_or(usize::MAX);
    let name = run.stubs.get(index).map_or("", String::as_str);
    let played = run.system.borrow_mut().play(name, &run.guest);
    let told = played.and_then(|result| match result {
        Some(result) => run.guest.engine.set(run.guest.arch.result(), result),
        None => Ok(()),
    });
    if let Err(what) = told {
        *run.failure.borrow_mut() = Some(format!("{name}: {what}"));
        run.guest.engine.stop();
    }
}
