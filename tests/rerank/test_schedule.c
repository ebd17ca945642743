/* Windows as a graph: whatever the order of events, the plain order's outcome. Random cases, the
 * seed in the message. */
#include "tests/check.h"

#include "rerank/schedule.h"

enum { MAX_N = 120, MAX_CALLS = 4000 };

static uint32_t random_next(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* The answer about a window: any permutation, but always the same for the same index and
 * passages. */
static void answer(
    uint32_t seed, size_t index, const uint32_t *passages, uint32_t n, uint32_t *permutation) {
    uint32_t state = seed ^ (uint32_t)index * 2654435761u;
    for (uint32_t i = 0; i < n; i++) {
        state = (state ^ passages[i]) * 16777619u;
        permutation[i] = i + 1;
    }
    for (uint32_t i = n; i > 1; i--) {
        uint32_t k = random_next(&state) % i, id = permutation[i - 1];
        permutation[i - 1] = permutation[k];
        permutation[k] = id;
    }
}

/* The loop of windows one after another, written down plainly; gives the number of calls. */
static size_t plain_windows(
    const rr_schedule_params *params, size_t n, uint32_t seed, uint32_t *order) {
    size_t n_calls = 0,
           count = params->kind == RR_SCHEDULE_SINGLE
        ? n >= 2
        : rr_windows_count(n, params->window, params->step);
    const bool again = params->again_at_top && count > 0;
    for (size_t pass = 0; pass < params->passes + again; pass++) {
        for (size_t i = 0; i < (pass < params->passes ? count : 1); i++) {
            rr_window window = pass == params->passes
                ? (rr_window){0, n < params->window ? n : params->window}
                : params->kind == RR_SCHEDULE_SINGLE
                ? (rr_window){0, n}
                : rr_windows_at(n, params->window, params->step, i);
            uint32_t passages[MAX_N], permutation[MAX_N],
                width = (uint32_t)(window.end - window.begin);
            memcpy(passages, order + window.begin, width * sizeof *passages);
            answer(seed, n_calls++, passages, width, permutation);
            for (uint32_t k = 0; k < width; k++) {
                order[window.begin + k] = passages[permutation[k] - 1];
            }
        }
    }
    return n_calls;
}

/* Top-down partitioning as the header words it, by recursion. */
static void plain_round(
    const rr_schedule_params *params, uint32_t *list, size_t n, uint32_t seed, size_t *n_calls) {
    uint32_t shown[MAX_N], permutation[MAX_N], kept[MAX_N], dropped[MAX_N];
    size_t window = params->window, first = n < window ? n : window, n_kept = 0, n_dropped = 0;
    if (n < 2) {
        return;
    }
    memcpy(shown, list, first * sizeof *shown);
    answer(seed, (*n_calls)++, shown, (uint32_t)first, permutation);
    for (size_t i = 0; i < first; i++) {
        list[i] = shown[permutation[i] - 1];
    }
    if (n <= window) {
        return;
    }
    size_t k = window / 2;
    uint32_t pivot = list[k - 1];
    for (size_t i = 0; i < k - 1; i++) {
        kept[n_kept++] = list[i];
    }
    for (size_t i = k; i < window; i++) {
        dropped[n_dropped++] = list[i];
    }
    for (size_t at = window; at < n; at += window - 1) {
        uint32_t width = 1;
        shown[0] = pivot;
        for (size_t i = at; i < n && i < at + window - 1; i++) {
            shown[width++] = list[i];
        }
        answer(seed, (*n_calls)++, shown, width, permutation);
        bool above = true;
        for (uint32_t i = 0; i < width; i++) {
            uint32_t passage = shown[permutation[i] - 1];
            if (passage == pivot) {
                above = false;
            } else if (above) {
                kept[n_kept++] = passage;
            } else {
                dropped[n_dropped++] = passage;
            }
        }
    }
    if (n_kept > k - 1) {
        plain_round(params, kept, n_kept, seed, n_calls);
    }
    memcpy(list, kept, n_kept * sizeof *list);
    list[n_kept] = pivot;
    memcpy(list + n_kept + 1, dropped, n_dropped * sizeof *list);
}

static size_t plain(const rr_schedule_params *params, size_t n, uint32_t seed, uint32_t *order) {
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint32_t)i;
    }
    size_t n_calls = 0;
    if (params->kind != RR_SCHEDULE_TOPDOWN) {
        return plain_windows(params, n, seed, order);
    }
    for (size_t pass = 0; pass < params->passes; pass++) {
        plain_round(params, order, n, seed, &n_calls);
    }
    return n_calls;
}

