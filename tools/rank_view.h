/* What `rank` shows while it works: the reasoning as it is written above a line of progress; with
 * several jobs at once the progress of all.
 * Owns: standard error while it is shown, when that is a terminal; else it shows nothing. Events
 * may come from any thread. */
#ifndef RR_TOOLS_RANK_VIEW_H
#define RR_TOOLS_RANK_VIEW_H

#include "rerank/responder.h"
#include "runtime/base/thread.h"

typedef struct rr_rank_view {
    rr_mutex lock;
    bool has_lock, live, shown;
    bool held; /* nothing is drawn until it is resumed */
    size_t columns, n_jobs;
    size_t n_windows, n_windows_done; /* of all queries */
    const rr_query *queries;
    size_t n_queries, query, n_queries_done;
    const rr_query *late; /* told of its late windows; NULL = none */
    /* of this window; n_tokens: of all, with several jobs */
    size_t prompt_done, prompt_total, n_tokens;
    uint64_t start_ns, window_ns, first_token_ns, drawn_ns;
    rr_buf partial;       /* the line that is being written */
    size_t partial_width; /* columns that it takes at most */
    rr_buf screen;        /* what goes to the terminal in one write */
} rr_rank_view;

/* For `n_jobs` windows at once. The queries are borrowed. */
void rr_rank_view_start(
    rr_rank_view *view, const rr_query *queries, size_t n_queries, size_t n_windows, size_t n_jobs);
/* Events of the responder; `user` is the view. */
rr_responder_events rr_rank_view_events(rr_rank_view *view);
void rr_rank_view_window_done(void *view, const rr_call *call, const rr_window_result *result);
/* Takes the progress line away, so that others may write, until a query is done with; it comes back
 * with the next event. */
void rr_rank_view_hide(rr_rank_view *view);
void rr_rank_view_query_done(rr_rank_view *view);
/* A warning between all that; from any thread, while the view is not finished. */
void rr_rank_view_warn(rr_rank_view *view, const char *text);
void rr_rank_view_finish(rr_rank_view *view);

#endif
