/* The user's cache by the rules of XDG. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/cache.h"
#include "runtime/base/folder.h"

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