static void check_permutation(const uint32_t *order, size_t n, uint32_t seed) {
    bool seen[MAX_N] = {false};
    for (size_t i = 0; i < n; i++) {
        CHECK_MSG(
            order[i] < n && !seen[order[i]], "seed %u: place %zu holds %u", seed, i, order[i]);
        seen[order[i] < n ? order[i] : 0] = true;
    }
}

/* Counts over all cases, so that a run that never met a case is seen. */
static size_t n_early, n_early_groups, n_stale, n_groups_at_once, n_windows_at_once;

static void begin_one(rr_schedule *schedule, size_t index, bool is_topdown) {
    const rr_planned *planned = rr_schedule_at(schedule, index);
    if (planned->state == RR_WINDOW_WAITING && planned->n_known == planned->n) {
        n_early += !planned->settled && !is_topdown;
        n_early_groups += !planned->settled && is_topdown;
        rr_schedule_begin(schedule, index);
    }
}

/* A forecast that is right, or wrong somewhere. */
static void hint_one(rr_schedule *schedule, size_t index, uint32_t seed, uint32_t *random) {
    const rr_planned *planned = rr_schedule_at(schedule, index);
    uint32_t ids[MAX_N], n = planned->n_handed_over;
    if (planned->state != RR_WINDOW_RUNNING || n == 0) {
        return;
    }
    CHECK(n <= planned->n);
    answer(
        random_next(random) % 3 == 0 ? seed + 1 : seed, index, planned->passages, planned->n, ids);
    rr_schedule_hint(schedule, index, ids, n);
}

static void end_one(rr_schedule *schedule, size_t index, uint32_t seed) {
    const rr_planned *planned = rr_schedule_at(schedule, index);
    uint32_t permutation[MAX_N];
    if (planned->stale) {
        n_stale++;
        rr_schedule_forget(schedule, index);
    } else if (planned->state == RR_WINDOW_RUNNING) {
        answer(seed, index, planned->passages, planned->n, permutation);
        rr_schedule_done(schedule, index, permutation);
    }
}

static void run_case(uint32_t seed) {
    uint32_t random = seed, expected[MAX_N];
    rr_schedule_params params = {.kind = (rr_schedule_kind)(random_next(&random) % 3),
        .window = 2 + random_next(&random) % 12,
        .passes = 1 + (random_next(&random) % 4 == 0) * (random_next(&random) % 3)};
    params.step = 1 + random_next(&random) % params.window;
    params.again_at_top = params.kind != RR_SCHEDULE_TOPDOWN && random_next(&random) % 3 == 0;
    size_t n = random_next(&random) % MAX_N;
    size_t n_plain = plain(&params, n, seed, expected), n_confirmed = 0;
    bool exact;
    size_t count = rr_schedule_count(&params, n, &exact);
    CHECK_MSG(exact ? count == n_plain : count <= n_plain, "seed %u: %zu windows, expected %zu",
        seed, count, n_plain);
    rr_schedule *schedule = NULL;
    rr_diag diag = {0};
    CHECK_OK(rr_schedule_create(&params, n, &schedule, &diag), diag);
    for (size_t tries = 0; !rr_schedule_is_finished(schedule) && tries < 1000000; tries++) {
        size_t first = rr_schedule_first(schedule), n_view = rr_schedule_end(schedule) - first;
        size_t index = first + random_next(&random) % n_view, n_running = 0;
        CHECK(n_view <= RR_SCHEDULE_AHEAD);
        switch (random_next(&random) % 4) {
        case 0:
            begin_one(schedule, index, params.kind == RR_SCHEDULE_TOPDOWN);
            break;
        case 1:
            hint_one(schedule, index, seed, &random);
            break;
        case 2:
            end_one(schedule, index, seed);
            break;
        default:
            while (rr_schedule_confirm(schedule)) {
                n_confirmed++;
            }
        }
        for (size_t i = rr_schedule_first(schedule); i < rr_schedule_end(schedule); i++) {
            const rr_planned *planned = rr_schedule_at(schedule, i);
            n_running += planned->state == RR_WINDOW_RUNNING && planned->settled;
        }
        n_groups_at_once += params.kind == RR_SCHEDULE_TOPDOWN && n_running > 1;
        n_windows_at_once +=
            params.kind == RR_SCHEDULE_SLIDING && params.step < params.window && n_running > 1;
    }
    CHECK_MSG(n_confirmed == n_plain, "seed %u: %zu windows confirmed, expected %zu", seed,
        n_confirmed, n_plain);
    CHECK_MSG(memcmp(rr_schedule_order(schedule), expected, n * sizeof *expected) == 0,
        "seed %u: another order", seed);
    check_permutation(rr_schedule_order(schedule), n, seed);
    rr_schedule_destroy(&schedule);
}

