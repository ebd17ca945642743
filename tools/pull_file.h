/* A model file while it arrives: FILE.partial beside FILE, hashed as it grows, renamed when size
 * and SHA-256 are right. Owns: the partial file, its lock, and the progress line. The final name
 * never shows a half file. */
#ifndef RR_TOOLS_PULL_FILE_H
#define RR_TOOLS_PULL_FILE_H

#include "runtime/base/memory.h"

typedef struct rr_partial rr_partial;

/* Opens or makes `path`.partial for a file of `total` bytes, takes its lock, and hashes what an
 * earlier run left: the next byte to write is number rr_partial_bytes. `spare_bytes` = room that
 * the source needs beside the file. Errors: RR_E_IO (another pull holds the lock; not enough space,
 * with the figures; the system's message), RR_E_CANCELLED. */
rr_status rr_partial_open(
    const char *path, uint64_t total, uint64_t spare_bytes, rr_partial **out, rr_diag *diag);
/* Keeps what arrived, or removes the partial file when that is nothing. Accepts NULL behind the
 * pointer. */
void rr_partial_close(rr_partial **partial);

uint64_t rr_partial_bytes(const rr_partial *partial);
uint64_t rr_partial_total(const rr_partial *partial);

/* Appends. Errors: RR_E_INPUT past `total`, RR_E_IO (see rr_partial_is_stuck), RR_E_CANCELLED after
 * Ctrl-C. */
rr_status rr_partial_write(rr_partial *partial, const void *data, size_t bytes, rr_diag *diag);
/* Throws away what arrived. */
rr_status rr_partial_restart(rr_partial *partial, rr_diag *diag);
/* The disk refused a write: another source would meet the same. */
bool rr_partial_is_stuck(const rr_partial *partial);

/* Compares size and hash, then gives the file its name. On a wrong hash the partial file is removed
 * and RR_E_INPUT says what was found and expected. */
rr_status rr_partial_finish(rr_partial *partial, const char *sha256, rr_diag *diag);

/* Hashes a file that is there: 64 hexadecimal digits. Errors: RR_E_IO, RR_E_CANCELLED. */
rr_status rr_file_sha256(const char *path, char out[65], rr_diag *diag);

/* The progress line on standard error, when that is a terminal; `what` such as "part 2 of 6" (NULL
 * = none). */
void rr_pull_progress(const char *what, uint64_t done, uint64_t total);
void rr_pull_progress_clear(void);

#endif
