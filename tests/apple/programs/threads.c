/* Stands in for libsystem_pthread.dylib: where threads start, wait and are killed. */
extern int __psynch_cvwait(void);
extern int __pthread_kill(int thread, int signal);

__attribute__((noinline)) void wait_for_work(void) {
    volatile int rounds = 0;
    while (__psynch_cvwait())
        rounds++;
}

__attribute__((noinline)) int pthread_kill(int thread, int signal) {
    volatile int error = __pthread_kill(thread, signal);
    return error;
}

/* The outermost frame of a thread: its argument returns, but it does not. */
void thread_start(int (*routine)(void *), void *argument) {
    volatile int result = routine(argument);
    while (result)
        __psynch_cvwait();
}
