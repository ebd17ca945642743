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

/* Locks, conditions, once */

enum { N_PEOPLE = 8, N_TURNS = 2000 };
static rr_mutex lock;
static rr_cond changed;
static rr_once once;
static atomic_int n_made;
static int counter, n_arrived; /* both under the lock */

static void make(void) {
    const uint64_t begin = rr_time_ns();
    while (rr_time_ns() - begin < 2000000) {
    }
    atomic_fetch_add(&n_made, 1);
}

static void take_turns(void *user) {
    rr_once_run(&once, make);
    *(int *)user = atomic_load(&n_made);
    rr_mutex_lock(&lock);
    n_arrived++;
    rr_cond_broadcast(&changed);
    while (n_arrived < N_PEOPLE) {
        rr_cond_wait(&changed, &lock);
    }
    rr_mutex_unlock(&lock);
    for (int i = 0; i < N_TURNS; i++) {
        rr_mutex_lock(&lock);
        counter++;
        rr_mutex_unlock(&lock);
    }
}

static void check_locks(void) {
    rr_mutex none = {0};
    rr_cond no_cond = {0};
    rr_mutex_destroy(&none);
    rr_cond_destroy(&no_cond);
    CHECK(rr_mutex_create(&lock));
    CHECK(rr_cond_create(&changed));
    rr_thread threads[N_PEOPLE];
    int n_made_seen[N_PEOPLE];
    for (int i = 0; i < N_PEOPLE; i++) {
        CHECK(rr_thread_start(&threads[i], take_turns, &n_made_seen[i]));
    }
    for (int i = 0; i < N_PEOPLE; i++) {
        rr_thread_join(&threads[i]);
        CHECK_INT(n_made_seen[i], 1); /* nobody goes on before it has run */
    }
    CHECK_INT(counter, N_PEOPLE * N_TURNS);
    rr_once_run(&once, make);
    CHECK_INT(atomic_load(&n_made), 1);

    rr_mutex_lock(&lock);
    const uint64_t until_ns = rr_time_ns() + 3000000;
    while (rr_cond_wait_until(&changed, &lock, until_ns)) {
    }
    rr_mutex_unlock(&lock);
    CHECK(rr_time_ns() >= until_ns);
    rr_cond_destroy(&changed);
    rr_mutex_destroy(&lock);
    CHECK(!changed.is_made && !lock.is_made);
    rr_mutex_destroy(&lock);
}

int main(void) {
    check_locks();
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
