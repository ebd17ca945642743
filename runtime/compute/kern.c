/* The kernel table. Owns pipelines; grids and specialization constants of every variant stand in
 * the code tables. */
#include "runtime/compute/kern.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/compute/kern_rows.h"
#include "runtime/compute/variants.h"
#include "shaders/adamw.h"
#include "shaders/argmax.h"
#include "shaders/attention.h"
#include "shaders/attention_grad.h"
#include "shaders/attention_mass.h"
#include "shaders/cross_entropy.h"
#include "shaders/embed.h"
#include "shaders/lanes.h"
#include "shaders/lanes_attention.h"
#include "shaders/lanes_layer.h"
#include "shaders/matmul.h"
#include "shaders/matmul_grad.h"
#include "shaders/matmul_q8.h"
#include "shaders/outer_grad.h"
#include "shaders/rmsnorm.h"
#include "shaders/rmsnorm_grad.h"
#include "shaders/rmsnorm_q8.h"
#include "shaders/roof.h"
#include "shaders/rope.h"
#include "shaders/rope_grad.h"
#include "shaders/swiglu.h"
#include "shaders/swiglu_grad.h"
#include "shaders/token_mass.h"

static const rr_code_table *const code_tables[] = {&rr_code_plain, &rr_code_attention,
    &rr_code_attention_coop, &rr_code_q8, &rr_code_q8_coop, &rr_code_q8_coop_f16, &rr_code_lanes,
    &rr_code_grad};

/* A variant's code, and the table that it stands in. */
typedef struct kern_code {
    const rr_code_row *row; /* NULL = none */
    const rr_code_table *table;
} kern_code;

static kern_code code_of(const rr_variant *variant) {
    for (size_t t = 0; t < sizeof code_tables / sizeof code_tables[0]; t++) {
        for (size_t i = 0; i < code_tables[t]->n; i++) {
            const rr_code_row *row = &code_tables[t]->rows[i];
            if (row->op == variant->op && strcmp(row->variant, variant->name) == 0) {
                return (kern_code){row, code_tables[t]};
            }
        }
    }
    return (kern_code){NULL, NULL};
}

