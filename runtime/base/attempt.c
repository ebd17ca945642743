/* The file holds one byte, '0' plus the count. Each process that has it open holds a shared lock,
 * which the system lifts when the process dies: a process that gets the exclusive lock at its start
 * knows that no other is in the middle of an attempt. */
#include "runtime/base/attempt.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "runtime/base/file.h"
#include "runtime/base/shared_file.h"
#include "runtime/base/thread.h"

enum { MOST = 9, MOST_OPEN = 16 };

struct rr_attempt {
    rr_shared_file file;
    rr_mutex mutex; /* guards what follows, and writing */
    atomic_uint n_died;
    atomic_bool begun;
};

static rr_attempt *_Atomic opened[MOST_OPEN]; /* attempts beyond these are not forgiven */

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
    /* where it fails, nothing is remembered */
    (void)rr_shared_file_write(&attempt->file, 0, &digit, 1, NULL);
}

/* 0 where another process has the file open. */
static uint32_t count_of_dead(rr_shared_file *file) {
    char digit = '0';
    size_t n = 0;
    const bool known = rr_shared_file_lock(file, true) == RR_LOCK_HELD &&
        rr_shared_file_read(file, 0, &digit, 1, &n, NULL) == RR_OK && n == 1 && digit >= '0' &&
        digit <= '0' + MOST;
    return known ? (uint32_t)(digit - '0') : 0;
}

rr_status rr_attempt_open(const char *path, rr_attempt **out, rr_diag *diag) {
    rr_shared_file file;
    RR_TRY(rr_shared_file_open(path, true, &file, diag));
    rr_attempt *attempt = calloc(1, sizeof *attempt);
    if (attempt == NULL || !rr_mutex_create(&attempt->mutex)) {
        const bool has_memory = attempt != NULL;
        free(attempt);
        rr_shared_file_close(&file);
        return has_memory ? rr_fail(diag, RR_E_INTERNAL, "cannot make a lock")
                          : rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    attempt->file = file;
    attempt->n_died = count_of_dead(&attempt->file);
    /* without locks on the file system, attempts of live processes count as deaths too */
    (void)rr_shared_file_lock(&attempt->file, false);
    replace_opened(NULL, attempt);
    *out = attempt;
    return RR_OK;
}

void rr_attempt_close(rr_attempt **attempt) {
    if (*attempt != NULL) {
        rr_attempt_end(*attempt);
        replace_opened(*attempt, NULL);
        rr_shared_file_close(&(*attempt)->file);
        rr_mutex_destroy(&(*attempt)->mutex);
        free(*attempt);
        *attempt = NULL;
    }
}

uint32_t rr_attempt_take_deaths(const char *path) {
    rr_shared_file file;
    if (rr_shared_file_open(path, false, &file, NULL) != RR_OK) {
        return 0;
    }
    const uint32_t n_died = count_of_dead(&file);
    if (n_died > 0 && rr_shared_file_write(&file, 0, "0", 1, NULL) != RR_OK) {
        (void)rr_file_remove(path, NULL); /* told again if that fails too */
    }
    rr_shared_file_close(&file);
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
