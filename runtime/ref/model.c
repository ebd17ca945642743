/* The whole Qwen2 model in float32, with its adapters (B A x, added to each product in float).
 * Owns: the order of the ops, the KV cache and the blocking that keeps a 0.5B model within seconds.
 * Each weight row is unpacked once for a block of tokens; dot products run in short float sums that
 * are added up in double. */
#include "runtime/ref/ref.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/thread.h"
#include "runtime/model/rope.h"

enum {
    BLOCK_TOKENS = 512, /* tokens that go through a layer together */
    LOGITS_TOKENS = 64, /* … and through the output matrix: bounds the logits' memory */
    TASK_ROWS = 16,     /* weight rows a task unpacks: they stay in the second-level cache */
    SUM_COLS = 256      /* columns summed in float before a double takes over */
};

typedef struct ref_layer {
    float *attn_norm, *ffn_norm;
    float *qkv_bias; /* q, k, v one after another, as the rows of `qkv` */
} ref_layer;

struct rr_ref_model {
    const rr_model *model;
    rr_arena arena;
    uint32_t n_context, block;
    unsigned n_threads;
    ref_layer *layers;
    float *output_norm;
    float *rope_table;
    rr_ref_kv *kv;                                      /* [n_layers] */
    float *x, *normed, *qkv, *mixed, *gate_up, *logits; /* [block][…] */
    uint32_t *positions;                                /* [block] */
};

typedef float v4 __attribute__((vector_size(16)));

static v4 load4(const float *from) {
    v4 out;
    memcpy(&out, from, sizeof out);
    return out;
}

static double sum4(v4 a) {
    return ((double)a[0] + (double)a[1]) + ((double)a[2] + (double)a[3]);
}

/* out[2 t + r] = w[r] · x[t] for two rows and four tokens. cols is a multiple of 4. */
static void dot_tile(
    const float *const w[2], const float *const x[4], uint32_t cols, double out[8]) {
    memset(out, 0, 8 * sizeof *out);
    for (uint32_t begin = 0; begin < cols; begin += SUM_COLS) {
        uint32_t end = cols - begin < SUM_COLS ? cols : begin + SUM_COLS;
        v4 a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0}, c0 = {0}, c1 = {0}, d0 = {0}, d1 = {0};
        for (uint32_t c = begin; c < end; c += 4) {
            v4 w0 = load4(w[0] + c), w1 = load4(w[1] + c), xt = load4(x[0] + c);
            a0 += w0 * xt, a1 += w1 * xt;
            xt = load4(x[1] + c);
            b0 += w0 * xt, b1 += w1 * xt;
            xt = load4(x[2] + c);
            c0 += w0 * xt, c1 += w1 * xt;
            xt = load4(x[3] + c);
            d0 += w0 * xt, d1 += w1 * xt;
        }
        out[0] += sum4(a0), out[1] += sum4(a1), out[2] += sum4(b0), out[3] += sum4(b1);
        out[4] += sum4(c0), out[5] += sum4(c1), out[6] += sum4(d0), out[7] += sum4(d1);
    }
}

typedef struct matmul_job {
    const rr_weight *weight;
    const float *x;
    uint32_t x_stride, y_stride, n_tokens;
    const float *bias; /* or NULL */
    bool add;          /* y += instead of y = */
    float *y;
    uint32_t layer; /* of the weight, … */
    rr_role role;   /* … for the adapters; RR_ROLE_EMBEDDING: they change nothing */
    atomic_bool failed;
} matmul_job;

