/* What a call asks of the next passes: rows of one session, or its prompt. Shared by the files of
 * this folder only. */
#ifndef RR_ENGINE_REQUEST_H
#define RR_ENGINE_REQUEST_H

#include "runtime/compute/reading.h"
#include "runtime/engine/internal.h"

typedef struct rr_request rr_request;

/* What a call's requests failed with: of several that did, the first in the call's order. */
typedef struct rr_failure {
    const rr_request *request; /* NULL = none */
    rr_status status;
    rr_diag *diag; /* may be NULL */
} rr_failure;

/* Rows of one session, the next of its timeline: behind session->n_tokens. The caller's; zeroed but
 * for what it sets. */
struct rr_request {
    rr_session *session;
    rr_family family;
    /* Decode: the rows, 1 … RR_DECODE_ROWS; together in one pass. Prompt: the whole of it, [n] with
     * what the session holds; one chunk of it is run, and n_tokens says how far it came. */
    const int32_t *tokens;
    size_t n;
    bool with_logits; /* decode: not only the arg max. A prompt's last token always has both */
    int32_t *best;    /* decode: the arg max of each row [n]. May be NULL */
    /* Decode: the rows are text that stands, no guesses: the timeline takes them all. Of the last,
     * session->logits gets those of ids [0, head_cols), maybe none; the session has no other
     * results then. Without with_logits and best. */
    bool given;
    uint32_t head_cols;
    /* Prompt: takes the logits of every row of the chunk, through the prompt's kernels, in the
     * order of positions, from whichever thread runs the pass; then nothing is shared and the last
     * token has no results. May be NULL. */
    rr_logits_fn each;
    void *each_user;
    /* Prompt: what is read of it (read.h), by the thread that runs the pass; then no more than the
     * first n_shareable tokens are shared, only n_layers layers run, and the last token has no
     * results. May be NULL. */
    const rr_reading *reading;
    size_t n_shareable;
    uint32_t n_layers; /* 0 = all */
    /* prompt: all of it is this session's, which no other thread uses, and shared. May be NULL */
    const rr_session *from;
    /* Prompt: its turn; zeroed for the first chunk, which sets it, and kept for those that
     * follow. */
    struct {
        /* the prompt pass that would be its last if it had every n_sessions-th; 0 = nothing to
         * compute */
        uint64_t due;
        uint64_t number; /* from 1, in the order in which prompts came: the first of equals */
    } turn;
    /* Set by the scheduler. */
    bool done;
    rr_failure *failure;
    rr_cond *wake;
    rr_request *next;
};

#endif
