/*
 * What the library offers on macOS alone: dumps of tasks whose port the program has. Whoever has the port of a task needs
 * neither root nor an entitlement to dump it.
 */
#ifndef MINIDUMP_WRITER_APPLE_H
#define MINIDUMP_WRITER_APPLE_H

#include "minidump_writer.h"

#include <mach/port.h>
#include <signal.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A crash as a handler of signals sees it: the registers (of the ucontext_t that the handler gets, *uc_mcontext), and the id
 * of the thread (pthread_threadid_np).
 */
struct MMDCrashContext {
    struct __darwin_mcontext64 mcontext;
    uint64_t crashedTID;
};

/*
 * Writes a core file of `task`, which LLDB opens, to the descriptor `fd`, from its position on: stacks, registers, images and
 * what is needed to unwind. The task stands still for an instant and goes on. `task` may be mach_task_self(): then the other
 * threads stand still while stacks are copied, and the calling thread is in the core, too. `context` may be null; with one, its
 * thread comes first and has the registers of the crash.
 *
 * MDW_OK is 0. Fails with MDW_ERROR_ARGUMENT, _NO_PROCESS, _CAPTURE, _OUTPUT.
 */
int MiniDumpWriteDump(mach_port_t task, int fd, const struct MMDCrashContext *context);

/*
 * As MiniDumpWriteDump, with choices and an account; by default a minidump. `context`, `options` and `report` may be null. Also
 * fails with MDW_ERROR_UTF8, _UNSUPPORTED.
 */
int mdw_dump_task(mach_port_t task, int fd, const struct MMDCrashContext *context, const mdw_dump_options *options,
                  mdw_dump_report *report);

#ifdef __cplusplus
}
#endif

#endif
