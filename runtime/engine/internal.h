/* The engine's and a session's own structures, shared by the files of this folder only. */
#ifndef RR_ENGINE_INTERNAL_H
#define RR_ENGINE_INTERNAL_H

#include "runtime/base/thread.h"
#include "runtime/compute/state.h"
#include "runtime/engine/admission.h"
#include "runtime/engine/draft_depth.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/pages.h"

/* The sizes among the parameters with every default filled in. */
typedef struct rr_engine_limits {
    uint32_t n_sessions;
    uint64_t kv_tokens; /* that the KV cache holds; RR_KV_FIT before planning */
} rr_engine_limits;
rr_engine_limits rr_engine_limits_of(
    const rr_compute_limits *compute, const rr_engine_params *params);

typedef struct rr_scheduler rr_scheduler; /* scheduler.h */

struct rr_engine {
    rr_compute *compute;
    rr_tokenizer *tokenizer; /* NULL when the file's vocabulary is not one we can use */
    rr_diag tokenizer_diag;  /* why not */
    rr_engine_limits limits;
    rr_memory_plan plan;
    rr_pages *pages;         /* the KV cache */
    rr_admission admission;  /* who may fill it */
    uint64_t n_evicted;      /* pages of sessions without a hold that were taken from them */
    rr_session **sessions;   /* in each slot [n_sessions], NULL = free */
    rr_scheduler *scheduler; /* which thread may use the device */
    /* guards sessions, pages, admission, the scheduler, and what rr_session says */
    rr_mutex lock;
};

/* A session belongs to the thread that calls with it; while that waits for a pass, to the thread
 * that runs the pass. Others read tokens[0 … n_prompt) alone, under the engine's lock. While it
 * holds no room (session_hold.h), all but `tokens` is the lock's. */
struct rr_session {
    rr_engine *engine;
    uint32_t slot;   /* its index in engine->sessions, and its list of pages */
    int32_t *tokens; /* [n_context]: the timeline whose KV is valid up to n_tokens */
    size_t n_tokens;
    /* so many from the start went through the prompt's kernels; changes under the engine's lock */
    size_t n_prompt;
    size_t n_reused, n_shared;
    /* whose KV the timeline has: fewer than the model's after a reading; changes under the engine's
     * lock */
    uint32_t n_layers;
    /* tokens that its timeline may have: n_context, or what it holds (session_hold.h), 0 = no hold */
    size_t n_most;
    uint64_t left; /* when it let go: the number of holds that had ended */
    /* its timeline lost its end to others (session_hold.c), until it is given whole again */
    bool is_cut;
    float *logits; /* [n_vocab] of the last token, when logits_ready */
    bool logits_ready;
    int32_t best; /* arg max of the last token's logits, when best_ready */
    bool best_ready;
    rr_draft_depth depth; /* how drafts of its generated tokens fared */
    atomic_bool cancelled;
    uint64_t deadline_ns; /* 0 = none; set between calls, read by whoever runs a pass */
    rr_sync_progress_fn on_progress;
    void *on_progress_user;
    /* of the thread that waits for a pass over this session, or for room; by rr_time_ns */
    rr_cond wake;
    /* comes back for the next token soon; with `awaited` guarded by the engine's lock */
    bool generating;
    uint64_t awaited; /* the round of waiting in which it is waited for (scheduler.c) */
};

#endif
