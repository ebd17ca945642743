/* Files of POSIX. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/folder.h"

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

void rr_file_drop_pages(const rr_mapping *mapping) {
    if (mapping->data != NULL) {
        (void)madvise((void *)(uintptr_t)mapping->data, (size_t)mapping->bytes, MADV_DONTNEED);
    }
}

rr_status rr_file_in_open(const char *path, rr_file_in *out, rr_diag *diag) {
    int fd;
    struct stat st;
    *out = (rr_file_in){0};
    RR_TRY(open_regular(path, &fd, &st, diag));
    *out = (rr_file_in){.handle = fd, .is_open = true, .bytes = (uint64_t)st.st_size};
    return RR_OK;
}

bool rr_file_in_read(const rr_file_in *file, uint64_t offset, void *to, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n =
            pread((int)file->handle, (char *)to + done, bytes - done, (off_t)(offset + done));
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
        (void)posix_fadvise((int)file->handle, (off_t)offset, (off_t)(bytes < left ? bytes : left),
            POSIX_FADV_WILLNEED);
    }
}

void rr_file_in_close(rr_file_in *file) {
    if (file->is_open) {
        close((int)file->handle);
    }
    *file = (rr_file_in){0};
}

rr_status rr_stream_in_open(const char *path, rr_stream_in *out, rr_diag *diag) {
    const bool is_standard = strcmp(path, "-") == 0;
    int fd = STDIN_FILENO;
    *out = (rr_stream_in){0};
    if (!is_standard) {
        RR_TRY(open_to_read(path, 0, &fd, diag));
    }
    *out = (rr_stream_in){.handle = fd, .is_open = true, .is_standard = is_standard};
    return RR_OK;
}

rr_status rr_stream_in_read(
    rr_stream_in *stream, const char *label, void *to, size_t room, size_t *n, rr_diag *diag) {
    ssize_t got;
    do {
        got = read((int)stream->handle, to, room);
    } while (got < 0 && errno == EINTR);
    if (got >= 0) {
        *n = (size_t)got;
        return RR_OK;
    }
    return errno == EBADF
        ? rr_fail(diag, RR_E_IO, "%s: is closed, expected something to read", label)
        : errno == EISDIR ? rr_fail(diag, RR_E_INPUT, "%s: found a folder, expected a file", label)
                          : rr_fail(diag, RR_E_IO, "%s: cannot read: %s", label, strerror(errno));
}

void rr_stream_in_close(rr_stream_in *stream) {
    if (stream->is_open && !stream->is_standard) {
        close((int)stream->handle);
    }
    *stream = (rr_stream_in){0};
}

rr_file_kind rr_file_look(const char *path, uint64_t *bytes) {
    struct stat st;
    const bool is_there = stat(path, &st) == 0;
    if (bytes != NULL) {
        *bytes = is_there ? (uint64_t)st.st_size : 0;
    }
    return !is_there          ? RR_FILE_NONE
        : S_ISREG(st.st_mode) ? RR_FILE_REGULAR
        : S_ISDIR(st.st_mode) ? RR_FILE_FOLDER
                              : RR_FILE_OTHER;
}

rr_status rr_file_remove(const char *path, rr_diag *diag) {
    return unlink(path) == 0 || errno == ENOENT
        ? RR_OK
        : rr_fail(diag, RR_E_IO, "%s: cannot remove: %s", path, strerror(errno));
}

rr_status rr_file_rename(const char *from, const char *to, rr_diag *diag) {
    return rename(from, to) == 0
        ? RR_OK
        : rr_fail(diag, RR_E_IO, "%s: cannot give it the name %s: %s", from, to, strerror(errno));
}

void rr_file_forget(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) { /* clean pages go; those that others use may stay */
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
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
