/* The files of weights of a Hugging Face folder: which they are, and that index and files agree. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/model/folder_internal.h"

#define ENDING ".safetensors"
#define INDEX_ENDING ".safetensors.index.json"
static const uint64_t max_index_bytes = 100000000;

static bool ends_with(const char *name, const char *ending) {
    const size_t n = strlen(name), m = strlen(ending);
    return n > m && strcmp(name + n - m, ending) == 0;
}

/* A name that stays in the folder. */
static bool is_plain(rr_text name) {
    for (size_t i = 0; i < name.bytes; i++) {
        const unsigned char c = (unsigned char)name.data[i];
        if (c == '/' || c == '\\' || c < ' ' || c == 0x7F) {
            return false;
        }
    }
    return name.bytes > 0 && name.bytes <= 255 && name.data[0] != '.';
}

/* The only entry with an ending, NULL when there is none; RR_E_INPUT for several. */
static rr_status only_one(
    const rr_folder *folder, const char *ending, const char **out, rr_diag *diag) {
    const char *found = NULL;
    for (size_t i = 0; i < folder->n_names; i++) {
        if (!ends_with(folder->names[i], ending)) {
            continue;
        }
        if (found != NULL) {
            return rr_fail(diag, RR_E_INPUT,
                "%s: %s and %s found, one of them expected; a set of files needs its "
                "model" INDEX_ENDING,
                folder->base.path, rr_text_show((rr_text){found, strlen(found)}).text,
                rr_text_show((rr_text){folder->names[i], strlen(folder->names[i])}).text);
        }
        found = folder->names[i];
    }
    *out = found;
    return RR_OK;
}

static rr_status no_weights(const rr_folder *folder, rr_diag *diag) {
    for (size_t i = 0; i < folder->n_names; i++) {
        const char *name = folder->names[i];
        if (ends_with(name, ".bin") || ends_with(name, ".pt") || ends_with(name, ".pth")) {
            return rr_fail(diag, RR_E_UNSUPPORTED,
                "%s: %s found, model" ENDING
                " expected; files that hold program code (pickle) are never opened",
                folder->base.path, rr_text_show((rr_text){name, strlen(name)}).text);
        }
    }
    return rr_fail(diag, RR_E_INPUT, "%s: no file of weights found, model" ENDING " expected",
        folder->base.path);
}

/* The file that quantizers name in their settings. */
static const char *base_name(const rr_folder *folder) {
    const rr_json_object config = {yyjson_doc_get_root(folder->config.doc), ""};
    yyjson_val *settings = yyjson_obj_get(config.value, "quantization_config");
    const rr_text base = rr_json_string(yyjson_obj_get(settings, "model_file_base_name"));
    for (size_t i = 0; base.data != NULL && i < folder->n_names; i++) {
        const char *name = folder->names[i];
        if (strncmp(name, base.data, base.bytes) == 0 && strcmp(name + base.bytes, ENDING) == 0) {
            return name;
        }
    }
    return NULL;
}

static rr_status add_shard(rr_folder *folder, const char *name, rr_diag *diag) {
    rr_buf path = {0};
    rr_buf_printf(&path, "%s/%s", folder->base.path, name);
    rr_status status = path.failed
        ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder->base.path)
        : rr_safetensors_open(path.data, &folder->shards[folder->n_shards], diag);
    rr_buf_destroy(&path);
    RR_TRY(status);
    const size_t n = rr_safetensors_n(folder->shards[folder->n_shards]);
    bool *claimed = rr_arena_alloc(&folder->arena, n + 1, sizeof *claimed);
    folder->claimed[folder->n_shards++] = claimed;
    return claimed != NULL ? RR_OK
                           : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder->base.path);
}

static rr_status make_room(rr_folder *folder, size_t n, rr_diag *diag) {
    folder->shards = rr_arena_alloc(&folder->arena, n + 1, sizeof *folder->shards);
    folder->claimed = rr_arena_alloc(&folder->arena, n + 1, sizeof *folder->claimed);
    return folder->shards != NULL && folder->claimed != NULL
        ? RR_OK
        : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder->base.path);
}

