/* When a run is said to echo. */
#include "tests/check.h"
#include "tools/tally.h"

enum { N = 5 };
static const uint32_t as_shown[] = {1, 2, 3, 4, 5}, moved[] = {1, 2, 3, 5, 4};

static rr_window_result window(
    const uint32_t *permutation, uint32_t n, uint32_t n_listed, bool late) {
    return (rr_window_result){.permutation = permutation,
        .n = n,
        .n_listed = n_listed,
        .repaired = n_listed < n && !late,
        .late = late};
}

/* `n_times` a ranking of two windows. */
static rr_tally tally_of(rr_window_result a, rr_window_result b, int n_times) {
    rr_tally tally = {0};
    rr_window_result windows[] = {a, b};
    const rr_ranking ranking = {.windows = windows, .n_windows = 2};
    for (int i = 0; i < n_times; i++) {
        rr_tally_add(&tally, &ranking);
    }
    return tally;
}

static bool echoes(rr_window_result a, rr_window_result b, int n_times) {
    rr_tally tally = tally_of(a, b, n_times);
    return rr_tally_echoes(&tally);
}

static bool hardly_ranks(rr_window_result a, rr_window_result b, int n_times) {
    rr_tally tally = tally_of(a, b, n_times);
    return rr_tally_hardly_ranks(&tally);
}

int main(void) {
    const rr_window_result echo = window(as_shown, N, N, false),
                           silent = window(as_shown, N, 0, false);
    const rr_window_result late = window(as_shown, N, 0, true), other = window(moved, N, N, false);
    CHECK(echoes(echo, echo, 2) && !echoes(echo, echo, 1));
    CHECK(!echoes(echo, other, 9));
    CHECK(!echoes(silent, silent, 9) && !echoes(late, late, 9)); /* no answers at all */
    CHECK(echoes(echo, silent, 3) && !echoes(echo, silent, 2) && echoes(echo, late, 3));
    /* the best three; three */
    CHECK(echoes(window(as_shown, N, 3, false), window(as_shown, 3, 3, false), 2));
    CHECK(!echoes(window(as_shown, N, 2, false), window(as_shown, 2, 2, false), 9));
    /* a pair that was turned is an order */
    CHECK(!echoes(echo, window((const uint32_t[]){2, 1}, 2, 2, false), 9));
    rr_tally tally = tally_of(late, other, 2);
    CHECK(tally.n_queries == 2 && tally.n_windows == 4 && tally.n_late == 2 &&
        tally.n_late_queries == 2);
    CHECK(tally.n_moved == 2 && tally.n_echoes == 0);
    CHECK(!rr_tally_echoes(&(rr_tally){0}) && !rr_tally_hardly_ranks(&(rr_tally){0}));

    static const uint32_t shown[] = {1, 2, 3, 4, 5, 6}, turned[] = {6, 5, 4, 3, 2, 1},
                          ranked[] = {6, 5, 4, 3, 1, 2};
    const rr_window_result same = window(shown, 6, 6, false), mirror = window(turned, 6, 6, false);
    const rr_window_result order = window(ranked, 6, 6, false);
    CHECK(hardly_ranks(same, mirror, 2) && !hardly_ranks(same, mirror, 1));
    CHECK(hardly_ranks(order, mirror, 2) && hardly_ranks(order, same, 2) &&
        !hardly_ranks(order, order, 2));
    /* five ids and the rest behind them: not long */
    CHECK(!hardly_ranks(window(turned, 6, 5, false), order, 2));
    CHECK(!hardly_ranks(window(moved, N, N, false), echo, 2));
    CHECK(!hardly_ranks(window(shown, 6, 0, true), order, 2));
    return CHECK_END();
}
