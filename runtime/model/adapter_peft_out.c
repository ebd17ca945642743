/* Adapters as peft reads them: adapter_config.json and adapter_model.safetensors. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/folder.h"
#include "runtime/model/adapter_internal.h"

enum { MODULE_BYTES = 64 };

static void name_module(const rr_adapter_pair *pair, char *out) {
    snprintf(
        out, MODULE_BYTES, "model.layers.%u.%s", pair->layer, rr_adapter_module_of(pair->role)->hf);
}

static rr_qtype type_of(const rr_weight *weight) {
    return weight->type == RR_Q_Q8_0 ? RR_Q_F32 : weight->type;
}

/* Configuration */

/* The alpha of which a reader makes the pair's scale: of the numbers that do, the one with the
 * fewest digits, as somebody once chose it. */
static double alpha_of(const rr_adapter_pair *pair) {
    const double rank = pair->rank, product = pair->scale * rank;
    for (int digits = 1; digits <= 17; digits++) {
        char text[40];
        snprintf(text, sizeof text, "%.*g", digits, product);
        const double alpha = strtod(text, NULL);
        if (alpha / rank == pair->scale) {
            return alpha;
        }
    }
    return product;
}

static bool add_number(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, double value) {
    const bool whole = value == floor(value) && fabs(value) < 9e15;
    yyjson_mut_val *number =
        whole ? yyjson_mut_sint(doc, (int64_t)value) : yyjson_mut_real(doc, value);
    return yyjson_mut_obj_add(object, yyjson_mut_strcpy(doc, key), number);
}

/* Ranks and alphas: the first pair's for all, and by name those that differ. */
static bool add_scales(const rr_adapter *adapter, yyjson_mut_doc *doc, yyjson_mut_val *root) {
    const double rank = adapter->pairs[0].rank, alpha = alpha_of(&adapter->pairs[0]);
    bool ok = add_number(doc, root, "r", rank) && add_number(doc, root, "lora_alpha", alpha);
    yyjson_mut_val *ranks = yyjson_mut_obj_add_obj(doc, root, "rank_pattern");
    yyjson_mut_val *alphas = yyjson_mut_obj_add_obj(doc, root, "alpha_pattern");
    for (size_t i = 1; i < adapter->n_pairs; i++) {
        const rr_adapter_pair *pair = &adapter->pairs[i];
        char name[MODULE_BYTES];
        name_module(pair, name);
        if (pair->rank != rank) {
            ok = add_number(doc, ranks, name, pair->rank) && ok;
        }
        if (alpha_of(pair) != alpha) {
            ok = add_number(doc, alphas, name, alpha_of(pair)) && ok;
        }
    }
    return ok;
}

/* Whether each of the adapter's layers has a pair for the same modules; which these are. */
static bool is_regular(const rr_adapter *adapter, bool has[RR_ADAPTER_N_MODULES]) {
    size_t n_modules = 0, n_layers = 0;
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        const rr_adapter_pair *pair = &adapter->pairs[i];
        bool *this_one = &has[rr_adapter_module_of(pair->role) - rr_adapter_modules];
        n_modules += !*this_one;
        *this_one = true;
        n_layers += i == 0 || pair->layer != pair[-1].layer;
    }
    return n_modules * n_layers == adapter->n_pairs;
}

/* Which modules have pairs: peft would give others random ones. */
static bool add_targets(const rr_adapter *adapter, yyjson_mut_doc *doc, yyjson_mut_val *root) {
    bool has[RR_ADAPTER_N_MODULES] = {false}, ok = true;
    yyjson_mut_val *targets = yyjson_mut_obj_add_arr(doc, root, "target_modules");
    if (!is_regular(adapter, has)) {
        for (size_t i = 0; i < adapter->n_pairs; i++) {
            char name[MODULE_BYTES];
            name_module(&adapter->pairs[i], name);
            ok = yyjson_mut_arr_add_strcpy(doc, targets, name) && ok;
        }
        return ok;
    }
    for (size_t i = 0; i < RR_ADAPTER_N_MODULES; i++) {
        const char *name = strchr(rr_adapter_modules[i].hf, '.') + 1;
        ok = (!has[i] || yyjson_mut_arr_add_str(doc, targets, name)) && ok;
    }
    yyjson_mut_val *layers = yyjson_mut_obj_add_arr(doc, root, "layers_to_transform");
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        const uint32_t layer = adapter->pairs[i].layer;
        if (i == 0 || layer != adapter->pairs[i - 1].layer) {
            ok = yyjson_mut_arr_add_uint(doc, layers, layer) && ok;
        }
    }
    return ok;
}

static bool fill_config(const rr_adapter *adapter, yyjson_mut_doc *doc, yyjson_mut_val *root) {
    const bool ok = yyjson_mut_obj_add_str(doc, root, "peft_type", "LORA") &&
        yyjson_mut_obj_add_str(doc, root, "task_type", "CAUSAL_LM") &&
        yyjson_mut_obj_add_str(doc, root, "base_model_name_or_path", adapter->base) &&
        yyjson_mut_obj_add_bool(doc, root, "inference_mode", true) &&
        yyjson_mut_obj_add_str(doc, root, "bias", "none") &&
        yyjson_mut_obj_add_bool(doc, root, "fan_in_fan_out", false) &&
        yyjson_mut_obj_add_bool(doc, root, "init_lora_weights", true) &&
        yyjson_mut_obj_add_real(doc, root, "lora_dropout", 0.0) &&
        yyjson_mut_obj_add_bool(doc, root, "use_rslora", false);
    return ok && add_scales(adapter, doc, root) && add_targets(adapter, doc, root);
}

