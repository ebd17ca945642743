/* The settings of GPTQ and AWQ: where they stand, and what they say. */
#include <stdio.h>
#include <string.h>

#include "runtime/model/folder_internal.h"

static const uint64_t max_settings_bytes = (uint64_t)16 << 20;

static rr_status refuse_method(const char *place, rr_text method, rr_diag *diag) {
    return rr_fail(diag, RR_E_UNSUPPORTED,
        "%s: quant_method %s found; gptq and awq are read, and folders without quantization", place,
        rr_text_show(method).text);
}

static bool same_text(rr_text text, const char *other) {
    return text.bytes == strlen(other) && rr_ascii_same(text.data, other, text.bytes);
}

/* Old files do not name their method; each writer's have fields of its own. */
static rr_status read_method(rr_json_object settings, rr_folder_quant *out, rr_diag *diag) {
    static const char *const awq_fields[] = {"zero_point", "w_bit", "q_group_size", "version"};
    rr_text method = {"gptq", 4};
    for (size_t i = 0; i < sizeof awq_fields / sizeof awq_fields[0]; i++) {
        method = rr_json_has(settings, awq_fields[i]) ? (rr_text){"awq", 3} : method;
    }
    RR_TRY(rr_json_get_text(settings, "quant_method", &method, diag));
    if (same_text(method, "gptq")) {
        out->method = RR_FOLDER_GPTQ;
    } else if (same_text(method, "awq")) {
        out->method = RR_FOLDER_AWQ;
    } else {
        return refuse_method(settings.place, method, diag);
    }
    bool marlin = false;
    RR_TRY(rr_json_get_bool(settings, "is_marlin_format", &marlin, diag));
    return marlin ? refuse_method(settings.place, (rr_text){"marlin", 6}, diag) : RR_OK;
}

/* The first of several names of one field that is there. */
static const char *field_of(rr_json_object settings, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (rr_json_has(settings, names[i])) {
            return names[i];
        }
    }
    return names[0];
}

static rr_status read_sizes(rr_json_object settings, rr_folder_quant *out, rr_diag *diag) {
    static const char *const bits_names[] = {"bits", "w_bit", "wbits"};
    static const char *const group_names[] = {"group_size", "q_group_size"};
    int64_t bits = 0, group = 0;
    RR_TRY(rr_json_get_integer(settings, field_of(settings, bits_names, 3), 1, 64, &bits, diag));
    RR_TRY(rr_json_get_integer(
        settings, field_of(settings, group_names, 2), -1, 1 << 20, &group, diag));
    if (bits != 4 && !(bits == 8 && out->method == RR_FOLDER_GPTQ)) {
        return rr_fail(diag, bits == 0 ? RR_E_INPUT : RR_E_UNSUPPORTED,
            "%s: bits %lld found, %s expected", settings.place, (long long)bits,
            out->method == RR_FOLDER_GPTQ ? "4 or 8" : "4");
    }
    if (group == 0) {
        return rr_fail(diag, RR_E_INPUT, "%s: group_size: missing or 0, -1 or 1 and more expected",
            settings.place);
    }
    out->bits = (uint32_t)bits;
    out->group = group > 0 ? (uint32_t)group : 0;
    return RR_OK;
}

/* GPTQModel writes the zeros of a symmetric or asymmetric file in a way of its own. */
static bool is_by_gptqmodel(rr_json_object settings) {
    yyjson_val *quantizer = yyjson_obj_get(yyjson_obj_get(settings.value, "meta"), "quantizer");
    yyjson_val *first = yyjson_is_arr(quantizer) ? yyjson_arr_get_first(quantizer) : quantizer;
    const rr_text name = rr_json_string(first);
    return name.data != NULL && name.bytes >= 9 && rr_ascii_same(name.data, "gptqmodel", 9);
}

/* Whether GPTQModel's rules for some layers change more than leaving them out. */
static bool layers_differ(rr_json_object settings) {
    yyjson_val *rules = yyjson_obj_get(settings.value, "dynamic"), *key;
    yyjson_obj_iter iter = yyjson_obj_iter_with(rules); /* none, if it is no object */
    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        if (yyjson_get_str(key)[0] != '-') {
            return true;
        }
    }
    return false;
}

