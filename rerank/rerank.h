/* From a query and its passages to a ranking with its reasoning: the types of it.
 * Owns: what is asked about a window, what came of each, and a query's ranking. Does not own which
 * windows there are (rerank/schedule.h), who ranks them when (rerank/executor.h), nor where answers
 * come from: a responder does (a model: rerank/responder.h; recorded answers: rerank/replay.h). */
#ifndef RR_RERANK_RERANK_H
#define RR_RERANK_RERANK_H

#include "rerank/answer.h"
#include "rerank/data/candidates.h"
#include "rerank/prompt.h"
#include "rerank/schedule.h"

enum { RR_RANK_WINDOW = 20, RR_RANK_STEP = 10 };

/* One question to a responder. Everything is borrowed during the call. */
typedef struct rr_call {
    const rr_query *query;
    /* this window in the plain order, of how many for this query, as far as is known */
    size_t index, n_calls;
    rr_window window;      /* positions */
    const uint32_t *order; /* [n] passages of the query shown as [1], [2], … */
    uint32_t n;
    const rr_prompt *prompt;
    const void *asker; /* rr_job_params.asker */
    /* the window at the top that is ranked by an answer after all were read
     * (rr_rank_params.then_reason) */
    bool reasons;
    uint64_t deadline_ns; /* from then on (rr_time_ns): end with RR_E_DEADLINE; 0 = none */
    /* The responder calls it while the answer is written, with all of the text so far. False = the
     * answer is no longer wanted: end with RR_E_CANCELLED. May be NULL. */
    bool (*on_text)(void *listener, const char *text, size_t bytes);
    void *listener;
    /* in rr_rank_params.on_window: [n_standing] the passages that are ranked, best first, as the
     * windows so far leave them */
    const uint32_t *standing;
    size_t n_standing;
} rr_call;

/* A part of a passage as the prompt shows it (rr_prompt_passage): bytes [begin, end), and its share
 * of the attention that the passage draws, 0 … 1. */
typedef struct rr_read_part {
    uint32_t begin, end;
    float share;
} rr_read_part;

/* What a readout (rerank/readout.h) says of a passage in a window. Plain data. */
enum { RR_READ_WORDS = 8 };
typedef struct rr_passage_read {
    /* the window is ordered by it; higher is better; means nothing outside its window */
    double score;
    double probability;                /* that the passage is relevant: calibrated */
    rr_read_part sentence;             /* the one that drew most; its end is 0 where none did */
    rr_read_part words[RR_READ_WORDS]; /* [n_words] that drew most, by place, apart */
    uint32_t n_words;
} rr_passage_read;

/* Whether its numbers are what they must be: a finite score, probability and shares from 0 to 1,
 * parts that do not end before they begin, words in order. Where the shown text ends is not known
 * here. Pure. */
bool rr_passage_read_is_sound(const rr_passage_read *read);

/* What came back. `text` is the responder's to fill and the caller's to free and to make valid
 * UTF-8. Of the prompt's tokens the session held `reused_tokens`, other sessions of the engine
 * `shared_tokens`, and the rest were computed: measurements as the times are, which depend on what
 * was asked before. */
typedef struct rr_reply {
    rr_buf text;
    bool truncated; /* the answer or the thinking was cut, or the answer finished by force */
    /* [call->n] by label, malloc's: the caller frees it; NULL = nothing was read */
    rr_passage_read *reads;
    uint32_t n_wanted; /* ids that the answer was to list; 0 = all of the window */
    bool refused;      /* with RR_E_CANCELLED: an event refused to go on, the ranking ends */
    uint64_t prompt_tokens, reused_tokens, shared_tokens, generated_tokens;
    uint64_t prompt_ns, generate_ns;
} rr_reply;

/* Answers one call; `reply` comes zeroed. An error ends the ranking. */
typedef struct rr_responder {
    rr_status (*respond)(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag);
    void *user;
} rr_responder;

/* Something that answers calls, one at a time. All functions get responder.user. */
typedef struct rr_worker {
    rr_responder responder;
    /* Makes ready for a window of which the first passages are known: call->prompt is its start
     * (rr_prompt_build_start). It will be asked of this worker later, or not at all.
     * call->deadline_ns holds here too. *n_computed gets the tokens that were computed. Errors end
     * nothing. NULL = it cannot. */
    rr_status (*prepare)(void *user, const rr_call *call, uint64_t *n_computed, rr_diag *diag);
    /* Makes what runs return RR_E_CANCELLED soon, or else what runs next. From any thread. NULL =
     * it cannot. */
    void (*cancel)(void *user);
} rr_worker;

typedef struct rr_window_result {
    rr_window window;
    const uint32_t *passages;    /* [n] which passages of the query were shown as [1], [2], … */
    const uint32_t *permutation; /* [n] ids 1…n, best first */
    uint32_t n;
    uint32_t n_listed; /* ids that the answer itself gave */
    bool repaired;     /* the answer was no permutation and was made one */
    /* the answer or the thinking was cut, or the answer finished by force */
    bool truncated;
    /* the deadline came before it was ranked: the passages keep their order, no text is kept */
    bool late;
    /* [n] by label: what was read of the passages; NULL = they were ranked in another way */
    const rr_passage_read *reads;
    rr_text response;          /* all that was written */
    rr_text reasoning, answer; /* its parts */
    uint64_t prompt_tokens, reused_tokens, shared_tokens, generated_tokens;
    uint64_t prompt_ns, generate_ns, time_ns;
} rr_window_result;

