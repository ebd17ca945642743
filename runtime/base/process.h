/* Programs that this one starts and waits for. The operating system's side stands in
 * process_posix.c. Owns: nothing global. */
#ifndef RR_BASE_PROCESS_H
#define RR_BASE_PROCESS_H

#include <stdatomic.h>

#include "runtime/base/status.h"

/* Zeroed = none. */
typedef struct rr_process {
    atomic_intptr_t id; /* the system's; 0 once its end is known, since it may become another's */
    intptr_t output;    /* the system's */
    bool has_output;
    int code;
} rr_process;

typedef struct rr_process_variable {
    const char *name, *value;
} rr_process_variable;

typedef struct rr_process_params {
    const char *program;     /* found as a shell finds it; NULL = this program once more */
    const char *const *args; /* NULL-terminated; the first is the program's name */
    /* set in its environment, which is ours otherwise */
    const rr_process_variable *variables;
    size_t n_variables;
    const char *log_path; /* takes its output and messages, its input is empty; NULL = ours */
    bool reads_output;    /* its standard output is for rr_process_read */
} rr_process_params;

/* `process` must stay at its address until its end was seen. Errors: RR_E_IO (there is no such program, or
 * the system refuses), RR_E_MEMORY. */
rr_status rr_process_start(const rr_process_params *params, rr_process *process, rr_diag *diag);
/* Waits for output, up to `bytes`; 0 = it has closed its output. */
size_t rr_process_read(rr_process *process, void *to, size_t bytes);

enum { RR_PROCESS_KILLED = 128 }; /* as exit code: it did not end by itself */
/* Whether it has ended; then *code is its exit code. */
bool rr_process_has_ended(rr_process *process, int *code);
/* Waits for its end and gives its exit code. */
int rr_process_wait(rr_process *process);
/* rr_process_stop asks it to end, rr_process_kill ends it at once; both do nothing once it has
 * ended. rr_process_kill may be called by a signal's handler, also while a thread waits. */
void rr_process_stop(rr_process *process);
void rr_process_kill(rr_process *process);
/* After its end was seen; accepts a zeroed one. */
void rr_process_close(rr_process *process);

#endif
