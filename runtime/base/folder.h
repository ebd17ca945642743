/* Folders: making, listing, removing; where temporary files go.
 * The operating system's side stands in folder_posix.c. Owns: nothing global. */
#ifndef RR_BASE_FOLDER_H
#define RR_BASE_FOLDER_H

#include "runtime/base/memory.h"

/* Appends the folder of a path, "." when it names none. A lack of memory shows in out->failed. */
void rr_folder_of(const char *path, rr_buf *out);

/* Creates a folder and its parents; one that is there is no error. Errors: RR_E_IO. */
rr_status rr_folder_make(const char *path, rr_diag *diag);
/* Whether files in it can be reached. Errors: RR_E_IO. */
rr_status rr_folder_check(const char *path, rr_diag *diag);
/* Calls visit(user, name) for each entry but "." and "..", in no order, until it returns false.
 * Errors: RR_E_IO. */
typedef bool (*rr_folder_fn)(void *user, const char *name);
rr_status rr_folder_list(const char *path, rr_folder_fn visit, void *user, rr_diag *diag);
/* Removes a folder and all that is in it, as far as the system lets it; links are not followed. */
void rr_folder_remove(const char *path);

/* The folder of temporary files: $TMPDIR where it is set and not empty, else /tmp. Borrowed from the
 * environment. */
const char *rr_temp_folder(void);
/* Makes a new folder there, which only this user can enter, and appends its path. Its name begins
 * with `name`. Errors: RR_E_IO. */
rr_status rr_temp_folder_make(const char *name, rr_buf *out, rr_diag *diag);

#endif
