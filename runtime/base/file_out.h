/* Files that are written: they appear whole or not at all.
 * The operating system's side stands in file_out_posix.c.
 * Owns: the temporary file beside a target while it is being written. */
#ifndef RR_BASE_FILE_OUT_H
#define RR_BASE_FILE_OUT_H

#include "runtime/base/memory.h"

/* A file that appears whole or not at all: its bytes go to a temporary file beside it, which gets
 * the name at the end. A link is followed. A device, pipe or socket is written in place: it has no
 * half state, and must not be replaced. Zeroed = none. */
typedef struct rr_file_out {
    intptr_t handle; /* the system's */
    bool is_open;
    bool unnamed;
    rr_buf label;     /* the path as given, for messages */
    rr_buf path;      /* the file itself */
    rr_buf temporary; /* empty = in place */
} rr_file_out;

/* Whether rr_file_out_open would succeed: better known before hours of work. Errors: RR_E_USAGE for
 * an empty name, RR_E_IO for a folder or what may not be written. */
rr_status rr_file_out_check(const char *path, rr_diag *diag);
/* Errors: as rr_file_out_check. *out is to be ended by rr_file_out_finish or
 * rr_file_out_discard. */
rr_status rr_file_out_open(const char *path, rr_file_out *out, rr_diag *diag);
/* The same for a cache. Until it is finished the file has no name at all, so that a process that is
 * killed leaves nothing. Its bytes are not forced to the disk, so a reader must check what it finds
 * after a power cut. Links are not followed. Errors: RR_E_IO, also where the file system has no
 * files without a name. */
rr_status rr_file_out_open_unnamed(const char *path, rr_file_out *out, rr_diag *diag);
/* Bytes that are left to this user on its file system. False, and *bytes as it was: that cannot be
 * told. */
bool rr_file_out_room(const rr_file_out *out, uint64_t *bytes);
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
void rr_file_out_discard(rr_file_out *out); /* accepts a zeroed one */

/* Opens, writes and finishes in one call. Errors: as of those. */
rr_status rr_file_write_atomic(const char *path, const void *data, size_t bytes, rr_diag *diag);

#endif
