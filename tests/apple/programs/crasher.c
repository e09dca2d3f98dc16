/* The executable. Tests name the lines of its calls, so new code goes to the end. */
#define NOINLINE __attribute__((noinline))

extern int lib_entry(int number);
extern void wait_for_work(void);
extern void abort(void);

NOINLINE int app_work(int number) {
    int local = 20250425;
    int result = lib_entry(number + (local & 1));
    return result + local;
}

NOINLINE int app_run(int number) {
    int result = app_work(number + 5);
    return result ^ 1;
}

int main(int count, char **words) {
    (void)words;
    return app_run(count);
}

/* An idle thread: waits in a system call. */
NOINLINE int app_idle(void *unused) {
    (void)unused;
    wait_for_work();
    return 1;
}

/* A frame of the executable above one of the plug-in. */
NOINLINE int app_callback(int number) {
    wait_for_work();
    return number + 1;
}

NOINLINE int app_plugged(int (*plugin)(int (*)(int), int)) {
    return plugin(app_callback, 4) + 1;
}

/* Ends the process on purpose. */
NOINLINE int app_check(void *unused) {
    (void)unused;
    abort();
    return 2;
}

/* Calls what its argument points to: nothing, or data. */
NOINLINE int app_call(int (*target)(int)) {
    int result = target(3);
    return result + 1;
}

/* Needs more stack than there is. */
NOINLINE int app_recurse(volatile int *above) {
    volatile int here[4] = {*above + 1, 0, 0, 0};
    int result = app_recurse(here);
    return result + here[0];
}

NOINLINE int app_overflow(void *unused) {
    volatile int none = 0;
    (void)unused;
    return app_recurse(&none) + 1;
}

/* Waits at a known depth, in frames as small as they can be. */
NOINLINE int app_descend(long levels) {
    if (levels <= 1)
        wait_for_work();
    else
        app_descend(levels - 1);
    return 1;
}
