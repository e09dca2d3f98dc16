/*
 * Runs a program, one instruction after the other, and prints the offset of each that is reached for the first time: from
 * where the program was loaded, in hexadecimal, a line each. Threads that it starts are followed, processes are not.
 *
 * The exit status is that of the program, or 125 when it could not be watched.
 */

#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* Programs larger than this are watched up to here, in bytes. */
#define SPAN 0x2000000
/* After so many seconds both programs are ended: the kernel kills what is traced along with its tracer. */
#define PATIENCE 300

static unsigned char seen[SPAN];

/* The first line of the map is the program itself. */
static int load_address(pid_t pid, uint64_t *address)
{
	char name[64];
	FILE *maps;
	int found;

	snprintf(name, sizeof(name), "/proc/%ld/maps", (long)pid);
	maps = fopen(name, "r");
	if (!maps)
		return 0;
	found = fscanf(maps, "%" SCNx64, address) == 1;
	fclose(maps);
	return found;
}

static void note(pid_t thread, uint64_t load)
{
	struct user_regs_struct registers;
	uint64_t offset;

	if (ptrace(PTRACE_GETREGS, thread, 0, &registers))
		return;
	offset = registers.rip - load;
	if (offset < SPAN && !seen[offset]) {
		seen[offset] = 1;
		printf("%" PRIx64 "\n", offset);
	}
}

/* Traps come from the steps, stops from threads that begin; all else was meant for the program. */
static long own_signal(int status)
{
	int signal = WSTOPSIG(status);

	return signal == SIGTRAP || signal == SIGSTOP ? 0 : signal;
}

int main(int count, char **arguments)
{
	const long options = PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	uint64_t load;
	pid_t program, thread;
	int status;

	if (count < 2)
		return 125;
	alarm(PATIENCE);
	program = fork();
	if (program < 0)
		return 125;
	if (program == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(125);
		execv(arguments[1], arguments + 1);
		_exit(125);
	}
	if (waitpid(program, &status, 0) != program || !WIFSTOPPED(status))
		return 125;
	if (ptrace(PTRACE_SETOPTIONS, program, 0, (void *)options) || !load_address(program, &load))
		return 125;
	for (thread = program; thread > 0; thread = waitpid(-1, &status, __WALL)) {
		if (WIFSTOPPED(status)) {
			note(thread, load);
			/* A thread that is gone is reported by the next wait. */
			(void)ptrace(PTRACE_SINGLESTEP, thread, 0, (void *)own_signal(status));
		} else if (thread == program) {
			return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
		}
	}
	return 125;
}
