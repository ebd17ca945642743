#define _GNU_SOURCE
#include "runtime/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static rr_status open_to_read(const char *path, int flags, int *fd, rr_diag *diag) {
    if (path[0] == '\0') {
        return rr_fail(
            diag, RR_E_USAGE, "found an empty name, expected the name of a file to read");
    }
    *fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    return *fd >= 0 ? RR_OK : rr_fail(diag, RR_E_IO, "%s: cannot open: %s", path, strerror(errno));
}

static rr_status open_regular(const char *path, int *fd, struct stat *st, rr_diag *diag) {
    RR_TRY(open_to_read(path, O_NONBLOCK, fd, diag)); /* a pipe is refused below, not waited for */
    rr_status status = RR_OK;
    if (fstat(*fd, st) != 0) {
        status = rr_fail(diag, RR_E_IO, "%s: cannot stat: %s", path, strerror(errno));
    } else if (!S_ISREG(st->st_mode)) {
        status = rr_fail(diag, RR_E_INPUT, "%s: found a %s, expected a regular file", path,
            S_ISDIR(st->st_mode) ? "folder" : "special file");
    }
    if (status != RR_OK) {
        close(*fd);
    }
    return status;
}

rr_status rr_file_map(const char *path, rr_mapping *out, rr_diag *diag) {
    int fd;
    struct stat st;
    RR_TRY(open_regular(path, &fd, &st, diag));
    rr_status status = RR_OK;
    rr_mapping map = {0};
    if (st.st_size > 0) {
        map.bytes = (uint64_t)st.st_size;
        map.modified_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
        void *data = mmap(NULL, (size_t)map.bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status = rr_fail(diag, RR_E_IO, "%s: cannot map %llu bytes: %s", path,
                (unsigned long long)map.bytes, strerror(errno));
        } else {
            map.data = data;
        }
    }
    close(fd);
    if (status == RR_OK) {
        *out = map;
    }
    return status;
}

void rr_file_unmap(rr_mapping *mapping) {
    if (mapping->data != NULL) {
        munmap((void *)(uintptr_t)mapping->data, (size_t)mapping->bytes);
    }
    *mapping = (rr_mapping){0};
}

void rr_file_will_read(const rr_mapping *mapping, uint64_t offset, uint64_t bytes) {
    if (mapping->data == NULL || offset >= mapping->bytes) {
        return;
    }
    /* madvise wants whole pages */
    uint64_t begin = offset & ~(uint64_t)(sysconf(_SC_PAGESIZE) - 1);
    uint64_t end = bytes < mapping->bytes - offset ? offset + bytes : mapping->bytes;
    (void)madvise((void *)(uintptr_t)(mapping->data + begin), (size_t)(end - begin), MADV_WILLNEED);
}

rr_status rr_file_in_open(const char *path, rr_file_in *out, rr_diag *diag) {
    int fd;
    struct stat st;
    *out = (rr_file_in){.fd = -1};
    RR_TRY(open_regular(path, &fd, &st, diag));
    *out = (rr_file_in){.fd = fd, .bytes = (uint64_t)st.st_size};
    return RR_OK;
}

bool rr_file_in_read(const rr_file_in *file, uint64_t offset, void *to, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(file->fd, (char *)to + done, bytes - done, (off_t)(offset + done));
        if (n == 0 || (n < 0 && errno != EINTR)) {
            return false;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

void rr_file_in_will_read(const rr_file_in *file, uint64_t offset, uint64_t bytes) {
    if (offset < file->bytes) {
        uint64_t left = file->bytes - offset;
        (void)posix_fadvise(
            file->fd, (off_t)offset, (off_t)(bytes < left ? bytes : left), POSIX_FADV_WILLNEED);
    }
}

void rr_file_in_close(rr_file_in *file) {
    if (file->fd >= 0) {
        close(file->fd);
    }
    *file = (rr_file_in){.fd = -1};
}

uint64_t rr_file_room(const char *path) {
    struct statvfs st;
    uint64_t bytes = 0;
    return statvfs(path, &st) == 0 && rr_mul_u64(st.f_bavail, st.f_frsize, &bytes) ? bytes : 0;
}

rr_status rr_file_read(const char *path, uint64_t max_bytes, rr_buf *out, rr_diag *diag) {
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = STDIN_FILENO;
    if (!is_stdin) {
        RR_TRY(open_to_read(path, 0, &fd, diag));
    }
    rr_status status = RR_OK;
    char chunk[65536];
    uint64_t total = 0;
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            status = errno == EISDIR
                ? rr_fail(diag, RR_E_INPUT, "%s: found a folder, expected a file", path)
                : rr_fail(diag, RR_E_IO, "%s: cannot read: %s", path, strerror(errno));
            break;
        }
        if (got == 0) {
            break;
        }
        total += (uint64_t)got;
        if (total > max_bytes) {
            status = rr_fail(diag, RR_E_INPUT, "%s: longer than the %llu bytes that are accepted",
                path, (unsigned long long)max_bytes);
            break;
        }
        rr_buf_append(out, chunk, (size_t)got);
    }
    if (status == RR_OK && out->failed) {
        status = rr_fail(diag, RR_E_MEMORY, "%s: out of memory after %llu bytes", path,
            (unsigned long long)total);
    }
    if (!is_stdin) {
        close(fd);
    }
    return status;
}

