/* Stands in for dyld: the frame below main. */
int start(int (*entry)(int, char **)) {
    volatile int status = entry(1, 0);
    for (;;)
        status++;
}
