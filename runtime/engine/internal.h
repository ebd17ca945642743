/* The engine's own structures, shared by the files of this folder only. */
#ifndef RR_ENGINE_INTERNAL_H
#define RR_ENGINE_INTERNAL_H

#include <stdatomic.h>

#include "quant/lanes.h"
#include "runtime/base/thread.h"
#include "runtime/engine/depth.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/kern.h"

/* A weight matrix on the device. */
typedef struct rr_matrix {
    rr_planes planes;
    uint64_t address;
} rr_matrix;

/* One in the layout of software devices, maybe several stacked. */
typedef struct rr_lanes_matrix {
    rr_lanes layout;
    uint64_t address;
} rr_lanes_matrix;

typedef struct rr_device_layer {
    uint64_t attn_norm, ffn_norm; /* f32 [d_model] */
    uint64_t qkv_bias;            /* f32 [q, k, v] */
    rr_matrix q, k, v, gate, up;  /* plain graph */
    rr_matrix o, down;            /* plain and q8 graph */
    struct {
        rr_matrix qkv[3]; /* neighbours of one format stacked */
        uint32_t n_qkv;
        rr_matrix gate_up;
    } q8; /* q8 graph */
    struct {
        rr_lanes_matrix qkv, o, gate_up, down;
    } lanes; /* lanes graph */
} rr_device_layer;

/* Which graph an engine runs. */
typedef enum rr_graph_kind { RR_GRAPH_PLAIN, RR_GRAPH_Q8, RR_GRAPH_LANES } rr_graph_kind;
/* Pure: the graph that `params` names, if it holds this model, else the best one for a device;
 * `exact` keeps activations in float: plain. */
rr_graph_kind rr_graph_choose(
    const rr_model *model, const rr_device_info *info, const rr_engine_params *params);
const char *rr_graph_kind_name(rr_graph_kind kind); /* as rr_graph_name */

/* weights.c: the weights arena. Owns its buffers. */
typedef struct rr_weights {
    rr_matrix embedding, output; /* the same when tied; output: not the lanes graph */
    rr_lanes_matrix lanes_head;  /* lanes graph: the output matrix */
    uint64_t output_norm;
    rr_device_layer *layers;
    rr_vk_buffer *buffers; /* as few as max_allocation_bytes allows */
    size_t n_buffers;
} rr_weights;

/* Bytes of the weights arena as `graph` wants it laid out. Errors: RR_E_MEMORY when one matrix
 * exceeds what the device allocates at once, those of rr_planes_plan and rr_lanes_plan. */
rr_status rr_weights_plan(const rr_model *model, rr_graph_kind graph, const rr_device_info *info,
    uint64_t *out_bytes, rr_diag *diag);
/* `params`: no_weights, the packed cache and the progress function. */
rr_status rr_weights_load(const rr_model *model, rr_graph_kind graph, rr_vk_device *device,
    const rr_engine_params *params, rr_weights *out, rr_diag *diag);
/* Types and layouts alone: no buffer, all addresses 0. */
rr_status rr_weights_describe(const rr_model *model, rr_graph_kind graph,
    const rr_device_info *info, rr_weights *out, rr_diag *diag);
void rr_weights_destroy(rr_vk_device *device, rr_weights *weights);

/* Where things lie in the activations buffer, in bytes from its start; all f32 but for ids. */
typedef struct rr_activations {
    uint64_t x, h; /* [rows][d_model]: the residual stream, and its norm */
    uint64_t qkv;  /* [rows][(n_heads + 2 n_kv_heads) head_size] */
    uint64_t attn; /* [rows][n_heads head_size] */
    /* attention.h: scratch of the decode family; its counters are set to zero once */
    uint64_t split;
    uint64_t gate_up; /* [rows][2 d_ffn] */
    uint64_t act;     /* [rows][d_ffn] */
    uint64_t head_in; /* [logits_rows][d_model] */
    uint64_t logits;  /* [logits_rows][n_vocab] */
    uint64_t ids;     /* u32 [logits_rows] */
    uint64_t table;   /* [n_context][head_size / 2][2]: cos, sin */
    /* Of the q8 and the lanes graph, which need no h, gate_up and head_in; codes and groups as in
     * shaders/q8.glsl or shaders/lanes_code.h. */
    uint64_t h_codes, h_groups;       /* [rows][d_model] */
    uint64_t attn_codes, attn_groups; /* [rows][n_heads head_size] */
    uint64_t act_codes, act_groups;   /* [rows][d_ffn] */
    uint64_t rms;                     /* [rows]; from here on the lanes graph */
    uint64_t squares;                 /* [d_model / 32][rows] */
    uint64_t tickets;                 /* u32 [rows], 0 between passes */
    uint64_t bytes;
} rr_activations;

/* The parameters of an engine with every default filled in. */
typedef struct rr_engine_limits {
    uint32_t n_context, n_sessions, prompt_chunk, logits_rows;
    uint64_t kv_tokens; /* that the KV cache holds; RR_KV_FIT before planning */
    bool readings;
} rr_engine_limits;

