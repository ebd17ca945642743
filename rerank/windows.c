#include "rerank/windows.h"

rr_status rr_windows_check(size_t window, size_t step, rr_diag *diag) {
    if (window < 2 || window > RR_WINDOW_MAX) {
        return rr_fail(diag, RR_E_USAGE,
            "window: found %zu, expected 2 to %d passages (the models were trained with 20)",
            window, RR_WINDOW_MAX);
    }
    if (step < 1 || step > window) {
        return rr_fail(diag, RR_E_USAGE,
            "step: found %zu, expected 1 to the window's %zu passages (half the window is usual)",
            step, window);
    }
    return RR_OK;
}

size_t rr_windows_count(size_t n, size_t window, size_t step) {
    if (n < 2) {
        return 0;
    }
    if (n <= window) {
        return 1;
    }
    size_t n_steps = (n - window - 1) / step + 1;
    /* with step == window the clipped last window may hold a single passage: nothing to rank
     * there */
    return n - n_steps * step < 2 ? n_steps : n_steps + 1;
}

rr_window rr_windows_at(size_t n, size_t window, size_t step, size_t index) {
    size_t end = n - index * step;
    return (rr_window){end > window ? end - window : 0, end};
}
