/* Inside the pool: its state, and what its files call of each other. */
#ifndef RR_RERANK_POOL_STATE_H
#define RR_RERANK_POOL_STATE_H

#include <stdatomic.h>

#include "rerank/answer_params.h"
#include "rerank/rerank.h"
#include "runtime/base/memory.h"
#include "runtime/base/thread.h"

struct rr_pool_query;
struct rr_pool_device;

/* What ranks one window at a time. All but the atomic members belongs to the thread that is in a
 * call of it, or to whoever opens the device. */
typedef struct rr_pool_worker {
    struct rr_pool_device *device;
    rr_model_responder model;
    rr_worker inner; /* over `model` */
    /* What rr_pool_worker_cancel may look at: the sessions, NULL while they are made. */
    _Atomic(rr_session *) session, drafting;
    int32_t earlier[RR_EARLIER_TOKENS];
    /* of the call that runs; what was told already is not told again when it is asked again */
    const struct rr_pool_query *asked;
    bool told_begin;
    size_t n_text, n_text_told; /* bytes */
    size_t n_prompt_told;       /* tokens */
    bool refused;               /* an event asked to end the ranking */
} rr_pool_worker;

typedef enum rr_pool_device_state {
    RR_POOL_UP,
    RR_POOL_LOST, /* nobody enters until it is opened anew */
    RR_POOL_GONE  /* it is not opened any more */
} rr_pool_device_state;

/* pool_device.c: the engines and what stands on them, over their losses. */
typedef struct rr_pool_device {
    rr_engine_params params; /* n_sessions as they are; texts are the arena's */
    bool may_be_fewer;       /* of the first opening */
    const char *draft_path;  /* NULL = none */
    void (*on_loss)(void *user, const char *text);
    void *on_loss_user;
    rr_arena arena;
    char model_name[256], device_name[256], uuid[64];
    rr_memory_plan plan;
    rr_pool_worker *workers; /* [n_workers] */
    size_t n_workers;
    atomic_size_t n_cancelling; /* calls of rr_pool_worker_cancel that run */

    rr_mutex lock; /* of what follows */
    rr_cond changed;
    rr_engine *engine, *drafting; /* not while RR_POOL_LOST: then they are the opener's */
    rr_pool_device_state state;
    bool is_opening;
    size_t n_inside;      /* calls that may use the engines */
    uint64_t opened_ns;   /* anew; 0 = never */
    rr_engine_stats past; /* of engines that are gone */
    uint64_t n_losses;
    rr_diag loss, gone; /* what the device said; why it is not opened any more */
} rr_pool_device;

/* Opens the engines and a session, or two, for each worker. Errors: as rr_pool_open. */
rr_status rr_pool_device_open(rr_pool_device *device, rr_diag *diag);
void rr_pool_device_close(rr_pool_device *device);

/* Fails with RR_E_DEVICE when the device is gone. */
rr_status rr_pool_device_check(rr_pool_device *device, rr_diag *diag);

/* Around every call that may use the engines. Entering waits while the device is opened anew;
 * errors: RR_E_DEVICE, it is gone. Leaving with what the call returned tells whether it met a lost
 * device. */
rr_status rr_pool_device_enter(rr_pool_device *device, rr_diag *diag);
bool rr_pool_device_leave(rr_pool_device *device, rr_status status, const rr_diag *diag);
/* After such a loss, not inside: waits until all calls have left, opens the engines anew, or waits
 * for another thread to have done so. Errors: RR_E_DEVICE, it is gone. */
rr_status rr_pool_device_recover(rr_pool_device *device, rr_diag *diag);

void rr_pool_device_stats(
    rr_pool_device *device, rr_engine_stats *stats, uint64_t *n_losses, bool *is_gone);

/* pool_worker.c: the functions of an rr_worker whose user is a worker of the pool. A call's asker
 * is the struct rr_pool_query. The last may be called from signal handlers. */
rr_status rr_pool_worker_respond(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag);
rr_status rr_pool_worker_prepare(
    void *user, const rr_call *call, uint64_t *n_computed, rr_diag *diag);
void rr_pool_worker_cancel(void *user);

#endif
