/* Files: mapping, whole reads, output that appears whole or not at all, the user's cache folder.
 * Owns: nothing global. */
#ifndef RR_BASE_FILE_H
#define RR_BASE_FILE_H

#include "runtime/base/memory.h"

/* A read-only mapping of a whole file. An empty file has data == NULL and bytes == 0. */
typedef struct rr_mapping {
    const uint8_t *data;
    uint64_t bytes;
    int64_t modified_ns; /* when the file was last changed */
} rr_mapping;

/* Errors: RR_E_IO with path and system message; RR_E_INPUT when the path is not a regular file;
 * RR_E_USAGE when empty. */
rr_status rr_file_map(const char *path, rr_mapping *out, rr_diag *diag);
void rr_file_unmap(rr_mapping *mapping); /* accepts a zeroed mapping */
/* These bytes (which may reach past the end) are wanted soon: the system starts to read them. */
void rr_file_will_read(const rr_mapping *mapping, uint64_t offset, uint64_t bytes);

/* A regular file that is read here and there, by any number of threads at once. */
typedef struct rr_file_in {
    int fd;         /* -1 = none */
    uint64_t bytes; /* when it was opened */
} rr_file_in;

/* Errors: as rr_file_map; an empty file is none. */
rr_status rr_file_in_open(const char *path, rr_file_in *out, rr_diag *diag);
/* False: not all of these bytes could be read. */
bool rr_file_in_read(const rr_file_in *file, uint64_t offset, void *to, size_t bytes);
/* As rr_file_will_read. */
void rr_file_in_will_read(const rr_file_in *file, uint64_t offset, uint64_t bytes);
void rr_file_in_close(rr_file_in *file);

/* Reads a whole stream ("-" = standard input) into `out` (appended). Errors: RR_E_IO, RR_E_INPUT
 * for a folder or past `max_bytes`, RR_E_USAGE for an empty path. */
rr_status rr_file_read(const char *path, uint64_t max_bytes, rr_buf *out, rr_diag *diag);

/* A file that appears whole or not at all: its bytes go to a temporary file beside it, which gets
 * the name at the end. A link is followed. A device, pipe or socket is written in place: it has no
 * half state, and must not be replaced. */
typedef struct rr_file_out {
    int fd;
    rr_buf label;     /* the path as given, for messages */
    rr_buf path;      /* the file itself */
    rr_buf temporary; /* empty = in place */
    bool unnamed;
} rr_file_out;

/* Whether rr_file_out_open would succeed: better known before hours of work. Errors: RR_E_USAGE for
 * an empty name, RR_E_IO for a folder or what may not be written. */
rr_status rr_file_out_check(const char *path, rr_diag *diag);
/* Errors: as rr_file_out_check. *out is to be ended by rr_file_out_finish or
 * rr_file_out_discard. */
rr_status rr_file_out_open(const char *path, rr_file_out *out, rr_diag *diag);
/* The same for a cache. Until it is finished the file has no name at all, so that a process that is
 * killed leaves nothing; what reaches the disk when is left to the system, so that the reader must
 * check what it finds; links are not followed. Errors: RR_E_IO, also where the file system has no
 * files without a name. */
rr_status rr_file_out_open_unnamed(const char *path, rr_file_out *out, rr_diag *diag);
/* RR_E_IO */
rr_status rr_file_out_write(rr_file_out *out, const void *data, size_t bytes, rr_diag *diag);
/* Over what was written before; the place of the next rr_file_out_write stays. Not in place.
 * Errors: RR_E_IO. */
rr_status rr_file_out_rewrite(
    rr_file_out *out, uint64_t offset, const void *data, size_t bytes, rr_diag *diag);
/* Zeros, as a hole where the file can have one. Errors: RR_E_IO. */
rr_status rr_file_out_skip(rr_file_out *out, uint64_t bytes, rr_diag *diag);
/* Gives the file its name. After a failure (RR_E_IO) nothing of it stays, and what stood there
 * before is untouched. */
rr_status rr_file_out_finish(rr_file_out *out, rr_diag *diag);
void rr_file_out_discard(rr_file_out *out);

/* All of it in one call. */
rr_status rr_file_write_atomic(const char *path, const void *data, size_t bytes, rr_diag *diag);

/* Bytes that are left to this user on the file system of `path`; 0 when that cannot be told. */
uint64_t rr_file_room(const char *path);

/* Whether two paths name one file, which exists or would be made; false for devices and pipes,
 * which two can write to, and when it cannot be told. */
bool rr_file_same(const char *a, const char *b);

/* Appends the folder of a path, "." when it names none. A lack of memory shows in out->failed. */
void rr_folder_of(const char *path, rr_buf *out);
/* Where files that nobody keeps go: $TMPDIR, where it is set and not empty, else /tmp. Borrowed
 * from the environment. */
const char *rr_temp_folder(void);

/* Creates a folder and its parents. */
rr_status rr_folder_make(const char *path, rr_diag *diag);

/* The program's cache folder: $REARANK_CACHE, else $XDG_CACHE_HOME/rearank, else
 * $HOME/.cache/rearank. `leaf` (may be NULL) is appended after a slash. Makes nothing: who only
 * looks leaves no trace. Fails with RR_E_IO when none of these is set. */
rr_status rr_cache_path(const char *leaf, rr_buf *out, rr_diag *diag);
/* The path there of what is kept of one device: <folder>/<uuid, 32 hex digits><ending>. Errors: as
 * rr_cache_path. */
rr_status rr_cache_path_of(
    const char *folder, const uint8_t uuid[16], const char *ending, rr_buf *out, rr_diag *diag);
/* Makes the folder of a path there, before something is written. A home folder that does not exist
 * is none of ours to make. Errors: RR_E_IO. */
rr_status rr_cache_make_folder_of(const char *path, rr_diag *diag);
/* rr_file_write_atomic into a folder that is made when absent. */
rr_status rr_cache_write(const char *path, const void *data, size_t bytes, rr_diag *diag);

#endif