/* TASK_ROWS rows of a matmul for all tokens. */
static void matmul_task(void *user, size_t index) {
    matmul_job *job = user;
    uint32_t cols = job->weight->cols, begin = (uint32_t)index * TASK_ROWS;
    uint32_t n = job->weight->rows - begin < TASK_ROWS ? job->weight->rows - begin : TASK_ROWS;
    float *rows = malloc((size_t)n * cols * sizeof *rows);
    if (rows == NULL) {
        job->failed = true;
        return;
    }
    rr_weight_unpack(job->weight, begin, n, rows);
    for (uint32_t t = 0; t < job->n_tokens; t += 4) {
        uint32_t n_t = job->n_tokens - t < 4 ? job->n_tokens - t : 4;
        const float *x[4];
        for (uint32_t i = 0; i < 4; i++) {
            x[i] = job->x + (size_t)(t + (i < n_t ? i : 0)) * job->x_stride;
        }
        for (uint32_t r = 0; r < n; r += 2) {
            uint32_t n_r = n - r < 2 ? 1 : 2;
            const float *w[2] = {rows + (size_t)r * cols, rows + (size_t)(r + n_r - 1) * cols};
            double sums[8];
            dot_tile(w, x, cols, sums);
            for (uint32_t i = 0; i < n_t * 2; i++) {
                uint32_t row = begin + r + i % 2;
                if (i % 2 < n_r) {
                    float *y = job->y + (size_t)(t + i / 2) * job->y_stride + row;
                    double sum = sums[i] + (job->bias != NULL ? (double)job->bias[row] : 0);
                    *y = (float)(job->add ? sum + (double)*y : sum);
                }
            }
        }
    }
    free(rows);
}

/* h [n_tokens][rank] = A x */
static void adapter_inner(const matmul_job *job, const float *a, uint32_t rank, double *h) {
    const uint32_t cols = job->weight->cols;
    for (size_t i = 0; i < (size_t)job->n_tokens * rank; i++) {
        const float *x = job->x + i / rank * job->x_stride, *row = a + i % rank * cols;
        h[i] = 0.0;
        for (uint32_t c = 0; c < cols; c++) {
            h[i] += (double)row[c] * (double)x[c];
        }
    }
}

/* y += B h */
static void adapter_outer(
    const rr_ref_model *ref, const matmul_job *job, uint32_t rank, const double *h, float *b) {
    for (uint32_t r = 0; r < job->weight->rows; r++) {
        rr_adapter_set_b(ref->model->adapters, job->layer, job->role, r, b);
        for (uint32_t t = 0; t < job->n_tokens; t++) {
            float *y = job->y + (size_t)t * job->y_stride + r;
            double sum = (double)*y;
            for (uint32_t k = 0; k < rank; k++) {
                sum += (double)b[k] * h[(size_t)t * rank + k];
            }
            *y = (float)sum;
        }
    }
}

/* What adapters add to a product that is there. */
static rr_status add_adapters(const rr_ref_model *ref, const matmul_job *job, rr_diag *diag) {
    const uint32_t rank = rr_adapter_set_rank(ref->model->adapters, job->layer, job->role);
    if (rank == 0) {
        return RR_OK;
    }
    float *a = malloc((size_t)rank * job->weight->cols * sizeof *a);
    float *b = malloc(rank * sizeof *b);
    double *h = malloc((size_t)job->n_tokens * rank * sizeof *h);
    const bool ok = a != NULL && b != NULL && h != NULL;
    if (ok) {
        rr_adapter_set_a(ref->model->adapters, job->layer, job->role, a);
        adapter_inner(job, a, rank, h);
        adapter_outer(ref, job, rank, h, b);
    }
    free(h);
    free(b);
    free(a);
    return ok ? RR_OK : rr_fail(diag, RR_E_MEMORY, "reference model: no memory for adapters");
}

/* A job's y and bias are those of the weight's first row. */
static rr_status matmul(
    const rr_ref_model *ref, const rr_weight *weight, matmul_job *job, rr_diag *diag) {
    job->weight = weight;
    job->failed = false;
    rr_parallel_for(rr_div_up(weight->rows, TASK_ROWS), ref->n_threads, matmul_task, job);
    if (job->failed) {
        return rr_fail(diag, RR_E_MEMORY, "reference model: no memory to unpack %.*s",
            (int)weight->name.bytes, weight->name.data);
    }
    return add_adapters(ref, job, diag);
}

typedef struct attention_job {
    rr_ref_attention_params params;
    atomic_bool failed;
} attention_job;

