"""Runs threads of a program in an instruction emulator until each waits in a system call or crashes.

Reads a description from the file named by its argument and prints what became of the threads:

  {"arch": "arm64"|"x86_64",
   "segments": [{"address", "size", "file", "offset", "length", "writable"}],   mapped before anything runs
   "pointers": [[address, value]],                                              written after that
   "threads": [{"entry", "arguments", "bottom", "top"}]}                        a stack each; below its bottom is nothing

  {"threads": [{"registers": {name: value}, "stop": "system call"|"read"|"write"|"fetch", "address", "stack": hex}],
   "segments": [hex]}                                                           the writable ones, as they are at the end

The stack is what lies between the stack pointer less 256 bytes (but no lower than its bottom) and its top.
"""
import json
import struct
import sys

from unicorn import UC_ARCH_ARM64, UC_ARCH_X86, UC_HOOK_CODE, UC_HOOK_INSN, UC_HOOK_INTR, UC_HOOK_MEM_INVALID
from unicorn import UC_MEM_FETCH_PROT, UC_MEM_FETCH_UNMAPPED, UC_MEM_WRITE_PROT, UC_MEM_WRITE_UNMAPPED
from unicorn import UC_MODE_64, UC_MODE_ARM, UC_PROT_EXEC, UC_PROT_READ, UC_PROT_WRITE, Uc, UcError
from unicorn import arm64_const, x86_const

PAGE = 0x1000
MOST_INSTRUCTIONS = 2_000_000


def pages(address, size):
    start = address & -PAGE
    return start, -(-(address + size) // PAGE) * PAGE - start


class Processor:
    """What differs between the two."""

    def __init__(self, arch):
        self.is_arm = arch == "arm64"
        if self.is_arm:
            self.uc = Uc(UC_ARCH_ARM64, UC_MODE_ARM)
            names = [f"x{n}" for n in range(29)] + ["fp", "lr", "sp", "pc"]
            self.registers = {name: getattr(arm64_const, "UC_ARM64_REG_" + name.upper()) for name in names}
            self.registers["cpsr"] = arm64_const.UC_ARM64_REG_NZCV
        else:
            self.uc = Uc(UC_ARCH_X86, UC_MODE_64)
            names = "rax rbx rcx rdx rdi rsi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split()
            self.registers = {name: getattr(x86_const, "UC_X86_REG_" + name.upper()) for name in names}
            self.registers["rflags"] = x86_const.UC_X86_REG_EFLAGS
        self.pc = "pc" if self.is_arm else "rip"
        self.sp = "sp" if self.is_arm else "rsp"
        self.stop = None
        self.last = 0
        self.hook()

    def hook(self):
        def code(uc, address, size, _):
            self.last = address

        def invalid(uc, access, address, size, value, _):
            fetch = access in (UC_MEM_FETCH_UNMAPPED, UC_MEM_FETCH_PROT)
            write = access in (UC_MEM_WRITE_UNMAPPED, UC_MEM_WRITE_PROT)
            word = "fetch" if fetch else "write" if write else "read"
            self.stop = self.stop or (word, address, address if fetch else self.last)
            return False

        def system_call(uc, *_):
            self.stop = ("system call", 0, self.last + (4 if self.is_arm else 2))
            uc.emu_stop()

        self.uc.hook_add(UC_HOOK_CODE, code)
        self.uc.hook_add(UC_HOOK_MEM_INVALID, invalid)
        if self.is_arm:
            self.uc.hook_add(UC_HOOK_INTR, system_call)
        else:
            self.uc.hook_add(UC_HOOK_INSN, system_call, None, 1, 0, x86_const.UC_X86_INS_SYSCALL)

    def set(self, name, value):
        self.uc.reg_write(self.registers[name], value)

    def start(self, thread):
        """Registers as if nobody had called the entry: no frame above, return address 0."""
        for number in self.registers:
            if number not in ("cpsr", "rflags"):
                self.set(number, 0)
        arguments = ["x0", "x1", "x2"] if self.is_arm else ["rdi", "rsi", "rdx"]
        for name, value in zip(arguments, thread["arguments"]):
            self.set(name, value)
        self.set(self.sp, thread["top"] - (16 if self.is_arm else 24))

    def run(self, thread):
        self.uc.mem_map(thread["bottom"], thread["top"] - thread["bottom"], UC_PROT_READ | UC_PROT_WRITE)
        self.start(thread)
        self.stop = None
        try:
            self.uc.emu_start(thread["entry"], 1, count=MOST_INSTRUCTIONS)
        except UcError as error:
            if self.stop is None:
                raise SystemExit(f"{error} at {self.last:#x}")
        if self.stop is None:
            raise SystemExit(f"the thread that began at {thread['entry']:#x} did not stop")
        word, address, pc = self.stop
        registers = {name: self.uc.reg_read(number) for name, number in self.registers.items()}
        registers[self.pc] = pc
        low = max(registers[self.sp] - 256, thread["bottom"])
        stack = bytes(self.uc.mem_read(low, thread["top"] - low)).hex()
        return {"registers": registers, "stop": word, "address": address, "stack": stack}


def main():
    scene = json.load(open(sys.argv[1]))
    processor = Processor(scene["arch"])
    uc = processor.uc
    for segment in scene["segments"]:
        access = UC_PROT_READ | (UC_PROT_WRITE if segment["writable"] else UC_PROT_EXEC)
        uc.mem_map(*pages(segment["address"], segment["size"]), access)
        with open(segment["file"], "rb") as file:
            file.seek(segment["offset"])
            uc.mem_write(segment["address"], file.read(segment["length"]))
    for address, value in scene["pointers"]:
        uc.mem_write(address, struct.pack("<Q", value))
    threads = [processor.run(thread) for thread in scene["threads"]]
    writable = [segment for segment in scene["segments"] if segment["writable"]]
    segments = [bytes(uc.mem_read(s["address"], s["size"])).hex() for s in writable]
    json.dump({"threads": threads, "segments": segments}, sys.stdout)


main()
