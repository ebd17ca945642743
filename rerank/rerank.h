/* The window loop: from a query and its passages to a ranking with its reasoning.
 * Owns: what is ranked, in which windows, and what came of each. Does not own where answers come from: a responder does
 * (a model: rerank/responder.h; recorded answers: rr_replay below). */
#ifndef RR_RERANK_RERANK_H
#define RR_RERANK_RERANK_H

#include "rerank/answer.h"
#include "rerank/candidates.h"
#include "rerank/prompt.h"
#include "rerank/windows.h"

enum { RR_RANK_WINDOW = 20, RR_RANK_STEP = 10 };

/* One question to a responder. Everything is borrowed during the call. */
typedef struct rr_call {
    const rr_query *query;
    size_t index, n_calls; /* this window, of how many for this query */
    rr_window window;      /* positions */
    const uint32_t *order; /* [n] passages of the query shown as [1], [2], … */
    uint32_t n;
    const rr_prompt *prompt;
} rr_call;

/* What came back. `text` is the responder's to fill and the loop's to free; it is made valid UTF-8 by the loop. */
typedef struct rr_reply {
    rr_buf text;
    bool truncated; /* the answer or the thinking was cut, or the answer finished by force */
    uint32_t n_wanted; /* ids that the answer was to list; 0 = all of the window */
    uint64_t prompt_tokens, reused_tokens, generated_tokens;
    uint64_t prompt_ns, generate_ns;
} rr_reply;

/* Answers one call; `reply` comes zeroed. An error ends the ranking. */
typedef struct rr_responder {
    rr_status (*respond)(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag);
    void *user;
} rr_responder;

typedef struct rr_window_result {
    rr_window window;
    const uint32_t *passages;    /* [n] which passages of the query were shown as [1], [2], … */
    const uint32_t *permutation; /* [n] ids 1…n, best first */
    uint32_t n;
    uint32_t n_listed;           /* ids that the answer itself gave */
    bool repaired;               /* the answer was no permutation and was made one */
    bool truncated;              /* the answer or the thinking was cut, or the answer finished by force */
    rr_text response;            /* all that was written */
    rr_text reasoning, answer;   /* its parts */
    uint64_t prompt_tokens, reused_tokens, generated_tokens;
    uint64_t prompt_ns, generate_ns, time_ns;
} rr_window_result;

typedef struct rr_ranking {
    rr_arena arena;
    uint32_t *order; /* [n] indices of the query's passages, best first; each exactly once */
    size_t n;
    rr_window_result *windows; /* [n_windows] in call order */
    size_t n_windows;
    uint64_t time_ns;
} rr_ranking;

/* Zero values mean the defaults. */
typedef struct rr_rank_params {
    size_t window; /* 0 = RR_RANK_WINDOW */
    size_t step;   /* 0 = RR_RANK_STEP, at most the window */
    size_t depth;  /* only this many from the top are ranked, the rest stays behind in its order; 0 = all */
    rr_prompt_style style;
    void (*on_window)(void *user, const rr_call *call, const rr_window_result *result); /* after each; may be NULL */
    void *user;
} rr_rank_params;

/* Fills in the defaults and checks. Errors: as rr_windows_check. */
rr_status rr_rank_params_check(const rr_rank_params *params, rr_rank_params *out, rr_diag *diag);

/* Ranks. 0 and 1 passages answer at once, without a call. `out` must be destroyed whatever happens; after an error it
 * holds nothing. Errors: RR_E_USAGE, RR_E_MEMORY, and whatever the responder returns. */
rr_status rr_rank(const rr_query *query, const rr_rank_params *params, const rr_responder *responder, rr_ranking *out,
                  rr_diag *diag);
void rr_ranking_destroy(rr_ranking *ranking); /* accepts a zeroed one */

/* The score of rank `rank` (from 1) of `n`: strictly decreasing, in (0, 1]. A permutation has no calibrated score. */
double rr_rank_score(size_t rank, size_t n);

/* Answers from a recording. Errors of its responder: RR_E_INPUT when an answer is missing. */
typedef struct rr_replay {
    const rr_recording *recording; /* borrowed */
    const char *label;             /* the recording in messages */
} rr_replay;
rr_responder rr_replay_responder(rr_replay *replay);
/* Fails with RR_E_INPUT when the recording holds more answers than the schedule of a query asks for, or answers for a
 * query that is not among the candidates. */
rr_status rr_replay_check(const rr_replay *replay, const rr_candidates *candidates, const rr_rank_params *params,
                          rr_diag *diag);

#endif
