// `crash KIND`: a C++ program that dies in a chosen way, in a function called crash_here_KIND. Before that it prints
// the same line of facts as the Rust crashers. Compiled by the end-to-end tests.
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

// Exit status of a program that should have died.
static const int SURVIVED = 99;

#define NEVER_INLINED __attribute__((noinline))

static void announce()
{
    std::printf("{\"pid\":%d,\"tid\":%ld}\n", static_cast<int>(getpid()), syscall(SYS_gettid));
    std::fflush(stdout);
}

// An exception that nobody catches.
NEVER_INLINED static void crash_here_throw()
{
    announce();
    throw std::runtime_error("nobody catches this");
}

// An exception that reaches a function which promised to let none through. The compiler sees that.
#pragma GCC diagnostic ignored "-Wterminate"
NEVER_INLINED static void crash_here_noexcept() noexcept
{
    announce();
    throw 42;
}

struct Base {
    Base();
    virtual void pure() = 0;
    virtual ~Base() = default;
};

// While the constructor of the base runs, the object has no other function than the pure one.
NEVER_INLINED static void crash_here_pure_virtual(Base *volatile object)
{
    object->pure();
}

Base::Base()
{
    crash_here_pure_virtual(this);
}

struct Derived : Base {
    void pure() override {}
};

static void pure_virtual()
{
    announce();
    Derived object;
}

NEVER_INLINED static int crash_here_overflow(volatile int depth)
{
    volatile char frame[200];
    std::memset(const_cast<char *>(frame), depth, sizeof frame);
    return depth < 0 ? 0 : crash_here_overflow(depth + 1) + frame[depth % 200];
}

static void overflow()
{
    announce();
    crash_here_overflow(1);
}

static const struct {
    const char *name;
    void (*die)();
} kinds[] = {
    {"throw", crash_here_throw},
    {"noexcept", crash_here_noexcept},
    {"pure-virtual", pure_virtual},
    {"overflow", overflow},
};

int main(int count, char **arguments)
{
    for (const auto &kind : kinds) {
        if (count < 2 || std::strcmp(arguments[1], kind.name) != 0)
            continue;
        if (count > 2 && std::strcmp(arguments[2], "thread") == 0)
            std::thread(kind.die).join();
        else
            kind.die();
        return SURVIVED;
    }
    std::fprintf(stderr, "usage: crash KIND [main|thread]\n");
    return 2;
}
