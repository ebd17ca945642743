/* Shared files of POSIX, with the locks of flock(2). */
#define _GNU_SOURCE /* flock */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/base/memory.h"
#include "runtime/base/shared_file.h"

static int fd_of(const rr_shared_file *file) {
    return (int)file->handle;
}

/* Callers add which file; a handler of a signal wants no text. */
static rr_status fail(const char *doing, int error, rr_diag *diag) {
    return diag == NULL ? RR_E_IO : rr_fail(diag, RR_E_IO, "cannot %s: %s", doing, strerror(error));
}

rr_status rr_shared_file_open(const char *path, bool make, rr_shared_file *out, rr_diag *diag) {
    const int fd = open(path, O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0666);
    if (fd < 0) {
        return rr_fail(diag, RR_E_IO, "%s: %s", path, strerror(errno));
    }
    *out = (rr_shared_file){.handle = fd, .is_open = true};
    return RR_OK;
}

void rr_shared_file_close(rr_shared_file *file) {
    if (file->is_open) {
        close(fd_of(file));
    }
    *file = (rr_shared_file){0};
}

rr_lock_result rr_shared_file_lock(rr_shared_file *file, bool alone) {
    return flock(fd_of(file), (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0 ? RR_LOCK_HELD
        : errno == EWOULDBLOCK                                            ? RR_LOCK_BUSY
                                                                          : RR_LOCK_NONE;
}

rr_status rr_shared_file_size(
    const rr_shared_file *file, bool *is_regular, uint64_t *bytes, rr_diag *diag) {
    struct stat st;
    if (fstat(fd_of(file), &st) != 0) {
        return fail("look at it", errno, diag);
    }
    *is_regular = S_ISREG(st.st_mode);
    *bytes = (uint64_t)st.st_size;
    return RR_OK;
}

bool rr_shared_file_is_at(const rr_shared_file *file, const char *path) {
    struct stat ours, named;
    return fstat(fd_of(file), &ours) == 0 && stat(path, &named) == 0 &&
        ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

bool rr_shared_file_room(const rr_shared_file *file, uint64_t *bytes) {
    struct statvfs fs;
    return fstatvfs(fd_of(file), &fs) == 0 && rr_mul_u64(fs.f_bavail, fs.f_frsize, bytes);
}

rr_status rr_shared_file_read(
    const rr_shared_file *file, uint64_t offset, void *to, size_t bytes, size_t *n, rr_diag *diag) {
    size_t done = 0;
    while (done < bytes) {
        const ssize_t got =
            pread(fd_of(file), (char *)to + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail("read", errno, diag);
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    *n = done;
    return RR_OK;
}

rr_status rr_shared_file_write(
    const rr_shared_file *file, uint64_t offset, const void *data, size_t bytes, rr_diag *diag) {
    for (size_t done = 0; done < bytes;) {
        const ssize_t put =
            pwrite(fd_of(file), (const char *)data + done, bytes - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return fail("write", put < 0 ? errno : ENOSPC, diag);
        }
        done += (size_t)put;
    }
    return RR_OK;
}

rr_status rr_shared_file_empty(rr_shared_file *file, rr_diag *diag) {
    return ftruncate(fd_of(file), 0) == 0 ? RR_OK : fail("empty it", errno, diag);
}

rr_status rr_shared_file_flush(const rr_shared_file *file, rr_diag *diag) {
    return fsync(fd_of(file)) == 0 ? RR_OK : fail("write", errno, diag);
}
