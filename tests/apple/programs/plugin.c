/* A plug-in: a bundle, which has no name of its own in its load commands. */
__attribute__((noinline)) int plugin_run(int (*callback)(int), int number) {
    int result = callback(number * 2);
    return result + 1;
}
