/* Output files of POSIX. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/base/file_out.h"
#include "runtime/base/folder.h"
#include "runtime/base/thread.h"

/* What stands at a path, links followed. */
typedef struct target {
    rr_buf path;   /* the file itself */
    rr_buf folder; /* where it lies */
    bool in_place; /* a device, pipe or socket: renaming onto it would replace it */
    bool exists;
    mode_t mode; /* … its permissions, which the result gets */
} target;

static void target_destroy(target *t) {
    rr_buf_destroy(&t->path);
    rr_buf_destroy(&t->folder);
}

static rr_status find_path(const char *path, target *t, rr_diag *diag) {
    struct stat link;
    if (lstat(path, &link) != 0 || !S_ISLNK(link.st_mode)) {
        rr_buf_text(&t->path, path);
    } else if (stat(path, &link) == 0 && !S_ISREG(link.st_mode) && !S_ISDIR(link.st_mode)) {
        rr_buf_text(&t->path, path); /* such as /dev/stdout, whose link may name what has no path */
    } else {
        char *real = realpath(path, NULL);
        if (real == NULL) {
            return rr_fail(
                diag, RR_E_IO, "%s: cannot write where this link leads: %s", path, strerror(errno));
        }
        rr_buf_text(&t->path, real);
        free(real);
    }
    if (t->path.data != NULL) {
        rr_folder_of(t->path.data, &t->folder);
    }
    return t->path.failed || t->folder.failed
        ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path)
        : RR_OK;
}

/* Fills *t (zeroed; to be destroyed in any case) and refuses what cannot be written. */
static rr_status find_target(const char *path, target *t, rr_diag *diag) {
    if (path[0] == '\0') {
        return rr_fail(
            diag, RR_E_USAGE, "found an empty name, expected the name of a file to write");
    }
    RR_TRY(find_path(path, t, diag));
    struct stat st;
    t->exists = stat(t->path.data, &st) == 0;
    if (t->exists && S_ISDIR(st.st_mode)) {
        return rr_fail(
            diag, RR_E_IO, "%s: is a folder, expected the name of a file to write", path);
    }
    if (t->exists && access(t->path.data, W_OK) != 0) {
        return rr_fail(diag, RR_E_IO, "%s: cannot write: %s", path, strerror(errno));
    }
    t->in_place = t->exists && !S_ISREG(st.st_mode);
    t->mode = t->exists ? st.st_mode & 07777 : 0;
    if (!t->in_place && access(t->folder.data, W_OK | X_OK) != 0) {
        return rr_fail(
            diag, RR_E_IO, "%s: cannot write in %s: %s", path, t->folder.data, strerror(errno));
    }
    return RR_OK;
}

rr_status rr_file_out_check(const char *path, rr_diag *diag) {
    target t = {0};
    rr_status status = find_target(path, &t, diag);
    target_destroy(&t);
    return status;
}

/* A new file beside the target, below 0 when there is none, with errno. The system gives a new
 * target the usual permissions: to ask for the process's umask would be to change it, for all
 * threads. A file that replaces another is nobody else's until it has that one's permissions. */
static int open_temporary(const target *t, rr_buf *name) {
    enum { TRIES = 100 }; /* each with another name; to meet one that exists is rare */
    static atomic_uint counter;
    int fd = -1;
    errno = EEXIST;
    for (int i = 0; i < TRIES && fd < 0 && errno == EEXIST; i++) {
        const unsigned salt = atomic_fetch_add(&counter, 1) * 0x9E3779B1u;
        rr_buf_clear(name);
        rr_buf_printf(name, "%s.%08x", t->path.data,
            (unsigned)rr_time_ns() ^ ((unsigned)getpid() << 16) ^ salt);
        if (name->failed) {
            errno = ENOMEM;
            return -1;
        }
        fd = open(name->data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, t->exists ? 0600 : 0666);
    }
    if (fd >= 0 && t->exists && fchmod(fd, t->mode) != 0) {
        const int saved = errno;
        unlink(name->data);
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

rr_status rr_file_out_open(const char *path, rr_file_out *out, rr_diag *diag) {
    target t = {0};
    rr_file_out opened = {0};
    rr_status status = RR_OK;
    RR_TRY_GOTO(find_target(path, &t, diag));
    rr_buf_text(&opened.label, path);
    rr_buf_text(&opened.path, t.path.data);
    if (opened.label.failed || opened.path.failed) {
        status = rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
        goto fail;
    }
    const int fd = t.in_place ? open(t.path.data, O_WRONLY | O_CLOEXEC)
                              : open_temporary(&t, &opened.temporary);
    if (fd < 0) {
        rr_buf_destroy(&opened.temporary); /* nothing of ours to remove */
        status = rr_fail(diag, RR_E_IO, "%s: cannot write: %s", path, strerror(errno));
        goto fail;
    }
    opened.handle = fd;
    opened.is_open = true;
    *out = opened;
    opened = (rr_file_out){0};
fail:
    rr_file_out_discard(&opened);
    target_destroy(&t);
    return status;
}

rr_status rr_file_out_open_unnamed(const char *path, rr_file_out *out, rr_diag *diag) {
    rr_file_out opened = {.unnamed = true};
    rr_buf folder = {0};
    rr_buf_text(&opened.label, path);
    rr_buf_text(&opened.path, path);
    rr_folder_of(path, &folder);
    rr_status status = RR_OK;
    int fd;
    if (opened.label.failed || opened.path.failed || folder.failed) {
        status = rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
    } else if ((fd = open(folder.data, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666)) < 0) {
        status = rr_fail(
            diag, RR_E_IO, "%s: cannot make a file without a name: %s", path, strerror(errno));
    } else {
        opened.handle = fd;
        opened.is_open = true;
        *out = opened;
        opened = (rr_file_out){0};
    }
    rr_file_out_discard(&opened);
    rr_buf_destroy(&folder);
    return status;
}

static int fd_of(const rr_file_out *out) {
    return (int)out->handle;
}

bool rr_file_out_room(const rr_file_out *out, uint64_t *bytes) {
    struct statvfs fs;
    return fstatvfs(fd_of(out), &fs) == 0 && rr_mul_u64(fs.f_bavail, fs.f_frsize, bytes);
}

/* Names what has no name yet. Between the removal and the naming there is no such file, as before a
 * first run. */
static bool give_name(const rr_file_out *out) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd_of(out));
    return (unlink(out->path.data) == 0 || errno == ENOENT) &&
        linkat(AT_FDCWD, self, AT_FDCWD, out->path.data, AT_SYMLINK_FOLLOW) == 0;
}

