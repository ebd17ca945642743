/* The kernel table. Owns pipelines; grids and specialization constants of every variant stand in `code_rows`. */
#include "runtime/engine/kern.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/engine/variants.h"
#include "shaders/argmax.h"
#include "shaders/attention.h"
#include "shaders/embed.h"
#include "shaders/matmul.h"
#include "shaders/rmsnorm.h"
#include "shaders/rope.h"
#include "shaders/swiglu.h"

enum {
    MAX_TILES = 4, /* pipelines of one (op, key, variant), by number of tokens */
    MAX_SPEC = 4
};

typedef struct grid {
    uint32_t x, y;
} grid;

/* What a specialization or a grid may depend on. */
typedef struct site {
    const rr_kern_key *key;
    uint32_t tile;     /* tokens a workgroup takes */
    uint32_t subgroup; /* lanes, of the device */
    uint32_t rows;     /* output rows a lane of a matrix product, for the device */
    const void *push;  /* NULL when specialising */
} site;

/* How the code of a row of variants.def is specialised and laid over a grid. Token tiles: several pipelines that differ in
 * how many tokens a workgroup takes; the smallest that holds the pass is recorded, else the largest, repeated. */
typedef struct code_row {
    rr_op op;
    const char *variant;
    uint32_t tiles[MAX_TILES];                           /* ascending, 0 = no more */
    uint32_t (*spec)(const site *at, uint32_t *values); /* constants 0…; returns the count */
    grid (*grid)(const site *at);
    uint32_t max_subgroup; /* lanes that the code can handle; 0 = any */
} code_row;

static uint32_t spec_none(const site *at, uint32_t *values) {
    (void)at;
    (void)values;
    return 0;
}

static uint32_t spec_format(const site *at, uint32_t *values) {
    values[0] = at->key->format;
    return 1;
}

static uint32_t spec_head(const site *at, uint32_t *values) {
    values[0] = at->key->head_size;
    return 1;
}

/* Output rows a lane: more of them share each activation, fewer need fewer registers. 4 suits most compilers; where
 * subgroups may be of 8 or 16, a lane has few registers and 3 rows spill already (docs/isa.md). */
enum { MATMUL_ROWS = 4, MATMUL_ROWS_FEW = 2 };
static uint32_t matmul_rows(const rr_device_info *info) {
    bool few = info->subgroup_size_min >= 8 && info->subgroup_size_min <= 16;
    return few ? MATMUL_ROWS_FEW : MATMUL_ROWS;
}

static uint32_t spec_matmul(const site *at, uint32_t *values) {
    values[0] = at->key->format;
    values[1] = at->tile;
    values[2] = at->rows;
    return 3;
}

static uint32_t spec_matmul_lanes(const site *at, uint32_t *values) {
    uint32_t n = spec_matmul(at, values);
    values[2] = MATMUL_ROWS;
    values[n] = at->subgroup;
    return n + 1;
}

/* Query rows a workgroup of the plain kernel: what fits the registers with the sums of a whole head. */
static uint32_t attention_rows(const site *at) {
    return at->key->head_size <= 64 ? 32 : 16;
}

static uint32_t spec_attention_prefill(const site *at, uint32_t *values) {
    values[0] = at->key->head_size;
    values[1] = attention_rows(at);
    return 2;
}

/* Query rows a subgroup. Decode: all heads of a group, at most 8. Prefill: what still fits the registers. */
static uint32_t lanes_rows(const site *at) {
    return at->key->head_size <= 64 ? 8 : 4;
}

static uint32_t spec_attention_prefill_lanes(const site *at, uint32_t *values) {
    values[0] = at->key->head_size;
    values[1] = lanes_rows(at);
    values[2] = at->subgroup;
    return 3;
}

static uint32_t spec_attention_decode_lanes(const site *at, uint32_t *values) {
    values[0] = at->key->head_size;
    values[1] = 8;
    values[2] = at->subgroup;
    return 3;
}

static grid grid_matmul_prefill(const site *at) {
    const rr_push_matmul *p = at->push;
    return (grid){rr_div_up(p->n_tokens, at->tile), rr_div_up(p->n_out, 64 * at->rows)};
}

static grid grid_matmul_decode(const site *at) {
    const rr_push_matmul *p = at->push;
    return (grid){rr_div_up(p->n_out, 8 * at->rows), rr_div_up(p->n_tokens, at->tile)};
}

