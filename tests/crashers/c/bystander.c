/* A program that looks at its own state and counts its signals, to be run with and without a supervisor.
 *
 * look: prints what a process can see of how it was started. recover COUNT: gets over that many page faults, then exits
 * with code 7. count: prints "ready", then a line for each signal with its number and how often it came; SIGTERM ends it.
 * close: closes its standard output and input, then waits for SIGTERM. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static void look(void) {
    pid_t starter = getenv("STARTER") ? atoi(getenv("STARTER")) : 0;
    printf("group of its starter: %d\n", getpgrp() == getpgid(starter));
    printf("session of its starter: %d\n", getsid(0) == getsid(starter));
    printf("foreground group: %d\n", tcgetpgrp(0) == getpgrp());
    for (int fd = 0; fd < 1024; fd++) {
        if (fcntl(fd, F_GETFD) != -1)
            printf("descriptor %d: flags %x\n", fd, (unsigned)fcntl(fd, F_GETFL));
    }
    for (int number = 1; number < 65; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0)
            printf("signal %d: %s\n", number, action.sa_handler == SIG_DFL ? "default" : action.sa_handler == SIG_IGN ? "ignored" : "handled");
    }
    sigset_t mask, pending;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    sigpending(&pending);
    for (int number = 1; number < 65; number++)
        printf("%d%d", sigismember(&mask, number), sigismember(&pending, number));
    struct itimerval timer;
    getitimer(ITIMER_REAL, &timer);
    stack_t stack;
    sigaltstack(NULL, &stack);
    printf("\ntimer %d, signal stack %x, umask %o, nice %d\n", timer.it_value.tv_sec > 0, (unsigned)stack.ss_flags,
           (unsigned)umask(0), getpriority(PRIO_PROCESS, 0));
    for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
        struct rlimit limit;
        getrlimit(resource, &limit);
        printf("limit %d: %llu %llu\n", resource, (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
    }
}

static sigjmp_buf before;

static void get_over(int number) {
    (void)number;
    siglongjmp(before, 1);
}

static int recover(int count) {
    struct sigaction action = {.sa_handler = get_over};
    sigaction(SIGSEGV, &action, NULL);
    static volatile int done;
    while (done < count) {
        if (sigsetjmp(before, 1) == 0)
            *(volatile int *)0 = 1;
        done++;
    }
    printf("recovered from %d\n", done);
    return 7;
}

static int count(void) {
    int counts[65] = {0};
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    puts("ready");
    fflush(stdout);
    for (int number = 0; number != SIGTERM;) {
        if (sigwait(&all, &number) == 0)
            printf("%d: %d\n", number, ++counts[number]);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "look") == 0) {
        look();
        return 0;
    }
    if (argc > 2 && strcmp(argv[1], "recover") == 0)
        return recover(atoi(argv[2]));
    if (argc > 1 && strcmp(argv[1], "count") == 0)
        return count();
    if (argc > 1 && strcmp(argv[1], "close") == 0) {
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        pause();
    }
    return 2;
}
