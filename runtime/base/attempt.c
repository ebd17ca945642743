/* The file holds one byte, '0' plus the count. It is held open with a shared lock, which the kernel
 * lifts when a process dies: who gets an exclusive one at the start knows that nobody is in the
 * middle of an attempt. */
#define _GNU_SOURCE /* flock */
#include "runtime/base/attempt.h"
#include "runtime/base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { MOST = 9, MOST_OPEN = 16 };

struct rr_attempt {
    int file;
    rr_mutex mutex; /* of changes of what follows and of writing */
    atomic_uint n_died;
    atomic_bool begun;
};

static rr_attempt *_Atomic opened[MOST_OPEN]; /* those beyond are not forgiven */

/* Puts `to` where `from` stands. */
static void replace_opened(rr_attempt *from, rr_attempt *to) {
    for (size_t i = 0; i < MOST_OPEN; i++) {
        rr_attempt *expected = from;
        if (atomic_compare_exchange_strong(&opened[i], &expected, to)) {
            return;
        }
    }
}

static void put(const rr_attempt *attempt, uint32_t count) {
    const char digit = (char)('0' + (count < MOST ? count : MOST));
    if (pwrite(attempt->file, &digit, 1, 0) != 1) {
        return; /* nothing is remembered */
    }
}

/* 0 where another process has the file open. */
static uint32_t count_of_dead(int file) {
    char digit = '0';
    const bool known = flock(file, LOCK_EX | LOCK_NB) == 0 && pread(file, &digit, 1, 0) == 1 &&
        digit >= '0' && digit <= '0' + MOST;
    return known ? (uint32_t)(digit - '0') : 0;
}

rr_status rr_attempt_open(const char *path, rr_attempt **out, rr_diag *diag) {
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
        return rr_fail(diag, RR_E_IO, "%s: %s", path, strerror(errno));
    }
    rr_attempt *attempt = calloc(1, sizeof *attempt);
    if (attempt == NULL || !rr_mutex_create(&attempt->mutex)) {
        const bool has_memory = attempt != NULL;
        free(attempt);
        close(file);
        return has_memory ? rr_fail(diag, RR_E_INTERNAL, "cannot make a lock")
                          : rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    attempt->file = file;
    attempt->n_died = count_of_dead(attempt->file);
    /* on a file system without locks deaths of processes beside count too */
    (void)flock(attempt->file, LOCK_SH | LOCK_NB);
    replace_opened(NULL, attempt);
    *out = attempt;
    return RR_OK;
}

void rr_attempt_close(rr_attempt **attempt) {
    if (*attempt != NULL) {
        rr_attempt_end(*attempt);
        replace_opened(*attempt, NULL);
        close((*attempt)->file);
        rr_mutex_destroy(&(*attempt)->mutex);
        free(*attempt);
        *attempt = NULL;
    }
}

uint32_t rr_attempt_take_deaths(const char *path) {
    const int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    const uint32_t n_died = count_of_dead(file);
    if (n_died > 0 && pwrite(file, "0", 1, 0) != 1) {
        (void)unlink(path); /* told again if that fails too */
    }
    close(file);
    return n_died;
}

uint32_t rr_attempt_n_died(const rr_attempt *attempt) {
    return attempt->n_died;
}

static void change(rr_attempt *attempt, bool begun) {
    rr_mutex_lock(&attempt->mutex);
    if (attempt->begun != begun) {
        attempt->begun = begun;
        attempt->n_died = begun ? attempt->n_died : 0;
        put(attempt, begun ? attempt->n_died + 1 : 0);
    }
    rr_mutex_unlock(&attempt->mutex);
}

void rr_attempt_begin(rr_attempt *attempt) {
    if (attempt != NULL) {
        change(attempt, true);
    }
}

void rr_attempt_end(rr_attempt *attempt) {
    if (attempt != NULL) {
        change(attempt, false);
    }
}

void rr_attempt_forgive_all(void) {
    for (size_t i = 0; i < MOST_OPEN; i++) {
        const rr_attempt *attempt = atomic_load(&opened[i]);
        if (attempt != NULL && atomic_load(&attempt->begun)) {
            put(attempt, atomic_load(&attempt->n_died));
        }
    }
}
