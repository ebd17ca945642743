/* A file that processes share: read and written in place, under a lock that the system lifts when a
 * process ends, however it ends. The operating system's side stands in shared_file_posix.c.
 * Owns: nothing global. */
#ifndef RR_BASE_SHARED_FILE_H
#define RR_BASE_SHARED_FILE_H

#include "runtime/base/status.h"

/* Zeroed = none. */
typedef struct rr_shared_file {
    intptr_t handle; /* the system's */
    bool is_open;
} rr_shared_file;

/* `make`: where there is no such file, an empty one is made. Errors: RR_E_IO. */
rr_status rr_shared_file_open(const char *path, bool make, rr_shared_file *out, rr_diag *diag);
void rr_shared_file_close(rr_shared_file *file); /* gives the lock back; accepts a zeroed one */

typedef enum rr_lock_result {
    RR_LOCK_HELD,
    RR_LOCK_BUSY, /* another process has it */
    RR_LOCK_NONE  /* the file system has no locks */
} rr_lock_result;
/* Asks for the lock, or changes the one that is held, without waiting. `alone`: no other process
 * may have any; else others may have it too. */
rr_lock_result rr_shared_file_lock(rr_shared_file *file, bool alone);

/* Whether it is a regular file; its size. Errors: RR_E_IO. */
rr_status rr_shared_file_size(
    const rr_shared_file *file, bool *is_regular, uint64_t *bytes, rr_diag *diag);
/* Whether `path` names this file still, and not another that took its name. */
bool rr_shared_file_is_at(const rr_shared_file *file, const char *path);
/* Bytes that are left on its file system. False: that cannot be told. */
bool rr_shared_file_room(const rr_shared_file *file, uint64_t *bytes);

/* *n is less than `bytes` only at the end of the file. Errors: RR_E_IO. */
rr_status rr_shared_file_read(
    const rr_shared_file *file, uint64_t offset, void *to, size_t bytes, size_t *n, rr_diag *diag);
/* Without `diag` it may be called by a signal's handler. Errors: RR_E_IO: some of it may be
 * written. */
rr_status rr_shared_file_write(
    const rr_shared_file *file, uint64_t offset, const void *data, size_t bytes, rr_diag *diag);
/* Errors: RR_E_IO. */
rr_status rr_shared_file_empty(rr_shared_file *file, rr_diag *diag);
/* What was written is on the disk. Errors: RR_E_IO. */
rr_status rr_shared_file_flush(const rr_shared_file *file, rr_diag *diag);

#endif
