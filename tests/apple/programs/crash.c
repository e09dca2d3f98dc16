/* The library that crashes: a leaf without a frame of its own stores through a bad pointer. */
#define NOINLINE __attribute__((noinline))

NOINLINE int lib_leaf(volatile int *target, int value) {
    *target = value;
    return value + 1;
}

NOINLINE int lib_mid(volatile int *target, int value) {
    int result = lib_leaf(target, value * 3);
    return result * 2;
}

NOINLINE int lib_entry(int value) {
    volatile int *bad = (volatile int *)0x10;
    int result = lib_mid(bad, value + 5);
    return result - 1;
}
