#include "runtime/model/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/model/json.h"

/* The limit of the reference implementation. */
static const uint64_t max_header_bytes = 100000000;
enum { LENGTH_BYTES = 8 };

struct rr_safetensors {
    char *path;
    rr_mapping mapping;
    const uint8_t *data;
    uint64_t bytes, head_bytes;
    rr_json header;
    rr_st_tensor *tensors;        /* by data */
    const rr_st_tensor **by_name; /* [n] */
    size_t n;
};

static const struct {
    const char *name;
    rr_st_type type;
    uint32_t bits;
} types[] = {
    {"F32", RR_ST_F32, 32},
    {"F16", RR_ST_F16, 16},
    {"BF16", RR_ST_BF16, 16},
    {"I32", RR_ST_I32, 32},
    {"I64", RR_ST_I64, 64},
    {"F64", RR_ST_OTHER, 64},
    {"U64", RR_ST_OTHER, 64},
    {"C64", RR_ST_OTHER, 64},
    {"U32", RR_ST_OTHER, 32},
    {"I16", RR_ST_OTHER, 16},
    {"U16", RR_ST_OTHER, 16},
    {"I8", RR_ST_OTHER, 8},
    {"U8", RR_ST_OTHER, 8},
    {"BOOL", RR_ST_OTHER, 8},
    {"F8_E4M3", RR_ST_OTHER, 8},
    {"F8_E5M2", RR_ST_OTHER, 8},
    {"F8_E8M0", RR_ST_OTHER, 8},
    {"F6_E2M3", RR_ST_OTHER, 6},
    {"F6_E3M2", RR_ST_OTHER, 6},
    {"F4", RR_ST_OTHER, 4},
};
enum { N_TYPES = sizeof types / sizeof types[0] };

rr_st_shape rr_st_shape_of(const rr_st_tensor *tensor) {
    rr_st_shape out = {"["};
    size_t used = 1;
    for (uint32_t d = 0; d < tensor->n_dims && used < sizeof out.text; d++) {
        used += (size_t)snprintf(out.text + used, sizeof out.text - used, "%s%llu",
            d > 0 ? ", " : "", (unsigned long long)tensor->dims[d]);
    }
    snprintf(out.text + used, sizeof out.text - used, "]");
    return out;
}

/* A whole number of 64 bits; its sign and its being whole are told apart. */
static rr_status read_u64(yyjson_val *value, const char *what, uint64_t *out, rr_diag *diag) {
    if (yyjson_is_sint(value)) {
        return rr_fail(diag, RR_E_INPUT, "%s: %lld found, 0 or more expected", what,
            (long long)yyjson_get_sint(value));
    }
    if (!yyjson_is_uint(value)) {
        return rr_fail(diag, RR_E_INPUT, "%s: integer expected, %s found", what,
            yyjson_is_num(value) ? "another number" : rr_json_type(value));
    }
    *out = yyjson_get_uint(value);
    return RR_OK;
}

static rr_status read_type(yyjson_val *value, rr_st_tensor *tensor, uint32_t *bits, rr_diag *diag) {
    const rr_text name = rr_json_string(value);
    if (!yyjson_is_str(value)) {
        return rr_fail(diag, RR_E_INPUT, "dtype: string expected, %s found", rr_json_type(value));
    }
    for (size_t i = 0; i < N_TYPES; i++) {
        if (rr_text_is(name, types[i].name)) {
            tensor->type = types[i].type;
            tensor->type_name = types[i].name;
            *bits = types[i].bits;
            return RR_OK;
        }
    }
    char known[160] = "";
    for (size_t i = 0, used = 0; i < N_TYPES && used < sizeof known; i++) {
        used += (size_t)snprintf(known + used, sizeof known - used, " %s", types[i].name);
    }
    return rr_fail(
        diag, RR_E_INPUT, "dtype %s found, known dtypes:%s", rr_text_show(name).text, known);
}

static rr_status read_shape(yyjson_val *list, rr_st_tensor *tensor, rr_diag *diag) {
    if (!yyjson_is_arr(list)) {
        return rr_fail(diag, RR_E_INPUT, "shape: list expected, %s found", rr_json_type(list));
    }
    if (yyjson_arr_size(list) > RR_ST_MAX_DIMS) {
        return rr_fail(diag, RR_E_INPUT, "shape of %zu dimensions found, at most %d expected",
            yyjson_arr_size(list), RR_ST_MAX_DIMS);
    }
    for (uint32_t d = 0; d < RR_ST_MAX_DIMS; d++) {
        tensor->dims[d] = 1;
    }
    size_t i, n;
    yyjson_val *dim;
    yyjson_arr_foreach(list, i, n, dim) {
        RR_TRY(read_u64(dim, "shape", &tensor->dims[i], diag));
    }
    tensor->n_dims = (uint32_t)n;
    return RR_OK;
}

