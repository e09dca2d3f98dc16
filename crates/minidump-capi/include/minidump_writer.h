/*
 * minidump_writer.h: crash dumps of programs in C and C++.
 *
 *     #include <minidump_writer.h>
 *
 *     mdw_client *client;
 *     if (mdw_client_start("/var/crash/example", "/usr/bin/minidump-writer", &client) != MDW_OK)
 *         fprintf(stderr, "no crash dumps: %s\n", mdw_last_error_message());
 *
 * From there on a crash of the program is dumped by the handler, another process, into the dump directory; the program
 * then ends as it would have without. When the handler does not answer, the program writes a dump itself.
 *
 * Results. Functions that can fail return MDW_OK (0) or an error code (MDW_ERROR_..., positive). The numbers never
 * change. Later versions may have more: take those you do not know for a failure like any other. The sentence that
 * belongs to the last error in a thread is mdw_last_error_message().
 *
 * Texts end with a zero and are UTF-8. Paths end with a zero and are whatever the system takes; empty ones are errors.
 * Nothing that is passed is kept: it may be changed or freed when the function has returned.
 *
 * Threads. All functions may be called from all threads at any time. None may be called in a signal handler but
 * mdw_client_set_annotation and mdw_client_remove_annotation. A child made by fork() stays protected as its parent is; of
 * a program with several threads, it may call no other function of this library.
 *
 * Handles (mdw_client, mdw_heartbeat) are names, not memory: one that has been stopped gives MDW_ERROR_HANDLE.
 *
 * The client exists on Linux on x86-64. The library defines pthread_create, so that each new thread has an
 * alternative signal stack and an overflow of its stack can be dumped, too.
 */
#ifndef MINIDUMP_WRITER_H
#define MINIDUMP_WRITER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What functions return. The type of the functions is int, so that later codes fit. */
enum mdw_code {
    /* Done. */
    MDW_OK = 0,
    /* An argument is a null pointer, misaligned, empty or out of its range. */
    MDW_ERROR_ARGUMENT = 1,
    /* A text is not UTF-8. */
    MDW_ERROR_UTF8 = 2,
    /* The handle is of no client or heartbeat, or of one that has been stopped. */
    MDW_ERROR_HANDLE = 3,
    /* There is a client already: a process has one. */
    MDW_ERROR_ALREADY_STARTED = 4,
    /* The dump is there, but its path does not fit the buffer. */
    MDW_ERROR_BUFFER_TOO_SMALL = 5,
    /* This system cannot do it, this kind of program cannot be dumped, or a structure asks for what this version of
     * the library does not know. */
    MDW_ERROR_UNSUPPORTED = 6,
    /* The system refused memory, a descriptor, a thread, a signal handler or the like. */
    MDW_ERROR_SYSTEM = 7,
    /* There is no such process, or it ended meanwhile. */
    MDW_ERROR_NO_PROCESS = 8,
    /* This program may not trace the process. The message tells what to do. */
    MDW_ERROR_PERMISSION = 9,
    /* Another program traces the process; Linux allows one. */
    MDW_ERROR_TRACED = 10,
    /* The process could not be stopped, read or laid out. */
    MDW_ERROR_CAPTURE = 11,
    /* The dump could not be written. */
    MDW_ERROR_OUTPUT = 12,
    /* The dump directory cannot be made or used. */
    MDW_ERROR_DUMP_DIRECTORY = 13,
    /* The handler could not be started or reached. */
    MDW_ERROR_HANDLER_START = 14,
    /* There is no handler, or it has gone. */
    MDW_ERROR_HANDLER_GONE = 15,
    /* The handler said nothing for too long. */
    MDW_ERROR_HANDLER_SILENT = 16,
    /* The handler keeps no more dumps of this program for now. */
    MDW_ERROR_DECLINED = 17,
    /* The handler could not make the dump. */
    MDW_ERROR_HANDLER_FAILED = 18,
    /* The key of an annotation is empty, or key or value are too long. */
    MDW_ERROR_ANNOTATION = 19,
    /* There are MDW_MAX_ANNOTATIONS annotations already. */
    MDW_ERROR_ANNOTATIONS_FULL = 20,
    /* Another change of the annotations is not finished: it was interrupted by this signal handler. */
    MDW_ERROR_BUSY = 21,
    /* A bug of this library. Please report it with the message on the standard error stream. */
    MDW_ERROR_INTERNAL = 22
};

/* Most annotations of a client. */
#define MDW_MAX_ANNOTATIONS 64
/* Longest key and value of an annotation of a client, in bytes without the zero. */
#define MDW_MAX_KEY 64
#define MDW_MAX_VALUE 512
/* Bytes that are enough for every path of a dump. */
#define MDW_PATH_SIZE 4096

/* The version of the library, such as "0.1.0". */
const char *mdw_version(void);

