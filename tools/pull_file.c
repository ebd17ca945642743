#define _GNU_SOURCE
#include "tools/pull_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/base/thread.h"
#include "tools/cli.h"

struct rr_partial {
    char *path;    /* FILE.partial */
    char *renamed; /* FILE */
    int fd;
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
    if (!rr_cli_is_terminal(STDERR_FILENO) || total == 0) {
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

/* Hashes the file from its start up to `bytes`, or to its end; *done = the bytes hashed. */
static rr_status hash_fd(
    int fd, const char *path, uint64_t bytes, EVP_MD_CTX *hash, uint64_t *done, rr_diag *diag) {
    enum { CHUNK = 1 << 18 };
    unsigned char *chunk = malloc(CHUNK);
    if (chunk == NULL) {
        return no_memory(diag);
    }
    rr_status status = RR_OK;
    uint64_t at = 0;
    while (status == RR_OK && at < bytes) {
        ssize_t got =
            pread(fd, chunk, bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK, (off_t)at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            status = rr_fail(diag, RR_E_IO, "%s: cannot read: %s", path, strerror(errno));
        } else if (got == 0) {
            break;
        } else if (EVP_DigestUpdate(hash, chunk, (size_t)got) != 1) {
            status = rr_fail(diag, RR_E_INTERNAL, "SHA-256 failed");
        } else {
            at += (uint64_t)got;
        }
        if (rr_cli_interrupted()) {
            status = rr_fail(diag, RR_E_CANCELLED, "interrupted");
        }
    }
    free(chunk);
    *done = at;
    return status;
}

rr_status rr_file_sha256(const char *path, char out[65], rr_diag *diag) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return rr_fail(diag, RR_E_IO, "%s: cannot open: %s", path, strerror(errno));
    }
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    rr_status status = hash != NULL ? hash_start(hash, diag) : no_memory(diag);
    uint64_t done = 0;
    if (status == RR_OK) {
        status = hash_fd(fd, path, UINT64_MAX, hash, &done, diag);
    }
    if (status == RR_OK) {
        status = hash_text(hash, out, diag);
    }
    EVP_MD_CTX_free(hash);
    close(fd);
    return status;
}

/* The partial file */

/* Opens and locks. Another pull may finish and rename its file between our open and our lock: then
 * the lock is on the finished file, which must not be touched, and we start over. */
static rr_status open_locked(rr_partial *partial, rr_diag *diag) {
    for (;;) {
        partial->fd = open(partial->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (partial->fd < 0) {
            return rr_fail(diag, RR_E_IO, "%s: cannot write: %s", partial->path, strerror(errno));
        }
        if (flock(partial->fd, LOCK_EX | LOCK_NB) != 0) {
            return rr_fail(diag, RR_E_IO, "%s: %s", partial->path,
                errno == EWOULDBLOCK ? "another `rearank pull` is writing it; wait for that one"
                                     : strerror(errno));
        }
        struct stat ours, named;
        if (fstat(partial->fd, &ours) == 0 && stat(partial->path, &named) == 0 &&
            ours.st_ino == named.st_ino && ours.st_dev == named.st_dev) {
            return RR_OK;
        }
        close(partial->fd);
        partial->fd = -1;
    }
}

static rr_status check_space(const rr_partial *partial, uint64_t spare_bytes, rr_diag *diag) {
    struct statvfs fs;
    if (fstatvfs(partial->fd, &fs) != 0) {
        return RR_OK; /* the write will tell */
    }
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t needed = partial->total - partial->bytes + spare_bytes;
    if (free_bytes >= needed) {
        return RR_OK;
    }
    return rr_fail(diag, RR_E_IO,
        "%s: %llu MiB are free there, %llu MiB are needed; free some space, or name another place with --dest",
        partial->renamed, (unsigned long long)(free_bytes >> 20),
        (unsigned long long)((needed >> 20) + 1));
}

rr_status rr_partial_restart(rr_partial *partial, rr_diag *diag) {
    partial->bytes = 0;
    if (ftruncate(partial->fd, 0) != 0 || lseek(partial->fd, 0, SEEK_SET) != 0) {
        return rr_fail(diag, RR_E_IO, "%s: cannot start over: %s", partial->path, strerror(errno));
    }
    return hash_start(partial->hash, diag);
}

/* Takes up what an earlier run left. */
static rr_status resume(rr_partial *partial, rr_diag *diag) {
    struct stat st;
    if (fstat(partial->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return rr_fail(diag, RR_E_IO, "%s: not a regular file; move it away", partial->path);
    }
    if ((uint64_t)st.st_size > partial->total) {
        return rr_partial_restart(partial, diag);
    }
    RR_TRY(hash_start(partial->hash, diag));
    RR_TRY(hash_fd(
        partial->fd, partial->path, (uint64_t)st.st_size, partial->hash, &partial->bytes, diag));
    if (lseek(partial->fd, (off_t)partial->bytes, SEEK_SET) < 0) {
        return rr_fail(diag, RR_E_IO, "%s: cannot seek: %s", partial->path, strerror(errno));
    }
    return RR_OK;
}

rr_status rr_partial_open(
    const char *path, uint64_t total, uint64_t spare_bytes, rr_partial **out, rr_diag *diag) {
    rr_partial *partial = calloc(1, sizeof *partial);
    if (partial == NULL) {
        return no_memory(diag);
    }
    partial->fd = -1;
    partial->total = total;
    partial->hash = EVP_MD_CTX_new();
    partial->renamed = strdup(path);
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
    if (old->fd >= 0) {
        struct stat st;
        if (!old->is_done && old->bytes == 0 && fstat(old->fd, &st) == 0 && st.st_size == 0) {
            unlink(old->path);
        }
        close(old->fd);
    }
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
    const unsigned char *from = data;
    while (bytes > 0) {
        if (rr_cli_interrupted()) {
            return rr_fail(diag, RR_E_CANCELLED, "interrupted");
        }
        ssize_t put = write(partial->fd, from, bytes);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            partial->is_stuck = true;
            return rr_fail(diag, RR_E_IO,
                "%s: cannot write: %s; what arrived is kept, run `rearank pull` again to go on",
                partial->path, strerror(errno));
        }
        if (EVP_DigestUpdate(partial->hash, from, (size_t)put) != 1) {
            return rr_fail(diag, RR_E_INTERNAL, "SHA-256 failed");
        }
        from += put;
        bytes -= (size_t)put;
        partial->bytes += (uint64_t)put;
    }
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
        unlink(partial->path);
        return rr_fail(diag, RR_E_INPUT,
            "wrong content: found sha256 %s, expected %s; it was removed", found, sha256);
    }
    if (fsync(partial->fd) != 0 || rename(partial->path, partial->renamed) != 0) {
        partial->is_stuck = true;
        return rr_fail(diag, RR_E_IO, "%s: cannot finish: %s", partial->renamed, strerror(errno));
    }
    partial->is_done = true;
    return RR_OK;
}
