#include "tools/pull_file.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/shared_file.h"
#include "runtime/base/thread.h"
#include "tools/cli.h"

struct rr_partial {
    char *path;    /* FILE.partial */
    char *renamed; /* FILE */
    rr_shared_file file;
    EVP_MD_CTX *hash; /* of the first `bytes` bytes */
    uint64_t bytes, total;
    bool is_stuck, is_done;
};

static rr_status no_memory(rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "out of memory");
}

/* Progress */

static struct { uint64_t start_ns, start_done, drawn_ns, total; } line;

void rr_pull_progress_clear(void) {
    if (line.drawn_ns != 0) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    memset(&line, 0, sizeof line);
}

void rr_pull_progress(const char *what, uint64_t done, uint64_t total) {
    if (!rr_terminal_is(RR_STREAM_ERROR) || total == 0) {
        return;
    }
    uint64_t now = rr_time_ns();
    if (line.start_ns == 0 || line.total != total || done < line.start_done) {
        memset(&line, 0, sizeof line);
        line.start_ns = now;
        line.start_done = done;
        line.total = total;
    } else if (now - line.drawn_ns < 100000000 && done != total) {
        return;
    }
    line.drawn_ns = now;
    double seconds = (double)(now - line.start_ns) * 1e-9;
    /* bytes a second */
    double rate = seconds > 0.5 ? (double)(done - line.start_done) / seconds : 0;
    enum { WIDTH = 24 };
    char bar[WIDTH + 1];
    uint64_t filled = total < WIDTH ? 0 : done / (total / WIDTH);
    for (unsigned i = 0; i < WIDTH; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %.0f of %.0f MiB", bar, (double)done / 1048576.0,
        (double)total / 1048576.0);
    if (rate > 0) {
        unsigned left = (unsigned)((double)(total - done) / rate);
        fprintf(stderr, "  %.1f MiB/s  %u:%02u left", rate / 1048576.0, left / 60, left % 60);
    }
    fprintf(stderr, "%s%s\033[K", what != NULL ? "  " : "", what != NULL ? what : "");
    fflush(stderr);
}

/* Hashing */

static rr_status hash_start(EVP_MD_CTX *hash, rr_diag *diag) {
    return EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1
        ? RR_OK
        : rr_fail(diag, RR_E_INTERNAL, "SHA-256 is not available");
}

static rr_status hash_text(EVP_MD_CTX *hash, char out[65], rr_diag *diag) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_DigestFinal_ex(hash, digest, &n) != 1 || n != 32) {
        return rr_fail(diag, RR_E_INTERNAL, "SHA-256 failed");
    }
    for (unsigned i = 0; i < n; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
    return RR_OK;
}

/* Hashes the file as far as it goes; *done = the bytes hashed. */
static rr_status hash_file(const char *path, EVP_MD_CTX *hash, uint64_t *done, rr_diag *diag) {
    enum { CHUNK = 1 << 18 };
    rr_file_in file = {0};
    rr_status status = rr_file_in_open(path, &file, diag);
    unsigned char *chunk = malloc(CHUNK);
    if (status == RR_OK && chunk == NULL) {
        status = no_memory(diag);
    }
    uint64_t at = 0;
    while (status == RR_OK && at < file.bytes) {
        const size_t n = file.bytes - at < CHUNK ? (size_t)(file.bytes - at) : CHUNK;
        if (!rr_file_in_read(&file, at, chunk, n)) {
            status = rr_fail(diag, RR_E_IO, "%s: cannot read", path);
        } else if (EVP_DigestUpdate(hash, chunk, n) != 1) {
            status = rr_fail(diag, RR_E_INTERNAL, "SHA-256 failed");
        } else if (rr_cli_interrupted()) {
            status = rr_fail(diag, RR_E_CANCELLED, "interrupted");
        }
        at += n;
    }
    rr_file_in_close(&file);
    free(chunk);
    *done = at;
    return status;
}

rr_status rr_file_sha256(const char *path, char out[65], rr_diag *diag) {
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    rr_status status = hash != NULL ? hash_start(hash, diag) : no_memory(diag);
    uint64_t done = 0;
    if (status == RR_OK) {
        status = hash_file(path, hash, &done, diag);
    }
    if (status == RR_OK) {
        status = hash_text(hash, out, diag);
    }
    EVP_MD_CTX_free(hash);
    return status;
}

/* The partial file */

/* Opens and locks. Another pull may finish and rename its file between our open and our lock: then
 * the lock is on the finished file, which must not be touched, and we start over. */
static rr_status open_locked(rr_partial *partial, rr_diag *diag) {
    for (;;) {
        rr_diag fault = {0};
        if (rr_shared_file_open(partial->path, true, &partial->file, &fault) != RR_OK) {
            return rr_fail(diag, RR_E_IO, "cannot write: %s", fault.text);
        }
        const rr_lock_result lock = rr_shared_file_lock(&partial->file, true);
        if (lock != RR_LOCK_HELD) {
            return rr_fail(diag, RR_E_IO, "%s: %s", partial->path,
                lock == RR_LOCK_BUSY ? "another `rearank pull` is writing it; wait for that one"
                                     : "cannot lock it: its file system has no locks");
        }
        if (rr_shared_file_is_at(&partial->file, partial->path)) {
            return RR_OK;
        }
        rr_shared_file_close(&partial->file);
    }
}

