/* The program's folder in the user's cache. Where that lies is the system's rule: cache_posix.c.
 * Owns: nothing global. */
#ifndef RR_BASE_CACHE_H
#define RR_BASE_CACHE_H

#include "runtime/base/memory.h"

/* The program's cache folder: $REARANK_CACHE, else $XDG_CACHE_HOME/rearank, else
 * $HOME/.cache/rearank. `leaf` (may be NULL) is appended after a slash. Makes no folder.
 * Errors: RR_E_IO when none of these is set. */
rr_status rr_cache_path(const char *leaf, rr_buf *out, rr_diag *diag);
/* The path there of a file about one device: <folder>/<uuid, 32 hex digits><ending>. Errors: as
 * rr_cache_path. */
rr_status rr_cache_path_of(
    const char *folder, const uint8_t uuid[16], const char *ending, rr_buf *out, rr_diag *diag);
/* Makes the folder of a path there, before something is written. Does not make a home folder that is
 * missing. Errors: RR_E_IO. */
rr_status rr_cache_make_folder_of(const char *path, rr_diag *diag);
/* rr_file_write_atomic into a folder that is made when absent. */
rr_status rr_cache_write(const char *path, const void *data, size_t bytes, rr_diag *diag);

#endif