typedef struct rr_ranking {
    rr_arena arena;
    uint32_t *order; /* [n] indices of the query's passages, best first; each exactly once */
    size_t n;
    double *scores;            /* [n] by rank: rr_ranking_score; NULL = no window was read */
    rr_window_result *windows; /* [n_windows] in call order */
    size_t n_windows;
    uint64_t time_ns;
} rr_ranking;

/* Zero values mean the defaults. */
typedef struct rr_rank_params {
    size_t window; /* 0 = RR_RANK_WINDOW */
    size_t step;   /* 0 = RR_RANK_STEP, at most the window */
    rr_schedule_kind schedule;
    size_t passes; /* 0 = 1 */
    /* only this many from the top are ranked, the rest stays behind in its order; 0 = all */
    size_t depth;
    rr_prompt_style style;
    uint32_t passage_chars; /* of a passage that a prompt shows; 0 = the style's own */
    /* at the end the model reasons over the window at the top once more; not with topdown */
    bool then_reason;
    /* Time that a query may take from when its first window is asked about; 0 = any. Then windows
     * in progress are cut short, and those that are not ranked are late. What was begun early and
     * is ranked by then counts where it is right. */
    uint64_t deadline_after_ns;
    /* After each window of a query, in the plain order; `call` has no prompt. One at a time, on any
     * worker's thread; it must not call back into the ranking. May be NULL. */
    void (*on_window)(void *user, const rr_call *call, const rr_window_result *result);
    void *user;
} rr_rank_params;

/* What was done, for people who want to know what working ahead is worth. */
typedef struct rr_rank_counts {
    uint64_t n_windows;         /* of the rankings */
    uint64_t n_early, n_redone; /* begun on a forecast; of those, done again */
    uint64_t n_prepared;
    /* of the rankings' windows */
    uint64_t prompt_tokens, reused_tokens, shared_tokens, generated_tokens;
    /* prompt tokens computed for a window when there was nothing left to wait for */
    uint64_t critical_tokens;
    uint64_t early_tokens; /* … while the answer before was being written */
    uint64_t ahead_tokens; /* … by preparing */
    uint64_t lost_tokens;  /* computed and generated for windows that were done again */
    uint64_t time_ns;
} rr_rank_counts;

/* A query at an executor (rerank/executor.h): what to rank, how, and for whom. What it points to is
 * borrowed until the job is over. */
typedef struct rr_job rr_job;
typedef struct rr_job_params {
    const rr_query *query;
    rr_rank_params rank;
    const void *asker;    /* for the responder: rr_call.asker */
    uint64_t deadline_ns; /* from then on (rr_time_ns) what is not ranked is late; 0 = none */
    uint64_t submitter;
    bool no_prepare; /* the workers cannot prepare windows of it */
    bool may_crowd;  /* it comes in however many wait */
    /* Called once, when the job is over, from any thread, also from within other functions of the
     * executor. It may call rr_executor_take for its job, and no other function. The executor does
     * not look at the job afterwards. NULL = nobody. */
    void (*on_over)(void *user, rr_job *job);
    void *user;
} rr_job_params;

/* Fills in the defaults and checks. Errors: as rr_windows_check and rr_schedule_check (but for a
 * query's passages). */
rr_status rr_rank_params_check(const rr_rank_params *params, rr_rank_params *out, rr_diag *diag);

/* rr_rank_params.deadline_after_ns of a number of seconds: 0 of 0, at least 1 of more. */
uint64_t rr_rank_deadline(double seconds);

/* How prompts are written: for filled-in parameters. */
rr_prompt_form rr_rank_form(const rr_rank_params *params);

/* How many of the query's passages are ranked, and how: for filled-in parameters. */
size_t rr_rank_n(const rr_query *query, const rr_rank_params *params);
rr_schedule_params rr_rank_schedule(const rr_rank_params *params);

/* Reads what came back about a window: the parser's findings, with `text` made valid UTF-8, in the
 * arena's memory. `time_ns` stays 0. Errors: RR_E_MEMORY; RR_E_INTERNAL for reads that are not
 * sound. */
rr_status rr_window_read(rr_arena *arena, const rr_call *call, const rr_reply *reply,
    rr_window_result *out, rr_diag *diag);

void rr_ranking_destroy(rr_ranking *ranking); /* accepts a zeroed one */

/* Windows that are late; not 0 = the ranking is whole, and not what it would have been with more
 * time. */
size_t rr_ranking_n_late(const rr_ranking *ranking);

/* The score of rank `rank` (from 1): strictly decreasing, in (0, 1]. Where windows were read it is
 * the passage's calibrated probability of being relevant, as the last window that read it has it,
 * lowered where a passage above it has less; of passages that no window read it only says the
 * order. Then it is a float's value, so that it still falls strictly where scores are kept as
 * floats. A permutation has no such thing: there it is (n − rank + 1) / n. */
double rr_ranking_score(const rr_ranking *ranking, size_t rank);
/* Makes ranking->scores of what its windows read; leaves it NULL when they read nothing. Errors:
 * RR_E_MEMORY. */
rr_status rr_ranking_score_all(rr_ranking *ranking, rr_diag *diag);

#endif
