/* What may kill the process: counted in a file before it is tried, so that a crash is known at the
 * next start. Owns: the count, its file, telling dead processes from live ones. Thread-safe. */
#ifndef RR_BASE_ATTEMPT_H
#define RR_BASE_ATTEMPT_H

#include "runtime/base/status.h"

typedef struct rr_attempt rr_attempt;

/* Opens the count at `path`, made when absent. Errors: RR_E_IO, RR_E_MEMORY, RR_E_INTERNAL. */
rr_status rr_attempt_open(const char *path, rr_attempt **out, rr_diag *diag);
void rr_attempt_close(rr_attempt **attempt);

/* How many processes in a row died between begin and end; 0 while another process has the file
 * open, since what that one has begun is no crash. */
uint32_t rr_attempt_n_died(const rr_attempt *attempt);

/* What rr_attempt_n_died would tell at `path`, which is then forgotten. A file that is not there
 * says 0 and is not made. */
uint32_t rr_attempt_take_deaths(const char *path);

/* Begin: from here on a death counts. End: it does not, and those before are forgotten. Each a few
 * microseconds, nothing where the state is that already. NULL does nothing. A file that cannot be
 * written remembers nothing. */
void rr_attempt_begin(rr_attempt *attempt);
void rr_attempt_end(rr_attempt *attempt);

/* For who ends this process on purpose: what it has begun counts as no death. May be called by a
 * signal's handler. */
void rr_attempt_forgive_all(void);

#endif