static void attention_task(void *user, size_t head) {
    attention_job *job = user;
    double *scratch = malloc(rr_ref_attention_scratch(&job->params.kv) * sizeof *scratch);
    if (scratch == NULL) {
        job->failed = true;
        return;
    }
    rr_ref_attention_head(&job->params, (uint32_t)head, scratch);
    free(scratch);
}

static rr_status attention_block(rr_ref_model *ref, uint32_t l, uint32_t n, rr_diag *diag) {
    const rr_model_config *config = &ref->model->config;
    const rr_model_layer *layer = &ref->model->layers[l];
    uint32_t q_width = config->n_heads * config->head_size,
             kv_width = config->n_kv_heads * config->head_size;
    uint32_t stride = q_width + 2 * kv_width;
    rr_ref_rmsnorm(
        ref->x, ref->layers[l].attn_norm, n, config->d_model, config->rms_epsilon, ref->normed);

    const rr_weight *parts[3] = {&layer->q, &layer->k, &layer->v};
    const uint32_t starts[3] = {0, q_width, q_width + kv_width};
    const rr_role roles[3] = {RR_ROLE_Q, RR_ROLE_K, RR_ROLE_V};
    for (int i = 0; i < 3; i++) {
        matmul_job job = {.x = ref->normed,
            .x_stride = config->d_model,
            .y_stride = stride,
            .n_tokens = n,
            .bias = ref->layers[l].qkv_bias + starts[i],
            .y = ref->qkv + starts[i],
            .layer = l,
            .role = roles[i]};
        RR_TRY(matmul(ref, parts[i], &job, diag));
    }
    rr_ref_rope(ref->qkv, stride, ref->positions, n, ref->rope_table,
        config->n_heads + config->n_kv_heads, config->head_size);
    for (uint32_t t = 0; t < n; t++) {
        const float *row = ref->qkv + (size_t)t * stride;
        rr_ref_kv_write(&ref->kv[l], ref->positions[t], row + starts[1], row + starts[2]);
    }
    attention_job mix = {.params = {.q = ref->qkv,
                             .positions = ref->positions,
                             .n_rows = n,
                             .n_heads = config->n_heads,
                             .q_stride = stride,
                             .scale = 1.0f / sqrtf((float)config->head_size),
                             .kv = ref->kv[l],
                             .y = ref->mixed}};
    rr_parallel_for(config->n_heads, ref->n_threads, attention_task, &mix);
    if (mix.failed) {
        return rr_fail(diag, RR_E_MEMORY, "reference model: no memory for attention scores");
    }
    matmul_job job = {.x = ref->mixed,
        .x_stride = q_width,
        .y_stride = config->d_model,
        .n_tokens = n,
        .add = true,
        .y = ref->x,
        .layer = l,
        .role = RR_ROLE_O};
    return matmul(ref, &layer->o, &job, diag);
}

static rr_status ffn_block(rr_ref_model *ref, uint32_t l, uint32_t n, rr_diag *diag) {
    const rr_model_config *config = &ref->model->config;
    const rr_model_layer *layer = &ref->model->layers[l];
    rr_ref_rmsnorm(
        ref->x, ref->layers[l].ffn_norm, n, config->d_model, config->rms_epsilon, ref->normed);
    const rr_weight *parts[2] = {&layer->gate, &layer->up};
    for (int i = 0; i < 2; i++) {
        matmul_job job = {.x = ref->normed,
            .x_stride = config->d_model,
            .y_stride = 2 * config->d_ffn,
            .n_tokens = n,
            .y = ref->gate_up + (size_t)i * config->d_ffn,
            .layer = l,
            .role = i == 0 ? RR_ROLE_GATE : RR_ROLE_UP};
        RR_TRY(matmul(ref, parts[i], &job, diag));
    }
    rr_ref_swiglu(ref->gate_up, n, config->d_ffn, ref->mixed);
    matmul_job job = {.x = ref->mixed,
        .x_stride = config->d_ffn,
        .y_stride = config->d_model,
        .n_tokens = n,
        .add = true,
        .y = ref->x,
        .layer = l,
        .role = RR_ROLE_DOWN};
    return matmul(ref, &layer->down, &job, diag);
}

