/* The specializations that models of the usual shapes and weight formats use. The models are heads
 * of files with nothing behind them: pages that are never touched. */
#include <stdlib.h>
#include <string.h>

#include "runtime/compute/kernel_list.h"
#include "runtime/model/gguf_source.h"
#include "tools/isa.h"
#include "tools/synthetic.h"

static const char *const shapes[] = {"0.5b", "7b"};
static const char *const types[] = {"q4_0", "q4_k_m", "q5_0", "q6_k", "q8_0", "f16"};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0], N_TYPES = sizeof types / sizeof types[0] };

typedef struct collector {
    rr_isa_uses *uses;
    bool by_default;
} collector;

static rr_status collect(void *user, rr_op op, const rr_kern_key *key, rr_diag *diag) {
    const collector *c = user;
    rr_isa_uses *uses = c->uses;
    for (size_t i = 0; i < uses->n; i++) {
        if (uses->items[i].op == op && memcmp(&uses->items[i].key, key, sizeof *key) == 0) {
            uses->items[i].by_default |= c->by_default;
            return RR_OK;
        }
    }
    if (uses->n == uses->capacity) {
        size_t capacity = uses->capacity == 0 ? 64 : uses->capacity * 2;
        rr_isa_use *moved = realloc(uses->items, capacity * sizeof *moved);
        if (moved == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "out of memory for the list of kernels");
        }
        uses->items = moved;
        uses->capacity = capacity;
    }
    uses->items[uses->n++] = (rr_isa_use){op, *key, c->by_default};
    return RR_OK;
}

/* A file of one layer in memory that the caller frees: its head, and pages of zeros that stay
 * untouched. */
static rr_status make_file(const rr_synthetic_shape *shape, const rr_synthetic_type *type,
    void **out, uint64_t *bytes, rr_diag *diag) {
    rr_gguf_writer writer = {0};
    rr_buf head = {0};
    rr_synthetic_tensor tensor;
    uint64_t data_bytes = 0;
    rr_status status = rr_synthetic_keys(shape, type, &writer, diag);
    for (size_t i = 0; status == RR_OK && rr_synthetic_tensor_at(shape, type, i, &tensor); i++) {
        const rr_qtype_info *info = rr_qtype_get((uint32_t)tensor.type);
        const uint64_t dims[2] = {tensor.cols, tensor.rows};
        const uint64_t n =
            (uint64_t)tensor.rows * (tensor.cols / info->block_weights) * info->block_bytes;
        rr_gw_declare(
            &writer, tensor.name, tensor.rows == 1 ? 1 : 2, dims, (uint32_t)tensor.type, n);
        data_bytes += n + rr_gw_padding(n);
    }
    if (status == RR_OK) {
        status = rr_gw_head(&writer, &head);
        *bytes = head.bytes + data_bytes;
        *out = status == RR_OK ? calloc(1, (size_t)*bytes) : NULL;
        if (*out == NULL) {
            status = rr_fail(diag, RR_E_MEMORY, "out of memory for a model of %llu bytes",
                (unsigned long long)*bytes);
        } else {
            memcpy(*out, head.data, head.bytes);
        }
    }
    rr_buf_destroy(&head);
    rr_buf_destroy(&writer.keys);
    rr_buf_destroy(&writer.infos);
    return status;
}

static rr_status add_model(rr_vk_device *device, const rr_synthetic_shape *shape,
    const rr_synthetic_type *type, rr_isa_uses *uses, rr_diag *diag) {
    rr_synthetic_shape small = *shape;
    small.n_layers = 1; /* the others use the same */
    void *file = NULL;
    uint64_t bytes = 0;
    rr_source *source = NULL;
    rr_model *model = NULL;
    rr_status status = RR_OK;
    RR_TRY(make_file(&small, type, &file, &bytes, diag));
    RR_TRY_GOTO(rr_source_parse_gguf(file, bytes, "made-up model", &source, diag));
    RR_TRY_GOTO(rr_model_from_source(&source, &model, diag));
    for (int others = 0; others < 2; others++) {
        collector c = {.uses = uses, .by_default = others == 0};
        const rr_kern_use use = {.fn = collect, .user = &c};
        RR_TRY_GOTO(rr_kernel_list(model, rr_vk_info(device), others == 1, &use, diag));
    }
fail:
    rr_model_close(&model);
    free(file);
    return status;
}

static const rr_synthetic_shape *shape_named(const char *name) {
    for (size_t i = 0; rr_synthetic_shape_at(i) != NULL; i++) {
        if (strcmp(rr_synthetic_shape_at(i)->name, name) == 0) {
            return rr_synthetic_shape_at(i);
        }
    }
    return NULL;
}

static const rr_synthetic_type *type_named(const char *name) {
    for (size_t i = 0; rr_synthetic_type_at(i) != NULL; i++) {
        if (strcmp(rr_synthetic_type_at(i)->name, name) == 0) {
            return rr_synthetic_type_at(i);
        }
    }
    return NULL;
}

/* What trains a model whose passes use an op: its backward op, with the same key. */
static rr_status add_grads(rr_isa_uses *uses, rr_diag *diag) {
    static const struct {
        rr_op forward, grad;
    } pairs[] = {{RR_OP_matmul_prefill, RR_OP_matmul_grad}, {RR_OP_rope, RR_OP_rope_grad},
        {RR_OP_attention_prefill, RR_OP_attention_lse},
        {RR_OP_attention_prefill, RR_OP_attention_grad_q},
        {RR_OP_attention_prefill, RR_OP_attention_grad_kv}};
    collector c = {.uses = uses};
    const rr_kern_key adapter = {.format = RR_Q_F32};
    RR_TRY(collect(&c, RR_OP_matmul_grad, &adapter, diag));
    for (size_t i = 0, n = uses->n; i < n; i++) {
        const rr_isa_use use = uses->items[i]; /* collect() may move them */
        for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++) {
            if (use.op == pairs[p].forward) {
                RR_TRY(collect(&c, pairs[p].grad, &use.key, diag));
            }
        }
    }
    return RR_OK;
}

rr_status rr_isa_list_uses(rr_vk_device *device, rr_isa_uses *out, rr_diag *diag) {
    for (size_t s = 0; s < N_SHAPES; s++) {
        for (size_t t = 0; t < N_TYPES; t++) {
            RR_TRY(add_model(device, shape_named(shapes[s]), type_named(types[t]), out, diag));
        }
    }
    return add_grads(out, diag);
}