/* Rows that a pass may have: a chunk of a prompt and decode rows. */
static inline uint64_t rr_pass_rows(const rr_engine_limits *limits) {
    return (uint64_t)limits->prompt_chunk + RR_DECODE_ROWS;
}
rr_engine_limits rr_engine_limits_of(
    const rr_model *model, const rr_device_info *info, const rr_engine_params *params);
rr_activations rr_activations_plan(
    const rr_model_config *config, rr_graph_kind graph, const rr_engine_limits *limits);
uint64_t rr_kv_bytes_per_token(const rr_model_config *config);

/* engine.c: sets the counters of kernels that count workgroups to 0, as every pass must find
 * them. */
rr_status rr_engine_clear_counters(rr_engine *engine, rr_diag *diag);

/* profile.c: device times of recorded ops. */
typedef struct rr_profile rr_profile;
/* Around the submit of engine->commands and the wait for it; nothing when no profile is on. */
void rr_profile_close(rr_engine *engine);
void rr_profile_collect(rr_engine *engine);
void rr_profile_destroy(rr_profile **profile);

typedef enum rr_family { RR_PREFILL, RR_DECODE, RR_N_FAMILIES } rr_family;

typedef struct rr_graph rr_graph;         /* graph.h */
typedef struct rr_resident rr_resident;   /* resident.h */
typedef struct rr_scheduler rr_scheduler; /* scheduler.h */
typedef struct rr_pages rr_pages;         /* pages.h */
typedef struct rr_reader rr_reader;       /* read_pass.h */
typedef struct rr_read_pass rr_read_pass;
typedef struct rr_hold rr_hold;

/* admission.h; guarded by the engine's lock. */
typedef struct rr_admission {
    uint32_t n_promised;        /* pages, to sessions with a hold */
    rr_hold *first;             /* those that wait for one, in the order of their calls */
    uint64_t n_left, n_evicted; /* holds that ended; pages that were taken from others' lists */
} rr_admission;

struct rr_engine {
    rr_graph_kind graph_kind;
    const rr_graph *graph;
    rr_model *model;
    rr_tokenizer *tokenizer; /* NULL when the file's vocabulary is not one we can use */
    rr_diag tokenizer_diag;  /* why not */
    rr_vk_instance *instance;
    rr_vk_device *device;
    rr_kern *kern;
    rr_vk_commands *commands;
    rr_engine_limits limits;
    rr_memory_plan plan;
    rr_weights weights;
    rr_activations at; /* offsets */
    rr_vk_buffer activations;
    rr_vk_buffer rows;      /* rr_row [rr_pass_rows], written by the host */
    rr_vk_buffer readback;  /* f32 [logits_rows][n_vocab], then u32 [logits_rows] */
    rr_pages *pages;        /* the KV cache: pages.h */
    rr_admission admission; /* who may fill it: admission.h */
    rr_session **sessions;  /* in each slot [n_sessions], NULL = free */
    /* guards sessions, pages, admission, the scheduler, and what rr_session says */
    rr_mutex lock;
    bool lock_made;
    rr_scheduler *scheduler; /* which thread may use the device: scheduler.h */
    rr_profile *profile;     /* NULL = off */
    rr_resident *resident;   /* lanes graph: layers in one dispatch */
    rr_reader *reader;       /* NULL = opened without readings */
    bool counters_dirty;     /* rr_engine_clear_counters must come before the next pass */
    double layer_row_ns[RR_N_FAMILIES]; /* measured time of a layer, a row; 0 = not yet */
    /* measured time of the head over its least number of rows (graph.c) */
    double head_unit_ns[RR_N_FAMILIES];
    uint32_t head_cols; /* logits a row of the last head */
};

/* A session belongs to the thread that calls with it; while that waits for a pass, to the thread
 * that runs the pass. Others read tokens[0 … n_prompt) alone, under the engine's lock. While it
 * holds no room (admission.h), all but `tokens` is the lock's. */
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
    /* tokens that its timeline may have: n_context, or what it holds (admission.h), 0 = no hold */
    size_t n_most;
    uint64_t left; /* when it let go: the number of holds that had ended */
    /* its timeline lost its end to others (admission.c), until it is given whole again */
    bool is_cut;
    float *logits; /* [n_vocab] of the last token, when logits_ready */
    bool logits_ready;
    int32_t best; /* arg max of the last token's logits, when best_ready */
    bool best_ready;
    rr_depth depth; /* how drafts of its generated tokens fared */
    atomic_bool cancelled;
    uint64_t deadline_ns; /* 0 = none; set between calls, read by whoever runs a pass */
    rr_sync_progress_fn on_progress;
    void *on_progress_user;
    /* of the thread that waits for a pass over this session, or for room; by rr_time_ns */
    rr_cond wake;
    bool wake_made;
    /* comes back for the next token soon; with `awaited` guarded by the engine's lock */
    bool generating;
    uint64_t awaited; /* the round of waiting in which it is waited for (scheduler.c) */
};

/* Errors: RR_E_USAGE for what no call takes: no tokens, too many, ids out of range, a session
 * without room. */
