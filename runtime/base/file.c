#define _GNU_SOURCE
#include "runtime/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

rr_status rr_file_map(const char *path, rr_mapping *out, rr_diag *diag) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return rr_fail(diag, RR_E_IO, "%s: cannot open: %s", path, strerror(errno));
    }
    rr_status status = RR_OK;
    struct stat st;
    rr_mapping map = {0};
    if (fstat(fd, &st) != 0) {
        status = rr_fail(diag, RR_E_IO, "%s: cannot stat: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        status = rr_fail(diag, RR_E_INPUT, "%s: found a %s, expected a regular file", path,
                         S_ISDIR(st.st_mode) ? "folder" : "special file");
    } else if (st.st_size > 0) {
        map.bytes = (uint64_t)st.st_size;
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

rr_status rr_file_read(const char *path, uint64_t max_bytes, rr_buf *out, rr_diag *diag) {
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return rr_fail(diag, RR_E_IO, "%s: cannot open: %s", path, strerror(errno));
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
            status = rr_fail(diag, RR_E_IO, "%s: cannot read: %s", path, strerror(errno));
            break;
        }
        if (got == 0) {
            break;
        }
        total += (uint64_t)got;
        if (total > max_bytes) {
            status = rr_fail(diag, RR_E_INPUT, "%s: longer than the %llu bytes that are accepted", path,
                             (unsigned long long)max_bytes);
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

static bool write_all(int fd, const void *data, size_t bytes) {
    const char *from = data;
    while (bytes > 0) {
        ssize_t put = write(fd, from, bytes);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        from += put;
        bytes -= (size_t)put;
    }
    return true;
}

rr_status rr_new_file_open(const char *path, rr_new_file *out, rr_diag *diag) {
    rr_buf temp = {0};
    rr_buf_printf(&temp, "%s.XXXXXX", path);
    if (temp.failed) {
        rr_buf_destroy(&temp);
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
    }
    int fd = mkostemp(temp.data, O_CLOEXEC);
    if (fd < 0) {
        rr_status status = rr_fail(diag, RR_E_IO, "%s: cannot create beside it: %s", path, strerror(errno));
        rr_buf_destroy(&temp);
        return status;
    }
    *out = (rr_new_file){.path = path, .temp = temp.data, .fd = fd};
    return RR_OK;
}

static rr_status cannot_write(const rr_new_file *file, int error, rr_diag *diag) {
    return rr_fail(diag, RR_E_IO, "%s: cannot write: %s", file->path, strerror(error));
}

rr_status rr_new_file_write(rr_new_file *file, const void *data, size_t bytes, rr_diag *diag) {
    return write_all(file->fd, data, bytes) ? RR_OK : cannot_write(file, errno, diag);
}

rr_status rr_new_file_skip(rr_new_file *file, uint64_t bytes, rr_diag *diag) {
    if (bytes == 0) {
        return RR_OK;
    }
    if (lseek(file->fd, (off_t)(bytes - 1), SEEK_CUR) < 0) {
        return cannot_write(file, errno, diag);
    }
    return rr_new_file_write(file, "", 1, diag);
}

static void forget(rr_new_file *file) {
    free(file->temp);
    file->temp = NULL;
}

rr_status rr_new_file_commit(rr_new_file *file, rr_diag *diag) {
    /* mkostemp makes the file private; the result gets the usual permissions instead */
    mode_t mask = umask(0);
    umask(mask);
    bool ok = fchmod(file->fd, 0666 & ~mask) == 0 && fsync(file->fd) == 0;
    int saved = errno;
    if (close(file->fd) != 0 && ok) {
        ok = false;
        saved = errno;
    }
    if (ok && rename(file->temp, file->path) != 0) {
        ok = false;
        saved = errno;
    }
    if (!ok) {
        unlink(file->temp);
    }
    forget(file);
    return ok ? RR_OK : cannot_write(file, saved, diag);
}

void rr_new_file_abandon(rr_new_file *file) {
    if (file->temp != NULL) {
        close(file->fd);
        unlink(file->temp);
        forget(file);
    }
}

rr_status rr_file_write_atomic(const char *path, const void *data, size_t bytes, rr_diag *diag) {
    rr_new_file file = {0};
    RR_TRY(rr_new_file_open(path, &file, diag));
    rr_status status = rr_new_file_write(&file, data, bytes, diag);
    if (status == RR_OK) {
        return rr_new_file_commit(&file, diag);
    }
    rr_new_file_abandon(&file);
    return status;
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
            status = rr_fail(diag, RR_E_IO, "%s: cannot make the folder: %s", copy, strerror(errno));
        }
        copy[i] = kept;
    }
    free(copy);
    return status;
}

rr_status rr_cache_path(const char *leaf, rr_buf *out, rr_diag *diag) {
    const char *own = getenv("REARANK_CACHE");
    const char *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    rr_buf path = {0};
    if (own != NULL && own[0] != '\0') {
        rr_buf_text(&path, own);
    } else if (xdg != NULL && xdg[0] == '/') {
        rr_buf_printf(&path, "%s/rearank", xdg);
    } else if (home != NULL && home[0] != '\0') {
        rr_buf_printf(&path, "%s/.cache/rearank", home);
    } else {
        return rr_fail(diag, RR_E_IO, "no cache folder: none of REARANK_CACHE, XDG_CACHE_HOME and HOME is set; "
                                      "set REARANK_CACHE to a writable folder");
    }
    rr_status status = path.failed ? rr_fail(diag, RR_E_MEMORY, "out of memory")
                                   : rr_folder_make(path.data, diag);
    if (status == RR_OK) {
        rr_buf_append(out, path.data, path.bytes);
        if (leaf != NULL) {
            rr_buf_printf(out, "/%s", leaf);
        }
        if (out->failed) {
            status = rr_fail(diag, RR_E_MEMORY, "out of memory");
        }
    }
    rr_buf_destroy(&path);
    return status;
}
