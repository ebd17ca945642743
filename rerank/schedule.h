/* A query's windows as a graph: which window looks at which passages, and when these are known.
 * Owns: the order of a query's passages while windows of it are ranked, in any order of completion.
 * Pure: no model, no text, no threads. Who ranks the windows and when is rerank/executor.h's
 * business.
 *
 * The windows have an order, the plain one: ranking them one after another in it is the truth, and
 * whatever the order in which they are begun and finished, what is confirmed is what the plain
 * order gives.
 *
 *   sliding  rr_windows_at: from the back to the front, each window put in order where it stands.
 *   single   one window over all passages.
 *   topdown  top-down partitioning (Parry, MacAvaney, Ganguly, arXiv 2405.14589), in rounds over a
 *            list of passages, first all: 1. The first `window` passages of the list are ranked. If
 *            that was the whole list, the ranking is done. 2. Of rank k = window / 2 is the pivot;
 *            the k − 1 above it are kept, those below it dropped. 3. The rest of the list is cut,
 *            in order, into groups of window − 1. Each makes a window of its own in which the
 *               pivot is shown first; these depend on the pivot alone. What an answer puts above
 *               the pivot is kept, what it puts below is dropped, both behind what was kept and
 *               dropped before and in the answer's order.
 *            4. The outcome is the kept, the pivot, the dropped. If no group had anything to keep,
 *              the kept stand as the first
 *               window ranked them; else the next round ranks the kept.
 *            A round's list is shorter than the one before by at least the pivot, so it ends. The
 *            paper stops collecting at a budget of candidates, which makes windows wait for each
 *            other; here all are kept and none waits. `step` plays no part.
 *
 * `passes` repeats the whole over its outcome. */
#ifndef RR_RERANK_SCHEDULE_H
#define RR_RERANK_SCHEDULE_H

#include "rerank/windows.h"

typedef enum rr_schedule_kind {
    RR_SCHEDULE_SLIDING,
    RR_SCHEDULE_TOPDOWN,
    RR_SCHEDULE_SINGLE,
    RR_SCHEDULE_COUNT
} rr_schedule_kind;

/* NULL-terminated, in the enum's order. */
extern const char *const rr_schedule_names[];

enum {
    RR_PASSES_MAX = 100,
    RR_SCHEDULE_AHEAD = 64 /* windows looked at from the first one that is not confirmed */
};

typedef struct rr_schedule_params {
    rr_schedule_kind kind;
    size_t window, step; /* checked by rr_windows_check */
    size_t passes;       /* 1 to RR_PASSES_MAX */
    /* at the end one more window over the first `window` positions; not topdown */
    bool again_at_top;
} rr_schedule_params;

/* Whether `n` passages can be ranked so. Errors: RR_E_USAGE (passes; topdown with again_at_top),
 * RR_E_INPUT when a single window would hold more than RR_WINDOW_MAX passages (says what to do). */
rr_status rr_schedule_check(const rr_schedule_params *params, size_t n, rr_diag *diag);

/* Windows over `n` passages: their number, or (topdown with more than a window of passages, *exact
 * false) the fewest there can be. `exact` may be NULL. */
size_t rr_schedule_count(const rr_schedule_params *params, size_t n, bool *exact);

/* The window of plain index `index`, as far as it is known before any is ranked; false for one that
 * is not. */
bool rr_schedule_window(const rr_schedule_params *params, size_t n, size_t index, rr_window *out);

typedef enum rr_window_state {
    RR_WINDOW_WAITING,
    RR_WINDOW_RUNNING,
    RR_WINDOW_DONE
} rr_window_state;

/* One window as things stand. */
typedef struct rr_planned {
    rr_window window; /* positions of the passages; topdown shows the pivot before them */
    /* [n] to be shown as [1], [2], …; while running or done, those that are or were shown */
    const uint32_t *passages;
    uint32_t n;
    /* passages known from the first on; the window can be ranked when it is n */
    uint32_t n_known;
    uint32_t n_sure; /* of those, from the first on, that nothing unfinished can change */
    /* this many first ids of its answer make the next window known (topdown: the round's others, by
     * the pivot); 0 = none waits for them */
    uint32_t n_handed_over;
    rr_window_state state;
    bool settled; /* n_sure is n */
    /* running or done, and its passages turned out to be others: what comes of it is of no use */
    bool stale;
} rr_planned;

typedef struct rr_schedule rr_schedule;

/* For `n` passages 0 … n−1 in their first order. Takes O(n + RR_SCHEDULE_AHEAD * window) memory;
 * nothing is allocated later. Errors: as rr_schedule_check, RR_E_MEMORY. */
rr_status rr_schedule_create(
    const rr_schedule_params *params, size_t n, rr_schedule **out, rr_diag *diag);
void rr_schedule_destroy(rr_schedule **schedule); /* accepts a NULL one */

/* The windows in view: plain indices [first, end). All before `first` are confirmed. */
size_t rr_schedule_first(const rr_schedule *schedule);
size_t rr_schedule_end(const rr_schedule *schedule);
/* Of a window in view; valid until the schedule changes. */
const rr_planned *rr_schedule_at(const rr_schedule *schedule, size_t index);

/* What happens to a window in view. Each costs O(RR_SCHEDULE_AHEAD * window).
 * A waiting one whose passages are all known begins, with those passages. */
void rr_schedule_begin(rr_schedule *schedule, size_t index);
/* The first ids of a running one's answer, as far as it is written: distinct, 1 … n. */
void rr_schedule_hint(rr_schedule *schedule, size_t index, const uint32_t *ids, uint32_t n_ids);
/* A running one is ranked: permutation[n] of the ids 1 … n. */
void rr_schedule_done(rr_schedule *schedule, size_t index, const uint32_t *permutation);
/* A running or done one waits again. */
void rr_schedule_forget(rr_schedule *schedule, size_t index);

/* Confirms the first window if it is done, settled and not stale: its result is the plain order's.
 * False when it is not. */
bool rr_schedule_confirm(rr_schedule *schedule);

/* Windows, as far as they are known. */
size_t rr_schedule_n_windows(const rr_schedule *schedule);
/* All windows there will be are confirmed. */
bool rr_schedule_is_finished(const rr_schedule *schedule);
/* [n] passages as confirmed windows left them; the outcome once it is finished. */
const uint32_t *rr_schedule_order(const rr_schedule *schedule);

#endif
