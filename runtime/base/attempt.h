/* Counts attempts at what may kill the process, in a file and before each is made, so that the next
 * start knows of a crash. Owns: the count, its file, telling dead processes from live ones.
 * Thread-safe. */
#ifndef RR_BASE_ATTEMPT_H
#define RR_BASE_ATTEMPT_H

#include "runtime/base/status.h"

typedef struct rr_attempt rr_attempt;

/* Opens the count at `path`, made when absent. Errors: RR_E_IO, RR_E_MEMORY, RR_E_INTERNAL. */
rr_status rr_attempt_open(const char *path, rr_attempt **out, rr_diag *diag);
void rr_attempt_close(rr_attempt **attempt);

/* How many processes in a row died between begin and end. 0 while another process has the file
 * open: what that one has begun is no crash. */
uint32_t rr_attempt_n_died(const rr_attempt *attempt);

/* As rr_attempt_n_died for the file at `path`, whose count is then set to 0. A file that is not
 * there counts as 0 and is not made. */
uint32_t rr_attempt_take_deaths(const char *path);

/* After begin a death counts; after end it does not, and earlier deaths are forgotten. Each call
 * takes a few microseconds, next to nothing where it changes nothing. NULL does nothing. Where the
 * file cannot be written, nothing is remembered. */
void rr_attempt_begin(rr_attempt *attempt);
void rr_attempt_end(rr_attempt *attempt);

/* To be called before this process is ended on purpose: what it has begun then counts as no death.
 * May be called by a signal's handler. */
void rr_attempt_forgive_all(void);

#endif
