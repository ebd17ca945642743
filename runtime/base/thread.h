/* Threads and time.
 * Owns: nothing global. */
#ifndef RR_BASE_THREAD_H
#define RR_BASE_THREAD_H

#include <pthread.h>

#include "runtime/base/status.h"

/* Monotonic time. */
uint64_t rr_time_ns(void);

/* A condition whose waits end by rr_time_ns. False = it cannot be made. */
bool rr_cond_create(pthread_cond_t *cond);
/* One wait for such a condition. False = `time_ns` has come. */
bool rr_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t time_ns);

/* Processors this process may use, at least 1. */
unsigned rr_cpu_count(void);

/* Runs work(user, i) for i in [0, n) on up to `n_threads` threads (0 = rr_cpu_count) and waits.
 * Items are taken in order, one at a time. When threads cannot be made the caller's own thread does
 * the work. */
typedef void (*rr_parallel_fn)(void *user, size_t index);
void rr_parallel_for(size_t n, unsigned n_threads, rr_parallel_fn work, void *user);

#endif
