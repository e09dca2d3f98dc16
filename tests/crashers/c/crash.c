/* `crash KIND`: a C program that dies in a chosen way, in a function called crash_here_KIND. Before that it prints the
 * same line of facts as the Rust crashers. Compiled by the end-to-end tests. */
#define _GNU_SOURCE
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Exit status of a program that should have died. */
#define SURVIVED 99

#define NEVER_INLINED __attribute__((noinline))

static void announce(void)
{
    printf("{\"pid\":%d,\"tid\":%ld}\n", (int)getpid(), syscall(SYS_gettid));
    fflush(stdout);
}

NEVER_INLINED static void crash_here_null(void)
{
    announce();
    *(volatile int *)0 = 1;
}

NEVER_INLINED static void crash_here_abort(void)
{
    announce();
    abort();
}

NEVER_INLINED static void crash_here_assert(void)
{
    announce();
    assert(!"what never happens");
}

/* The C library finds the damage and aborts. */
NEVER_INLINED static void crash_here_double_free(void)
{
    void *volatile block = malloc(2000);
    announce();
    free(block);
    free(block);
}

NEVER_INLINED static int crash_here_overflow(volatile int depth)
{
    volatile char frame[200];
    memset((char *)frame, depth, sizeof frame);
    return depth < 0 ? 0 : crash_here_overflow(depth + 1) + frame[depth % 200];
}

static void overflow(void)
{
    announce();
    crash_here_overflow(1);
}

static const struct {
    const char *name;
    void (*die)(void);
} kinds[] = {
    {"null", crash_here_null},
    {"abort", crash_here_abort},
    {"assert", crash_here_assert},
    {"double-free", crash_here_double_free},
    {"overflow", overflow},
};

static void *on_thread(void *die)
{
    ((void (*)(void))die)();
    return NULL;
}

int main(int count, char **arguments)
{
    for (size_t index = 0; count > 1 && index < sizeof kinds / sizeof *kinds; index++) {
        if (strcmp(arguments[1], kinds[index].name) != 0)
            continue;
        if (count > 2 && strcmp(arguments[2], "thread") == 0) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, on_thread, (void *)kinds[index].die) != 0)
                return 3;
            pthread_join(thread, NULL);
        } else {
            kinds[index].die();
        }
        return SURVIVED;
    }
    fprintf(stderr, "usage: crash KIND [main|thread]\n");
    return 2;
}