static grid grid_matmul_lanes(const site *at) {
    const rr_push_matmul *p = at->push;
    return (grid){rr_div_up(p->n_tokens, at->tile), rr_div_up(p->n_out, at->subgroup * MATMUL_ROWS)};
}

static grid grid_embed(const site *at) {
    const rr_push_embed *p = at->push;
    return (grid){rr_div_up(p->cols / 8, 64), p->n_rows};
}

static grid grid_rmsnorm(const site *at) {
    return (grid){((const rr_push_rmsnorm *)at->push)->n_rows, 1};
}

static grid grid_rope(const site *at) {
    const rr_push_rope *p = at->push;
    return (grid){rr_div_up((p->n_heads + 2 * p->n_kv_heads) * (at->key->head_size / 4), 64), p->n_rows};
}

static grid grid_attention_prefill(const site *at) {
    const rr_push_attention *p = at->push;
    return (grid){rr_div_up(p->n_rows * (p->n_heads / p->n_kv_heads), attention_rows(at)), p->n_kv_heads};
}

static grid grid_attention_prefill_lanes(const site *at) {
    const rr_push_attention *p = at->push;
    return (grid){rr_div_up(p->n_rows * (p->n_heads / p->n_kv_heads), lanes_rows(at)), p->n_kv_heads};
}

static grid grid_attention_decode(const site *at) {
    const rr_push_attention *p = at->push;
    return (grid){p->n_rows, p->n_kv_heads};
}

static grid grid_swiglu(const site *at) {
    const rr_push_swiglu *p = at->push;
    return (grid){rr_div_up(p->cols, 64), p->n_rows};
}

static grid grid_argmax(const site *at) {
    return (grid){((const rr_push_argmax *)at->push)->n_rows, 1};
}

/* One row for each (op, variant) of variants.def. */
static const code_row code_rows[] = {
    {RR_OP_embed, "base", {1}, spec_format, grid_embed, 0},
    {RR_OP_rmsnorm, "base", {1}, spec_none, grid_rmsnorm, 0},
    {RR_OP_matmul_prefill, "base", {8}, spec_matmul, grid_matmul_prefill, 0},
    {RR_OP_matmul_prefill, "lanes", {8}, spec_matmul_lanes, grid_matmul_lanes, 0},
    {RR_OP_matmul_decode, "base", {1, 4, 8}, spec_matmul, grid_matmul_decode, 0},
    {RR_OP_matmul_decode, "lanes", {1, 4, 8}, spec_matmul_lanes, grid_matmul_lanes, 0},
    {RR_OP_rope, "base", {1}, spec_head, grid_rope, 0},
    {RR_OP_attention_prefill, "base", {1}, spec_attention_prefill, grid_attention_prefill, 0},
    {RR_OP_attention_prefill, "lanes", {1}, spec_attention_prefill_lanes, grid_attention_prefill_lanes, 16},
    {RR_OP_attention_decode, "lanes", {1}, spec_attention_decode_lanes, grid_attention_decode, 16},
    {RR_OP_attention_decode, "base", {1}, spec_head, grid_attention_decode, 0},
    {RR_OP_swiglu, "base", {1}, spec_none, grid_swiglu, 0},
    {RR_OP_argmax, "base", {1}, spec_none, grid_argmax, 0},
};

static const code_row *code_row_of(const rr_variant *variant) {
    for (size_t i = 0; i < sizeof code_rows / sizeof code_rows[0]; i++) {
        if (code_rows[i].op == variant->op && strcmp(code_rows[i].variant, variant->name) == 0) {
            return &code_rows[i];
        }
    }
    return NULL;
}

typedef struct op_row {
    const char *name;
    uint32_t push_bytes;
} op_row;

static const op_row op_rows[RR_OP_COUNT] = {
#define X(op, push) [RR_OP_##op] = {#op, sizeof(rr_push_##push)},
    RR_OPS(X)
#undef X
};

/* Operations of a matrix product take their tile by the pass; the others always take one. */
static uint32_t n_tokens_of(rr_op op, const void *push) {
    bool matmul = op == RR_OP_matmul_prefill || op == RR_OP_matmul_decode;
    return matmul ? ((const rr_push_matmul *)push)->n_tokens : 1;
}

