#include "rerank/schedule.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *const rr_schedule_names[] = {"sliding", "topdown", "single", NULL};

static const uint32_t unknown = UINT32_MAX;

/* A round of topdown over the first `n` positions. */
typedef struct round {
    size_t begin; /* index of its first window */
    size_t n_windows;
    size_t n;
    /* kept by the first window, when there are groups; the pivot comes behind them */
    size_t n_top;
    uint32_t pivot; /* or a guess at it, or unknown */
    bool pivot_is_sure;
    uint32_t *kept, *dropped;
    size_t n_kept, n_dropped;
} round_state;

/* A window in view. The arrays have room for the widest window. */
typedef struct slot {
    rr_planned planned;
    uint32_t *passages; /* known, or shown */
    uint32_t *outcome;  /* ids: the hint while running, the permutation when done */
    uint32_t n_outcome;
} slot;

struct rr_schedule {
    rr_schedule_params params;
    size_t n, n_windows; /* of all passes, as far as known */
    size_t first;        /* not yet confirmed */
    size_t pass;
    size_t n_slots;
    uint32_t *memory;  /* all arrays below */
    uint32_t *order;   /* [n] confirmed */
    uint32_t *guess;   /* [n] equals `order` between calls */
    bool *is_certain;  /* [n] all true between calls */
    slot *slots;       /* [n_slots] window i in i % n_slots */
    round_state round; /* topdown */
};

/* What is known at the start */

static rr_window first_window(const rr_schedule_params *params, size_t n) {
    return (rr_window){0, n < params->window ? n : params->window};
}

static rr_window window_of_pass(const rr_schedule_params *params, size_t n, size_t index) {
    return params->kind == RR_SCHEDULE_SINGLE
        ? (rr_window){0, n}
        : rr_windows_at(n, params->window, params->step, index);
}

/* Windows of one pass; for topdown those of a round, the fewest it takes. */
static size_t count_of_pass(const rr_schedule_params *params, size_t n) {
    switch (params->kind) {
    case RR_SCHEDULE_SINGLE:
        return n < 2 ? 0 : 1;
    case RR_SCHEDULE_TOPDOWN:
        return n < 2              ? 0
            : n <= params->window ? 1
                                  : 1 + (n - params->window - 1) / (params->window - 1) + 1;
    default:
        return rr_windows_count(n, params->window, params->step);
    }
}

rr_status rr_schedule_check(const rr_schedule_params *params, size_t n, rr_diag *diag) {
    if (params->passes < 1 || params->passes > RR_PASSES_MAX) {
        return rr_fail(
            diag, RR_E_USAGE, "passes: found %zu, expected 1 to %d", params->passes, RR_PASSES_MAX);
    }
    if (params->kind == RR_SCHEDULE_TOPDOWN && params->again_at_top) {
        return rr_fail(diag, RR_E_USAGE,
            "then-reason: the topdown schedule has no last window at the top; take sliding or single");
    }
    if (params->kind == RR_SCHEDULE_SINGLE && n > RR_WINDOW_MAX) {
        return rr_fail(diag, RR_E_INPUT,
            "found %zu passages for a single window, expected at most %d: rank fewer (the depth), or take the "
            "sliding schedule",
            n, RR_WINDOW_MAX);
    }
    return RR_OK;
}

size_t rr_schedule_count(const rr_schedule_params *params, size_t n, bool *exact) {
    if (exact != NULL) {
        *exact = params->kind != RR_SCHEDULE_TOPDOWN || n <= params->window;
    }
    const size_t count = count_of_pass(params, n) * params->passes;
    return count + (count > 0 && params->again_at_top);
}

/* Of the window at the top that comes last, where there is one. */
static bool is_again(const rr_schedule_params *params, size_t n, size_t index) {
    return params->again_at_top && index == count_of_pass(params, n) * params->passes;
}

bool rr_schedule_window(const rr_schedule_params *params, size_t n, size_t index, rr_window *out) {
    size_t count = count_of_pass(params, n);
    if (params->kind == RR_SCHEDULE_TOPDOWN) {
        *out = first_window(params, n);
        return count > 0 && index == 0;
    }
    if (count > 0 && is_again(params, n, index)) {
        *out = first_window(params, n);
        return true;
    }
    if (count == 0 || index / count >= params->passes) {
        return false;
    }
    *out = window_of_pass(params, n, index % count);
    return true;
}

/* The graph */

static bool is_group(const rr_schedule *schedule, size_t index) {
    return schedule->params.kind == RR_SCHEDULE_TOPDOWN && index > schedule->round.begin;
}

