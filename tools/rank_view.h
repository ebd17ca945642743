/* What `rank` shows while it works: the reasoning as it is written above a line of progress.
 * Owns: standard error while it is shown, when that is a terminal; else it shows nothing. */
#ifndef RR_TOOLS_RANK_VIEW_H
#define RR_TOOLS_RANK_VIEW_H

#include "rerank/responder.h"

typedef struct rr_rank_view {
    bool live, shown;
    size_t columns;
    size_t n_windows, n_windows_done; /* of all queries */
    size_t n_queries, query;
    size_t prompt_done, prompt_total, n_tokens; /* of this window */
    uint64_t start_ns, window_ns, first_token_ns;
    rr_buf partial;       /* the line that is being written */
    size_t partial_width; /* columns that it takes at most */
    rr_buf screen;        /* what goes to the terminal in one write */
} rr_rank_view;

void rr_rank_view_start(rr_rank_view *view, size_t n_windows, size_t n_queries);
/* The query that comes next, from 0. */
void rr_rank_view_query(rr_rank_view *view, size_t query);
/* Events of the responder; `user` is the view. */
rr_responder_events rr_rank_view_events(rr_rank_view *view);
void rr_rank_view_window_done(void *view, const rr_call *call, const rr_window_result *result);
/* Takes the progress line away, so that others may write; it comes back with the next event. */
void rr_rank_view_hide(rr_rank_view *view);
void rr_rank_view_finish(rr_rank_view *view);

#endif
