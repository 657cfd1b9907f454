// A function that realigns its stack to 64 bytes and has a variable array: its canonical frame
// address is an expression that reads memory.
#include <unistd.h>

__attribute__((noinline)) int realigned(int length, int seven, int eight, int nine) {
    char vector[64] __attribute__((aligned(64)));
    volatile char variable[length + 1];
    variable[length] = (char)(seven + eight + nine);
    __asm__ volatile("" : : "r"(vector) : "memory");
    return (int)read(0, vector, 1) + variable[length];
}

__attribute__((noinline)) int caller(int length) {
    return realigned(length, 7, 8, 9) + 1;
}

int main(int count, char **arguments) {
    (void)arguments;
    return caller(count * 10) & 1;
}
