/* Layers of GPTQ and AWQ folders: which tensors a weight consists of, and what their zeros mean. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/model/folder_internal.h"

/* The tensors of one layer. */
typedef struct planes {
    rr_folder *folder;
    const char *module;
    uint32_t rows, cols;
    const rr_st_tensor *codes, *zeros, *scales, *groups;
    size_t shards[4];
    rr_grouped grouped;
} planes;

static const rr_st_tensor *find(planes *p, const char *name, size_t *shard) {
    char full[160];
    snprintf(full, sizeof full, "%s.%s", p->module, name);
    return rr_folder_find(p->folder, full, shard);
}

static const char *path_of(const planes *p, int plane) {
    return rr_safetensors_path(p->folder->shards[p->shards[plane]]);
}

/* A tensor of two dimensions. */
static rr_status check_shape(const planes *p, const rr_st_tensor *tensor, int plane, uint64_t first,
    uint64_t second, rr_diag *diag) {
    if (tensor->n_dims != 2 || tensor->dims[0] != first || tensor->dims[1] != second) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: tensor %s: shape %s found, [%llu, %llu] expected (%s: %u bits, group_size %d; %u "
            "inputs, %u outputs)",
            path_of(p, plane), rr_text_show(tensor->name).text, rr_st_shape_of(tensor).text,
            (unsigned long long)first, (unsigned long long)second, p->folder->quant.place,
            p->grouped.bits, p->folder->quant.group != 0 ? (int)p->folder->quant.group : -1,
            p->cols, p->rows);
    }
    return RR_OK;
}

static rr_status check_type(const planes *p, const rr_st_tensor *tensor, int plane, bool fits,
    const char *expected, rr_diag *diag) {
    return fits
        ? RR_OK
        : rr_fail(diag, RR_E_UNSUPPORTED, "%s: tensor %s: dtype %s found, %s expected",
              path_of(p, plane), rr_text_show(tensor->name).text, tensor->type_name, expected);
}

static rr_status missing(const planes *p, const char *name, rr_diag *diag) {
    return rr_fail(diag, RR_E_INPUT, "%s: tensor %s.%s not found, but %s.qweight is there",
        rr_folder_weights_label(p->folder), p->module, name, p->module);
}

/* Bits and groups of a layer: those of the settings, unless some layers have others. */
static rr_status set_sizes(planes *p, rr_diag *diag) {
    const rr_folder_quant *q = &p->folder->quant;
    rr_grouped *g = &p->grouped;
    g->bits = q->bits;
    g->group = q->group != 0 && q->group < p->cols ? q->group : p->cols;
    if (q->method == RR_FOLDER_AWQ && p->cols % g->group != 0) {
        return rr_fail(diag, RR_E_INPUT, "%s: group_size %u does not divide the %u inputs of %s",
            q->place, q->group, p->cols, p->module);
    }
    if (q->layers_differ && p->codes->n_dims == 2 && p->scales->n_dims == 2) {
        const uint64_t bits = p->codes->dims[0] * 32 / p->cols, n_groups = p->scales->dims[0];
        g->bits = bits == 4 || bits == 8 ? (uint32_t)bits : g->bits;
        if (n_groups > 0 && n_groups != rr_div_up(p->cols, g->group) && p->cols % n_groups == 0) {
            g->group = p->cols / (uint32_t)n_groups;
        }
    }
    g->n_groups = rr_div_up(p->cols, g->group);
    const uint32_t per_word = 32 / g->bits;
    if (p->rows % per_word != 0 || (q->method == RR_FOLDER_GPTQ && p->cols % per_word != 0)) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: %u inputs and %u outputs found, multiples of %u expected for %u bits", p->module,
            p->cols, p->rows, per_word, g->bits);
    }
    return RR_OK;
}

static rr_status check_planes(planes *p, rr_diag *diag) {
    const bool awq = p->folder->quant.method == RR_FOLDER_AWQ;
    rr_grouped *g = &p->grouped;
    const uint32_t per_word = 32 / g->bits;
    RR_TRY(check_type(p, p->codes, 0, p->codes->type == RR_ST_I32, "I32", diag));
    RR_TRY(check_shape(p, p->codes, 0, awq ? p->cols : p->cols / per_word,
        awq ? p->rows / per_word : p->rows, diag));
    RR_TRY(check_type(p, p->scales, 2,
        p->scales->type == RR_ST_F16 || p->scales->type == RR_ST_BF16 ||
            p->scales->type == RR_ST_F32,
        "F16, BF16 or F32", diag));
    RR_TRY(check_shape(p, p->scales, 2, g->n_groups, p->rows, diag));
    if (p->zeros != NULL) {
        RR_TRY(check_type(p, p->zeros, 1, p->zeros->type == RR_ST_I32, "I32", diag));
        RR_TRY(check_shape(p, p->zeros, 1, g->n_groups, p->rows / per_word, diag));
    }
    g->layout = awq ? RR_GROUPED_AWQ : RR_GROUPED_GPTQ;
    g->rows = p->rows;
    g->cols = p->cols;
    g->codes = p->codes->data;
    g->zeros = p->zeros != NULL ? p->zeros->data : NULL;
    g->scales = p->scales->data;
    g->scale_type = p->scales->type == RR_ST_F16 ? RR_Q_F16
        : p->scales->type == RR_ST_BF16          ? RR_Q_BF16
                                                 : RR_Q_F32;
    return RR_OK;
}

/* g_idx says which group each input is in, whatever desc_act says. One that says what is so without
 * it is not kept. */
