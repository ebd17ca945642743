#include "tools/pull_manifest.h"

#include <string.h>
#include <yyjson.h>

#include "runtime/base/text_file.h"

extern const char rr_models_json[]; /* made from tools/models.json */

enum { MANIFEST_MAX_BYTES = 1 << 20, NAME_MAX_BYTES = 128, PARTS_MAX = 999 };

/* The characters a text from a manifest may be made of, besides letters and digits. It never starts
 * with '-' or '.', so it is never an option and never leaves a folder. */
static bool plain(const char *text, const char *also) {
    size_t n = strlen(text);
    if (n == 0 || n > NAME_MAX_BYTES || text[0] == '-' || text[0] == '.' ||
        strstr(text, "..") != NULL) {
        return false;
    }
    for (const char *c = text; *c != '\0'; c++) {
        bool letter =
            (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (!letter && strchr(also, *c) == NULL) {
            return false;
        }
    }
    return true;
}

/* A text field made of plain characters, copied. */
static rr_status read_plain(yyjson_val *object, const char *key, const char *also, rr_arena *arena,
    const char **out, rr_diag *diag) {
    yyjson_val *value = yyjson_obj_get(object, key);
    const char *text = yyjson_get_str(value);
    if (text == NULL || strlen(text) != yyjson_get_len(value) || !plain(text, also)) {
        return rr_fail(diag, RR_E_INPUT,
            "\"%s\": found %s%.40s, expected a text of letters, digits and %s of at most %d characters",
            key, text == NULL ? "no text" : "", text == NULL ? "" : text, also, NAME_MAX_BYTES);
    }
    char *copy = rr_arena_copy(arena, text, strlen(text));
    *out = copy;
    return copy != NULL ? RR_OK : rr_fail(diag, RR_E_MEMORY, "out of memory");
}

static rr_status read_number(
    yyjson_val *object, const char *key, uint64_t max, uint64_t *out, rr_diag *diag) {
    yyjson_val *value = yyjson_obj_get(object, key);
    if (!yyjson_is_uint(value) || yyjson_get_uint(value) == 0 || yyjson_get_uint(value) > max) {
        return rr_fail(diag, RR_E_INPUT, "\"%s\": expected a whole number from 1 to %llu", key,
            (unsigned long long)max);
    }
    *out = yyjson_get_uint(value);
    return RR_OK;
}

static rr_status read_source(
    yyjson_val *json, uint64_t bytes, rr_arena *arena, rr_model_source *out, rr_diag *diag) {
    rr_model_source source = {0};
    if (yyjson_obj_get(json, "hub") != NULL) {
        source.kind = RR_SOURCE_HUB;
        RR_TRY(read_plain(json, "hub", "-_./", arena, &source.repo, diag));
        RR_TRY(read_plain(json, "file", "-_./", arena, &source.file, diag));
    } else if (yyjson_obj_get(json, "packages") != NULL) {
        source.kind = RR_SOURCE_PACKAGES;
        uint64_t n_parts = 0;
        RR_TRY(read_plain(json, "packages", "-_", arena, &source.prefix, diag));
        RR_TRY(read_plain(json, "version", ".+-", arena, &source.version, diag));
        RR_TRY(read_number(json, "parts", PARTS_MAX, &n_parts, diag));
        RR_TRY(read_number(json, "part_bytes", bytes, &source.part_bytes, diag));
        source.n_parts = (uint32_t)n_parts;
        uint64_t needed = bytes / source.part_bytes + (bytes % source.part_bytes != 0);
        if (needed != n_parts) {
            return rr_fail(diag, RR_E_INPUT,
                "%llu bytes in parts of %llu are %llu parts, found \"parts\": %llu",
                (unsigned long long)bytes, (unsigned long long)source.part_bytes,
                (unsigned long long)needed, (unsigned long long)n_parts);
        }
    } else {
        return rr_fail(diag, RR_E_INPUT, "a source is an object with \"hub\" or \"packages\"");
    }
    *out = source;
    return RR_OK;
}

static rr_status read_entry(yyjson_val *json, rr_arena *arena, rr_model_entry *out, rr_diag *diag) {
    rr_model_entry entry = {.about = ""};
    RR_TRY(read_plain(json, "name", "-_.", arena, &entry.name, diag));
    RR_TRY(read_plain(json, "sha256", "", arena, &entry.sha256, diag));
    if (strlen(entry.sha256) != 64 || strspn(entry.sha256, "0123456789abcdef") != 64) {
        return rr_fail(diag, RR_E_INPUT, "\"sha256\": expected 64 lower-case hexadecimal digits");
    }
    if (yyjson_obj_get(json, "about") != NULL) {
        RR_TRY(read_plain(json, "about", " -_.,()/:", arena, &entry.about, diag));
    }
    RR_TRY(read_number(json, "bytes", UINT64_C(1) << 45, &entry.bytes, diag));
    yyjson_val *sources = yyjson_obj_get(json, "sources");
    entry.n_sources = yyjson_arr_size(sources);
    if (entry.n_sources == 0 || entry.n_sources > RR_MODEL_SOURCES) {
        return rr_fail(
            diag, RR_E_INPUT, "\"sources\": expected a list of 1 to %d sources", RR_MODEL_SOURCES);
    }
    size_t i, n;
    yyjson_val *source;
    yyjson_arr_foreach(sources, i, n, source) {
        rr_status status = read_source(source, entry.bytes, arena, &entry.sources[i], diag);
        if (status != RR_OK) {
            return rr_fail_context(diag, status, "source %zu", i + 1);
        }
    }
    *out = entry;
    return RR_OK;
}

static rr_status read_entries(yyjson_val *models, rr_manifest *manifest, rr_diag *diag) {
    size_t n = yyjson_arr_size(models);
    if (n == 0) {
        return rr_fail(
            diag, RR_E_INPUT, "expected an object {\"models\": [...]} with at least one model");
    }
    manifest->entries = rr_arena_alloc(&manifest->arena, n, sizeof *manifest->entries);
    if (manifest->entries == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    size_t i, max;
    yyjson_val *model;
    yyjson_arr_foreach(models, i, max, model) {
        rr_status status = read_entry(model, &manifest->arena, &manifest->entries[i], diag);
        if (status != RR_OK) {
            return rr_fail_context(diag, status, "model %zu", i + 1);
        }
        manifest->n = i + 1;
    }
    return RR_OK;
}

rr_status rr_manifest_read(const char *path, rr_manifest *out, rr_diag *diag) {
    rr_manifest manifest = {0};
    rr_buf text = {0};
    yyjson_doc *doc = NULL;
    rr_status status = RR_OK;
    if (path == NULL) {
        path = "the built-in manifest";
        rr_buf_text(&text, rr_models_json);
    } else {
        RR_TRY_GOTO(rr_text_file_read(path, MANIFEST_MAX_BYTES, &text, diag));
    }
    if (text.failed) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
        goto fail;
    }
    yyjson_read_err error;
    doc = yyjson_read_opts(text.data, text.bytes, 0, NULL, &error);
    if (doc == NULL) {
        status =
            rr_fail(diag, RR_E_INPUT, "%s: byte %zu: not JSON: %s", path, error.pos, error.msg);
        goto fail;
    }
    status = read_entries(yyjson_obj_get(yyjson_doc_get_root(doc), "models"), &manifest, diag);
    if (status != RR_OK) {
        rr_fail_context(diag, status, "%s", path);
    }
fail:
    yyjson_doc_free(doc);
    rr_buf_destroy(&text);
    if (status == RR_OK) {
        *out = manifest;
    } else {
        rr_manifest_destroy(&manifest);
    }
    return status;
}

void rr_manifest_destroy(rr_manifest *manifest) {
    rr_arena_destroy(&manifest->arena);
    *manifest = (rr_manifest){0};
}

rr_status rr_manifest_find(
    const rr_manifest *manifest, const char *name, const rr_model_entry **out, rr_diag *diag) {
    if (name == NULL) {
        *out = &manifest->entries[0];
        return RR_OK;
    }
    rr_buf known = {0};
    for (size_t i = 0; i < manifest->n; i++) {
        if (strcmp(manifest->entries[i].name, name) == 0) {
            rr_buf_destroy(&known);
            *out = &manifest->entries[i];
            return RR_OK;
        }
        rr_buf_printf(&known, "%s%s", i == 0 ? "" : ", ", manifest->entries[i].name);
    }
    rr_status status =
        rr_fail(diag, RR_E_USAGE, "no model \"%s\"; there are: %s", name, known.data);
    rr_buf_destroy(&known);
    return status;
}
