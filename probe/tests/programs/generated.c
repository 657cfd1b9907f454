// Code made at run time that calls `wait_here`. With an argument "frame", it keeps a frame pointer.
// With PERF_MAP set, names itself as JIT compilers do.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void wait_here(void) {
    char byte;
    if (read(0, &byte, 1) >= 0) {
        _exit(0);
    }
}

int main(int count, char **arguments) {
    // push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret
    static const unsigned char with_frame[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
    // sub $24,%rsp; call *%rdi; add $24,%rsp; ret
    static const unsigned char without[] = {0x48, 0x83, 0xec, 24, 0xff, 0xd7, 0x48, 0x83, 0xc4, 24, 0xc3};
    int frame = count > 1 && strcmp(arguments[1], "frame") == 0;
    unsigned char *code =
        mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(code, frame ? with_frame : without, frame ? sizeof with_frame : sizeof without);
    if (getenv("PERF_MAP")) {
        char name[64];
        snprintf(name, sizeof name, "/tmp/perf-%d.map", (int)getpid());
        FILE *map = fopen(name, "w");
        fprintf(map, "%lx 40 LazyCompile:generated\n", (unsigned long)code);
        fclose(map);
    }
    ((void (*)(void (*)(void)))code)(wait_here);
    return 0;
}
