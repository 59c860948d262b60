/* What a library sees that is loaded into a CPython 3.14 before its `main`. Only what it says of how it was
   built differs. */
#include <stdio.h>

const unsigned long Py_Version = 0x030e00f0;

struct {
    char cookie[8];
    unsigned long long version, free_threaded;
    void *more[1 << 16];
} _PyRuntime = {"xdebugpy", 0x030e00f0, FREE_THREADED};

int PySys_AddAuditHook(void *hook, void *data) {
    return 0;
}

int main(void) {
    puts("it runs");
    return 0;
}