static void show_hidden(const rr_ref_model *ref, uint32_t layer, size_t begin, uint32_t n,
    const rr_ref_observer *observer) {
    if (observer->hidden == NULL) {
        return;
    }
    for (uint32_t t = 0; t < n; t++) {
        observer->hidden(
            observer->user, layer, begin + t, ref->x + (size_t)t * ref->model->config.d_model);
    }
}

static rr_status show_logits(
    rr_ref_model *ref, size_t begin, uint32_t n, const rr_ref_observer *observer, rr_diag *diag) {
    const rr_model_config *config = &ref->model->config;
    rr_ref_rmsnorm(ref->x, ref->output_norm, n, config->d_model, config->rms_epsilon, ref->normed);
    for (uint32_t t = 0; t < n; t += LOGITS_TOKENS) {
        uint32_t n_t = n - t < LOGITS_TOKENS ? n - t : LOGITS_TOKENS;
        matmul_job job = {.x = ref->normed + (size_t)t * config->d_model,
            .x_stride = config->d_model,
            .y_stride = config->n_vocab,
            .n_tokens = n_t,
            .y = ref->logits};
        RR_TRY(matmul(ref, &ref->model->output, &job, diag));
        for (uint32_t i = 0; i < n_t; i++) {
            RR_TRY(observer->logits(
                observer->user, begin + t + i, ref->logits + (size_t)i * config->n_vocab, diag));
        }
    }
    return RR_OK;
}

rr_status rr_ref_forward(rr_ref_model *ref, const int32_t *tokens, size_t n,
    const rr_ref_observer *observer, rr_diag *diag) {
    const rr_model *model = ref->model;
    if (n == 0 || n > ref->n_context) {
        return rr_fail(
            diag, RR_E_USAGE, "reference model: %zu tokens, expected 1 to %u", n, ref->n_context);
    }
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= model->config.n_vocab) {
            return rr_fail(diag, RR_E_USAGE,
                "reference model: token %d at %zu is outside the vocabulary of %u", (int)tokens[i],
                i, model->config.n_vocab);
        }
    }
    for (size_t begin = 0; begin < n; begin += ref->block) {
        uint32_t n_t = n - begin < ref->block ? (uint32_t)(n - begin) : ref->block;
        for (uint32_t t = 0; t < n_t; t++) {
            ref->positions[t] = (uint32_t)begin + t;
            rr_weight_unpack(&model->embedding, (uint32_t)tokens[begin + t], 1,
                ref->x + (size_t)t * model->config.d_model);
        }
        show_hidden(ref, 0, begin, n_t, observer);
        for (uint32_t l = 0; l < model->config.n_layers; l++) {
            RR_TRY(attention_block(ref, l, n_t, diag));
            RR_TRY(ffn_block(ref, l, n_t, diag));
            show_hidden(ref, l + 1, begin, n_t, observer);
        }
        if (observer->logits != NULL) {
            RR_TRY(show_logits(ref, begin, n_t, observer, diag));
        }
    }
    return RR_OK;
}

/* A vector of the file as floats, at `out`. */
static void expand(const rr_weight *weight, float *out) {
    rr_weight_unpack(weight, 0, 1, out);
}

static float *floats(rr_ref_model *ref, size_t rows, size_t cols) {
    uint64_t count;
    return rr_mul_u64(rows, cols, &count) ? rr_arena_alloc(&ref->arena, count, sizeof(float))
                                          : NULL;
}