/* The lanes that a table pins, 0 = none. */
static uint32_t pinned_of(const rr_code_table *table, const rr_device_info *info) {
    return table->subgroup != NULL ? table->subgroup(info) : 0;
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

uint64_t rr_variants_hash(void) {
    uint64_t hash = 0;
    for (size_t i = 0; i < rr_variant_table_n; i++) {
        const rr_variant *v = &rr_variant_table[i];
        hash = rr_hash(hash, v->module.spirv, v->module.bytes);
        for (size_t f = 0; v->by_format != NULL && f < RR_MODULES; f++) {
            hash = rr_hash(hash, v->by_format[f].spirv, v->by_format[f].bytes);
        }
    }
    return hash;
}

bool rr_variant_fits(const rr_variant *variant, const rr_device_info *info) {
    const rr_code_row *code = code_of(variant).row;
    return code != NULL && (variant->caps & ~info->caps) == 0 &&
        info->subgroup_size >= code->min_subgroup &&
        (code->max_subgroup == 0 || info->subgroup_size <= code->max_subgroup);
}

bool rr_kern_fits(const rr_variant *variant, const rr_kern_key *key, const rr_device_info *info) {
    if (!rr_variant_fits(variant, info)) {
        return false;
    }
    const kern_code code = code_of(variant);
    return code.table->fits == NULL || code.table->fits(key, info);
}

bool rr_kern_pays(const rr_variant *variant, const rr_kern_key *key, const rr_device_info *info) {
    const kern_code code = code_of(variant);
    return code.table == NULL || code.table->pays == NULL || (variant->caps & info->lifted) != 0 ||
        code.table->pays(key, info);
}

bool rr_attention_quantizes(const rr_variant *variant) {
    const kern_code code = code_of(variant);
    return code.table != NULL && code.table->quantizes;
}

const rr_variant *rr_pick(rr_op op, const rr_kern_key *key, const rr_device_info *info) {
    const rr_variant *best = NULL;
    for (size_t i = 0; i < rr_variant_table_n; i++) {
        const rr_variant *v = &rr_variant_table[i];
        if (v->op == op && rr_kern_fits(v, key, info) && rr_kern_pays(v, key, info)) {
            best = v;
        }
    }
    return best;
}

typedef struct kern_entry {
    rr_op op;
    rr_kern_key key;
    const rr_variant *variant;
    kern_code code;
    rr_vk_kernel *tiles[RR_MAX_TILES];
} kern_entry;

struct rr_kern {
    rr_vk_device *device;
    kern_entry *entries;
    size_t n, capacity;
    rr_kern_fn on_record; /* may be NULL */
    void *on_record_user;
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
    for (size_t t = 0; t < RR_MAX_TILES; t++) {
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

static const kern_entry *entry_find(
    const rr_kern *kern, rr_op op, const rr_kern_key *key, const rr_variant *variant) {
    for (size_t i = 0; i < kern->n; i++) {
        const kern_entry *e = &kern->entries[i];
        if (e->op == op && e->variant == variant && memcmp(&e->key, key, sizeof *key) == 0) {
            return e;
        }
    }
    return NULL;
}

static rr_site site_of(const rr_kern *kern, const rr_code_table *table, const rr_kern_key *key,
    uint32_t tile, const void *push) {
    const rr_device_info *info = rr_vk_info(kern->device);
    uint32_t pinned = pinned_of(table, info);
    return (rr_site){.key = key,
        .tile = tile,
        .subgroup = pinned != 0 ? pinned : info->subgroup_size,
        .info = info,
        .push = push};
}

rr_status rr_kern_prepare(
    rr_kern *kern, rr_op op, const rr_kern_key *key, const rr_variant *variant, rr_diag *diag) {
    if (variant == NULL) {
        variant = rr_pick(op, key, rr_vk_info(kern->device));
    }
    if (variant == NULL) {
        return rr_fail(diag, RR_E_UNSUPPORTED, "this device has no kernel for %s", rr_op_name(op));
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
    const kern_code code = code_of(variant);
    if (code.row == NULL) {
        return rr_fail(diag, RR_E_INTERNAL, "kernel %s/%s has no row in kern.c", rr_op_name(op),
            variant->name);
    }
    if (code.table->fits != NULL && !code.table->fits(key, rr_vk_info(kern->device))) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "kernel %s/%s does not suit this format on this device", rr_op_name(op), variant->name);
    }
    const rr_module *module = &variant->module;
    if (variant->by_format != NULL && (unsigned)key->format < RR_MODULES) {
        module = &variant->by_format[key->format];
    }
    kern_entry entry = {.op = op, .key = *key, .variant = variant, .code = code};
    for (size_t t = 0; t < RR_MAX_TILES && code.row->tiles[t] != 0; t++) {
        uint32_t spec[RR_MAX_SPEC];
        rr_site at = site_of(kern, code.table, key, code.row->tiles[t], NULL);
        rr_vk_kernel_params params = {.label = rr_op_name(op),
            .spirv = module->spirv,
            .spirv_bytes = module->bytes,
            .spec = spec,
            .n_spec = code.row->spec(&at, spec),
            .push_bytes = rr_op_push_bytes(op),
            .subgroup_size = pinned_of(code.table, at.info),
            .caps = variant->caps};
        rr_status status = rr_vk_kernel_create(kern->device, &params, &entry.tiles[t], diag);
        if (status != RR_OK) {
            entry_destroy(kern, &entry);
            return rr_fail_context(diag, status, "kernel %s/%s", rr_op_name(op), variant->name);
        }
    }
    kern->entries[kern->n++] = entry;
    return RR_OK;
}

const rr_vk_kernel *rr_kern_kernel(const rr_kern *kern, rr_op op, const rr_kern_key *key,
    const rr_variant *variant, size_t t, uint32_t *tile) {
    const kern_entry *entry = entry_find(kern, op, key, variant);
    if (entry == NULL || t >= RR_MAX_TILES || entry->tiles[t] == NULL) {
        return NULL;
    }
    *tile = entry->code.row->tiles[t];
    return entry->tiles[t];
}

void rr_kern_record(rr_kern *kern, rr_vk_commands *commands, rr_op op, const rr_kern_key *key,
    const rr_variant *variant, const void *push) {
    if (variant == NULL) {
        variant = rr_pick(op, key, rr_vk_info(kern->device));
    }
    const kern_entry *entry = entry_find(kern, op, key, variant);
    assert(entry != NULL); /* prepared before */
    const rr_code_row *code = entry->code.row;
    uint32_t n_tokens = code->n_tokens != NULL ? code->n_tokens(push) : 1;
    size_t last = 0;
    while (last + 1 < RR_MAX_TILES && code->tiles[last + 1] != 0) {
        last++;
    }
    /* as few tiles as possible, and these as even as possible */
    uint32_t n_tiles = rr_div_up(n_tokens, code->tiles[last]);
    uint32_t wanted = rr_div_up(n_tokens, n_tiles);
    size_t t = 0;
    while (code->tiles[t] < wanted && t < last) {
        t++;
    }
    rr_site at = site_of(kern, entry->code.table, key, code->tiles[t], push);
    rr_grid g = code->grid(&at);
    assert(g.x > 0 && g.x <= 65535 && g.y > 0 && g.y <= 65535);
    if (kern->on_record != NULL) {
        kern->on_record(kern->on_record_user, commands, variant, key, push);
    }
    rr_vk_dispatch(commands, entry->tiles[t], push, g.x, g.y, 1);
}

void rr_kern_on_record(rr_kern *kern, rr_kern_fn fn, void *user) {
    kern->on_record = fn;
    kern->on_record_user = user;
}