static rr_status make_config(
    const rr_adapter *adapter, const char *folder, rr_buf *out, rr_diag *diag) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    size_t bytes = 0;
    char *text = fill_config(adapter, doc, root)
        ? yyjson_mut_write(
              doc, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END, &bytes)
        : NULL;
    rr_buf_append(out, text != NULL ? text : "", bytes);
    const bool ok = text != NULL && !out->failed;
    free(text);
    yyjson_mut_doc_free(doc);
    return ok ? RR_OK : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder);
}

/* Tensors */

static void declare(const rr_adapter_pair *pair, bool is_b, uint64_t *offset, rr_buf *out) {
    const rr_weight *weight = is_b ? &pair->b : &pair->a;
    const rr_qtype type = type_of(weight);
    const uint64_t end = *offset + rr_adapter_matrix_bytes(weight, type);
    char module[MODULE_BYTES];
    name_module(pair, module);
    rr_buf_printf(out,
        ",\"base_model.model.%s.lora_%c.weight\":{\"dtype\":\"%s\",\"shape\":[%u,%u],"
        "\"data_offsets\":[%llu,%llu]}",
        module, is_b ? 'B' : 'A', rr_qtype_get((uint32_t)type)->name, weight->rows, weight->cols,
        (unsigned long long)*offset, (unsigned long long)end);
    *offset = end;
}

/* The header of the tensors' file, its length in front. */
static rr_status make_header(
    const rr_adapter *adapter, const char *folder, rr_buf *out, rr_diag *diag) {
    uint64_t offset = 0, length = 0;
    rr_buf_append(out, &length, sizeof length);
    rr_buf_text(out, "{\"__metadata__\":{\"format\":\"pt\"");
    if (adapter->base_fingerprint != 0) {
        rr_buf_printf(out, ",\"" RR_ADAPTER_KEY_FINGERPRINT "\":\"%016llx\"",
            (unsigned long long)adapter->base_fingerprint);
    }
    rr_buf_text(out, "}");
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        declare(&adapter->pairs[i], false, &offset, out);
        declare(&adapter->pairs[i], true, &offset, out);
    }
    rr_buf_text(out, "}");
    while (out->bytes % 8 != 0 && !out->failed) {
        rr_buf_text(out, " ");
    }
    if (out->failed) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder);
    }
    length = out->bytes - sizeof length;
    memcpy(out->data, &length, sizeof length);
    return RR_OK;
}

static rr_status write_tensors(
    const rr_adapter *adapter, const rr_buf *header, rr_file_out *file, rr_diag *diag) {
    RR_TRY(rr_file_out_write(file, header->data, header->bytes, diag));
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        const rr_adapter_pair *pair = &adapter->pairs[i];
        RR_TRY(rr_adapter_write_matrix(file, &pair->a, type_of(&pair->a), 1.0, diag));
        RR_TRY(rr_adapter_write_matrix(file, &pair->b, type_of(&pair->b), 1.0, diag));
    }
    return RR_OK;
}

/* An old configuration must not meet new tensors, unless it says the same. */
static rr_status remove_other(const char *path, const rr_buf *config, rr_diag *diag) {
    uint64_t bytes = 0;
    rr_buf old = {0};
    if (rr_file_look(path, &bytes) == RR_FILE_NONE) {
        return RR_OK;
    }
    const bool same = bytes == config->bytes && rr_file_read(path, bytes, &old, NULL) == RR_OK &&
        old.bytes == config->bytes && memcmp(old.data, config->data, old.bytes) == 0;
    rr_buf_destroy(&old);
    return same ? RR_OK : rr_file_remove(path, diag);
}

rr_status rr_adapter_write_peft(const rr_adapter *adapter, const char *folder, rr_diag *diag) {
    rr_buf config = {0}, header = {0}, config_path = {0}, tensors_path = {0};
    rr_file_out config_file = {0}, tensors = {0};
    rr_status status = RR_OK;
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        if (!isfinite(alpha_of(&adapter->pairs[i]))) {
            return rr_fail(diag, RR_E_UNSUPPORTED,
                "%s: a scale of %g found, which has no finite alpha", folder,
                adapter->pairs[i].scale);
        }
    }
    rr_buf_printf(&config_path, "%s/" RR_ADAPTER_CONFIG, folder);
    rr_buf_printf(&tensors_path, "%s/" RR_ADAPTER_TENSORS, folder);
    if (config_path.failed || tensors_path.failed) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder));
    }
    RR_TRY_GOTO(make_config(adapter, folder, &config, diag));
    RR_TRY_GOTO(make_header(adapter, folder, &header, diag));
    RR_TRY_GOTO(rr_folder_make(folder, diag));
    RR_TRY_GOTO(rr_file_out_open(tensors_path.data, &tensors, diag));
    RR_TRY_GOTO(write_tensors(adapter, &header, &tensors, diag));
    RR_TRY_GOTO(rr_file_out_open(config_path.data, &config_file, diag));
    RR_TRY_GOTO(rr_file_out_write(&config_file, config.data, config.bytes, diag));
    RR_TRY_GOTO(remove_other(config_path.data, &config, diag));
    RR_TRY_GOTO(rr_file_out_finish(&tensors, diag));
    RR_TRY_GOTO(rr_file_out_finish(&config_file, diag));
fail:
    rr_file_out_discard(&config_file);
    rr_file_out_discard(&tensors);
    rr_buf_destroy(&tensors_path);
    rr_buf_destroy(&config_path);
    rr_buf_destroy(&header);
    rr_buf_destroy(&config);
    return status;
}