/*
 * The sentence of the last error in the calling thread, without a line end: UTF-8, at most 1,023 bytes, "" when there was
 * none. Success leaves it alone. It is overwritten by the next error in this thread and goes with the thread.
 */
const char *mdw_last_error_message(void);

/* ---- Dumps of processes that run on -------------------------------------------------------------------------------- */

/* What a program says of itself. Both are texts. */
typedef struct mdw_annotation {
    const char *key;
    const char *value;
} mdw_annotation;

/* mdw_dump_options.format: a minidump, or a core file: of Linux, for gdb and LLDB, or of macOS, for LLDB. */
#define MDW_FORMAT_MINIDUMP 0u
#define MDW_FORMAT_ELF_CORE 1u
#define MDW_FORMAT_MACHO_CORE 2u

/* mdw_dump_options.memory: stacks and the code around instruction pointers; also what registers and stacks point at; all. */
#define MDW_MEMORY_STACKS 0u
#define MDW_MEMORY_INDIRECT 1u
#define MDW_MEMORY_FULL 2u

/* mdw_dump_options.flags: deface what is no address in stacks. */
#define MDW_DUMP_SANITIZE 1u
/* ... with MDW_MEMORY_FULL: let the process go on as soon as a copy of it has been made (fork), and write that. */
#define MDW_DUMP_COPY_ON_WRITE 2u
/* ... keep the values of environment variables whose names look secret. */
#define MDW_DUMP_KEEP_ENVIRON 4u

/*
 * Choices for a dump. Set `size` to sizeof(mdw_dump_options) and all that you do not choose to zero, as
 *     mdw_dump_options options = {0};  options.size = sizeof options;
 * does: then programs work with later versions of the library, which may have more fields.
 */
typedef struct mdw_dump_options {
    size_t size;
    /* The thread to put first. 0: the main thread. */
    uint32_t thread;
    uint32_t format;
    uint32_t memory;
    uint32_t flags;
    /* Longest that the process may stand still while its threads are stopped. 0: 5,000. */
    uint32_t deadline_ms;
    /* Longest that it may stand still while all its memory is written. 0: 120,000. */
    uint32_t hold_limit_ms;
    /* Most memory in the dump, in bytes, except with MDW_MEMORY_FULL. 0: 256 MiB. */
    uint64_t memory_budget;
    /* What to write into the dump for readers to show. May be null when the count is 0. At most 4,096. */
    const mdw_annotation *annotations;
    size_t annotation_count;
} mdw_dump_options;

/* What a dump came to. Set `size` to sizeof(mdw_dump_report) before the call. */
typedef struct mdw_dump_report {
    size_t size;
    /* Bytes of the file. */
    uint64_t bytes;
    /* How long the process stood still, and how long the whole took, in microseconds. */
    uint64_t stopped_us;
    uint64_t wall_us;
    uint32_t threads;
    uint32_t modules;
    /* How many things could not be captured. The dump tells which. */
    uint32_t soft_errors;
    uint32_t reserved;
} mdw_dump_report;

/*
 * Dumps process `pid`, which stands still for an instant and goes on, to the file `path`, which is replaced if it is
 * there. On failure nothing is left of the dump. `pid` may be that of the calling process; not for crash handlers.
 *
 * Fails with MDW_ERROR_ARGUMENT, _NO_PROCESS, _PERMISSION, _TRACED, _UNSUPPORTED, _CAPTURE, _SYSTEM, _OUTPUT.
 */
int mdw_dump_process(int32_t pid, const char *path);

/* As mdw_dump_process, with choices and an account. `options` and `report` may be null. Also fails with MDW_ERROR_UTF8. */
int mdw_dump_process_with(int32_t pid, const char *path, const mdw_dump_options *options, mdw_dump_report *report);

/* ---- The client: dumps of crashes of this process ------------------------------------------------------------------ */

/* The protection of this process. */
typedef struct mdw_client mdw_client;

/*
 * Looks at each signal of a crash before the client does, for runtimes that use faults for their own purposes: not 0 when
 * it has dealt with the signal, so that the program goes on. The arguments are those of a signal handler with SA_SIGINFO
 * (`info` is a siginfo_t, `context` a ucontext_t). It runs in that handler: async-signal-safe functions only.
 */
typedef int (*mdw_first_chance)(int signal, const void *info, const void *context);

/* mdw_client_options.flags: give no alternative signal stacks to threads that are there already. Otherwise each receives
 * a real-time signal once, for which system calls that never restart return EINTR. */
#define MDW_CLIENT_LEAVE_PRESENT_THREADS 1u

