/* The sliding windows of a ranking: which positions are looked at, in which order.
 * Owns: their arithmetic (rerank/schedule.h has the graph and the other schedules). From the back
 * to the front, so that a good passage can climb all the way; the last window is clipped to start
 * at 0; a window of fewer than 2 passages is skipped. */
#ifndef RR_RERANK_WINDOWS_H
#define RR_RERANK_WINDOWS_H

#include "runtime/base/status.h"

/* The most passages a window can hold; the models were trained with 20. */
enum { RR_WINDOW_MAX = 1000 };

typedef struct rr_window {
    size_t begin, end; /* positions of the ranking, [begin, end) */
} rr_window;

/* Errors: RR_E_USAGE unless 2 <= window <= RR_WINDOW_MAX and 1 <= step <= window. */
rr_status rr_windows_check(size_t window, size_t step, rr_diag *diag);

/* Windows over `n` passages; 0 for fewer than 2 passages. For checked window and step. */
size_t rr_windows_count(size_t n, size_t window, size_t step);

/* The window of call `index` < rr_windows_count: (80,100) (70,90) … (0,20) for 100 passages, window
 * 20, step 10. */
rr_window rr_windows_at(size_t n, size_t window, size_t step, size_t index);

#endif
