/*
 * Two functions that the distribution's musl lacks and that a static Rust program links against. Only
 * `cargo xtask dist` uses this, and only where the standard library is built from source (see link.rs).
 */

#define _GNU_SOURCE
#include <elf.h>
#include <link.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What glibc 2.35 and later tell libgcc's unwinder about the object that holds an address (_dl_find_object(3)). */
struct found_object {
	unsigned long long flags;
	void *start;
	void *end;
	struct link_map *link_map;
	void *eh_frame_header;
	unsigned long long reserved[7];
};

struct question {
	ElfW(Addr) address;
	struct found_object *answer;
};

static int look_at(struct dl_phdr_info *object, size_t size, void *data)
{
	struct question *question = data;
	struct found_object found = {0};

	(void)size;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];
		ElfW(Addr) start = object->dlpi_addr + header->p_vaddr;

		if (header->p_type == PT_GNU_EH_FRAME) {
			found.eh_frame_header = (void *)start;
		} else if (header->p_type == PT_LOAD && question->address - start < header->p_memsz) {
			found.start = (void *)start;
			found.end = (void *)(start + header->p_memsz);
		}
	}
	if (!found.start || !found.eh_frame_header)
		return 0;
	*question->answer = found;
	return 1;
}

/* A static program is one object, so a walk over all is no slower than a look-up. */
int _dl_find_object(void *address, struct found_object *answer)
{
	struct question question = { (ElfW(Addr))address, answer };

	return dl_iterate_phdr(look_at, &question) == 1 ? 0 : -1;
}

/* musl has it since 1.2.4; weak, so that its own one is taken then. */
__attribute__((weak)) int statx(int directory, const char *restrict path, int flags, unsigned mask, void *restrict answer)
{
	return syscall(SYS_statx, directory, path, flags, mask, answer);
}