/* Choices for a client, to be prepared as mdw_dump_options are. Either `dump_dir` or `socket_path` has to be set. */
typedef struct mdw_client_options {
    size_t size;
    /* The dump directory, made if it is not there. */
    const char *dump_dir;
    /* The program minidump-writer, which is started as handler, and again when it dies. Null: the program writes dumps
     * itself, or the handler at `socket_path` does. */
    const char *handler_path;
    /* Where a handler listens that runs already (minidump-writer handler --socket PATH); with `dump_dir`, or will later. */
    const char *socket_path;
    /* The version of the program: the annotation "version". */
    const char *version;
    /* More arguments for the handler that is started; a null pointer after the last one. */
    const char *const *handler_arguments;
    /* Paths of at most 64 files to be kept with each dump, read in the crash; a null pointer after the last one. */
    const char *const *attachments;
    /* As if set by mdw_client_set_annotation. */
    const mdw_annotation *annotations;
    size_t annotation_count;
    mdw_first_chance first_chance;
    /* How long a crashing program waits for a sign of the handler before it writes the dump itself. 0: 2,000. */
    uint32_t patience_ms;
    uint32_t flags;
} mdw_client_options;

/*
 * Starts the client. `handler_path` may be null: then the program writes its dumps itself. `*client` is the handle, and
 * null on failure.
 *
 * Call it early in main, before threads and before runtimes that handle SIGSEGV. Signal handlers that are there get the
 * signal after the client. Dropping the handle changes nothing.
 *
 * Fails with MDW_ERROR_ARGUMENT, _ALREADY_STARTED, _DUMP_DIRECTORY, _HANDLER_START, _SYSTEM.
 */
int mdw_client_start(const char *dump_dir, const char *handler_path, mdw_client **client);

/* As mdw_client_start, with choices. Also fails with MDW_ERROR_UTF8, _UNSUPPORTED, _ANNOTATION, _ANNOTATIONS_FULL, _BUSY. */
int mdw_client_start_with(const mdw_client_options *options, mdw_client **client);

/*
 * Ends the protection: signal handlers of before are back, the handler ends, heartbeats end. It waits for
 * mdw_client_dump in other threads. Afterwards a client can be started again. Annotations stay.
 *
 * Fails with MDW_ERROR_HANDLE.
 */
int mdw_client_stop(mdw_client *client);

/*
 * Sets an annotation: each dump from now on has it. Also in signal handlers. What is set just before a crash is in the
 * dump, also when the heap is destroyed.
 *
 * Fails with MDW_ERROR_ARGUMENT, _UTF8, _HANDLE, _ANNOTATION, _ANNOTATIONS_FULL, _BUSY.
 */
int mdw_client_set_annotation(mdw_client *client, const char *key, const char *value);

/* Removes an annotation; that there is none is no error. Also in signal handlers. Fails as the function above. */
int mdw_client_remove_annotation(mdw_client *client, const char *key);

/*
 * Has the handler dump this process, which goes on, with the calling thread first. `reason` (may be null) is told in the
 * dump's metadata. The path of the dump is written to `path`, of `path_size` bytes, with a zero; `path` may be null when
 * `path_size` is 0. MDW_PATH_SIZE is always enough. Without a path, `path` is "" afterwards.
 *
 * Fails with MDW_ERROR_ARGUMENT, _UTF8, _HANDLE, _HANDLER_GONE, _HANDLER_SILENT, _DECLINED, _HANDLER_FAILED, and with
 * _BUFFER_TOO_SMALL when there is a dump.
 */
int mdw_client_dump(mdw_client *client, const char *reason, char *path, size_t path_size);

/* The process id of the handler. `*pid` is 0 while none has said that it runs, and where it is in another pid namespace.
 * Fails with MDW_ERROR_ARGUMENT, _HANDLE. */
int mdw_client_handler_pid(mdw_client *client, int32_t *pid);

/* ---- Heartbeats: dumps of threads that hang ------------------------------------------------------------------------ */

/* A promise of a thread to give signs of life. */
typedef struct mdw_heartbeat mdw_heartbeat;

/*
 * Begins a heartbeat of the calling thread. When mdw_heartbeat_beat is not called for `timeout_ms` (not 0), the handler
 * dumps this process with that thread first, once, and the program goes on. `*heartbeat` is the handle, and null on failure.
 * It ends with mdw_heartbeat_stop, or with its client.
 *
 * Fails with MDW_ERROR_ARGUMENT, _HANDLE.
 */
int mdw_heartbeat_start(mdw_client *client, uint32_t timeout_ms, mdw_heartbeat **heartbeat);

/* The thread is alive: the time begins anew, a pause ends. Fails with MDW_ERROR_HANDLE. */
int mdw_heartbeat_beat(mdw_heartbeat *heartbeat);

/* The thread is about to wait for something that may take any time. Fails with MDW_ERROR_HANDLE. */
int mdw_heartbeat_pause(mdw_heartbeat *heartbeat);

/* Ends the heartbeat. Fails with MDW_ERROR_HANDLE. */
int mdw_heartbeat_stop(mdw_heartbeat *heartbeat);

#ifdef __cplusplus
}
#endif

#endif