static rr_window window_at(const rr_schedule *schedule, size_t index) {
    const rr_schedule_params *params = &schedule->params;
    if (is_again(params, schedule->n, index)) {
        return first_window(params, schedule->n);
    }
    if (params->kind != RR_SCHEDULE_TOPDOWN) {
        return window_of_pass(params, schedule->n, index % count_of_pass(params, schedule->n));
    }
    const round_state *round = &schedule->round;
    size_t begin = 0, wide = params->window;
    if (index > round->begin) {
        begin = params->window + (index - round->begin - 1) * (params->window - 1);
        wide = params->window - 1;
    }
    return (rr_window){begin, round->n - begin < wide ? round->n : begin + wide};
}

/* First ids of the answer that the windows behind it wait for. */
static uint32_t n_handed_over(const rr_schedule *schedule, size_t index, rr_window window) {
    const rr_schedule_params *params = &schedule->params;
    if (params->kind == RR_SCHEDULE_TOPDOWN) {
        const round_state *round = &schedule->round;
        return index == round->begin && round->n_windows > 1 ? (uint32_t)round->n_top + 1 : 0;
    }
    if (params->kind == RR_SCHEDULE_SINGLE || is_again(params, schedule->n, index) ||
        (index + 1) % count_of_pass(params, schedule->n) == 0) {
        return 0;
    }
    size_t next_end = window_at(schedule, index + 1).end;
    return next_end > window.begin ? (uint32_t)(next_end - window.begin) : 0;
}

static slot *slot_of(const rr_schedule *schedule, size_t index) {
    assert(index >= schedule->first && index < rr_schedule_end(schedule));
    return &schedule->slots[index % schedule->n_slots];
}

/* What stands at place `i` of a window as things are, and whether that is sure. */
static uint32_t passage_now(
    const rr_schedule *schedule, size_t index, rr_window window, uint32_t i, bool *is_sure) {
    uint32_t n_front = is_group(schedule, index) ? 1 : 0;
    if (i < n_front) {
        *is_sure = schedule->round.pivot_is_sure;
        return schedule->round.pivot;
    }
    *is_sure = schedule->is_certain[window.begin + i - n_front];
    return schedule->guess[window.begin + i - n_front];
}

/* Brings what goes into a window up to date. */
static void look(const rr_schedule *schedule, size_t index, slot *at) {
    rr_planned *planned = &at->planned;
    bool gap = false, doubt = false;
    planned->n_known = planned->n_sure = 0;
    planned->stale = false;
    for (uint32_t i = 0; i < planned->n; i++) {
        bool is_sure;
        uint32_t now = passage_now(schedule, index, planned->window, i, &is_sure);
        gap = gap || now == unknown;
        planned->n_known += !gap;
        doubt = doubt || !is_sure;
        planned->n_sure += !doubt;
        if (planned->state == RR_WINDOW_WAITING) {
            at->passages[i] = now;
        } else {
            planned->stale = planned->stale || (now != unknown && now != at->passages[i]);
        }
    }
    planned->settled = planned->n_sure == planned->n;
}

/* Writes what a window in place makes of its positions, as far as that is known. */
static void imagine(rr_schedule *schedule, const slot *at) {
    const rr_planned *planned = &at->planned;
    bool is_certain = planned->state == RR_WINDOW_DONE && planned->settled && !planned->stale;
    uint32_t n_outcome = planned->state == RR_WINDOW_WAITING || planned->stale ? 0 : at->n_outcome;
    for (uint32_t i = 0; i < planned->n; i++) {
        schedule->guess[planned->window.begin + i] =
            i < n_outcome ? at->passages[at->outcome[i] - 1] : unknown;
        schedule->is_certain[planned->window.begin + i] = is_certain;
    }
    if (schedule->params.kind == RR_SCHEDULE_TOPDOWN && schedule->round.n_windows > 1) {
        schedule->round.pivot = schedule->guess[schedule->round.n_top];
        schedule->round.pivot_is_sure = is_certain;
    }
}

/* Walks through the windows in view in the plain order. */
static void update(rr_schedule *schedule) {
    size_t end = rr_schedule_end(schedule);
    for (size_t i = schedule->first; i < end; i++) {
        slot *at = slot_of(schedule, i);
        look(schedule, i, at);
        if (!is_group(schedule, i)) {
            imagine(schedule, at);
        }
    }
    for (size_t i = schedule->first; i < end; i++) {
        rr_window window = slot_of(schedule, i)->planned.window;
        size_t n = window.end - window.begin;
        memcpy(schedule->guess + window.begin, schedule->order + window.begin,
            n * sizeof *schedule->guess);
        memset(schedule->is_certain + window.begin, 1, n * sizeof *schedule->is_certain);
    }
}

