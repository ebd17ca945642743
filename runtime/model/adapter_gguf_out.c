/* Adapters as llama.cpp reads them: one GGUF file with one alpha. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/model/adapter_internal.h"
#include "runtime/model/gguf_writer.h"

static double alpha_of(const rr_adapter_pair *pair) {
    return pair->scale * (double)pair->rank;
}

/* The alpha of the first pair that has one as the format holds it. 0 would mean that pairs are
 * added as they are, so an adapter that changes nothing gets 1, and zeros as its B. */
static float file_alpha(const rr_adapter *adapter) {
    float alpha = 0.0f;
    for (size_t i = 0; i < adapter->n_pairs && alpha == 0.0f; i++) {
        alpha = (float)alpha_of(&adapter->pairs[i]);
    }
    return alpha != 0.0f ? alpha : 1.0f;
}

/* What B must be multiplied by. A scale whose alpha rounds to the file's is that alpha. */
static double factor_of(const rr_adapter_pair *pair, float alpha) {
    const double own = alpha_of(pair);
    return (float)own == alpha ? 1.0 : own / (double)alpha;
}

static rr_qtype type_of_a(const rr_adapter_pair *pair) {
    return pair->a.type == RR_Q_Q8_0 ? RR_Q_F32 : pair->a.type;
}

static rr_qtype type_of_b(const rr_adapter_pair *pair, float alpha) {
    return pair->b.type == RR_Q_Q8_0 || factor_of(pair, alpha) != 1.0 ? RR_Q_F32 : pair->b.type;
}

static void declare(rr_gguf_writer *writer, const rr_adapter_pair *pair, bool is_b, rr_qtype type) {
    const rr_weight *weight = is_b ? &pair->b : &pair->a;
    const uint64_t dims[] = {weight->cols, weight->rows};
    char name[80];
    snprintf(name, sizeof name, "blk.%u.%s.weight.lora_%c", pair->layer,
        rr_adapter_module_of(pair->role)->gguf, is_b ? 'b' : 'a');
    rr_gw_declare(writer, name, 2, dims, (uint32_t)type, rr_adapter_matrix_bytes(weight, type));
}

static rr_status make_head(
    const rr_adapter *adapter, const char *path, float alpha, rr_buf *out, rr_diag *diag) {
    rr_gguf_writer writer = {0};
    rr_gw_string(&writer, RR_ADAPTER_KEY_KIND, "adapter");
    rr_gw_string(&writer, RR_ADAPTER_KEY_ARCHITECTURE, "qwen2");
    rr_gw_string(&writer, RR_ADAPTER_KEY_TYPE, "lora");
    rr_gw_f32(&writer, RR_ADAPTER_KEY_ALPHA, alpha);
    if (adapter->base[0] != '\0') {
        rr_gw_u32(&writer, "general.base_model.count", 1);
        rr_gw_string(&writer, RR_ADAPTER_KEY_BASE, adapter->base);
    }
    if (adapter->base_fingerprint != 0) {
        char text[17];
        snprintf(text, sizeof text, "%016llx", (unsigned long long)adapter->base_fingerprint);
        rr_gw_string(&writer, RR_ADAPTER_KEY_FINGERPRINT, text);
    }
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        const rr_adapter_pair *pair = &adapter->pairs[i];
        declare(&writer, pair, false, type_of_a(pair));
        declare(&writer, pair, true, type_of_b(pair, alpha));
    }
    return rr_gw_head(&writer, out) == RR_OK
        ? RR_OK
        : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
}

static rr_status write_padded(
    rr_file_out *file, const rr_weight *weight, rr_qtype type, double factor, rr_diag *diag) {
    static const char zeros[32];
    RR_TRY(rr_adapter_write_matrix(file, weight, type, factor, diag));
    const uint64_t padding = rr_gw_padding(rr_adapter_matrix_bytes(weight, type));
    return padding == 0 ? RR_OK : rr_file_out_write(file, zeros, (size_t)padding, diag);
}

rr_status rr_adapter_write_gguf(const rr_adapter *adapter, const char *path, rr_diag *diag) {
    const float alpha = file_alpha(adapter);
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        if (!isfinite(alpha) || !isfinite(factor_of(&adapter->pairs[i], alpha))) {
            return rr_fail(diag, RR_E_UNSUPPORTED,
                "%s: a scale of %g found, which a GGUF file cannot hold", path,
                adapter->pairs[i].scale);
        }
    }
    rr_buf head = {0};
    rr_file_out file = {0};
    rr_status status = RR_OK;
    RR_TRY_GOTO(make_head(adapter, path, alpha, &head, diag));
    RR_TRY_GOTO(rr_file_out_open(path, &file, diag));
    RR_TRY_GOTO(rr_file_out_write(&file, head.data, head.bytes, diag));
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        const rr_adapter_pair *pair = &adapter->pairs[i];
        RR_TRY_GOTO(write_padded(&file, &pair->a, type_of_a(pair), 1.0, diag));
        RR_TRY_GOTO(
            write_padded(&file, &pair->b, type_of_b(pair, alpha), factor_of(pair, alpha), diag));
    }
    RR_TRY_GOTO(rr_file_out_finish(&file, diag));
fail:
    rr_file_out_discard(&file);
    rr_buf_destroy(&head);
    return status;
}
