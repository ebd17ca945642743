/* The choice between a risky and a safe way, on times that are made up. */
#include "runtime/compute/fast_path.h"
#include "tests/check.h"

/* Runs once: how long each way would take. True when the risky one was taken. */
static bool run(rr_fast_path *ways, double risky_ns, double safe_ns) {
    const bool risk = rr_fast_path_is_taken(ways);
    rr_fast_path_took(ways, risk ? risky_ns : safe_ns);
    return risk;
}

static int n_risky(rr_fast_path *ways, int n, double risky_ns, double safe_ns) {
    int found = 0;
    for (int i = 0; i < n; i++) {
        found += run(ways, risky_ns, safe_ns);
    }
    return found;
}

/* A quiet machine: all but the runs that time the safe way. The first of them may be slow. */
static void test_quiet(void) {
    rr_fast_path ways = {0};
    CHECK(!run(&ways, 30, 500));
    CHECK(!run(&ways, 30, 40));
    CHECK_INT(n_risky(&ways, 1000, 30, 40), 1000);
}

/* One slow run alone changes nothing. */
static void test_hiccup(void) {
    rr_fast_path ways = {0};
    n_risky(&ways, 10, 30, 40);
    for (int i = 0; i < 100; i++) {
        CHECK(run(&ways, 300, 40));
        CHECK(run(&ways, 30, 40));
    }
}

/* A busy machine: few runs are lost to trying, and when it is quiet again, the risky way is back
 * within 128 runs. */
static void test_busy(void) {
    rr_fast_path ways = {0};
    n_risky(&ways, 10, 30, 40);
    const int tried = n_risky(&ways, 1000, 300, 60);
    CHECK(tried >= 2 && tried <= 12);
    n_risky(&ways, 129, 30, 40);
    CHECK_INT(n_risky(&ways, 100, 30, 40), 100);
    CHECK(n_risky(&ways, 18, 300, 60) <= 4); /* patience is short again */
}

/* Both grow with the context: the safe way's time is looked at again, and the better way stays. */
static void test_growth(void) {
    rr_fast_path ways = {0};
    int found = 0;
    for (int i = 0; i < 4000; i++) {
        found += run(&ways, 30 + i * 0.02, 40 + i * 0.02);
    }
    CHECK(found > 3000);
}

int main(void) {
    test_quiet();
    test_hiccup();
    test_busy();
    test_growth();
    return CHECK_END();
}
