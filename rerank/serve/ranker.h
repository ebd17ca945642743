/* What a server asks to rank: an interface, so that serving needs no model to be tested.
 * rerank/serve/pool_ranker.h implements it over a pool. */
#ifndef RR_RERANK_SERVE_RANKER_H
#define RR_RERANK_SERVE_RANKER_H

#include "rerank/serve/outcome.h"

/* What can be told of a ranker; texts live as long as it does. */
typedef struct rr_ranker_facts {
    const char *model, *device;
    rr_serve_mode mode;    /* where a request names none */
    bool can_read;         /* there is a readout for the model */
    size_t n_workers;      /* windows at once */
    uint32_t n_context;    /* tokens of a window's prompt and answer */
    uint64_t device_bytes; /* planned */
} rr_ranker_facts;

typedef struct rr_ranker_stats {
    size_t n_waiting, n_begun; /* rankings now */
} rr_ranker_stats;

/* One ranking to make. All is borrowed until on_over was called. */
typedef struct rr_ranker_order {
    const rr_serve_request *request;
    uint64_t deadline_ns; /* rr_time_ns; 0 = none */
    uint64_t submitter;   /* those of one number wait for each other */
    /* Called once, from any thread, also from within start and cancel: it is over, and `take` gets
     * what came of it, at once, also from within. */
    void (*on_over)(void *user, void *ranking);
    /* While it is ranked, from any thread; may be NULL. `on_text`: of a window in progress (0 bytes
     * = nothing yet), with the tokens generated so far. */
    void (*on_text)(
        void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens);
    void (*on_window)(void *user, const rr_call *call, const rr_window_result *result);
    void *user;
} rr_ranker_order;

/* All functions may be called from any thread. */
typedef struct rr_ranker {
    /* Begins a ranking. Errors: RR_E_USAGE and RR_E_INPUT for what the request asks; RR_E_BUSY (the
     * queue is full), RR_E_CANCELLED (it takes no more), RR_E_DEVICE, RR_E_MEMORY; then on_over is
     * not called. */
    rr_status (*start)(void *user, const rr_ranker_order *order, void **out, rr_diag *diag);
    /* Of one that is over: the ranking, to be destroyed; gives `*ranking` back. */
    rr_status (*take)(void *user, void **ranking, rr_ranking *out, rr_diag *diag);
    /* Ends one soon; not of one that was taken. */
    void (*cancel)(void *user, void *ranking);
    void (*facts)(void *user, rr_ranker_facts *out);
    void (*stats)(void *user, rr_ranker_stats *out);
    /* How this request is ranked: its mode, never RR_SERVE_MODE_DEFAULT, and its prompts. */
    rr_serve_mode (*mode_of)(void *user, const rr_serve_request *request, rr_prompt_form *form);
    void *user;
} rr_ranker;

#endif