/* Windows that came into view since the view ended at `from`. */
static void open_slots(rr_schedule *schedule, size_t from) {
    size_t end = rr_schedule_end(schedule);
    for (size_t i = from; i < end; i++) {
        slot *at = slot_of(schedule, i);
        rr_window window = window_at(schedule, i);
        at->n_outcome = 0;
        at->planned = (rr_planned){
            .window = window,
            .passages = at->passages,
            .n = (uint32_t)(window.end - window.begin) + (is_group(schedule, i) ? 1 : 0),
            .n_handed_over = n_handed_over(schedule, i, window),
        };
    }
}

/* Topdown begins a round over the first `n` positions, if there is anything to rank. */
static void begin_round(rr_schedule *schedule, size_t n) {
    round_state *round = &schedule->round;
    round->begin = schedule->n_windows;
    round->n_windows = count_of_pass(&schedule->params, n);
    round->n = n;
    round->n_top = schedule->params.window / 2 - 1;
    round->n_kept = round->n_dropped = 0;
    schedule->n_windows += round->n_windows;
}

/* Memory */

static rr_status allocate(rr_schedule *schedule, rr_diag *diag) {
    const rr_schedule_params *params = &schedule->params;
    size_t n = schedule->n, count = rr_schedule_count(params, n, NULL);
    size_t widest = params->kind == RR_SCHEDULE_SINGLE || n < params->window ? n : params->window;
    bool is_topdown = params->kind == RR_SCHEDULE_TOPDOWN;
    schedule->n_slots = is_topdown || count > RR_SCHEDULE_AHEAD ? RR_SCHEDULE_AHEAD : count + 1;
    size_t n_lists = is_topdown ? 4 : 2;
    schedule->memory =
        calloc(n_lists * n + 2 * schedule->n_slots * widest + 1, sizeof *schedule->memory);
    schedule->is_certain = calloc(n + 1, sizeof *schedule->is_certain);
    schedule->slots = calloc(schedule->n_slots, sizeof *schedule->slots);
    if (schedule->memory == NULL || schedule->is_certain == NULL || schedule->slots == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the windows of %zu passages", n);
    }
    schedule->order = schedule->memory;
    schedule->guess = schedule->memory + n;
    schedule->round.kept = is_topdown ? schedule->memory + 2 * n : NULL;
    schedule->round.dropped = is_topdown ? schedule->memory + 3 * n : NULL;
    uint32_t *rest = schedule->memory + n_lists * n;
    for (size_t i = 0; i < schedule->n_slots; i++) {
        schedule->slots[i].passages = rest + 2 * i * widest;
        schedule->slots[i].outcome = rest + (2 * i + 1) * widest;
    }
    return RR_OK;
}

rr_status rr_schedule_create(
    const rr_schedule_params *params, size_t n, rr_schedule **out, rr_diag *diag) {
    RR_TRY(rr_schedule_check(params, n, diag));
    rr_schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the windows of %zu passages", n);
    }
    schedule->params = *params;
    schedule->n = n;
    rr_status status = allocate(schedule, diag);
    if (status != RR_OK) {
        rr_schedule_destroy(&schedule);
        return status;
    }
    for (size_t i = 0; i < n; i++) {
        schedule->order[i] = schedule->guess[i] = (uint32_t)i;
        schedule->is_certain[i] = true;
    }
    if (params->kind == RR_SCHEDULE_TOPDOWN) {
        begin_round(schedule, n);
    } else {
        schedule->n_windows = rr_schedule_count(params, n, NULL);
    }
    open_slots(schedule, 0);
    update(schedule);
    *out = schedule;
    return RR_OK;
}

void rr_schedule_destroy(rr_schedule **pointer) {
    rr_schedule *schedule = *pointer;
    if (schedule != NULL) {
        free(schedule->memory);
        free(schedule->is_certain);
        free(schedule->slots);
        free(schedule);
        *pointer = NULL;
    }
}

/* Events */

size_t rr_schedule_first(const rr_schedule *schedule) {
    return schedule->first;
}

size_t rr_schedule_end(const rr_schedule *schedule) {
    size_t end = schedule->first + schedule->n_slots;
    return end < schedule->n_windows ? end : schedule->n_windows;
}

const rr_planned *rr_schedule_at(const rr_schedule *schedule, size_t index) {
    return &slot_of(schedule, index)->planned;
}