static int compare_strings(const void *a, const void *b) {
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

/* The shards that the index names, sorted, each once; every one is in the folder. */
static rr_status list_shards(
    rr_folder *folder, yyjson_val *map, const char ***out, size_t *n_out, rr_diag *diag) {
    const char *label = folder->index.label;
    size_t i, n, n_names = 0;
    yyjson_val *key, *value;
    const char **names = rr_arena_alloc(&folder->arena, yyjson_obj_size(map) + 1, sizeof *names);
    if (names == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", label);
    }
    yyjson_obj_foreach(map, i, n, key, value) {
        const rr_shown tensor = rr_text_show(rr_json_string(key));
        const rr_text name = rr_json_string(value);
        if (!yyjson_is_str(value)) {
            return rr_fail(diag, RR_E_INPUT, "%s: weight_map: %s: string expected, %s found", label,
                tensor.text, rr_json_type(value));
        }
        if (!is_plain(name) || strlen(name.data) != name.bytes || !ends_with(name.data, ENDING)) {
            return rr_fail(diag, RR_E_INPUT,
                "%s: weight_map: %s: file \"%s\" found, the plain name of a " ENDING
                " file in the folder expected",
                label, tensor.text, rr_text_show(name).text);
        }
        if (!rr_folder_has(folder, name.data)) {
            return rr_fail(diag, RR_E_INPUT,
                "%s: %s: not in the folder, but tensor %s is in it; fetch it again", label,
                name.data, tensor.text);
        }
        names[n_names++] = name.data;
    }
    if (n_names == 0) {
        return rr_fail(diag, RR_E_INPUT, "%s: weight_map: no tensors found", label);
    }
    qsort(names, n_names, sizeof *names, compare_strings);
    size_t kept = 1;
    for (i = 1; i < n_names; i++) {
        if (strcmp(names[i], names[kept - 1]) != 0) {
            names[kept++] = names[i];
        }
    }
    *out = names;
    *n_out = kept;
    return RR_OK;
}

static int compare_keys(const void *a, const void *b) {
    yyjson_val *const *left = a, *const *right = b;
    return rr_text_compare(rr_json_string(*left), rr_json_string(*right));
}

/* A tensor that the index names twice could be taken from either file. */
static rr_status check_keys(rr_folder *folder, yyjson_val *map, rr_diag *diag) {
    size_t i, n, n_keys = 0;
    yyjson_val *key, *value;
    yyjson_val **keys = rr_arena_alloc(&folder->arena, yyjson_obj_size(map) + 1, sizeof *keys);
    if (keys == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder->index.label);
    }
    yyjson_obj_foreach(map, i, n, key, value) {
        keys[n_keys++] = key;
    }
    qsort(keys, n_keys, sizeof *keys, compare_keys);
    for (i = 1; i < n_keys; i++) {
        if (compare_keys(&keys[i - 1], &keys[i]) == 0) {
            return rr_fail(diag, RR_E_INPUT, "%s: weight_map: tensor %s twice, once expected",
                folder->index.label, rr_text_show(rr_json_string(keys[i])).text);
        }
    }
    return RR_OK;
}

/* Each tensor of the index is in its shard. */
static rr_status check_map(const rr_folder *folder, yyjson_val *map, rr_diag *diag) {
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(map, i, n, key, value) {
        for (size_t s = 0; s < folder->n_shards; s++) {
            const char *path = rr_safetensors_path(folder->shards[s]);
            if (strcmp(strrchr(path, '/') + 1, yyjson_get_str(value)) == 0 &&
                rr_safetensors_find(folder->shards[s], rr_json_string(key)) == NULL) {
                return rr_fail(diag, RR_E_INPUT,
                    "%s: weight_map: %s: not in %s, where it should be", folder->index.label,
                    rr_text_show(rr_json_string(key)).text, yyjson_get_str(value));
            }
        }
    }
    return RR_OK;
}

