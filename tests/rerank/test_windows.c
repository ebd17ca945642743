#include "tests/check.h"

#include "rerank/windows.h"

/* The schedule worked out the slow way. */
static size_t slow_schedule(size_t n, size_t window, size_t step, rr_window *out) {
    size_t count = 0;
    for (size_t end = n; end >= 2; end -= step) {
        size_t begin = end > window ? end - window : 0;
        out[count++] = (rr_window){begin, end};
        if (begin == 0 || end <= step) {
            break;
        }
    }
    return count;
}

static void check_expected(size_t n, const rr_window *expected, size_t n_expected) {
    CHECK_INT(rr_windows_count(n, 20, 10), n_expected);
    for (size_t i = 0; i < n_expected; i++) {
        rr_window window = rr_windows_at(n, 20, 10, i);
        CHECK_MSG(window.begin == expected[i].begin && window.end == expected[i].end,
            "n %zu, call %zu: found (%zu,%zu), expected (%zu,%zu)", n, i, window.begin, window.end,
            expected[i].begin, expected[i].end);
    }
}

int main(void) {
    const rr_window of_100[] = {
        {80, 100}, {70, 90}, {60, 80}, {50, 70}, {40, 60}, {30, 50}, {20, 40}, {10, 30}, {0, 20}};
    const rr_window of_25[] = {{5, 25}, {0, 15}}, of_20[] = {{0, 20}}, of_2[] = {{0, 2}},
                    of_21[] = {{1, 21}, {0, 11}};
    const rr_window of_95[] = {
        {75, 95}, {65, 85}, {55, 75}, {45, 65}, {35, 55}, {25, 45}, {15, 35}, {5, 25}, {0, 15}};
    check_expected(0, NULL, 0);
    check_expected(1, NULL, 0);
    check_expected(2, of_2, 1);
    check_expected(20, of_20, 1);
    check_expected(21, of_21, 2);
    check_expected(25, of_25, 2);
    check_expected(95, of_95, 9);
    check_expected(100, of_100, 9);

    static rr_window slow[200];
    for (size_t window = 2; window <= 12; window++) {
        for (size_t step = 1; step <= window; step++) {
            for (size_t n = 0; n <= 80; n++) {
                size_t count = rr_windows_count(n, window, step);
                CHECK_MSG(count == slow_schedule(n, window, step, slow),
                    "n %zu, window %zu, step %zu: found %zu", n, window, step, count);
                size_t lowest = n;
                for (size_t i = 0; i < count; i++) {
                    rr_window at = rr_windows_at(n, window, step, i);
                    CHECK(at.begin == slow[i].begin && at.end == slow[i].end);
                    CHECK(at.end - at.begin >= 2 && at.end - at.begin <= window);
                    CHECK(i > 0 || at.end == n);
                    CHECK(at.end >= lowest || i == 0); /* no passage is skipped */
                    lowest = at.begin;
                }
                /* all is seen, but for a lone first passage when windows do not overlap */
                CHECK_MSG(n < 2 || lowest == 0 || (step == window && lowest == 1),
                    "n %zu, window %zu, step %zu: lowest %zu", n, window, step, lowest);
            }
        }
    }

    rr_diag diag = {0};
    CHECK_OK(rr_windows_check(20, 10, &diag), diag);
    CHECK_OK(rr_windows_check(2, 2, &diag), diag);
    CHECK_OK(rr_windows_check(RR_WINDOW_MAX, 1, &diag), diag);
    CHECK_INT(rr_windows_check(1, 1, &diag), RR_E_USAGE);
    CHECK_INT(rr_windows_check(RR_WINDOW_MAX + 1, 1, &diag), RR_E_USAGE);
    CHECK_INT(rr_windows_check(20, 0, &diag), RR_E_USAGE);
    CHECK_INT(rr_windows_check(20, 21, &diag), RR_E_USAGE);
    CHECK_TEXT(diag.text,
        "step: found 21, expected 1 to the window's 20 passages (half the window is usual)");
    return CHECK_END();
}
