#define _GNU_SOURCE
#include "runtime/base/thread.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

uint64_t rr_time_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool rr_cond_create(pthread_cond_t *cond) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    const bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
        pthread_cond_init(cond, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return made;
}

bool rr_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t time_ns) {
    const struct timespec until = {
        .tv_sec = (time_t)(time_ns / 1000000000u), .tv_nsec = (long)(time_ns % 1000000000u)};
    return pthread_cond_timedwait(cond, mutex, &until) != ETIMEDOUT;
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

typedef struct parallel_job {
    rr_parallel_fn work;
    void *user;
    size_t n;
    atomic_size_t next;
} parallel_job;

static void *parallel_main(void *argument) {
    parallel_job *job = argument;
    for (;;) {
        size_t i = atomic_fetch_add(&job->next, 1);
        if (i >= job->n) {
            return NULL;
        }
        job->work(job->user, i);
    }
}

void rr_parallel_for(size_t n, unsigned n_threads, rr_parallel_fn work, void *user) {
    enum { MAX_THREADS = 64 };
    parallel_job job = {.work = work, .user = user, .n = n};
    unsigned want = n_threads == 0 ? rr_cpu_count() : n_threads;
    if (want > MAX_THREADS) {
        want = MAX_THREADS;
    }
    if (want > n) {
        want = (unsigned)n;
    }
    pthread_t threads[MAX_THREADS];
    unsigned made = 0;
    while (made + 1 < want && pthread_create(&threads[made], NULL, parallel_main, &job) == 0) {
        made++;
    }
    parallel_main(&job);
    for (unsigned i = 0; i < made; i++) {
        pthread_join(threads[i], NULL);
    }
}
