/* Threads, locks, conditions and the monotonic clock, in types of our own.
 * The operating system's side stands in thread_posix.c; its types appear in no header.
 * Owns: nothing global. */
#ifndef RR_BASE_THREAD_H
#define RR_BASE_THREAD_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>

#include "runtime/base/status.h"

/* Room for the system's own object. An object is all zeroes or created; zeroes may be destroyed.
 * Created ones stay where they are: they must not be copied. */
typedef struct rr_mutex {
    alignas(16) unsigned char system[64];
    bool is_made;
} rr_mutex;

typedef struct rr_cond {
    alignas(16) unsigned char system[64];
    bool is_made;
} rr_cond;

/* False = the system has no room for one; the object is then all zeroes. */
bool rr_mutex_create(rr_mutex *mutex);
void rr_mutex_destroy(rr_mutex *mutex);
void rr_mutex_lock(rr_mutex *mutex);
void rr_mutex_unlock(rr_mutex *mutex);

/* As rr_mutex_create. */
bool rr_cond_create(rr_cond *cond);
void rr_cond_destroy(rr_cond *cond);
void rr_cond_signal(rr_cond *cond);
void rr_cond_broadcast(rr_cond *cond);
/* One wait, which may also end for no reason. The caller holds `mutex`. */
void rr_cond_wait(rr_cond *cond, rr_mutex *mutex);
/* One wait that ends by rr_time_ns. False = `time_ns` has come. */
bool rr_cond_wait_until(rr_cond *cond, rr_mutex *mutex, uint64_t time_ns);

/* The first call for an object runs `make`; every call returns after `make` has run. An object of
 * all zeroes has not run it yet. */
typedef struct rr_once {
    atomic_int state;
} rr_once;
void rr_once_run(rr_once *once, void (*make)(void));

/* A thread that runs work(user). It stays where it is until it is joined. */
typedef void (*rr_thread_fn)(void *user);
typedef struct rr_thread {
    alignas(16) unsigned char system[16];
    rr_thread_fn work;
    void *user;
} rr_thread;
/* False = the system has no room for a thread. */
bool rr_thread_start(rr_thread *thread, rr_thread_fn work, void *user);
void rr_thread_join(rr_thread *thread);

/* Monotonic time. */
uint64_t rr_time_ns(void);
/* Lets this thread rest; a signal may end the rest early. */
void rr_sleep_ns(uint64_t time_ns);

/* Processors this process may use, at least 1. */
unsigned rr_cpu_count(void);

/* Runs work(user, i) for i in [0, n) on up to `n_threads` threads (0 = rr_cpu_count) and waits.
 * Items are taken in order, one at a time. When threads cannot be made the caller's own thread does
 * the work. */
typedef void (*rr_parallel_fn)(void *user, size_t index);
void rr_parallel_for(size_t n, unsigned n_threads, rr_parallel_fn work, void *user);

#endif