/* Bytes of the shape in a type of `bits` bits. A dimension of 0 makes it 0, but the others must be
 * sizes all the same. */
static rr_status shape_bytes(
    const rr_st_tensor *tensor, uint32_t bits, uint64_t *out, rr_diag *diag) {
    uint64_t product = bits;
    bool empty = false;
    for (uint32_t d = 0; d < tensor->n_dims; d++) {
        const uint64_t dim = tensor->dims[d];
        empty = empty || dim == 0;
        if (dim != 0 && !rr_mul_u64(product, dim, &product)) {
            return rr_fail(diag, RR_E_INPUT, "%s %s: shape too large, 64 bits of size expected",
                tensor->type_name, rr_st_shape_of(tensor).text);
        }
    }
    if (!empty && product % 8 != 0) {
        return rr_fail(diag, RR_E_INPUT, "%s %s: %llu bits found, whole bytes expected",
            tensor->type_name, rr_st_shape_of(tensor).text, (unsigned long long)product);
    }
    *out = empty ? 0 : product / 8;
    return RR_OK;
}

/* Offsets as [begin, end) of the data, whose size is `room`. */
static rr_status read_offsets(
    yyjson_val *list, uint64_t room, rr_st_tensor *tensor, uint64_t *begin, rr_diag *diag) {
    uint64_t end = 0;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) != 2) {
        return rr_fail(diag, RR_E_INPUT, "data_offsets: list of two numbers expected, %s found",
            yyjson_is_arr(list) ? "another list" : rr_json_type(list));
    }
    RR_TRY(read_u64(yyjson_arr_get_first(list), "data_offsets", begin, diag));
    RR_TRY(read_u64(yyjson_arr_get_last(list), "data_offsets", &end, diag));
    if (*begin > end) {
        return rr_fail(diag, RR_E_INPUT, "offsets %llu and %llu found, begin before end expected",
            (unsigned long long)*begin, (unsigned long long)end);
    }
    if (end > room) {
        return rr_fail(diag, RR_E_INPUT,
            "needs bytes up to %llu, data has %llu; the file is cut "
            "or damaged",
            (unsigned long long)end, (unsigned long long)room);
    }
    tensor->bytes = end - *begin;
    return RR_OK;
}

static rr_status read_tensor(
    const rr_safetensors *file, yyjson_val *value, rr_st_tensor *tensor, rr_diag *diag) {
    if (!yyjson_is_obj(value)) {
        return rr_fail(diag, RR_E_INPUT, "object expected, %s found", rr_json_type(value));
    }
    RR_TRY(rr_json_check_unique((rr_json_object){value, "tensor"}, diag));
    const uint64_t room = file->bytes - file->head_bytes;
    uint32_t bits = 0;
    uint64_t begin = 0, bytes = 0;
    RR_TRY(read_type(yyjson_obj_get(value, "dtype"), tensor, &bits, diag));
    RR_TRY(read_shape(yyjson_obj_get(value, "shape"), tensor, diag));
    RR_TRY(read_offsets(yyjson_obj_get(value, "data_offsets"), room, tensor, &begin, diag));
    RR_TRY(shape_bytes(tensor, bits, &bytes, diag));
    if (bytes != tensor->bytes) {
        return rr_fail(diag, RR_E_INPUT, "%s %s needs %llu bytes, offsets give %llu",
            tensor->type_name, rr_st_shape_of(tensor).text, (unsigned long long)bytes,
            (unsigned long long)tensor->bytes);
    }
    tensor->data = file->data + file->head_bytes + begin;
    return RR_OK;
}

static int compare_names(const void *a, const void *b) {
    const rr_st_tensor *const *left = a, *const *right = b;
    return rr_text_compare((*left)->name, (*right)->name);
}

/* By place; those without bytes before the one that begins there. */
static int compare_places(const void *a, const void *b) {
    const rr_st_tensor *left = a, *right = b;
    if (left->data != right->data) {
        return left->data < right->data ? -1 : 1;
    }
    if ((left->bytes == 0) != (right->bytes == 0)) {
        return left->bytes == 0 ? -1 : 1;
    }
    return rr_text_compare(left->name, right->name);
}

