/*
 * What a static program does before all else: it adds its load address to the pointers that it consists of. The linker packs
 * the list of these into a hundredth of the size (DT_RELR of the ELF gABI), which musl understands since 1.2.4; here it is read
 * before musl begins, and then emptied, so that a newer musl finds nothing left to do.
 *
 * Nothing here may use a pointer that has to be adjusted itself, nor a function of the C library.
 */

#include <elf.h>
#include <link.h>

/* Older headers lack them. */
#ifndef DT_RELR
#define DT_RELRSZ 35
#define DT_RELR 36
#endif

#define HIDDEN __attribute__((visibility("hidden")))

/* Where the program lies, and its dynamic section; both are addressed relative to the code. */
extern const char __ehdr_start[] HIDDEN;
extern ElfW(Dyn) _DYNAMIC[] HIDDEN;

/*
 * The program's entry. The kernel leaves the arguments on the stack, which is a multiple of 16 here, and rdx is to be handed on.
 */
__asm__(
	".text\n"
	".global start_packed\n"
	".type start_packed, @function\n"
	"start_packed:\n"
	"	xor %ebp, %ebp\n"
	"	push %rdx\n"
	"	sub $8, %rsp\n"
	"	call add_load_address\n"
	"	add $8, %rsp\n"
	"	pop %rdx\n"
	"	jmp _start\n"
	".size start_packed, . - start_packed\n"
);

/*
 * An even entry is the address of a pointer; an odd one tells in its upper 63 bits which of the next 63 words are pointers.
 */
HIDDEN void add_load_address(void)
{
	ElfW(Addr) base = (ElfW(Addr))__ehdr_start;
	const ElfW(Addr) *entry = 0;
	ElfW(Xword) size = 0;
	ElfW(Addr) *next = 0;

	for (ElfW(Dyn) *tag = _DYNAMIC; tag->d_tag != DT_NULL; tag++) {
		if (tag->d_tag == DT_RELR) {
			entry = (const ElfW(Addr) *)(base + tag->d_un.d_ptr);
		} else if (tag->d_tag == DT_RELRSZ) {
			size = tag->d_un.d_val;
			tag->d_un.d_val = 0;
		}
	}
	for (; size >= sizeof *entry; size -= sizeof *entry, entry++) {
		if (!(*entry & 1)) {
			next = (ElfW(Addr) *)(base + *entry);
			*next++ += base;
			continue;
		}
		for (int word = 0; word < 63; word++) {
			if (*entry >> (word + 1) & 1)
				next[word] += base;
		}
		next += 63;
	}
}