/* What is known at the start: the passages that no earlier window touches. */
static void check_known(void) {
    rr_schedule_params params = {
        .kind = RR_SCHEDULE_SLIDING, .window = 20, .step = 10, .passes = 2};
    rr_schedule *schedule = NULL;
    rr_diag diag = {0};
    CHECK_OK(rr_schedule_create(&params, 95, &schedule, &diag), diag);
    CHECK_INT(rr_schedule_end(schedule), 18);
    for (size_t i = 0; i < 9; i++) {
        const rr_planned *planned = rr_schedule_at(schedule, i);
        CHECK_INT(planned->n_known, i == 0 ? 20 : i == 8 ? 5 : 10);
        CHECK_INT(planned->settled, i == 0);
        CHECK_INT(planned->n_handed_over, i == 8 ? 0 : 10);
        for (uint32_t k = 0; k < planned->n_known; k++) {
            CHECK_INT(planned->passages[k], planned->window.begin + k);
        }
    }
    CHECK_INT(rr_schedule_at(schedule, 9)->n_known, 0);

    /* ten ids of the first make the second known; a final answer that differs makes it stale, one
     * that agrees does not */
    uint32_t ids[20];
    for (uint32_t i = 0; i < 20; i++) {
        ids[i] = 20 - i;
    }
    rr_schedule_begin(schedule, 0);
    rr_schedule_hint(schedule, 0, ids, 9);
    CHECK_INT(rr_schedule_at(schedule, 1)->n_known, 19);
    rr_schedule_hint(schedule, 0, ids, 10);
    CHECK_INT(rr_schedule_at(schedule, 1)->n_known, 20);
    CHECK(!rr_schedule_at(schedule, 1)->settled && rr_schedule_at(schedule, 1)->passages[10] == 94);
    rr_schedule_begin(schedule, 1);
    uint32_t id = ids[9];
    ids[9] = ids[10];
    ids[10] = id;
    rr_schedule_done(schedule, 0, ids);
    CHECK(rr_schedule_at(schedule, 1)->stale && rr_schedule_at(schedule, 1)->settled);
    rr_schedule_forget(schedule, 1);
    CHECK(!rr_schedule_at(schedule, 1)->stale && rr_schedule_at(schedule, 1)->passages[19] == 84);
    CHECK(rr_schedule_confirm(schedule) && !rr_schedule_confirm(schedule));
    rr_schedule_begin(schedule, 1);
    rr_schedule_done(schedule, 1, ids);
    /* the second pass may begin at the back while the first is on its way up */
    CHECK(rr_schedule_at(schedule, 9)->settled && rr_schedule_at(schedule, 9)->n_known == 20);
    rr_schedule_destroy(&schedule);
}

static void check_limits(void) {
    rr_diag diag = {0};
    rr_window window;
    rr_schedule_params params = {.kind = RR_SCHEDULE_SINGLE, .window = 20, .step = 10, .passes = 1};
    CHECK_OK(rr_schedule_check(&params, RR_WINDOW_MAX, &diag), diag);
    CHECK_INT(rr_schedule_check(&params, RR_WINDOW_MAX + 1, &diag), RR_E_INPUT);
    CHECK(
        strstr(diag.text,
            "found 1001 passages for a single window, expected at most 1000: rank fewer") != NULL);
    CHECK(rr_schedule_window(&params, 50, 0, &window) && window.begin == 0 && window.end == 50);
    CHECK(!rr_schedule_window(&params, 50, 1, &window) &&
        !rr_schedule_window(&params, 1, 0, &window));
    params.passes = 0;
    CHECK_INT(rr_schedule_check(&params, 5, &diag), RR_E_USAGE);
    params.passes = RR_PASSES_MAX + 1;
    CHECK_INT(rr_schedule_check(&params, 5, &diag), RR_E_USAGE);
    params =
        (rr_schedule_params){.kind = RR_SCHEDULE_TOPDOWN, .window = 20, .step = 10, .passes = 1};
    CHECK_INT(rr_schedule_count(&params, 100, NULL), 6); /* 20, then 80 in groups of 19 */
    CHECK(rr_schedule_window(&params, 100, 0, &window) && window.end == 20);
    CHECK(!rr_schedule_window(&params, 100, 1, &window));
    params =
        (rr_schedule_params){.kind = RR_SCHEDULE_SLIDING, .window = 20, .step = 10, .passes = 2};
    CHECK(rr_schedule_window(&params, 100, 9, &window) && window.begin == 80);
    CHECK(!rr_schedule_window(&params, 100, 18, &window));
    params.again_at_top = true;
    CHECK_INT(rr_schedule_count(&params, 100, NULL), 19);
    CHECK_INT(rr_schedule_count(&params, 1, NULL), 0);
    CHECK(rr_schedule_window(&params, 100, 18, &window) && window.begin == 0 && window.end == 20);
    CHECK(!rr_schedule_window(&params, 100, 19, &window));
    params.kind = RR_SCHEDULE_TOPDOWN;
    CHECK_INT(rr_schedule_check(&params, 100, &diag), RR_E_USAGE);
}