static rr_status check_names(rr_safetensors *file, rr_diag *diag) {
    for (size_t i = 0; i < file->n; i++) {
        file->by_name[i] = &file->tensors[i];
    }
    if (file->n > 1) {
        qsort(file->by_name, file->n, sizeof *file->by_name, compare_names);
    }
    for (size_t i = 1; i < file->n; i++) {
        if (compare_names(&file->by_name[i - 1], &file->by_name[i]) == 0) {
            return rr_fail(diag, RR_E_INPUT, "tensor %s twice, once expected",
                rr_text_show(file->by_name[i]->name).text);
        }
    }
    return RR_OK;
}

/* Each tensor begins where the one before ended, the first at 0, and the last one ends with the
 * file: no overlap, no gap, nothing behind them. */
static rr_status check_places(const rr_safetensors *file, rr_diag *diag) {
    const uint8_t *data = file->data + file->head_bytes;
    const uint64_t room = file->bytes - file->head_bytes;
    uint64_t end = 0;
    for (size_t i = 0; i < file->n; i++) {
        const rr_st_tensor *tensor = &file->tensors[i];
        const uint64_t begin = (uint64_t)(tensor->data - data);
        const rr_shown name = rr_text_show(tensor->name);
        if (begin < end) {
            return rr_fail(diag, RR_E_INPUT, "tensors overlap: %s begins at %llu, %s ends at %llu",
                name.text, (unsigned long long)begin, rr_text_show(tensor[-1].name).text,
                (unsigned long long)end);
        }
        if (begin > end) {
            return rr_fail(diag, RR_E_INPUT, "bytes %llu to %llu before %s belong to no tensor",
                (unsigned long long)end, (unsigned long long)begin, name.text);
        }
        end = begin + tensor->bytes;
    }
    if (end != room) {
        return rr_fail(diag, RR_E_INPUT, "data has %llu bytes, tensors end at %llu",
            (unsigned long long)room, (unsigned long long)end);
    }
    return RR_OK;
}

/* Text to text. */
static rr_status check_metadata(yyjson_val *value, rr_diag *diag) {
    if (!yyjson_is_obj(value)) {
        return rr_fail(
            diag, RR_E_INPUT, "__metadata__: object expected, %s found", rr_json_type(value));
    }
    size_t i, n;
    yyjson_val *key, *text;
    yyjson_obj_foreach(value, i, n, key, text) {
        if (!yyjson_is_str(text)) {
            return rr_fail(diag, RR_E_INPUT, "__metadata__: %s: string expected, %s found",
                rr_text_show(rr_json_string(key)).text, rr_json_type(text));
        }
    }
    return RR_OK;
}

static rr_status read_tensors(rr_safetensors *file, rr_diag *diag) {
    yyjson_val *root = yyjson_doc_get_root(file->header.doc);
    if (!yyjson_is_obj(root)) {
        return rr_fail(diag, RR_E_INPUT, "header: object expected, %s found", rr_json_type(root));
    }
    const size_t room = yyjson_obj_size(root) + 1;
    file->tensors = calloc(room, sizeof *file->tensors);
    file->by_name = calloc(room, sizeof *file->by_name);
    if (file->tensors == NULL || file->by_name == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu tensors", room - 1);
    }
    size_t i, n, n_metadata = 0;
    yyjson_val *key, *value;
    yyjson_obj_foreach(root, i, n, key, value) {
        const rr_text name = rr_json_string(key);
        if (rr_text_is(name, "__metadata__")) {
            if (++n_metadata > 1) {
                return rr_fail(diag, RR_E_INPUT, "__metadata__ twice, once expected");
            }
            RR_TRY(check_metadata(value, diag));
            continue;
        }
        rr_st_tensor *tensor = &file->tensors[file->n++];
        tensor->name = name;
        rr_status status = read_tensor(file, value, tensor, diag);
        if (status != RR_OK) {
            return rr_fail_context(diag, status, "%s", rr_text_show(name).text);
        }
    }
    RR_TRY(check_names(file, diag)); /* a double would be called an overlap */
    if (file->n > 1) {
        qsort(file->tensors, file->n, sizeof *file->tensors, compare_places);
    }
    RR_TRY(check_places(file, diag));
    return check_names(file, diag); /* places in memory have changed */
}