/* No tensor is in two shards. */
static rr_status check_doubles(const rr_folder *folder, uint64_t *bytes, rr_diag *diag) {
    const rr_st_tensor *tensor;
    *bytes = 0;
    for (size_t s = 0; s < folder->n_shards; s++) {
        for (size_t i = 0; (tensor = rr_safetensors_at(folder->shards[s], i)) != NULL; i++) {
            *bytes += tensor->bytes;
            for (size_t other = 0; other < s; other++) {
                if (rr_safetensors_find(folder->shards[other], tensor->name) != NULL) {
                    return rr_fail(diag, RR_E_INPUT,
                        "%s: tensor %s is in %s too, in one file expected",
                        rr_safetensors_path(folder->shards[s]), rr_text_show(tensor->name).text,
                        rr_safetensors_path(folder->shards[other]));
                }
            }
        }
    }
    return RR_OK;
}

/* Real files have it wrong or not at all. */
static rr_status tell_total(rr_json_object root, uint64_t found, rr_diag *diag) {
    yyjson_val *metadata = NULL;
    RR_TRY(rr_json_get_object(root, "metadata", &metadata, diag));
    yyjson_val *total = yyjson_obj_get(metadata, "total_size");
    if (total != NULL && yyjson_get_num(total) != (double)found) {
        rr_log(RR_LOG_INFO, "%s: total_size is %.0f, the tensors have %llu bytes: these count",
            root.place, yyjson_get_num(total), (unsigned long long)found);
    }
    return RR_OK;
}

static rr_status open_indexed(rr_folder *folder, const char *name, rr_diag *diag) {
    RR_TRY(rr_json_read(folder->base.path, name, max_index_bytes, &folder->index, diag));
    const rr_json_object root = {yyjson_doc_get_root(folder->index.doc), folder->index.label};
    yyjson_val *map = NULL;
    const char **names = NULL;
    size_t n = 0;
    uint64_t bytes = 0;
    RR_TRY(rr_json_get_object(root, "weight_map", &map, diag));
    if (map == NULL) {
        return rr_fail(
            diag, RR_E_INPUT, "%s: weight_map: missing, object expected", folder->index.label);
    }
    RR_TRY(check_keys(folder, map, diag));
    RR_TRY(list_shards(folder, map, &names, &n, diag));
    RR_TRY(make_room(folder, n, diag));
    for (size_t i = 0; i < n; i++) {
        RR_TRY(add_shard(folder, names[i], diag));
    }
    RR_TRY(check_map(folder, map, diag));
    RR_TRY(check_doubles(folder, &bytes, diag));
    return tell_total(root, bytes, diag);
}

rr_status rr_folder_open_shards(rr_folder *folder, rr_diag *diag) {
    const char *index = "model" INDEX_ENDING, *name = "model" ENDING;
    if (!rr_folder_has(folder, index)) {
        RR_TRY(only_one(folder, INDEX_ENDING, &index, diag));
    }
    if (index != NULL) {
        return open_indexed(folder, index, diag); /* only its files count */
    }
    if (!rr_folder_has(folder, name)) {
        name = base_name(folder);
    }
    if (name == NULL) {
        RR_TRY(only_one(folder, ENDING, &name, diag));
    }
    if (name == NULL) {
        return no_weights(folder, diag);
    }
    RR_TRY(make_room(folder, 1, diag));
    return add_shard(folder, name, diag);
}

const rr_st_tensor *rr_folder_find(const rr_folder *folder, const char *name, size_t *shard) {
    for (size_t s = 0; s < folder->n_shards; s++) {
        const rr_st_tensor *tensor =
            rr_safetensors_find(folder->shards[s], (rr_text){name, strlen(name)});
        if (tensor != NULL) {
            if (shard != NULL) {
                *shard = s;
            }
            return tensor;
        }
    }
    return NULL;
}

const char *rr_folder_weights_label(const rr_folder *folder) {
    return folder->index.doc != NULL ? folder->index.label : rr_safetensors_path(folder->shards[0]);
}
