/* Preloaded into maestrod alone: what its clocks say is moved by two numbers in a file, CHAOS_CLOCK, which the test
   changes while it runs. The first (ns) moves the wall clock, as ntpd or a user would; the second moves the clock that
   counts suspended time, as a sleep of the machine would. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offsets;

__attribute__((constructor)) static void look(void) {
    const char *path = getenv("CHAOS_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *seen = mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
    if (seen != MAP_FAILED) offsets = seen;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (syscall(SYS_clock_gettime, clock, now) != 0) return -1;
    int64_t moved = 0;
    if (offsets && clock == CLOCK_REALTIME) moved = offsets[0] + offsets[1];
    if (offsets && clock == CLOCK_BOOTTIME) moved = offsets[1];
    int64_t ns = now->tv_nsec + moved % 1000000000;
    now->tv_sec += moved / 1000000000;
    if (ns < 0) { ns += 1000000000; now->tv_sec -= 1; }
    if (ns >= 1000000000) { ns -= 1000000000; now->tv_sec += 1; }
    now->tv_nsec = ns;
    return 0;
}