static rr_status read_groups(planes *p, rr_diag *diag) {
    rr_grouped *g = &p->grouped;
    const rr_st_tensor *tensor = p->groups;
    RR_TRY(check_type(
        p, tensor, 3, tensor->type == RR_ST_I32 || tensor->type == RR_ST_I64, "I32", diag));
    if (tensor->n_dims != 1 || tensor->dims[0] != p->cols) {
        return rr_fail(diag, RR_E_INPUT, "%s: tensor %s: shape %s found, [%u] expected",
            path_of(p, 3), rr_text_show(tensor->name).text, rr_st_shape_of(tensor).text, p->cols);
    }
    uint32_t *groups = rr_arena_alloc(&p->folder->arena, p->cols, sizeof *groups);
    if (groups == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path_of(p, 3));
    }
    bool trivial = true;
    for (uint32_t i = 0; i < p->cols; i++) {
        int64_t value = 0;
        if (tensor->type == RR_ST_I32) {
            int32_t small;
            memcpy(&small, tensor->data + 4 * (size_t)i, sizeof small);
            value = small;
        } else {
            memcpy(&value, tensor->data + 8 * (size_t)i, sizeof value);
        }
        if (value < 0 || value >= (int64_t)g->n_groups) {
            return rr_fail(diag, RR_E_INPUT,
                "%s: tensor %s: position %u: value %lld found, but there are %u groups",
                path_of(p, 3), rr_text_show(tensor->name).text, i, (long long)value, g->n_groups);
        }
        groups[i] = (uint32_t)value;
        trivial = trivial && groups[i] == i / g->group;
    }
    g->groups = trivial ? NULL : groups;
    return RR_OK;
}

/* Symmetric layers have one zero point, so that the stored value shows the convention, whatever the
 * label says; others follow the label. */
static void decide_zeros(planes *p) {
    rr_folder *folder = p->folder;
    const rr_folder_quant *q = &folder->quant;
    rr_grouped *g = &p->grouped;
    const uint32_t middle = 1u << (g->bits - 1), most = (1u << g->bits) - 1;
    bool as_stored = q->zeros_as_stored;
    if (g->zeros == NULL || q->method == RR_FOLDER_AWQ) {
        return; /* as stored */
    }
    const rr_zero_range range = rr_grouped_stored_zeros(g);
    if (q->symmetric && range.least == range.most &&
        (range.least == middle || range.least == middle - 1)) {
        as_stored = range.least == middle;
        if (as_stored != q->zeros_as_stored && !folder->told_zeros) {
            folder->told_zeros = true;
            rr_log(RR_LOG_WARN,
                "%s: checkpoint_format says %s, but the zeros of %s are all %u: they are read as %s",
                q->place, q->zeros_as_stored ? "gptq_v2" : "gptq", p->module, range.least,
                as_stored ? "gptq_v2" : "gptq");
        }
    }
    g->zero_rule = as_stored ? RR_ZERO_AS_STORED
        : q->zeros_by_word   ? RR_ZERO_PLUS_ONE_WORD
                             : RR_ZERO_PLUS_ONE;
    if (!as_stored && !q->symmetric && range.most == most && !folder->told_wrapped) {
        folder->told_wrapped = true;
        rr_log(RR_LOG_INFO,
            "%s: zeros of %u occur under the label gptq, of which readers make different things: "
            "here %s",
            q->place, most,
            q->zeros_by_word ? "one is added to each whole word, as GPTQModel's files want it"
                             : "they wrap round to 0");
    }
}

static rr_status collect(planes *p, rr_diag *diag) {
    const rr_folder_quant *q = &p->folder->quant;
    if (q->method == RR_FOLDER_FLOATS) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: tensor %s.qweight found, but neither quantization_config nor quantize_config.json",
            path_of(p, 0), p->module);
    }
    if (find(p, "weight", &p->shards[1]) != NULL) {
        return rr_fail(diag, RR_E_INPUT, "%s: both %s.weight and %s.qweight found, one expected",
            path_of(p, 0), p->module, p->module);
    }
    p->zeros = find(p, "qzeros", &p->shards[1]);
    p->scales = find(p, "scales", &p->shards[2]);
    p->groups = find(p, "g_idx", &p->shards[3]);
    if (p->scales == NULL) {
        return missing(p, "scales", diag);
    }
    if (p->zeros == NULL && !q->symmetric) {
        return missing(p, "qzeros", diag);
    }
    RR_TRY(set_sizes(p, diag));
    RR_TRY(check_planes(p, diag));
    RR_TRY(p->groups != NULL ? read_groups(p, diag) : RR_OK);
    decide_zeros(p);
    const rr_st_tensor *all[] = {p->codes, p->zeros, p->scales, p->groups};
    for (int i = 0; i < 4; i++) {
        if (all[i] != NULL) {
            rr_folder_claim(p->folder, p->shards[i], all[i]);
        }
    }
    return RR_OK;
}

rr_status rr_folder_quantized(rr_folder *folder, const char *module, uint32_t rows, uint32_t cols,
    rr_weight *out, bool *found, rr_diag *diag) {
    planes p = {.folder = folder, .module = module, .rows = rows, .cols = cols};
    p.codes = find(&p, "qweight", &p.shards[0]);
    *found = p.codes != NULL;
    if (!*found) {
        return RR_OK;
    }
    RR_TRY(collect(&p, diag));
    rr_grouped *grouped = rr_arena_alloc(&folder->arena, 1, sizeof *grouped);
    if (grouped == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder->base.path);
    }
    *grouped = p.grouped;
    *out = (rr_weight){.name = p.codes->name,
        .type = rr_grouped_type(grouped),
        .rows = rows,
        .cols = cols,
        .grouped = grouped};
    out->bytes = rr_weight_row_bytes(out) * rows;
    return RR_OK;
}
