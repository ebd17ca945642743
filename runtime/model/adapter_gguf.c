/* Adapters as llama.cpp's converter writes them: one GGUF file. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/model/adapter_internal.h"

static rr_status expect(const rr_gguf *gguf, const char *key, const char *expected, rr_diag *diag) {
    rr_text found;
    RR_TRY(rr_gguf_string(gguf, key, &found, diag));
    return rr_text_is(found, expected)
        ? RR_OK
        : rr_fail(diag, RR_E_UNSUPPORTED, "%s: key \"%s\": \"%s\" found, \"%s\" expected",
              rr_gguf_path(gguf), key, rr_text_show(found).text, expected);
}

/* "blk.0.attn_q.weight.lora_a" */
static bool split_name(rr_text name, uint32_t *layer, size_t *which, bool *is_b) {
    char text[80], ending[64];
    char half;
    int end = 0;
    snprintf(text, sizeof text, "%.*s", (int)name.bytes, name.data);
    if (name.bytes >= sizeof text ||
        sscanf(text, "blk.%6u.%63[^.].weight.lora_%c%n", layer, ending, &half, &end) != 3 ||
        end == 0 || text[end] != '\0' || (half != 'a' && half != 'b')) {
        return false;
    }
    *is_b = half == 'b';
    for (*which = 0; *which < RR_ADAPTER_N_MODULES; (*which)++) {
        if (strcmp(ending, rr_adapter_modules[*which].gguf) == 0) {
            return true;
        }
    }
    return false;
}

static rr_status read_half(
    rr_adapter *adapter, const rr_gguf_tensor *tensor, rr_adapter_half *out, rr_diag *diag) {
    uint32_t layer = 0;
    size_t which = 0;
    bool is_b = false;
    const rr_shown shown = rr_text_show(tensor->name);
    if (!split_name(tensor->name, &layer, &which, &is_b)) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: tensor \"%s\": no half of a pair of a linear layer of Qwen2; others are not computed",
            adapter->path, shown.text);
    }
    const rr_qtype type = (rr_qtype)tensor->type;
    if ((type != RR_Q_F32 && type != RR_Q_F16 && type != RR_Q_BF16 && type != RR_Q_Q8_0) ||
        tensor->dims[2] != 1 || tensor->dims[3] != 1 || tensor->dims[0] > UINT32_MAX / 2 ||
        tensor->dims[1] > UINT32_MAX / 2) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: tensor \"%s\": type number %u found, a matrix of F32, F16, BF16 or Q8_0 expected",
            adapter->path, shown.text, tensor->type);
    }
    char module[64];
    snprintf(module, sizeof module, "model.layers.%u.%s", layer, rr_adapter_modules[which].hf);
    *out = (rr_adapter_half){.layer = layer,
        .role = rr_adapter_modules[which].role,
        .is_b = is_b,
        .module = rr_arena_copy(&adapter->files->arena, module, strlen(module)),
        .weight = {.name = tensor->name,
            .type = type,
            .rows = (uint32_t)tensor->dims[1],
            .cols = (uint32_t)tensor->dims[0],
            .data = tensor->data,
            .bytes = tensor->bytes}};
    return out->module != NULL ? RR_OK
                               : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", adapter->path);
}

/* One alpha for the file; without one, or with 0, pairs are added as they are. */
static rr_status set_scales(rr_adapter *adapter, rr_diag *diag) {
    const rr_gguf *gguf = adapter->files->gguf;
    double alpha = 0.0;
    if (rr_gguf_find(gguf, RR_ADAPTER_KEY_ALPHA) != NULL) {
        RR_TRY(rr_gguf_f64(gguf, RR_ADAPTER_KEY_ALPHA, &alpha, diag));
    }
    if (!isfinite(alpha)) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: key \"" RR_ADAPTER_KEY_ALPHA "\": %g found, a finite number expected",
            adapter->path, alpha);
    }
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        adapter->pairs[i].scale = alpha != 0.0 ? alpha / (double)adapter->pairs[i].rank : 1.0;
    }
    return RR_OK;
}

/* The name of the base, which need not be UTF-8, and its fingerprint. */
static rr_status read_base(rr_adapter *adapter, rr_diag *diag) {
    const rr_gguf *gguf = adapter->files->gguf;
    rr_text base = {"", 0}, fingerprint = {"", 0};
    if (rr_gguf_find(gguf, RR_ADAPTER_KEY_BASE) != NULL) {
        RR_TRY(rr_gguf_string(gguf, RR_ADAPTER_KEY_BASE, &base, diag));
    }
    if (rr_gguf_find(gguf, RR_ADAPTER_KEY_FINGERPRINT) != NULL) {
        RR_TRY(rr_gguf_string(gguf, RR_ADAPTER_KEY_FINGERPRINT, &fingerprint, diag));
    }
    const rr_shown shown = rr_text_show(base);
    adapter->base = rr_arena_copy(&adapter->files->arena, shown.text, strlen(shown.text));
    adapter->base_fingerprint = rr_adapter_fingerprint_of(fingerprint);
    return adapter->base != NULL ? RR_OK
                                 : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", adapter->path);
}

rr_status rr_adapter_read_gguf(rr_adapter *adapter, rr_diag *diag) {
    rr_adapter_files *files = adapter->files;
    RR_TRY(rr_gguf_open(adapter->path, &files->gguf, diag));
    const rr_gguf *gguf = files->gguf;
    RR_TRY(expect(gguf, RR_ADAPTER_KEY_KIND, "adapter", diag));
    RR_TRY(expect(gguf, RR_ADAPTER_KEY_ARCHITECTURE, "qwen2", diag));
    RR_TRY(expect(gguf, RR_ADAPTER_KEY_TYPE, "lora", diag));
    if (rr_gguf_find(gguf, RR_ADAPTER_KEY_INVOCATION) != NULL) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: key \"" RR_ADAPTER_KEY_INVOCATION "\" found, which is not computed",
            adapter->path);
    }
    RR_TRY(read_base(adapter, diag));
    const size_t n = rr_gguf_n_tensors(gguf);
    rr_adapter_half *halves = rr_arena_alloc(&files->arena, n + 1, sizeof *halves);
    if (halves == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", adapter->path);
    }
    for (size_t i = 0; i < n; i++) {
        RR_TRY(read_half(adapter, rr_gguf_tensor_at(gguf, i), &halves[i], diag));
    }
    RR_TRY(rr_adapter_join(adapter, halves, n, diag));
    return set_scales(adapter, diag);
}