const char *rr_op_name(rr_op op) {
    return (unsigned)op < RR_OP_COUNT ? op_rows[op].name : "?";
}

uint32_t rr_op_push_bytes(rr_op op) {
    return op_rows[op].push_bytes;
}

const rr_variant *rr_variants(size_t *n) {
    *n = rr_variant_table_n;
    return rr_variant_table;
}

/* FNV-1a over the words. */
static uint64_t hash_module(uint64_t hash, const rr_module *module) {
    for (size_t w = 0; w < module->bytes / 4; w++) {
        hash = (hash ^ module->spirv[w]) * 0x100000001b3u;
    }
    return hash;
}

uint64_t rr_variants_hash(void) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < rr_variant_table_n; i++) {
        const rr_variant *v = &rr_variant_table[i];
        hash = hash_module(hash, &v->module);
        for (size_t f = 0; v->by_format != NULL && f < RR_MODULES; f++) {
            hash = hash_module(hash, &v->by_format[f]);
        }
    }
    return hash;
}

const rr_variant *rr_pick(rr_op op, const rr_kern_key *key, const rr_device_info *info) {
    (void)key; /* rows that suit only some shapes will look at it */
    const rr_variant *best = NULL;
    for (size_t i = 0; i < rr_variant_table_n; i++) {
        const rr_variant *v = &rr_variant_table[i];
        const code_row *code = code_row_of(v);
        bool fits = code != NULL && (code->max_subgroup == 0 || info->subgroup_size <= code->max_subgroup);
        if (v->op == op && fits && (v->caps & ~info->caps) == 0) {
            best = v;
        }
    }
    assert(best != NULL); /* every op has a base row that needs nothing */
    return best;
}

typedef struct kern_entry {
    rr_op op;
    rr_kern_key key;
    const rr_variant *variant;
    const code_row *code;
    rr_vk_kernel *tiles[MAX_TILES];
} kern_entry;

struct rr_kern {
    rr_vk_device *device;
    kern_entry *entries;
    size_t n, capacity;
};

rr_status rr_kern_create(rr_vk_device *device, rr_kern **out, rr_diag *diag) {
    rr_kern *kern = calloc(1, sizeof *kern);
    if (kern == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the kernel table");
    }
    kern->device = device;
    rr_vk_pipeline_cache_load(device, rr_variants_hash());
    *out = kern;
    return RR_OK;
}

static void entry_destroy(rr_kern *kern, kern_entry *entry) {
    for (size_t t = 0; t < MAX_TILES; t++) {
        rr_vk_kernel_destroy(kern->device, &entry->tiles[t]);
    }
}

void rr_kern_destroy(rr_kern **kern) {
    if (*kern == NULL) {
        return;
    }
    rr_vk_pipeline_cache_save((*kern)->device);
    for (size_t i = 0; i < (*kern)->n; i++) {
        entry_destroy(*kern, &(*kern)->entries[i]);
    }
    free((*kern)->entries);
    free(*kern);
    *kern = NULL;
}

static const kern_entry *entry_find(const rr_kern *kern, rr_op op, const rr_kern_key *key,
                                    const rr_variant *variant) {
    for (size_t i = 0; i < kern->n; i++) {
        const kern_entry *e = &kern->entries[i];
        if (e->op == op && e->variant == variant && e->key.format == key->format &&
            e->key.head_size == key->head_size) {
            return e;
        }
    }
    return NULL;
}

