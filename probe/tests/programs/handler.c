// A signal handler over a known chain: main, work, where the fault is an illegal
// instruction in `work`, so the interrupted address is exact. The handler waits in read.
#include <signal.h>
#include <unistd.h>

static void handler(int signal) {
    char byte;
    (void)signal;
    if (read(0, &byte, 1) >= 0) {
        _exit(0);
    }
}

__attribute__((noinline)) int work(int number) {
    __asm__ volatile("ud2" : : "r"(number) : "memory");
    return number + 1;
}

int main(int count, char **arguments) {
    (void)arguments;
    signal(SIGILL, handler);
    return work(count) + 1;
}
