/* An allocator for tests, to be loaded with LD_PRELOAD: what is allocated by CPython itself ends where its
 * page ends, the next page cannot be read, and what was freed cannot be read either. So a read that
 * goes past an object, or comes too late, is a segmentation fault every time, not once in a million.
 *
 *   PYTHONMALLOC=malloc   must be set, so that each object is an allocation of its own
 *   GUARD_FROM=TEXT       begins when a library is loaded whose path contains this (default "_shim")
 *   GUARD_EVERY=N         guards one allocation in N (default 1); there is room for SLOTS at a time
 *   GUARD_PHASE=K         which one of the N
 *   GUARD_SIDE=front      guards what is before an object instead of what is behind it
 *
 * Every other allocation is filled with a pattern that is no address, so that what nobody has
 * initialised cannot be taken for an object. Calls from that library, whose own memory is not in
 * question, and from the C library do not count: they rely on an alignment of 16 bytes, CPython's objects
 * need 8. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A process may have 65530 mappings; each slot in use splits one into three. */
#define SLOTS 30000
#define PAGE 4096
#define FILL 0xfb

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void __libc_free(void *);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *region;
static uint16_t sizes[SLOTS];
/* Slots that are free, in the order they were freed. */
static uint32_t queue[SLOTS];
static uint32_t first, free_count;
/* Address ranges of code whose allocations are left alone. */
static struct { uintptr_t begin, end; } spared[8];
static int spared_count;
static unsigned long every = 1, phase, count;
static int at_front;
static atomic_int is_on;

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }

static const char *wanted(void) {
    const char *name = getenv("GUARD_FROM");
    return name ? name : "_shim";
}

static int spare(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size, (void)data;
    const char *name = info->dlpi_name;
    if ((!strstr(name, wanted()) && !strstr(name, "/libc.so") && !strstr(name, "/ld-")) || spared_count == 8)
        return 0;
    uintptr_t begin = UINTPTR_MAX, end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD)
            continue;
        uintptr_t at = info->dlpi_addr + part->p_vaddr;
        begin = at < begin ? at : begin;
        end = at + part->p_memsz > end ? at + part->p_memsz : end;
    }
    spared[spared_count].begin = begin;
    spared[spared_count++].end = end;
    return 0;
}

static unsigned long number(const char *name, unsigned long otherwise) {
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

static void begin(void) {
    if (region)
        return;
    every = number("GUARD_EVERY", 1);
    phase = number("GUARD_PHASE", 0);
    const char *side = getenv("GUARD_SIDE");
    at_front = side && !strcmp(side, "front");
    dl_iterate_phdr(spare, NULL);
    /* A guard, then a page and a guard for each slot. */
    size_t size = (2 * SLOTS + 1) * (size_t)PAGE;
    void *pages = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        return;
    for (uint32_t i = 0; i < SLOTS; i++)
        queue[i] = i;
    free_count = SLOTS;
    region = (uint8_t *)pages + PAGE;
    pthread_atfork(before_fork, after_fork, after_fork);
    atomic_store(&is_on, 1);
}

/* What loads the shim begins it. */
void *dlopen(const char *path, int mode) {
    static void *(*real)(const char *, int);
    if (!real)
        real = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    void *library = real(path, mode);
    if (library && path && strstr(path, wanted()))
        begin();
    return library;
}

static int is_spared(uintptr_t caller) {
    for (int i = 0; i < spared_count; i++)
        if (caller >= spared[i].begin && caller < spared[i].end)
            return 1;
    return 0;
}

static inline int is_guarded(const void *pointer) {
    return region && (const uint8_t *)pointer >= region && (const uint8_t *)pointer < region + 2 * SLOTS * (size_t)PAGE;
}

static inline uint32_t slot_of(const void *pointer) { return ((const uint8_t *)pointer - region) / (2 * PAGE); }

/* NULL if this one is not to be guarded, or cannot be. Its memory is zero. */
static void *guarded(size_t size, const void *caller) {
    if (!atomic_load_explicit(&is_on, memory_order_relaxed) || !size || size > PAGE || is_spared((uintptr_t)caller))
        return NULL;
    void *pointer = NULL;
    pthread_mutex_lock(&lock);
    if (count++ % every == phase && free_count > 0) {
        uint32_t slot = queue[first];
        uint8_t *page = region + 2 * (size_t)slot * PAGE;
        if (!mprotect(page, PAGE, PROT_READ | PROT_WRITE)) {
            first = (first + 1) % SLOTS;
            free_count--;
            sizes[slot] = size;
            pointer = at_front ? page : page + PAGE - ((size + 7) & ~(size_t)7);
        }
    }
    pthread_mutex_unlock(&lock);
    return pointer;
}

static void release(void *pointer) {
    pthread_mutex_lock(&lock);
    uint32_t slot = slot_of(pointer);
    uint8_t *page = region + 2 * (size_t)slot * PAGE;
    madvise(page, PAGE, MADV_DONTNEED);
    mprotect(page, PAGE, PROT_NONE);
    queue[(first + free_count) % SLOTS] = slot;
    free_count++;
    pthread_mutex_unlock(&lock);
}

void *malloc(size_t size) {
    void *pointer = guarded(size, __builtin_return_address(0));
    if (!pointer)
        pointer = __libc_malloc(size);
    if (pointer && atomic_load_explicit(&is_on, memory_order_relaxed))
        memset(pointer, FILL, size);
    return pointer;
}

void *calloc(size_t count, size_t size) {
    size_t all;
    void *pointer = NULL;
    if (!__builtin_mul_overflow(count, size, &all))
        pointer = guarded(all, __builtin_return_address(0));
    return pointer ? pointer : __libc_calloc(count, size);
}

void free(void *pointer) {
    int before = errno;
    if (is_guarded(pointer))
        release(pointer);
    else
        __libc_free(pointer);
    errno = before;
}

void *realloc(void *pointer, size_t size) {
    if (!pointer) {
        pointer = guarded(size, __builtin_return_address(0));
        return pointer ? pointer : __libc_malloc(size);
    }
    if (!is_guarded(pointer))
        return __libc_realloc(pointer, size);
    size_t old = sizes[slot_of(pointer)];
    void *moved = guarded(size, __builtin_return_address(0));
    if (!moved)
        moved = __libc_malloc(size ? size : 1);
    if (moved) {
        memcpy(moved, pointer, old < size ? old : size);
        release(pointer);
    }
    return moved;
}

size_t malloc_usable_size(void *pointer) {
    static size_t (*real)(void *);
    if (is_guarded(pointer))
        return sizes[slot_of(pointer)];
    if (!real)
        real = (size_t (*)(void *))dlsym(RTLD_NEXT, "malloc_usable_size");
    return real(pointer);
}