static bool create_layers(rr_ref_model *ref, bool kv_f16) {
    const rr_model_config *config = &ref->model->config;
    uint32_t q_width = config->n_heads * config->head_size,
             kv_width = config->n_kv_heads * config->head_size;
    ref->layers = rr_arena_alloc(&ref->arena, config->n_layers, sizeof *ref->layers);
    ref->kv = rr_arena_alloc(&ref->arena, config->n_layers, sizeof *ref->kv);
    if (ref->layers == NULL || ref->kv == NULL) {
        return false;
    }
    for (uint32_t l = 0; l < config->n_layers; l++) {
        const rr_model_layer *from = &ref->model->layers[l];
        ref_layer *to = &ref->layers[l];
        to->attn_norm = floats(ref, 1, config->d_model);
        to->ffn_norm = floats(ref, 1, config->d_model);
        to->qkv_bias = floats(ref, 1, q_width + 2 * (size_t)kv_width);
        void *cache = rr_arena_alloc(&ref->arena, (size_t)2 * kv_width * ref->n_context,
            kv_f16 ? sizeof(uint16_t) : sizeof(float));
        if (to->attn_norm == NULL || to->ffn_norm == NULL || to->qkv_bias == NULL ||
            cache == NULL) {
            return false;
        }
        expand(&from->attn_norm, to->attn_norm);
        expand(&from->ffn_norm, to->ffn_norm);
        expand(&from->q_bias, to->qkv_bias);
        expand(&from->k_bias, to->qkv_bias + q_width);
        expand(&from->v_bias, to->qkv_bias + q_width + kv_width);
        ref->kv[l] = (rr_ref_kv){.n_kv_heads = config->n_kv_heads,
            .n_context = ref->n_context,
            .head_size = config->head_size,
            .f32 = kv_f16 ? NULL : cache,
            .f16 = kv_f16 ? cache : NULL};
    }
    return true;
}

static bool create_buffers(rr_ref_model *ref) {
    const rr_model_config *config = &ref->model->config;
    size_t q_width = (size_t)config->n_heads * config->head_size;
    size_t kv_width = (size_t)config->n_kv_heads * config->head_size;
    size_t mixed = q_width > config->d_ffn ? q_width : config->d_ffn;
    uint32_t logits_rows = ref->block < LOGITS_TOKENS ? ref->block : LOGITS_TOKENS;
    ref->x = floats(ref, ref->block, config->d_model);
    ref->normed = floats(ref, ref->block, config->d_model);
    ref->qkv = floats(ref, ref->block, q_width + 2 * kv_width);
    ref->mixed = floats(ref, ref->block, mixed);
    ref->gate_up = floats(ref, ref->block, 2 * (size_t)config->d_ffn);
    ref->logits = floats(ref, logits_rows, config->n_vocab);
    ref->positions = rr_arena_alloc(&ref->arena, ref->block, sizeof *ref->positions);
    ref->output_norm = floats(ref, 1, config->d_model);
    ref->rope_table = floats(ref, ref->n_context, config->head_size);
    if (ref->x == NULL || ref->normed == NULL || ref->qkv == NULL || ref->mixed == NULL ||
        ref->gate_up == NULL || ref->logits == NULL || ref->positions == NULL ||
        ref->output_norm == NULL || ref->rope_table == NULL) {
        return false;
    }
    expand(&ref->model->output_norm, ref->output_norm);
    rr_rope_table(config, ref->n_context, ref->rope_table);
    return true;
}

rr_status rr_ref_model_create(
    const rr_model *model, const rr_ref_model_params *params, rr_ref_model **out, rr_diag *diag) {
    rr_ref_model *ref = calloc(1, sizeof *ref);
    if (ref != NULL) {
        ref->model = model;
        ref->n_context = params->n_context != 0 ? params->n_context : BLOCK_TOKENS;
        ref->block = ref->n_context < BLOCK_TOKENS ? ref->n_context : BLOCK_TOKENS;
        ref->n_threads = params->n_threads;
    }
    if (ref == NULL || !create_layers(ref, params->kv_f16) || !create_buffers(ref)) {
        rr_ref_model_destroy(&ref);
        return rr_fail(diag, RR_E_MEMORY, "reference model: no memory for a context of %u tokens",
            params->n_context);
    }
    *out = ref;
    return RR_OK;
}

void rr_ref_model_destroy(rr_ref_model **ref) {
    if (*ref != NULL) {
        rr_arena_destroy(&(*ref)->arena);
        free(*ref);
        *ref = NULL;
    }
}