rr_status rr_kern_prepare(rr_kern *kern, rr_op op, const rr_kern_key *key, const rr_variant *variant,
                          rr_diag *diag) {
    if (variant == NULL) {
        variant = rr_pick(op, key, rr_vk_info(kern->device));
    }
    if (entry_find(kern, op, key, variant) != NULL) {
        return RR_OK;
    }
    if (kern->n == kern->capacity) {
        size_t capacity = kern->capacity == 0 ? 32 : kern->capacity * 2;
        kern_entry *moved = realloc(kern->entries, capacity * sizeof *moved);
        if (moved == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "out of memory for the kernel table");
        }
        kern->entries = moved;
        kern->capacity = capacity;
    }
    const code_row *code = code_row_of(variant);
    if (code == NULL) {
        return rr_fail(diag, RR_E_INTERNAL, "kernel %s/%s has no row in kern.c", rr_op_name(op), variant->name);
    }
    const rr_module *module = &variant->module;
    if (variant->by_format != NULL && (unsigned)key->format < RR_MODULES) {
        module = &variant->by_format[key->format];
    }
    kern_entry entry = {.op = op, .key = *key, .variant = variant, .code = code};
    for (size_t t = 0; t < MAX_TILES && code->tiles[t] != 0; t++) {
        uint32_t spec[MAX_SPEC];
        site at = {.key = key,
                   .tile = code->tiles[t],
                   .subgroup = rr_vk_info(kern->device)->subgroup_size,
                   .rows = matmul_rows(rr_vk_info(kern->device))};
        rr_vk_kernel_params params = {.label = rr_op_name(op),
                                      .spirv = module->spirv,
                                      .spirv_bytes = module->bytes,
                                      .spec = spec,
                                      .n_spec = code->spec(&at, spec),
                                      .push_bytes = rr_op_push_bytes(op)};
        rr_status status = rr_vk_kernel_create(kern->device, &params, &entry.tiles[t], diag);
        if (status != RR_OK) {
            entry_destroy(kern, &entry);
            return rr_fail_context(diag, status, "kernel %s/%s", rr_op_name(op), variant->name);
        }
    }
    kern->entries[kern->n++] = entry;
    return RR_OK;
}

/* Specialises the row for two keys and compares. */
static bool key_matters(const code_row *code, const rr_kern_key *a, const rr_kern_key *b) {
    uint32_t values_a[MAX_SPEC] = {0}, values_b[MAX_SPEC] = {0};
    for (size_t t = 0; t < MAX_TILES && code->tiles[t] != 0; t++) {
        const site at_a = {.key = a, .tile = code->tiles[t], .subgroup = 32, .rows = MATMUL_ROWS};
        const site at_b = {.key = b, .tile = code->tiles[t], .subgroup = 32, .rows = MATMUL_ROWS};
        if (code->spec(&at_a, values_a) != code->spec(&at_b, values_b) ||
            memcmp(values_a, values_b, sizeof values_a) != 0) {
            return true;
        }
    }
    return false;
}

rr_kern_uses rr_kern_uses_of(const rr_variant *variant) {
    const code_row *code = code_row_of(variant);
    const rr_kern_key key = {.format = RR_Q_Q4_0, .head_size = 64};
    const rr_kern_key other_format = {.format = RR_Q_Q6_K, .head_size = 64};
    const rr_kern_key other_head = {.format = RR_Q_Q4_0, .head_size = 128};
    return (rr_kern_uses){
        .format = variant->by_format != NULL || (code != NULL && key_matters(code, &key, &other_format)),
        .head_size = code != NULL && key_matters(code, &key, &other_head),
    };
}

const rr_vk_kernel *rr_kern_kernel(const rr_kern *kern, rr_op op, const rr_kern_key *key, const rr_variant *variant,
                                   size_t t, uint32_t *tile) {
    const kern_entry *entry = entry_find(kern, op, key, variant);
    if (entry == NULL || t >= MAX_TILES || entry->tiles[t] == NULL) {
        return NULL;
    }
    *tile = entry->code->tiles[t];
    return entry->tiles[t];
}

void rr_kern_record(rr_kern *kern, rr_vk_commands *commands, rr_op op, const rr_kern_key *key,
                    const rr_variant *variant, const void *push) {
    if (variant == NULL) {
        variant = rr_pick(op, key, rr_vk_info(kern->device));
    }
    const kern_entry *entry = entry_find(kern, op, key, variant);
    assert(entry != NULL); /* prepared before */
    const code_row *code = entry->code;
    uint32_t n_tokens = n_tokens_of(op, push);
    size_t t = 0;
    while (code->tiles[t] < n_tokens && t + 1 < MAX_TILES && code->tiles[t + 1] != 0) {
        t++;
    }
    site at = {.key = key,
               .tile = code->tiles[t],
               .subgroup = rr_vk_info(kern->device)->subgroup_size,
               .rows = matmul_rows(rr_vk_info(kern->device)),
               .push = push};
    grid g = code->grid(&at);
    assert(g.x > 0 && g.x <= 65535 && g.y > 0 && g.y <= 65535);
    rr_vk_dispatch(commands, entry->tiles[t], push, g.x, g.y, 1);
}