static rr_status read_gptq(rr_json_object settings, rr_folder_quant *out, rr_diag *diag) {
    static const char *const format_names[] = {"checkpoint_format", "format"};
    rr_text format = {"gptq", 4}, pack = {"int32", 5};
    out->symmetric = true; /* what is meant where it is not said */
    RR_TRY(rr_json_get_text(settings, field_of(settings, format_names, 2), &format, diag));
    RR_TRY(rr_json_get_text(settings, "pack_dtype", &pack, diag));
    RR_TRY(rr_json_get_bool(settings, "sym", &out->symmetric, diag));
    RR_TRY(rr_json_get_bool(settings, "desc_act", &out->act_order, diag));
    if (!same_text(format, "gptq") && !same_text(format, "gptq_v2")) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: checkpoint_format %s found, gptq or gptq_v2 expected", settings.place,
            rr_text_show(format).text);
    }
    if (!same_text(pack, "int32")) {
        return rr_fail(diag, RR_E_UNSUPPORTED, "%s: pack_dtype %s found, int32 expected",
            settings.place, rr_text_show(pack).text);
    }
    out->zeros_as_stored = same_text(format, "gptq_v2");
    out->zeros_by_word = is_by_gptqmodel(settings);
    out->layers_differ = layers_differ(settings);
    return RR_OK;
}

static rr_status read_awq(rr_json_object settings, rr_folder_quant *out, rr_diag *diag) {
    rr_text version = {"gemm", 4};
    bool zero_point = true;
    RR_TRY(rr_json_get_text(settings, "version", &version, diag));
    RR_TRY(rr_json_get_bool(settings, "zero_point", &zero_point, diag));
    if (!same_text(version, "gemm")) {
        return rr_fail(diag, RR_E_UNSUPPORTED, "%s: version %s found, gemm expected",
            settings.place, rr_text_show(version).text);
    }
    out->symmetric = !zero_point;
    out->zeros_as_stored = true;
    return RR_OK;
}

static rr_status read_settings(rr_json_object settings, rr_folder_quant *out, rr_diag *diag) {
    rr_folder_quant quant = {.place = settings.place};
    RR_TRY(rr_json_check_unique(settings, diag));
    RR_TRY(read_method(settings, &quant, diag));
    RR_TRY(read_sizes(settings, &quant, diag));
    RR_TRY(quant.method == RR_FOLDER_GPTQ ? read_gptq(settings, &quant, diag)
                                          : read_awq(settings, &quant, diag));
    *out = quant;
    return RR_OK;
}

/* Both places may say it; then they say the same. */
static rr_status compare(const rr_folder_quant *a, const rr_folder_quant *b, rr_diag *diag) {
    const struct {
        const char *field;
        int64_t left, right;
    } rows[] = {{"quant_method", a->method, b->method}, {"bits", a->bits, b->bits},
        {"group_size", a->group != 0 ? (int64_t)a->group : -1,
            b->group != 0 ? (int64_t)b->group : -1},
        {"desc_act", a->act_order, b->act_order}, {"sym", a->symmetric, b->symmetric},
        {"checkpoint_format", a->zeros_as_stored, b->zeros_as_stored}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].left != rows[i].right) {
            return rr_fail(diag, RR_E_INPUT, "%s and %s: %s %lld and %lld found, the same expected",
                a->place, b->place, rows[i].field, (long long)rows[i].left,
                (long long)rows[i].right);
        }
    }
    return RR_OK;
}

static void describe(rr_folder *folder) {
    const rr_folder_quant *q = &folder->quant;
    char groups[32] = "whole rows";
    if (q->group != 0) {
        snprintf(groups, sizeof groups, "groups of %u", q->group);
    }
    snprintf(folder->about, sizeof folder->about, "%s, %u bits, %s, %s%s",
        q->method == RR_FOLDER_GPTQ ? "GPTQ" : "AWQ", q->bits, groups,
        q->symmetric ? "symmetric" : "with zero points", q->act_order ? ", act-order" : "");
}

static rr_status read_file(rr_folder *folder, const char *name, bool *found, rr_diag *diag) {
    rr_folder_quant other = {0};
    rr_json file = {0};
    if (!rr_folder_has(folder, name)) {
        return RR_OK;
    }
    RR_TRY(rr_json_read(folder->base.path, name, max_settings_bytes, &file, diag));
    char *place = rr_arena_copy(&folder->arena, file.label, strlen(file.label));
    rr_status status = place == NULL
        ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder->base.path)
        : read_settings((rr_json_object){yyjson_doc_get_root(file.doc), place}, &other, diag);
    rr_json_destroy(&file);
    RR_TRY(status);
    if (*found) {
        return compare(&folder->quant, &other, diag);
    }
    folder->quant = other;
    *found = true;
    return RR_OK;
}

rr_status rr_folder_read_quant(rr_folder *folder, rr_diag *diag) {
    const rr_json_object config = {yyjson_doc_get_root(folder->config.doc), folder->config.label};
    yyjson_val *settings = NULL;
    RR_TRY(rr_json_get_object(config, "quantization_config", &settings, diag));
    bool found = settings != NULL;
    if (found) {
        RR_TRY(read_settings((rr_json_object){settings, config.place}, &folder->quant, diag));
    }
    RR_TRY(read_file(folder, "quantize_config.json", &found, diag));
    RR_TRY(read_file(folder, "quant_config.json", &found, diag));
    if (found) {
        describe(folder);
    }
    return RR_OK;
}
