/* Stands in for libsystem_kernel.dylib: system calls without a frame. */
#if defined(__aarch64__)
#define SYSTEM_CALL(name, number) \
    __asm__(".globl _" #name "\n.p2align 2\n_" #name ":\n mov x16, #" #number "\n svc #0x80\n ret\n")
#else
#define SYSTEM_CALL(name, number) \
    __asm__(".globl _" #name "\n_" #name ":\n movl $0x2000000+" #number ", %eax\n movq %rcx, %r10\n syscall\n retq\n")
#endif

SYSTEM_CALL(__psynch_cvwait, 305);
SYSTEM_CALL(__pthread_kill, 328);