/* The pivot of a first window that is being ranked lets the groups begin. */
static void check_pivot(void) {
    rr_schedule_params params = {.kind = RR_SCHEDULE_TOPDOWN, .window = 4, .step = 2, .passes = 1};
    rr_schedule *schedule = NULL;
    rr_diag diag = {0};
    CHECK_OK(rr_schedule_create(&params, 9, &schedule, &diag), diag);
    CHECK_INT(rr_schedule_end(schedule), 3);
    CHECK_INT(rr_schedule_at(schedule, 0)->n_handed_over, 2);
    CHECK(rr_schedule_at(schedule, 1)->n == 4 && rr_schedule_at(schedule, 2)->n == 3);
    CHECK(rr_schedule_at(schedule, 1)->n_known == 0 && !rr_schedule_at(schedule, 1)->settled);
    rr_schedule_begin(schedule, 0);
    rr_schedule_hint(schedule, 0, (const uint32_t[]){4, 2}, 2);
    CHECK(rr_schedule_at(schedule, 1)->n_known == 4 && rr_schedule_at(schedule, 1)->n_sure == 0);
    CHECK(rr_schedule_at(schedule, 1)->passages[0] == 1 &&
        rr_schedule_at(schedule, 2)->passages[1] == 7);
    rr_schedule_begin(schedule, 1);
    rr_schedule_done(schedule, 0, (const uint32_t[]){4, 3, 2, 1});
    CHECK(rr_schedule_at(schedule, 1)->stale && !rr_schedule_at(schedule, 2)->stale);
    rr_schedule_forget(schedule, 1);
    CHECK(rr_schedule_at(schedule, 1)->settled && rr_schedule_at(schedule, 1)->passages[0] == 2);
    rr_schedule_destroy(&schedule);
}

/* Judged by a perfect model, the best come out in order. */
static void check_topdown_best(void) {
    rr_schedule_params params = {
        .kind = RR_SCHEDULE_TOPDOWN, .window = 20, .step = 10, .passes = 1};
    rr_schedule *schedule = NULL;
    rr_diag diag = {0};
    size_t n_calls = 0;
    CHECK_OK(rr_schedule_create(&params, 100, &schedule, &diag), diag);
    for (; !rr_schedule_is_finished(schedule); n_calls++) {
        size_t index = rr_schedule_first(schedule);
        const rr_planned *planned = rr_schedule_at(schedule, index);
        uint32_t permutation[20], n = 0;
        /* passage p has the value 37 p mod 101, small is good */
        for (uint32_t value = 0; value < 101; value++) {
            for (uint32_t i = 0; i < planned->n; i++) {
                if (planned->passages[i] * 37 % 101 == value) {
                    permutation[n++] = i + 1;
                }
            }
        }
        rr_schedule_begin(schedule, index);
        rr_schedule_done(schedule, index, permutation);
        CHECK(rr_schedule_confirm(schedule));
    }
    for (uint32_t i = 0; i < 10; i++) {
        CHECK_INT(rr_schedule_order(schedule)[i] * 37 % 101, i);
    }
    printf("topdown with a perfect model: %zu windows for 100 passages\n", n_calls);
    CHECK(n_calls < 20);
    rr_schedule_destroy(&schedule);
}

int main(void) {
    check_known();
    check_limits();
    check_pivot();
    check_topdown_best();
    for (uint32_t seed = 0; seed < 3000; seed++) {
        run_case(seed);
    }
    printf(
        "begun early %zu, groups %zu, redone %zu, steps with groups side by side %zu, with windows of two passes %zu\n",
        n_early, n_early_groups, n_stale, n_groups_at_once, n_windows_at_once);
    CHECK(n_early > 1000 && n_early_groups > 1000 && n_stale > 100 && n_groups_at_once > 1000 &&
        n_windows_at_once > 100);
    return CHECK_END();
}
