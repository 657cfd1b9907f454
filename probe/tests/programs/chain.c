// A known chain of calls that ends in a system call: main, one, two, three, read.
// Build without frame pointers; `inlined` lies in `two` when there is debug information.
#include <unistd.h>

static inline __attribute__((always_inline)) int inlined(int pipe, char *byte) {
    extern int three(int pipe, char *byte);
    return three(pipe, byte) + 1;
}

__attribute__((noinline)) int three(int pipe, char *byte) {
    char ballast[100];
    ballast[pipe] = 1;
    __asm__ volatile("" : : "r"(ballast) : "memory");
    return (int)read(pipe, byte, 1) + ballast[pipe];
}

__attribute__((noinline)) int two(int pipe, char *byte) {
    return inlined(pipe, byte) + 2;
}

__attribute__((noinline)) int one(int pipe, char *byte) {
    volatile char ballast[3000];
    ballast[0] = 1;
    return two(pipe, byte) + ballast[0];
}

int main(void) {
    char byte;
    return one(0, &byte) & 1;
}