static rr_status read_header(rr_safetensors *file, rr_diag *diag) {
    if (file->bytes < LENGTH_BYTES) {
        return rr_fail(diag, RR_E_INPUT, "size %llu, at least %d needed: no safetensors file",
            (unsigned long long)file->bytes, LENGTH_BYTES);
    }
    uint64_t length = 0;
    memcpy(&length, file->data, sizeof length);
    if (length > max_header_bytes) {
        return rr_fail(diag, RR_E_INPUT,
            "header length %llu, the limit is %llu: no safetensors file, or damaged",
            (unsigned long long)length, (unsigned long long)max_header_bytes);
    }
    if (length > file->bytes - LENGTH_BYTES) {
        return rr_fail(diag, RR_E_INPUT,
            "header length %llu, but %llu bytes in the file; it is cut "
            "or damaged",
            (unsigned long long)length, (unsigned long long)file->bytes);
    }
    file->head_bytes = LENGTH_BYTES + length;
    return RR_OK;
}

static rr_status parse(rr_safetensors *file, rr_diag *diag) {
    rr_status status = read_header(file, diag);
    if (status != RR_OK) {
        return rr_fail_context(diag, status, "%s", file->path);
    }
    RR_TRY(rr_json_parse(file->data + LENGTH_BYTES, (size_t)(file->head_bytes - LENGTH_BYTES),
        file->path, LENGTH_BYTES, &file->header, diag));
    status = read_tensors(file, diag);
    return status == RR_OK ? RR_OK : rr_fail_context(diag, status, "%s", file->path);
}

/* Takes the mapping, which may be empty. */
static rr_status open_memory(rr_mapping *mapping, const void *data, uint64_t bytes,
    const char *label, rr_safetensors **out, rr_diag *diag) {
    rr_safetensors *file = calloc(1, sizeof *file);
    const size_t label_bytes = strlen(label) + 1;
    char *path = malloc(label_bytes);
    if (file == NULL || path == NULL) {
        free(path);
        free(file);
        rr_file_unmap(mapping);
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", label);
    }
    memcpy(path, label, label_bytes);
    *file = (rr_safetensors){.path = path, .mapping = *mapping, .data = data, .bytes = bytes};
    rr_status status = parse(file, diag);
    if (status != RR_OK) {
        rr_safetensors_close(&file);
        return status;
    }
    *out = file;
    return RR_OK;
}

rr_status rr_safetensors_open(const char *path, rr_safetensors **out, rr_diag *diag) {
    rr_mapping mapping = {0};
    RR_TRY(rr_file_map(path, &mapping, diag));
    return open_memory(&mapping, mapping.data, mapping.bytes, path, out, diag);
}

rr_status rr_safetensors_parse(
    const void *data, uint64_t bytes, const char *label, rr_safetensors **out, rr_diag *diag) {
    rr_mapping none = {0};
    return open_memory(&none, data, bytes, label, out, diag);
}

void rr_safetensors_close(rr_safetensors **pointer) {
    rr_safetensors *file = *pointer;
    if (file == NULL) {
        return;
    }
    rr_json_destroy(&file->header);
    rr_file_unmap(&file->mapping);
    free(file->by_name);
    free(file->tensors);
    free(file->path);
    free(file);
    *pointer = NULL;
}

void rr_safetensors_drop_pages(const rr_safetensors *file) {
    rr_file_drop_pages(&file->mapping);
}

const char *rr_safetensors_path(const rr_safetensors *file) {
    return file->path;
}

uint64_t rr_safetensors_bytes(const rr_safetensors *file) {
    return file->bytes;
}

int64_t rr_safetensors_modified_ns(const rr_safetensors *file) {
    return file->mapping.modified_ns;
}

const void *rr_safetensors_head(const rr_safetensors *file, uint64_t *bytes) {
    *bytes = file->head_bytes;
    return file->data;
}

bool rr_safetensors_metadata(const rr_safetensors *file, const char *key, rr_text *out) {
    yyjson_val *root = yyjson_doc_get_root(file->header.doc);
    yyjson_val *text = yyjson_obj_get(yyjson_obj_get(root, "__metadata__"), key);
    if (text == NULL) {
        return false;
    }
    *out = rr_json_string(text);
    return true;
}

size_t rr_safetensors_n(const rr_safetensors *file) {
    return file->n;
}

const rr_st_tensor *rr_safetensors_at(const rr_safetensors *file, size_t index) {
    return index < file->n ? &file->tensors[index] : NULL;
}

const rr_st_tensor *rr_safetensors_find(const rr_safetensors *file, rr_text name) {
    const rr_st_tensor probe = {.name = name};
    const rr_st_tensor *wanted = &probe;
    const rr_st_tensor *const *found = file->n == 0
        ? NULL
        : bsearch(&wanted, file->by_name, file->n, sizeof wanted, compare_names);
    return found == NULL ? NULL : *found;
}
