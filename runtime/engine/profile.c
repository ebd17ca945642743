/* The profile: a timestamp in front of every dispatch of the engine's command list and one at its end; after the wait the
 * differences are added up by op, variant and shape. Neighbours without a barrier between them (q, k and v) may overlap:
 * then the last of them gets the shared time. */
#include <stdlib.h>

#include "runtime/engine/internal.h"
#include "shaders/argmax.h"
#include "shaders/attention.h"
#include "shaders/embed.h"
#include "shaders/matmul.h"
#include "shaders/rmsnorm.h"
#include "shaders/rope.h"
#include "shaders/swiglu.h"

enum { MAX_ROWS = 256 };

struct rr_profile {
    rr_profile_row rows[MAX_ROWS];
    size_t n_rows;
    uint16_t marks[RR_VK_TIMESTAMPS]; /* of the list at work: the row of the dispatch behind slot i */
    uint32_t n_marks;
    bool is_closed; /* slot n_marks is written */
};

typedef struct work {
    double bytes, flops;
} work;

/* The bytes of n_rows rows of weights. */
static double weight_bytes(rr_qtype format, double n_rows, double cols) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)format);
    return n_rows * cols / info->block_weights * info->block_bytes;
}

static work matmul_work(const rr_kern_key *key, const rr_push_matmul *p) {
    double n_out = p->n_out, cols = p->cols, n = p->n_tokens;
    return (work){weight_bytes(key->format, n_out, cols) + 4 * n * (n_out + cols), 2 * n_out * cols * n};
}

/* Each row sees the keys up to its own position. Rows of one session read its keys together. */
static work attention_work(const rr_engine *engine, const rr_kern_key *key, const rr_push_attention *p) {
    const rr_row *rows = engine->rows.mapped;
    double pairs = 0.0, keys = 0.0;
    for (uint32_t i = 0; i < p->n_rows; i++) {
        pairs += rows[i].position + 1.0;
        if (i + 1 == p->n_rows || rows[i + 1].kv != rows[i].kv) {
            keys += rows[i].position + 1.0;
        }
    }
    double width = (double)p->n_heads * key->head_size;
    return (work){keys * 2 * p->n_kv_heads * key->head_size * 2 + 8.0 * p->n_rows * width, 4 * pairs * width};
}

static work work_of(const rr_engine *engine, rr_op op, const rr_kern_key *key, const void *push) {
    switch (op) {
    case RR_OP_embed: {
        const rr_push_embed *p = push;
        double n = (double)p->n_rows * p->cols;
        return (work){weight_bytes(key->format, p->n_rows, p->cols) + 4 * n, n};
    }
    case RR_OP_rmsnorm: {
        const rr_push_rmsnorm *p = push;
        double n = (double)p->n_rows * p->cols;
        return (work){8 * n, 4 * n};
    }
    case RR_OP_matmul_prefill:
    case RR_OP_matmul_decode:
        return matmul_work(key, push);
    case RR_OP_rope: {
        const rr_push_rope *p = push;
        double q = (double)p->n_heads * key->head_size, kv = (double)p->n_kv_heads * key->head_size;
        return (work){p->n_rows * (8 * q + 12 * kv), 3.0 * p->n_rows * (q + kv)};
    }
    case RR_OP_attention_prefill:
    case RR_OP_attention_decode:
        return attention_work(engine, key, push);
    case RR_OP_swiglu: {
        const rr_push_swiglu *p = push;
        double n = (double)p->n_rows * p->cols;
        return (work){12 * n, 5 * n};
    }
    case RR_OP_argmax: {
        const rr_push_argmax *p = push;
        double n = (double)p->n_rows * p->cols;
        return (work){4 * n, n};
    }
    default:
        return (work){0};
    }
}

/* The row of these dispatches; MAX_ROWS when there is no room for it. */
static size_t row_of(rr_profile *profile, const rr_profile_row *like) {
    size_t i = 0;
    for (; i < profile->n_rows; i++) {
        const rr_profile_row *row = &profile->rows[i];
        if (row->op == like->op && row->variant == like->variant && row->format == like->format &&
            row->n_out == like->n_out && row->cols == like->cols) {
            return i;
        }
    }
    if (i < MAX_ROWS) {
        profile->rows[profile->n_rows++] = *like;
    }
    return i;
}

static void on_record(void *user, rr_vk_commands *commands, const rr_variant *variant, const rr_kern_key *key,
                      const void *push) {
    rr_engine *engine = user;
    rr_profile *profile = engine->profile;
    if (profile->is_closed) {
        profile->is_closed = false;
        profile->n_marks = 0;
    }
    if (profile->n_marks + 1 >= RR_VK_TIMESTAMPS) {
        return; /* the last mark's row takes the time of what follows */
    }
    bool matmul = variant->op == RR_OP_matmul_prefill || variant->op == RR_OP_matmul_decode;
    bool weights = matmul || variant->op == RR_OP_embed;
    rr_profile_row like = {.op = rr_op_name(variant->op),
                           .variant = variant->name,
                           .format = weights ? rr_qtype_get((uint32_t)key->format)->name : NULL,
                           .n_out = matmul ? ((const rr_push_matmul *)push)->n_out : 0,
                           .cols = matmul ? ((const rr_push_matmul *)push)->cols : 0};
    size_t row = row_of(profile, &like);
    rr_vk_timestamp(commands, profile->n_marks);
    profile->marks[profile->n_marks++] = (uint16_t)row;
    if (row < MAX_ROWS) {
        work done = work_of(engine, variant->op, key, push);
        profile->rows[row].n_dispatches++;
        profile->rows[row].bytes += done.bytes;
        profile->rows[row].flops += done.flops;
    }
}

void rr_profile_close(rr_engine *engine) {
    rr_profile *profile = engine->profile;
    if (profile != NULL && !profile->is_closed && profile->n_marks > 0) {
        rr_vk_timestamp(engine->commands, profile->n_marks);
        profile->is_closed = true;
    }
}

void rr_profile_collect(rr_engine *engine) {
    rr_profile *profile = engine->profile;
    if (profile == NULL || !profile->is_closed) {
        return;
    }
    for (uint32_t i = 0; i < profile->n_marks; i++) {
        if (profile->marks[i] < MAX_ROWS) {
            profile->rows[profile->marks[i]].time_ns += (double)rr_vk_elapsed_ns(engine->commands, i, i + 1);
        }
    }
    profile->n_marks = 0;
}

void rr_profile_destroy(rr_profile **profile) {
    free(*profile);
    *profile = NULL;
}

rr_status rr_engine_profile(rr_engine *engine, bool on, rr_diag *diag) {
    rr_kern_on_record(engine->kern, NULL, NULL);
    rr_profile_destroy(&engine->profile);
    if (!on) {
        return RR_OK;
    }
    const rr_device_info *info = rr_vk_info(engine->device);
    if (info->timestamp_ns <= 0.0f) {
        return rr_fail(diag, RR_E_UNSUPPORTED, "%s has no timestamps: its time cannot be told apart by kernels", info->name);
    }
    engine->profile = calloc(1, sizeof *engine->profile);
    if (engine->profile == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the profile");
    }
    rr_kern_on_record(engine->kern, on_record, engine);
    return RR_OK;
}

const rr_profile_row *rr_engine_profile_rows(const rr_engine *engine, size_t *n) {
    *n = engine->profile != NULL ? engine->profile->n_rows : 0;
    return engine->profile != NULL ? engine->profile->rows : NULL;
}