void rr_folder_of(const char *path, rr_buf *out) {
    const char *slash = strrchr(path, '/');
    rr_buf_append(out, slash == NULL ? "." : path,
        slash == NULL || slash == path ? 1 : (size_t)(slash - path));
}

/* The path without links, also of a file that is yet to be made; NULL when it cannot be told. */
static char *real_path(const char *path) {
    char *real = realpath(path, NULL);
    if (real != NULL || errno != ENOENT) {
        return real;
    }
    rr_buf folder = {0}, whole = {0};
    rr_folder_of(path, &folder);
    real = folder.failed ? NULL : realpath(folder.data, NULL);
    const char *slash = strrchr(path, '/');
    rr_buf_printf(&whole, "%s/%s", real != NULL ? real : "", slash != NULL ? slash + 1 : path);
    bool ok = real != NULL && !whole.failed;
    free(real);
    rr_buf_destroy(&folder);
    if (!ok) {
        rr_buf_destroy(&whole);
    }
    return whole.data;
}

bool rr_file_same(const char *a, const char *b) {
    struct stat one, other;
    if (stat(a, &one) == 0 && stat(b, &other) == 0) {
        return S_ISREG(one.st_mode) && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
    }
    char *real_a = real_path(a), *real_b = real_path(b);
    bool same = real_a != NULL && real_b != NULL && strcmp(real_a, real_b) == 0;
    free(real_a);
    free(real_b);
    return same;
}

const char *rr_temp_folder(void) {
    const char *folder = getenv("TMPDIR");
    return folder != NULL && folder[0] != '\0' ? folder : "/tmp";
}

rr_status rr_folder_make(const char *path, rr_diag *diag) {
    size_t n = strlen(path);
    char *copy = malloc(n + 1);
    if (copy == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
    }
    memcpy(copy, path, n + 1);
    rr_status status = RR_OK;
    for (size_t i = 1; i <= n && status == RR_OK; i++) {
        if (copy[i] != '/' && copy[i] != '\0') {
            continue;
        }
        char kept = copy[i];
        copy[i] = '\0';
        struct stat st;
        if (mkdir(copy, 0777) != 0 &&
            !(errno == EEXIST && stat(copy, &st) == 0 && S_ISDIR(st.st_mode))) {
            status =
                rr_fail(diag, RR_E_IO, "%s: cannot make the folder: %s", copy, strerror(errno));
        }
        copy[i] = kept;
    }
    free(copy);
    return status;
}

/* The home folder, where the cache lies in it; NULL where it lies elsewhere or nowhere. */
static const char *cache_home(const char *own, const char *xdg) {
    const char *home = getenv("HOME");
    bool elsewhere = (own != NULL && own[0] != '\0') || (xdg != NULL && xdg[0] == '/');
    return !elsewhere && home != NULL && home[0] != '\0' ? home : NULL;
}

rr_status rr_cache_path(const char *leaf, rr_buf *out, rr_diag *diag) {
    const char *own = getenv("REARANK_CACHE"), *xdg = getenv("XDG_CACHE_HOME"),
               *home = cache_home(own, xdg);
    if (own != NULL && own[0] != '\0') {
        rr_buf_text(out, own);
    } else if (xdg != NULL && xdg[0] == '/') {
        rr_buf_printf(out, "%s/rearank", xdg);
    } else if (home != NULL) {
        rr_buf_printf(out, "%s/.cache/rearank", home);
    } else {
        return rr_fail(diag, RR_E_IO,
            "no cache folder: none of REARANK_CACHE, XDG_CACHE_HOME and HOME is set; "
            "set REARANK_CACHE to a writable folder");
    }
    if (leaf != NULL) {
        rr_buf_printf(out, "/%s", leaf);
    }
    return out->failed ? rr_fail(diag, RR_E_MEMORY, "out of memory") : RR_OK;
}

rr_status rr_cache_path_of(
    const char *folder, const uint8_t uuid[16], const char *ending, rr_buf *out, rr_diag *diag) {
    rr_buf leaf = {0};
    rr_buf_printf(&leaf, "%s/", folder);
    for (int i = 0; i < 16; i++) {
        rr_buf_printf(&leaf, "%02x", uuid[i]);
    }
    rr_buf_text(&leaf, ending);
    rr_status status = leaf.failed ? rr_fail(diag, RR_E_MEMORY, "out of memory")
                                   : rr_cache_path(leaf.data, out, diag);
    rr_buf_destroy(&leaf);
    return status;
}

rr_status rr_cache_make_folder_of(const char *path, rr_diag *diag) {
    const char *home = cache_home(getenv("REARANK_CACHE"), getenv("XDG_CACHE_HOME"));
    struct stat st;
    if (home != NULL && strncmp(path, home, strlen(home)) == 0 && stat(home, &st) != 0) {
        return rr_fail(diag, RR_E_IO,
            "no cache folder: HOME (%s): %s; set REARANK_CACHE to a writable folder", home,
            strerror(errno));
    }
    rr_buf folder = {0};
    rr_folder_of(path, &folder);
    rr_status status = folder.failed ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path)
                                     : rr_folder_make(folder.data, diag);
    rr_buf_destroy(&folder);
    return status;
}

rr_status rr_cache_write(const char *path, const void *data, size_t bytes, rr_diag *diag) {
    RR_TRY(rr_cache_make_folder_of(path, diag));
    return rr_file_write_atomic(path, data, bytes, diag);
}
