// Threads that wait. With an argument, the main one crashes when they do.

#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static pthread_barrier_t waiting;

static void *wait_for_ever(void *name) {
    pthread_setname_np(pthread_self(), name);
    pthread_barrier_wait(&waiting);
    for (;;) pause();
}

int main(int count, char **arguments) {
    (void)arguments;
    pthread_t thread;
    pthread_barrier_init(&waiting, NULL, 3);
    pthread_create(&thread, NULL, wait_for_ever, "one");
    pthread_create(&thread, NULL, wait_for_ever, "another");
    pthread_barrier_wait(&waiting);
    if (count > 1) *(volatile int *)0x1230 = 1;
    puts("ready");
    fflush(stdout);
    for (;;) pause();
}