rr_status rr_session_check_tokens(
    const rr_session *session, const int32_t *tokens, size_t n, rr_diag *diag);
/* Tokens of `tokens` [n] that the timeline begins with, for a call that runs the first `n_layers`
 * layers: 0 where it has fewer. */
size_t rr_session_common(
    const rr_session *session, const int32_t *tokens, size_t n, uint32_t n_layers);
typedef struct rr_request rr_request; /* scheduler.h */
/* Computes what the session lacks of `tokens` [n], chunk by chunk, in one turn; `like` says all
 * else of the requests. */
rr_status rr_session_run_prompt(
    rr_session *session, const int32_t *tokens, size_t n, const rr_request *like, rr_diag *diag);
/* Whether there is a timeline to go on from: RR_E_USAGE, saying what must come first. */
rr_status rr_session_is_ready(const rr_session *session, rr_diag *diag);
/* True once for each cancel. */
bool rr_session_take_cancel(rr_session *session);
/* Whether a call may go on: RR_E_CANCELLED once for each cancel, RR_E_DEADLINE from the deadline
 * on. */
rr_status rr_session_check(rr_session *session, rr_diag *diag);
/* RR_E_DEADLINE when the time is over; deadline_ns 0 = none. */
rr_status rr_deadline_check(uint64_t deadline_ns, rr_diag *diag);

/* graph.c: one pass over rows that the host has written to engine->rows. */
typedef struct rr_pass {
    /* Rows of each family: those of a prompt, all of one session, then those of decode. What a row
     * gets does not depend on the others. */
    uint32_t n_rows[RR_N_FAMILIES];
    uint32_t n_keys[RR_N_FAMILIES]; /* largest position of the rows, plus 1 */
    /* rows whose logits are made (may be 0); head_rows ≤ logits_rows */
    uint32_t head_first, head_rows;
    rr_family head_family;
    /* logits of ids [0, head_cols) only, and their arg max; 0 = the whole vocabulary */
    uint32_t head_cols;
    bool read_logits; /* copy them to the readback buffer; arg max is always copied */
    /* the rows are of a prompt that is read, and no more layers run than that needs; NULL = no */
    const rr_read_pass *read;
    bool keep_rows; /* rr_graph_head will be called over any of the rows */
    /* may be NULL; ends the pass between submits, for all of its rows */
    const atomic_bool *cancelled;
    uint64_t deadline_ns; /* the same; 0 = none */
} rr_pass;

static inline uint32_t rr_pass_n_rows(const rr_pass *pass) {
    return pass->n_rows[RR_PREFILL] + pass->n_rows[RR_DECODE];
}

/* The rows of one family in a pass. */
typedef struct rr_span {
    rr_family family;
    uint32_t first, n, n_keys;
} rr_span;

/* Rows [first, first + n) of a pass. */
typedef struct rr_range {
    uint32_t first, n;
} rr_range;

static inline rr_range rr_pass_all(const rr_pass *pass) {
    return (rr_range){0, rr_pass_n_rows(pass)};
}

/* The rows of a range by families; returns how many spans have some. */
static inline uint32_t rr_pass_spans(
    const rr_pass *pass, rr_range range, rr_span out[RR_N_FAMILIES]) {
    uint32_t n = 0, begin = 0;
    for (int f = 0; f < RR_N_FAMILIES; f++) {
        const uint32_t end = begin + pass->n_rows[f];
        const uint32_t from = begin > range.first ? begin : range.first;
        const uint32_t to = end < range.first + range.n ? end : range.first + range.n;
        if (from < to) {
            out[n++] = (rr_span){(rr_family)f, from, to - from, pass->n_keys[f]};
        }
        begin = end;
    }
    return n;
}

/* Compiles every pipeline that the model's passes use. */
rr_status rr_graph_prepare(rr_engine *engine, rr_diag *diag);
/* Runs all layers over the rows, then the head. Caller leads (scheduler.h). Submits are cut so that
 * none is expected to run longer than 0.2 s. Errors: RR_E_DEVICE; RR_E_CANCELLED, RR_E_DEADLINE
 * (between submits; KV of these rows is then undefined). */
rr_status rr_graph_run(rr_engine *engine, const rr_pass *pass, rr_diag *diag);
/* The head alone over rows whose layers ran last. */
rr_status rr_graph_head(rr_engine *engine, const rr_pass *pass, rr_diag *diag);

/* Results of the last head that read them back; logits [head_cols]. */
const float *rr_graph_logits(const rr_engine *engine, uint32_t head_row);
int32_t rr_graph_best(const rr_engine *engine, uint32_t head_row);

/* sample.c: one draw. `rng` advances by one step a draw. temperature 0 = arg max. Pure. O(n_vocab),
 * plus a sort of the candidates when top_p cuts. `scratch` holds n_vocab entries. */
typedef struct rr_candidate {
    float p;
    int32_t id;
} rr_candidate;
int32_t rr_sample(const float *logits, uint32_t n_vocab, float temperature, float top_p,
    uint64_t *rng, rr_candidate *scratch);
int32_t rr_argmax(const float *logits, uint32_t n_vocab);

#endif
