/* What the files of `rearank bench` share: what is to be measured, what was found.
 * bench.c owns the options and the order of things, bench_points.c the measurements of a model,
 * bench_work.c how many bytes and operations they stand for, bench_roofs.c what the device can do
 * at best, bench_start.c the start, bench_found.c what was found, bench_report.c table, JSON and
 * CSV. */
#ifndef RR_TOOLS_BENCH_H
#define RR_TOOLS_BENCH_H

#include "tools/cli.h"

enum {
    RR_BENCH_ROOFS = 8,
    RR_BENCH_KERNELS = 64,
    RR_BENCH_ROUNDS = 64,
    RR_BENCH_LIST = 64,
    RR_BENCH_POINTS = 4 * RR_BENCH_LIST
};

typedef struct rr_bench_list {
    uint32_t items[RR_BENCH_LIST];
    size_t n;
} rr_bench_list;

/* What to measure. Empty lists and zeros: nothing of that kind. */
typedef struct rr_bench_plan {
    rr_bench_list prompts; /* prefill of so many tokens */
    rr_bench_list depths;  /* decode of `gen` tokens behind so many */
    uint32_t gen;
    /* decode passes over so many sessions, each holding batch_depth tokens; batch_gen passes */
    rr_bench_list batches;
    uint32_t batch_depth, batch_gen;
    /* tokens of a listwise window, prefill and decode together */
    uint32_t window_prompt, window_answer;
    uint32_t window_passages; /* that it stands for */
    uint32_t rounds;
    double budget_ns; /* a point ends after the round in which it is spent; 0 = all rounds */
    /* a prompt whose one round would take longer by the first point's rate is skipped; 0 = none
     * is */
    double limit_ns;
    bool start, roofs, kernels;
    bool dry; /* walk through once, measure nothing */
} rr_bench_plan;

typedef enum rr_bench_kind {
    RR_BENCH_PREFILL,
    RR_BENCH_DECODE,
    RR_BENCH_BATCH,
    RR_BENCH_WINDOW,
    RR_BENCH_START
} rr_bench_kind;

/* One measurement. Times are of a whole round, on the host's clock, ascending once the point is
 * finished. */
typedef struct rr_bench_point {
    rr_bench_kind kind;
    /* tokens before the measured ones (prefill: the measured ones), tokens a row, rows */
    uint32_t prompt, gen, rows;
    double tokens;       /* a round */
    double bytes, flops; /* weights streamed and operations done in a round */
    double times_ns[RR_BENCH_ROUNDS];
    uint32_t n; /* rounds; 0 with `note` = skipped */
    char note[160];
} rr_bench_point;

typedef struct rr_bench_roof {
    const char *name; /* "copy": bytes read and written; "f32", …: operations */
    double per_ns;    /* GB/s, or GFLOP/s */
} rr_bench_roof;

typedef struct rr_bench {
    rr_bench_plan plan;
    const char *model_path;
    const rr_adapter_use *adapters;
    size_t n_adapters;
    rr_device_info device;
    /* of an engine with one session and the context given, or the default one */
    rr_memory_plan memory;
    char model_name[128];
    uint64_t weight_bytes, n_parameters;
    rr_bench_point points[RR_BENCH_POINTS];
    size_t n_points;
    rr_bench_roof roofs[RR_BENCH_ROOFS];
    size_t n_roofs;
    struct {
        rr_bench_kind kind; /* of which this is a profile: one prompt, or tokens behind it */
        rr_profile_row row;
    } kernels[RR_BENCH_KERNELS];
    size_t n_kernels;
} rr_bench;

/* A new point, zeroed but for its kind; the table is large enough for every plan. */
rr_bench_point *rr_bench_add(rr_bench *bench, rr_bench_kind kind);
void rr_bench_sort(rr_bench_point *point);             /* its times, when all rounds are done */
double rr_bench_least_ns(const rr_bench_point *point); /* of a point with n > 0 */
double rr_bench_median_ns(const rr_bench_point *point);

/* Finds the device that --device means and plans the model's memory on it: fills device, memory and
 * what stands of the model. Errors: of rr_vk_pick, rr_model_open, rr_memory_plan_make (RR_E_MEMORY
 * only when it must fit). */
rr_status rr_bench_look(
    rr_bench *bench, const rr_engine_params *params, bool must_fit, rr_diag *diag);

/* Measures what the device can do at best (a dry run keeps nothing of it). Errors: of the
 * device. */
rr_status rr_bench_roofs(rr_bench *bench, bool validation, rr_diag *diag);

/* Measures the start: the whole of it in a process of its own, from its first step to the first
 * token; cold, with no pipeline in any cache and the model's file out of the page cache as far as
 * the system lets go of it, and again. The child runs `rearank bench --first-token`. */
rr_status rr_bench_start(rr_bench *bench, const rr_engine_params *params, rr_diag *diag);
/* That child: opens the engine, makes one token and closes. */
rr_status rr_bench_first_token(const rr_engine_params *params, rr_diag *diag);

/* Measures all points of the plan that need the model (or walks through them). `params` without
 * sizes that the plan decides (context unless given, sessions). Prints to standard error what it
 * skips. Errors: of the engine; RR_E_CANCELLED. */
rr_status rr_bench_points(rr_bench *bench, const rr_engine_params *params, rr_diag *diag);

/* Bytes of weights that a pass of either family must read, and operations: of `n` new tokens behind
 * `before` others, with `heads` rows of logits. A product and a sum count as two. */
double rr_bench_pass_bytes(const rr_model *model);
double rr_bench_pass_flops(const rr_model *model, double n, double before, double heads);

/* The roof of a kind of work: "copy" for bytes, the best of the others for operations; NULL when
 * not measured. */
const rr_bench_roof *rr_bench_memory_roof(const rr_bench *bench);
const rr_bench_roof *rr_bench_arithmetic_roof(const rr_bench *bench);

/* The table, on standard output. */
void rr_bench_print(const rr_bench *bench);
/* Errors: RR_E_IO, RR_E_MEMORY. */
rr_status rr_bench_write_json(const rr_bench *bench, const char *path, rr_diag *diag);
rr_status rr_bench_write_csv(const rr_bench *bench, const char *path, rr_diag *diag);

#endif
