/* Threads of POSIX. The objects lie in the room that thread.h leaves for them. */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/thread.h"

#define FITS(own, system_type)                                                                     \
    static_assert(                                                                                 \
        sizeof(system_type) <= sizeof(((own *)0)->system) && alignof(system_type) <= alignof(own), \
        #own " has no room for " #system_type)
FITS(rr_mutex, pthread_mutex_t);
FITS(rr_cond, pthread_cond_t);
FITS(rr_thread, pthread_t);

static pthread_mutex_t *mutex_of(rr_mutex *mutex) {
    return (pthread_mutex_t *)(void *)mutex->system;
}

static pthread_cond_t *cond_of(rr_cond *cond) {
    return (pthread_cond_t *)(void *)cond->system;
}

bool rr_mutex_create(rr_mutex *mutex) {
    *mutex = (rr_mutex){0};
    mutex->is_made = pthread_mutex_init(mutex_of(mutex), NULL) == 0;
    return mutex->is_made;
}

void rr_mutex_destroy(rr_mutex *mutex) {
    if (mutex->is_made) {
        pthread_mutex_destroy(mutex_of(mutex));
        mutex->is_made = false;
    }
}

void rr_mutex_lock(rr_mutex *mutex) {
    pthread_mutex_lock(mutex_of(mutex));
}

void rr_mutex_unlock(rr_mutex *mutex) {
    pthread_mutex_unlock(mutex_of(mutex));
}

bool rr_cond_create(rr_cond *cond) {
    *cond = (rr_cond){0};
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    cond->is_made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
        pthread_cond_init(cond_of(cond), &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return cond->is_made;
}

void rr_cond_destroy(rr_cond *cond) {
    if (cond->is_made) {
        pthread_cond_destroy(cond_of(cond));
        cond->is_made = false;
    }
}

void rr_cond_signal(rr_cond *cond) {
    pthread_cond_signal(cond_of(cond));
}

void rr_cond_broadcast(rr_cond *cond) {
    pthread_cond_broadcast(cond_of(cond));
}

void rr_cond_wait(rr_cond *cond, rr_mutex *mutex) {
    pthread_cond_wait(cond_of(cond), mutex_of(mutex));
}

bool rr_cond_wait_until(rr_cond *cond, rr_mutex *mutex, uint64_t time_ns) {
    const struct timespec until = {
        .tv_sec = (time_t)(time_ns / 1000000000u), .tv_nsec = (long)(time_ns % 1000000000u)};
    return pthread_cond_timedwait(cond_of(cond), mutex_of(mutex), &until) != ETIMEDOUT;
}

/* A pthread_once_t that is all zeroes is not ready everywhere, so the state is ours. */
enum { ONCE_NEW, ONCE_RUNS, ONCE_DONE };
static pthread_mutex_t once_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t once_done = PTHREAD_COND_INITIALIZER;

void rr_once_run(rr_once *once, void (*make)(void)) {
    if (atomic_load_explicit(&once->state, memory_order_acquire) == ONCE_DONE) {
        return;
    }
    pthread_mutex_lock(&once_mutex);
    if (atomic_load(&once->state) == ONCE_NEW) {
        atomic_store(&once->state, ONCE_RUNS);
        pthread_mutex_unlock(&once_mutex);
        make();
        pthread_mutex_lock(&once_mutex);
        atomic_store_explicit(&once->state, ONCE_DONE, memory_order_release);
        pthread_cond_broadcast(&once_done);
    }
    while (atomic_load(&once->state) != ONCE_DONE) {
        pthread_cond_wait(&once_done, &once_mutex);
    }
    pthread_mutex_unlock(&once_mutex);
}

static void *thread_main(void *argument) {
    const rr_thread *thread = argument;
    thread->work(thread->user);
    return NULL;
}

bool rr_thread_start(rr_thread *thread, rr_thread_fn work, void *user) {
    thread->work = work;
    thread->user = user;
    pthread_t handle;
    if (pthread_create(&handle, NULL, thread_main, thread) != 0) {
        return false;
    }
    memcpy(thread->system, &handle, sizeof handle);
    return true;
}

void rr_thread_join(rr_thread *thread) {
    pthread_t handle;
    memcpy(&handle, thread->system, sizeof handle);
    pthread_join(handle, NULL);
}

uint64_t rr_time_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void rr_sleep_ns(uint64_t time_ns) {
    const struct timespec rest = {
        .tv_sec = (time_t)(time_ns / 1000000000u), .tv_nsec = (long)(time_ns % 1000000000u)};
    nanosleep(&rest, NULL);
}

unsigned rr_cpu_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        int n = CPU_COUNT(&set);
        return n > 0 ? (unsigned)n : 1;
    }
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}
