#include "runtime/base/thread.h"

typedef struct parallel_job {
    rr_parallel_fn work;
    void *user;
    size_t n;
    atomic_size_t next;
} parallel_job;

static void parallel_main(void *user) {
    parallel_job *job = user;
    for (;;) {
        size_t i = atomic_fetch_add(&job->next, 1);
        if (i >= job->n) {
            return;
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
    rr_thread threads[MAX_THREADS];
    unsigned made = 0;
    while (made + 1 < want && rr_thread_start(&threads[made], parallel_main, &job)) {
        made++;
    }
    parallel_main(&job);
    for (unsigned i = 0; i < made; i++) {
        rr_thread_join(&threads[i]);
    }
}