void rr_schedule_begin(rr_schedule *schedule, size_t index) {
    slot *at = slot_of(schedule, index);
    assert(at->planned.state == RR_WINDOW_WAITING && at->planned.n_known == at->planned.n);
    at->planned.state = RR_WINDOW_RUNNING;
    at->n_outcome = 0;
}

static void set_outcome(slot *at, const uint32_t *ids, uint32_t n_ids) {
    assert(at->planned.state == RR_WINDOW_RUNNING && n_ids <= at->planned.n);
    for (uint32_t i = 0; i < n_ids; i++) {
        assert(ids[i] >= 1 && ids[i] <= at->planned.n);
        at->outcome[i] = ids[i];
    }
    at->n_outcome = n_ids;
}

void rr_schedule_hint(rr_schedule *schedule, size_t index, const uint32_t *ids, uint32_t n_ids) {
    set_outcome(slot_of(schedule, index), ids, n_ids);
    update(schedule);
}

void rr_schedule_done(rr_schedule *schedule, size_t index, const uint32_t *permutation) {
    slot *at = slot_of(schedule, index);
    set_outcome(at, permutation, at->planned.n);
    at->planned.state = RR_WINDOW_DONE;
    update(schedule);
}

void rr_schedule_forget(rr_schedule *schedule, size_t index) {
    slot *at = slot_of(schedule, index);
    at->planned.state = RR_WINDOW_WAITING;
    at->n_outcome = 0;
    update(schedule);
}

/* The first window of a round is confirmed: the pivot, what is kept and what is dropped. */
static void split_top(rr_schedule *schedule) {
    round_state *round = &schedule->round;
    size_t n_top = round->n_top;
    round->pivot = schedule->order[n_top];
    round->pivot_is_sure = true;
    round->n_kept = n_top;
    memcpy(round->kept, schedule->order, n_top * sizeof *round->kept);
    round->n_dropped = schedule->params.window - n_top - 1;
    memcpy(round->dropped, schedule->order + n_top + 1, round->n_dropped * sizeof *round->dropped);
}

static void split_group(round_state *round, const slot *at) {
    bool above = true;
    for (uint32_t i = 0; i < at->planned.n; i++) {
        uint32_t passage = at->passages[at->outcome[i] - 1];
        if (passage == round->pivot) {
            above = false;
        } else if (above) {
            round->kept[round->n_kept++] = passage;
        } else {
            round->dropped[round->n_dropped++] = passage;
        }
    }
}

/* All windows of a round are confirmed: puts its outcome in place and begins what comes next. */
static void end_round(rr_schedule *schedule) {
    round_state *round = &schedule->round;
    size_t next = 0;
    if (round->n_windows > 1) {
        size_t n_kept = round->n_kept;
        memcpy(schedule->order, round->kept, n_kept * sizeof *round->kept);
        schedule->order[n_kept] = round->pivot;
        memcpy(schedule->order + n_kept + 1, round->dropped,
            round->n_dropped * sizeof *round->dropped);
        memcpy(schedule->guess, schedule->order, round->n * sizeof *round->kept);
        next = n_kept > round->n_top ? n_kept : 0;
    }
    begin_round(schedule, next);
    if (round->n_windows == 0 && ++schedule->pass < schedule->params.passes) {
        begin_round(schedule, schedule->n);
    }
}

bool rr_schedule_confirm(rr_schedule *schedule) {
    size_t index = schedule->first, end = rr_schedule_end(schedule);
    if (index == end) {
        return false;
    }
    const slot *at = slot_of(schedule, index);
    const rr_planned *planned = &at->planned;
    if (planned->state != RR_WINDOW_DONE || !planned->settled || planned->stale) {
        return false;
    }
    round_state *round = &schedule->round;
    if (is_group(schedule, index)) {
        split_group(round, at);
    } else {
        for (uint32_t i = 0; i < planned->n; i++) {
            size_t position = planned->window.begin + i;
            schedule->order[position] = schedule->guess[position] =
                at->passages[at->outcome[i] - 1];
        }
    }
    if (schedule->params.kind == RR_SCHEDULE_TOPDOWN) {
        if (index == round->begin && round->n_windows > 1) {
            split_top(schedule);
        }
        if (index + 1 == round->begin + round->n_windows) {
            end_round(schedule);
        }
    }
    schedule->first++;
    open_slots(schedule, end);
    update(schedule);
    return true;
}

size_t rr_schedule_n_windows(const rr_schedule *schedule) {
    return schedule->n_windows;
}

bool rr_schedule_is_finished(const rr_schedule *schedule) {
    return schedule->first == schedule->n_windows;
}

const uint32_t *rr_schedule_order(const rr_schedule *schedule) {
    return schedule->order;
}
