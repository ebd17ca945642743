/* Files that are read: mapped, read here and there, or read from beginning to end; and what stands
 * at a path. Output is file_out.h, folders are folder.h, the cache is cache.h.
 * The operating system's side stands in file_posix.c. Owns: nothing global. */
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
/* Gives back the memory in which what was read of it lies; it is read from the file again. */
void rr_file_drop_pages(const rr_mapping *mapping);

/* A regular file that is read here and there, by any number of threads at once. Zeroed = none. */
typedef struct rr_file_in {
    intptr_t handle; /* the system's */
    bool is_open;
    uint64_t bytes; /* when it was opened */
} rr_file_in;

/* Errors: as rr_file_map; an empty file is none. */
rr_status rr_file_in_open(const char *path, rr_file_in *out, rr_diag *diag);
/* False: not all of these bytes could be read. */
bool rr_file_in_read(const rr_file_in *file, uint64_t offset, void *to, size_t bytes);
/* As rr_file_will_read. */
void rr_file_in_will_read(const rr_file_in *file, uint64_t offset, uint64_t bytes);
void rr_file_in_close(rr_file_in *file);

/* A file, pipe or device that is read from its beginning to its end; "-" is standard input.
 * Zeroed = none. */
typedef struct rr_stream_in {
    intptr_t handle;
    bool is_open;
    bool is_standard; /* closing it leaves it open */
} rr_stream_in;

/* Errors: RR_E_IO; RR_E_USAGE for an empty path. */
rr_status rr_stream_in_open(const char *path, rr_stream_in *out, rr_diag *diag);
/* Waits for the next bytes, up to `room`; *n = 0 at the end. `label` names the stream in messages.
 * Errors: RR_E_IO, RR_E_INPUT for a folder. */
rr_status rr_stream_in_read(
    rr_stream_in *stream, const char *label, void *to, size_t room, size_t *n, rr_diag *diag);
void rr_stream_in_close(rr_stream_in *stream);

/* Reads a whole stream ("-" = standard input) into `out` (appended). Errors: RR_E_IO, RR_E_INPUT
 * for a folder or past `max_bytes`, RR_E_USAGE for an empty path. */
rr_status rr_file_read(const char *path, uint64_t max_bytes, rr_buf *out, rr_diag *diag);

typedef enum rr_file_kind {
    RR_FILE_NONE, /* also where it cannot be told */
    RR_FILE_REGULAR,
    RR_FILE_FOLDER,
    RR_FILE_OTHER /* a device, pipe or socket */
} rr_file_kind;

/* What stands at a path, links followed. `bytes` may be NULL; its size, 0 of none. */
rr_file_kind rr_file_look(const char *path, uint64_t *bytes);
/* Whether two paths name one file that exists or would be made. False for devices and pipes, which
 * may have two writers, and when it cannot be told. */
bool rr_file_same(const char *a, const char *b);
/* Removes a file; one that is not there is no error. Errors: RR_E_IO. */
rr_status rr_file_remove(const char *path, rr_diag *diag);
/* `to` is replaced in one step. Errors: RR_E_IO. */
rr_status rr_file_rename(const char *from, const char *to, rr_diag *diag);
/* Lets the system drop what it caches of the file; it may also keep it. */
void rr_file_forget(const char *path);

#endif
