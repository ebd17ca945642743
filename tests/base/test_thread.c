#include "runtime/base/thread.h"
#include "tests/check.h"

#include <stdatomic.h>

enum { N = 10000 };
static atomic_int seen[N];
static atomic_size_t calls;

static void mark(void *user, size_t index) {
    CHECK(user == seen);
    atomic_fetch_add(&seen[index], 1);
    atomic_fetch_add(&calls, 1);
}

static atomic_int inside, most_inside;

static void linger(void *user, size_t index) {
    (void)user;
    (void)index;
    int now = atomic_fetch_add(&inside, 1) + 1;
    int most = atomic_load(&most_inside);
    while (now > most && !atomic_compare_exchange_weak(&most_inside, &most, now)) {
    }
    uint64_t begin = rr_time_ns();
    while (rr_time_ns() - begin < 2000000) {
    }
    atomic_fetch_sub(&inside, 1);
}

static void mark_quietly(void *user, size_t index) {
    atomic_fetch_add((atomic_int *)user + index, 1);
}

int main(void) {
    CHECK(rr_cpu_count() >= 1);
    uint64_t begin = rr_time_ns();
    CHECK(rr_time_ns() >= begin);

    mark(seen, 0);
    atomic_store(&seen[0], 0);
    atomic_store(&calls, 0);
    const unsigned thread_counts[] = {0, 1, 2, 7, 1000};
    for (size_t t = 0; t < sizeof thread_counts / sizeof thread_counts[0]; t++) {
        rr_parallel_for(N, thread_counts[t], mark_quietly, seen);
        int wrong = 0;
        for (int i = 0; i < N; i++) {
            wrong += atomic_exchange(&seen[i], 0) != 1;
        }
        CHECK_MSG(
            wrong == 0, "%u threads: %d items were not done exactly once", thread_counts[t], wrong);
    }
    rr_parallel_for(0, 4, mark, NULL);
    CHECK_INT(atomic_load(&calls), 0);
    rr_parallel_for(1, 4, mark, seen);
    CHECK_INT(atomic_load(&calls), 1);

    rr_parallel_for(30, 3, linger, NULL);
    CHECK_MSG(atomic_load(&most_inside) >= 1 && atomic_load(&most_inside) <= 3, "%d at once",
        atomic_load(&most_inside));
    atomic_store(&most_inside, 0);
    rr_parallel_for(5, 1, linger, NULL);
    CHECK_INT(atomic_load(&most_inside), 1);
    return CHECK_END();
}
