#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/folder.h"

void rr_folder_of(const char *path, rr_buf *out) {
    const char *slash = strrchr(path, '/');
    rr_buf_append(out, slash == NULL ? "." : path,
        slash == NULL || slash == path ? 1 : (size_t)(slash - path));
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

rr_status rr_folder_check(const char *path, rr_diag *diag) {
    return access(path, X_OK) == 0
        ? RR_OK
        : rr_fail(diag, RR_E_IO, "%s: cannot look into this folder: %s", path, strerror(errno));
}

rr_status rr_folder_list(const char *path, rr_folder_fn visit, void *user, rr_diag *diag) {
    DIR *entries = opendir(path);
    if (entries == NULL) {
        return rr_fail(diag, RR_E_IO, "%s: cannot list: %s", path, strerror(errno));
    }
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !visit(user, name)) {
            break;
        }
    }
    closedir(entries);
    return RR_OK;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void rr_folder_remove(const char *path) {
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *rr_temp_folder(void) {
    const char *folder = getenv("TMPDIR");
    return folder != NULL && folder[0] != '\0' ? folder : "/tmp";
}

rr_status rr_temp_folder_make(const char *name, rr_buf *out, rr_diag *diag) {
    rr_buf path = {0};
    rr_buf_printf(&path, "%s/%s-XXXXXX", rr_temp_folder(), name);
    rr_status status = path.failed ? rr_fail(diag, RR_E_MEMORY, "out of memory")
        : mkdtemp(path.data) == NULL
        ? rr_fail(diag, RR_E_IO, "%s: cannot make a folder: %s", path.data, strerror(errno))
        : RR_OK;
    if (status == RR_OK) {
        rr_buf_text(out, path.data);
        status = out->failed ? rr_fail(diag, RR_E_MEMORY, "out of memory") : RR_OK;
    }
    rr_buf_destroy(&path);
    return status;
}
