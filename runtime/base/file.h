/* Files: mapping, whole reads, atomic replacement, the user's cache folder.
 * Owns: nothing global. */
#ifndef RR_BASE_FILE_H
#define RR_BASE_FILE_H

#include "runtime/base/memory.h"

/* A read-only mapping of a whole file. An empty file has data == NULL and bytes == 0. */
typedef struct rr_mapping {
    const uint8_t *data;
    uint64_t bytes;
} rr_mapping;

/* Errors: RR_E_IO with path and system message; RR_E_INPUT when the path is not a regular file. */
rr_status rr_file_map(const char *path, rr_mapping *out, rr_diag *diag);
void rr_file_unmap(rr_mapping *mapping); /* accepts a zeroed mapping */

/* Reads a whole stream ("-" = standard input) into `out` (appended). Fails with RR_E_INPUT past `max_bytes`. */
rr_status rr_file_read(const char *path, uint64_t max_bytes, rr_buf *out, rr_diag *diag);

/* A file that is written beside its final name and renamed when it is whole: the final name never shows a half file.
 * Errors: RR_E_IO with path and system message (a full disk says so), RR_E_MEMORY. */
typedef struct rr_new_file {
    const char *path; /* borrowed */
    char *temp;       /* NULL = not open */
    int fd;
} rr_new_file;

rr_status rr_new_file_open(const char *path, rr_new_file *out, rr_diag *diag);
rr_status rr_new_file_write(rr_new_file *file, const void *data, size_t bytes, rr_diag *diag);
/* The same with `bytes` zeros, which take no room where the file system knows holes. */
rr_status rr_new_file_skip(rr_new_file *file, uint64_t bytes, rr_diag *diag);
/* Waits until the bytes are on the disk, then renames. Closed afterwards, also on failure. */
rr_status rr_new_file_commit(rr_new_file *file, rr_diag *diag);
void rr_new_file_abandon(rr_new_file *file); /* deletes; accepts a zeroed, a committed and an abandoned one */

/* The same in one call. */
rr_status rr_file_write_atomic(const char *path, const void *data, size_t bytes, rr_diag *diag);

/* Creates a folder and its parents. */
rr_status rr_folder_make(const char *path, rr_diag *diag);

/* The program's cache folder, made when absent: $REARANK_CACHE, else $XDG_CACHE_HOME/rearank, else
 * $HOME/.cache/rearank. `leaf` (may be NULL) is appended after a slash. Fails with RR_E_IO when none can be made. */
rr_status rr_cache_path(const char *leaf, rr_buf *out, rr_diag *diag);

#endif