static rr_status check_space(const rr_partial *partial, uint64_t spare_bytes, rr_diag *diag) {
    const uint64_t needed = partial->total - partial->bytes + spare_bytes;
    uint64_t free_bytes;
    if (!rr_shared_file_room(&partial->file, &free_bytes) || free_bytes >= needed) {
        return RR_OK; /* where it cannot be told, the write will tell */
    }
    return rr_fail(diag, RR_E_IO,
        "%s: %llu MiB are free there, %llu MiB are needed; free some space, or name another place with --dest",
        partial->renamed, (unsigned long long)(free_bytes >> 20),
        (unsigned long long)((needed >> 20) + 1));
}

rr_status rr_partial_restart(rr_partial *partial, rr_diag *diag) {
    partial->bytes = 0;
    const rr_status status = rr_shared_file_empty(&partial->file, diag);
    return status == RR_OK ? hash_start(partial->hash, diag)
                           : rr_fail_context(diag, status, "%s: cannot start over", partial->path);
}

/* Takes up what an earlier run left. */
static rr_status resume(rr_partial *partial, rr_diag *diag) {
    bool is_regular = false;
    uint64_t bytes;
    if (rr_shared_file_size(&partial->file, &is_regular, &bytes, diag) != RR_OK || !is_regular) {
        return rr_fail(diag, RR_E_IO, "%s: not a regular file; move it away", partial->path);
    }
    if (bytes > partial->total) {
        return rr_partial_restart(partial, diag);
    }
    RR_TRY(hash_start(partial->hash, diag));
    return hash_file(partial->path, partial->hash, &partial->bytes, diag);
}

rr_status rr_partial_open(
    const char *path, uint64_t total, uint64_t spare_bytes, rr_partial **out, rr_diag *diag) {
    rr_partial *partial = calloc(1, sizeof *partial);
    if (partial == NULL) {
        return no_memory(diag);
    }
    partial->total = total;
    partial->hash = EVP_MD_CTX_new();
    partial->renamed = rr_text_copy(path);
    partial->path = malloc(strlen(path) + sizeof ".partial");
    rr_status status = RR_OK;
    if (partial->hash == NULL || partial->renamed == NULL || partial->path == NULL) {
        status = no_memory(diag);
        goto fail;
    }
    sprintf(partial->path, "%s.partial", path);
    RR_TRY_GOTO(open_locked(partial, diag));
    RR_TRY_GOTO(resume(partial, diag));
    RR_TRY_GOTO(check_space(partial, spare_bytes, diag));
fail:
    if (status == RR_OK) {
        *out = partial;
    } else {
        rr_partial_close(&partial);
    }
    return status;
}

void rr_partial_close(rr_partial **partial) {
    rr_partial *old = *partial;
    if (old == NULL) {
        return;
    }
    rr_pull_progress_clear();
    bool is_regular;
    uint64_t bytes;
    if (old->file.is_open && !old->is_done && old->bytes == 0 &&
        rr_shared_file_size(&old->file, &is_regular, &bytes, NULL) == RR_OK && bytes == 0) {
        (void)rr_file_remove(old->path, NULL);
    }
    rr_shared_file_close(&old->file);
    EVP_MD_CTX_free(old->hash);
    free(old->path);
    free(old->renamed);
    free(old);
    *partial = NULL;
}

uint64_t rr_partial_bytes(const rr_partial *partial) {
    return partial->bytes;
}

uint64_t rr_partial_total(const rr_partial *partial) {
    return partial->total;
}

bool rr_partial_is_stuck(const rr_partial *partial) {
    return partial->is_stuck;
}

rr_status rr_partial_write(rr_partial *partial, const void *data, size_t bytes, rr_diag *diag) {
    if (bytes > partial->total - partial->bytes) {
        return rr_fail(diag, RR_E_INPUT, "found more than the %llu bytes that were expected",
            (unsigned long long)partial->total);
    }
    if (rr_cli_interrupted()) {
        return rr_fail(diag, RR_E_CANCELLED, "interrupted");
    }
    rr_diag fault = {0};
    if (rr_shared_file_write(&partial->file, partial->bytes, data, bytes, &fault) != RR_OK) {
        partial->is_stuck = true;
        return rr_fail(diag, RR_E_IO,
            "%s: %s; what arrived is kept, run `rearank pull` again to go on", partial->path,
            fault.text);
    }
    if (EVP_DigestUpdate(partial->hash, data, bytes) != 1) {
        return rr_fail(diag, RR_E_INTERNAL, "SHA-256 failed");
    }
    partial->bytes += bytes;
    return RR_OK;
}

rr_status rr_partial_finish(rr_partial *partial, const char *sha256, rr_diag *diag) {
    if (partial->bytes != partial->total) {
        return rr_fail(diag, RR_E_IO, "found %llu bytes, expected %llu",
            (unsigned long long)partial->bytes, (unsigned long long)partial->total);
    }
    char found[65];
    RR_TRY(hash_text(partial->hash, found, diag));
    if (strcmp(found, sha256) != 0) {
        partial->is_done = true;
        (void)rr_file_remove(partial->path, NULL);
        return rr_fail(diag, RR_E_INPUT,
            "wrong content: found sha256 %s, expected %s; it was removed", found, sha256);
    }
    rr_status status = rr_shared_file_flush(&partial->file, diag);
    if (status == RR_OK) {
        status = rr_file_rename(partial->path, partial->renamed, diag);
    }
    if (status != RR_OK) {
        partial->is_stuck = true;
        return rr_fail_context(diag, status, "%s: cannot finish", partial->renamed);
    }
    partial->is_done = true;
    return RR_OK;
}
