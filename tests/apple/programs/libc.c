/* Stands in for libsystem_c.dylib: abort() leaves a message for crash reports. */
extern int pthread_kill(int thread, int signal);

/* crashreporter_annotations_t, version 5. */
struct annotations {
    unsigned long version, message, signature, backtrace, message2, thread, dialog_mode, abort_cause;
};

__attribute__((used, section("__DATA,__crash_info"))) struct annotations annotations = {5, 0, 0, 0, 0, 0, 0, 0};

void abort(void) {
    annotations.message = (unsigned long)"abort() called";
    annotations.abort_cause = 7;
    pthread_kill(0, 6);
    __builtin_trap();
}