/* At `offset`, or where the file's place is when that is below 0. */
static rr_status put(
    rr_file_out *out, off_t offset, const void *data, size_t bytes, rr_diag *diag) {
    const char *from = data;
    while (bytes > 0) {
        ssize_t done =
            offset < 0 ? write(fd_of(out), from, bytes) : pwrite(fd_of(out), from, bytes, offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return rr_fail(diag, RR_E_IO, "%s: cannot write: %s", out->label.data,
                strerror(done < 0 ? errno : ENOSPC));
        }
        from += done;
        offset += offset < 0 ? 0 : done;
        bytes -= (size_t)done;
    }
    return RR_OK;
}

rr_status rr_file_out_write(rr_file_out *out, const void *data, size_t bytes, rr_diag *diag) {
    return put(out, -1, data, bytes, diag);
}

rr_status rr_file_out_rewrite(
    rr_file_out *out, uint64_t offset, const void *data, size_t bytes, rr_diag *diag) {
    return put(out, (off_t)offset, data, bytes, diag);
}

rr_status rr_file_out_skip(rr_file_out *out, uint64_t bytes, rr_diag *diag) {
    static const char zeros[4096];
    if (bytes > 0 && lseek(fd_of(out), (off_t)(bytes - 1), SEEK_CUR) >= 0) {
        return rr_file_out_write(out, zeros, 1, diag);
    }
    for (; bytes > 0; bytes -= bytes < sizeof zeros ? bytes : sizeof zeros) { /* a pipe */
        RR_TRY(rr_file_out_write(
            out, zeros, bytes < sizeof zeros ? (size_t)bytes : sizeof zeros, diag));
    }
    return RR_OK;
}

/* So that the file's name survives a power cut, as far as the file system can promise it. */
static void sync_folder(const char *path) {
    rr_buf folder = {0};
    rr_folder_of(path, &folder);
    int fd = folder.failed ? -1 : open(folder.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    rr_buf_destroy(&folder);
}

rr_status rr_file_out_finish(rr_file_out *out, rr_diag *diag) {
    bool is_temporary = out->temporary.data != NULL;
    /* a device or pipe has nothing to sync */
    bool ok = out->unnamed ? give_name(out) : !is_temporary || fsync(fd_of(out)) == 0;
    int saved = errno;
    if (close(fd_of(out)) != 0 && ok) {
        ok = false;
        saved = errno;
    }
    out->is_open = false;
    if (ok && is_temporary) {
        ok = rename(out->temporary.data, out->path.data) == 0;
        saved = errno;
        sync_folder(out->path.data);
    }
    rr_status status = RR_OK;
    if (ok) {
        rr_buf_destroy(&out->temporary); /* it has its final name */
    } else {
        status = rr_fail(diag, RR_E_IO, "%s: cannot write: %s", out->label.data, strerror(saved));
    }
    rr_file_out_discard(out);
    return status;
}

void rr_file_out_discard(rr_file_out *out) {
    if (out->is_open) {
        close(fd_of(out));
    }
    if (out->temporary.data != NULL) {
        unlink(out->temporary.data);
    }
    rr_buf_destroy(&out->label);
    rr_buf_destroy(&out->path);
    rr_buf_destroy(&out->temporary);
    *out = (rr_file_out){0};
}
