// Calls of the allocator in known numbers. It prints the addresses of malloc, free and je_malloc, waits
// for a line, makes the calls, prints what it did, and waits for another line. Nothing else that it
// calls allocates, and there is one thread.
//
// calls known COUNT PAUSE_US     each kind of call, COUNT times, PAUSE_US apart
// calls pairs COUNT TURNS        malloc and free, with so many turns of a loop in between
// calls system COUNT PAUSE_US    mmap, munmap, madvise and brk
// calls slow COUNT PAUSE_US      calls of je_malloc, which takes 200 to 800 microseconds
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pause_for(long microseconds) {
    struct timespec t = {0, microseconds * 1000};
    if (microseconds)
        nanosleep(&t, NULL);
}

static char out[1 << 20];

static void say(int length) {
    ssize_t written = write(1, out, (size_t)length);
    (void)written;
}

static void wait_for_line(void) {
    char byte;
    while (read(0, &byte, 1) == 1 && byte != '\n')
        ;
}

// An allocator by its name, whose calls are long.
__attribute__((noinline)) void *je_malloc(size_t microseconds) {
    uint64_t end = now() + microseconds * 1000;
    while (now() < end)
        ;
    return (void *)microseconds;
}

__attribute__((noinline)) void je_free(void *pointer) { __asm__ volatile("" : : "r"(pointer)); }

static void known(long count, long pause) {
    uint64_t bytes[4] = {0};
    for (long i = 0; i < count; i++) {
        size_t size = 1 + (size_t)(i * 37) % 3000;
        char *one = malloc(size);
        char *two = calloc(3, size);
        void *three = NULL;
        if (posix_memalign(&three, 64, size))
            abort();
        bytes[0] += size;
        bytes[1] += 3 * size;
        bytes[2] += size;
        one = realloc(one, 2 * size);
        bytes[3] += 2 * size;
        free(one);
        free(two);
        free(three);
        pause_for(pause);
    }
    say(sprintf(out, "malloc %ld %lu calloc %ld %lu aligned_alloc %ld %lu realloc %ld %lu free %ld 0\n",
                count, bytes[0], count, bytes[1], count, bytes[2], count, bytes[3], 3 * count));
}

static void pairs(long count, long turns) {
    uint64_t begin = now();
    for (long i = 0; i < count; i++) {
        void *volatile one = malloc(64);
        for (long turn = 0; turn < turns; turn++)
            __asm__ volatile("" : : "r"(turn));
        free(one);
    }
    say(sprintf(out, "malloc %ld %ld free %ld %lu\n", count, 64 * count, count, now() - begin));
}

static void of_system(long count, long pause) {
    uint64_t bytes = 0;
    for (long i = 0; i < count; i++) {
        size_t size = 4096 * (1 + (size_t)i % 5);
        char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        map[0] = 1;
        madvise(map, size, MADV_DONTNEED);
        munmap(map, size);
        bytes += size;
        sbrk(4096);
        pause_for(pause);
    }
    say(sprintf(out, "mmap %ld %lu munmap %ld %lu madvise %ld %lu brk %ld 0\n", count, bytes, count, bytes,
                count, bytes, count));
}

static void slow(long count, long pause) {
    static uint64_t taken[10000];
    if (count > 10000)
        abort();
    for (long i = 0; i < count; i++) {
        uint64_t begin = now();
        je_free(je_malloc(200 + (size_t)(i * 7919) % 600));
        taken[i] = now() - begin;
        pause_for(pause);
    }
    int length = 0;
    for (long i = 0; i < count; i++)
        length += sprintf(out + length, "%lu ", taken[i]);
    out[length - 1] = '\n';
    say(length);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    long count = atol(argv[2]), pause = argc > 3 ? atol(argv[3]) : 0;
    // Whatever is bound or made at its first use is so by now.
    pause_for(1);
    free(realloc(malloc(1), 100));
    free(calloc(1, 1));
    void *aligned = NULL;
    if (posix_memalign(&aligned, 64, 1))
        abort();
    free(aligned);
    now();
    sbrk(0);
    say(sprintf(out, "%p %p %p\n", (void *)malloc, (void *)free, (void *)je_malloc));
    wait_for_line();
    if (!strcmp(argv[1], "known"))
        known(count, pause);
    else if (!strcmp(argv[1], "pairs"))
        pairs(count, pause);
    else if (!strcmp(argv[1], "system"))
        of_system(count, pause);
    else
        slow(count, pause);
    wait_for_line();
    return 0;
}
