#include "runtime/model/adapter.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/model/adapter_internal.h"
#include "runtime/model/folder.h"

const rr_adapter_module rr_adapter_modules[RR_ADAPTER_N_MODULES] = {
    {RR_ROLE_Q, "self_attn.q_proj", "attn_q"},
    {RR_ROLE_K, "self_attn.k_proj", "attn_k"},
    {RR_ROLE_V, "self_attn.v_proj", "attn_v"},
    {RR_ROLE_O, "self_attn.o_proj", "attn_output"},
    {RR_ROLE_GATE, "mlp.gate_proj", "ffn_gate"},
    {RR_ROLE_UP, "mlp.up_proj", "ffn_up"},
    {RR_ROLE_DOWN, "mlp.down_proj", "ffn_down"},
};

const rr_adapter_module *rr_adapter_module_of(rr_role role) {
    size_t i = 0;
    while (i < RR_ADAPTER_N_MODULES && rr_adapter_modules[i].role != role) {
        i++;
    }
    assert(i < RR_ADAPTER_N_MODULES);
    return &rr_adapter_modules[i];
}

uint64_t rr_adapter_fingerprint_of(rr_text text) {
    uint64_t value = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        const char c = text.data[i];
        const bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
        if (text.bytes != 16 || (!digit && !letter)) {
            return 0;
        }
        value = value << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    return value;
}

static int compare_halves(const void *a, const void *b) {
    const rr_adapter_half *left = a, *right = b;
    if (left->layer != right->layer) {
        return left->layer < right->layer ? -1 : 1;
    }
    if (left->role != right->role) {
        return left->role < right->role ? -1 : 1;
    }
    return (int)left->is_b - (int)right->is_b;
}

static bool same_module(const rr_adapter_half *a, const rr_adapter_half *b) {
    return a->layer == b->layer && a->role == b->role;
}

static rr_status join_pair(
    rr_adapter *adapter, const rr_adapter_half *a, const rr_adapter_half *b, rr_diag *diag) {
    if (b == NULL || !same_module(a, b) || a->is_b) {
        return rr_fail(diag, RR_E_INPUT, "%s: %s: lora_%c found, but no lora_%c", adapter->path,
            a->module, a->is_b ? 'B' : 'A', a->is_b ? 'A' : 'B');
    }
    if (!b->is_b) {
        return rr_fail(
            diag, RR_E_INPUT, "%s: %s: lora_A twice, once expected", adapter->path, a->module);
    }
    if (a->weight.rows != b->weight.cols || a->weight.rows == 0) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: %s: lora_A [%u, %u] and lora_B [%u, %u] found, one rank expected", adapter->path,
            a->module, a->weight.rows, a->weight.cols, b->weight.rows, b->weight.cols);
    }
    rr_adapter_pair *pair = &adapter->pairs[adapter->n_pairs++];
    *pair = (rr_adapter_pair){
        .role = a->role, .layer = a->layer, .rank = a->weight.rows, .a = a->weight, .b = b->weight};
    snprintf(pair->module, sizeof pair->module, "%s", a->module);
    return RR_OK;
}

rr_status rr_adapter_join(rr_adapter *adapter, rr_adapter_half *halves, size_t n, rr_diag *diag) {
    if (n == 0) {
        return rr_fail(diag, RR_E_INPUT, "%s: no pair of lora_A and lora_B found", adapter->path);
    }
    qsort(halves, n, sizeof *halves, compare_halves);
    adapter->pairs = rr_arena_alloc(&adapter->files->arena, n / 2 + 1, sizeof *adapter->pairs);
    if (adapter->pairs == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", adapter->path);
    }
    for (size_t i = 0; i < n; i += 2) {
        RR_TRY(join_pair(adapter, &halves[i], i + 1 < n ? &halves[i + 1] : NULL, diag));
    }
    return RR_OK;
}

rr_status rr_adapter_open(const char *path, rr_adapter **out, rr_diag *diag) {
    rr_adapter *adapter = calloc(1, sizeof *adapter);
    rr_adapter_files *files = calloc(1, sizeof *files);
    if (adapter == NULL || files == NULL) {
        free(adapter);
        free(files);
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
    }
    adapter->files = files;
    adapter->base = "";
    rr_status status = RR_OK;
    adapter->path = rr_arena_copy(&files->arena, path, strlen(path));
    if (adapter->path == NULL) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path));
    }
    RR_TRY_GOTO(rr_is_folder(path) ? rr_adapter_read_peft(adapter, diag)
                                   : rr_adapter_read_gguf(adapter, diag));
    *out = adapter;
    return RR_OK;
fail:
    rr_adapter_close(&adapter);
    return status;
}

void rr_adapter_close(rr_adapter **pointer) {
    rr_adapter *adapter = *pointer;
    if (adapter == NULL) {
        return;
    }
    rr_safetensors_close(&adapter->files->tensors);
    rr_gguf_close(&adapter->files->gguf);
    rr_json_destroy(&adapter->files->config);
    rr_arena_destroy(&adapter->files->arena);
    free(adapter->files);
    free(adapter);
    *pointer = NULL;
}

uint64_t rr_adapter_n_parameters(const rr_adapter *adapter) {
    uint64_t n = 0;
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        const rr_adapter_pair *pair = &adapter->pairs[i];
        n += (uint64_t)pair->rank * ((uint64_t)pair->a.cols + pair->b.rows);
    }
    return n;
}

rr_status rr_adapter_merge(const rr_adapter_pair *pair, const rr_weight *weight, uint32_t row,
    uint32_t n, float *out, rr_diag *diag) {
    const uint32_t cols = weight->cols, rank = pair->rank;
    float *a = malloc((size_t)rank * cols * sizeof *a);
    float *b = malloc((size_t)rank * sizeof *b);
    double *sums = malloc(cols * sizeof *sums);
    rr_status status = RR_OK;
    if (a == NULL || b == NULL || sums == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "%s: out of memory to merge an adapter", pair->module);
        goto done;
    }
    rr_weight_unpack(&pair->a, 0, rank, a);
    rr_weight_unpack(weight, row, n, out);
    for (uint32_t r = 0; r < n; r++) {
        rr_weight_unpack(&pair->b, row + r, 1, b);
        memset(sums, 0, cols * sizeof *sums);
        for (uint32_t k = 0; k < rank; k++) {
            for (uint32_t c = 0; c < cols; c++) {
                sums[c] += (double)b[k] * (double)a[(size_t)k * cols + c];
            }
        }
        for (uint32_t c = 0; c < cols; c++) {
            float *value = &out[(size_t)r * cols + c];
            *value = (float)((double)*value + pair->scale * sums[c]);
        }
    }
done:
    free(sums);
    free(b);
    free(a);
    return status;
}
