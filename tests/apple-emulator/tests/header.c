/* The header for macOS, and that the library's structures are laid out as Apple's headers have them. */
#include <minidump_writer_apple.h>
#include <mach/mach.h>
#include <stddef.h>

#ifdef __arm64__
_Static_assert(sizeof(struct __darwin_mcontext64) == 816, "states of 16, 272 and 528 bytes");
_Static_assert(offsetof(struct __darwin_mcontext64, __ss) == 16, "behind the exception state");
_Static_assert(offsetof(struct __darwin_mcontext64, __ns) == 288, "behind the general registers");
_Static_assert(_Alignof(struct __darwin_mcontext64) == 16, "as its vector registers");
_Static_assert(sizeof(struct MMDCrashContext) == 832, "with the thread");
#else
_Static_assert(sizeof(struct __darwin_mcontext64) == 712, "states of 16, 168 and 524 bytes");
_Static_assert(offsetof(struct __darwin_mcontext64, __ss) == 16, "behind the exception state");
_Static_assert(offsetof(struct __darwin_mcontext64, __fs) == 184, "behind the general registers");
_Static_assert(sizeof(struct MMDCrashContext) == 720, "with the thread");
#endif
_Static_assert(offsetof(struct MMDCrashContext, crashedTID) == sizeof(struct __darwin_mcontext64), "right behind");

int dump_of_a_crash(int fd, struct MMDCrashContext *context);

int dump_of_a_crash(int fd, struct MMDCrashContext *context) {
    mdw_dump_options options = {0};
    options.size = sizeof options;
    options.format = MDW_FORMAT_MACHO_CORE;
    int code = mdw_dump_task(mach_task_self(), fd, context, &options, NULL);
    return code != MDW_OK ? code : MiniDumpWriteDump(mach_task_self(), fd, NULL);
}
