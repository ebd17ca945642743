#include "runtime/model/gguf.h"

#include "quant/quant.h"
#include "runtime/base/memory.h"
#include "runtime/base/text_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bounds of the format (source: the GGUF specification). */
enum { MAX_KEY_BYTES = 65535, MAX_TENSOR_NAME_BYTES = 64, MAX_DIMS = 4, DEFAULT_ALIGNMENT = 32 };
/* The least a key and a tensor can take: an empty name, a type, one byte; an empty name, n_dims, a
 * dimension, a type, an offset. Counts are checked against them before anything is allocated. */
enum { MIN_KEY_BYTES = 8 + 4 + 1, MIN_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8 };

struct rr_gguf {
    char *path;
    rr_mapping mapping; /* zeroed when the caller owns the memory */
    uint64_t bytes;
    const uint8_t *data;
    uint64_t head_bytes; /* up to the end of the tensor table */
    rr_gguf_value *values;
    size_t n_values;
    rr_gguf_tensor *tensors;
    size_t n_tensors;
    /* the same, ordered by name: no file can make a lookup slow */
    const rr_gguf_value **values_by_key;
    const rr_gguf_tensor **tensors_by_name;
};

static const struct {
    const char *name;
    uint32_t bytes; /* 0: of variable size */
} type_rows[RR_GGUF_TYPE_COUNT] = {
    [RR_GGUF_U8] = {"uint8", 1},
    [RR_GGUF_I8] = {"int8", 1},
    [RR_GGUF_U16] = {"uint16", 2},
    [RR_GGUF_I16] = {"int16", 2},
    [RR_GGUF_U32] = {"uint32", 4},
    [RR_GGUF_I32] = {"int32", 4},
    [RR_GGUF_F32] = {"float32", 4},
    [RR_GGUF_BOOL] = {"bool", 1},
    [RR_GGUF_STRING] = {"string", 0},
    [RR_GGUF_ARRAY] = {"array", 0},
    [RR_GGUF_U64] = {"uint64", 8},
    [RR_GGUF_I64] = {"int64", 8},
    [RR_GGUF_F64] = {"float64", 8},
};

#define DAMAGED "the file is damaged or incomplete: fetch it again"

typedef struct reader {
    const uint8_t *data;
    uint64_t bytes;
    uint64_t at;
    rr_diag *diag;
} reader;

/* The next `n` bytes; `what` names them. */
static rr_status take(reader *r, uint64_t n, const char *what, const uint8_t **out) {
    if (n > r->bytes - r->at) {
        return rr_fail(r->diag, RR_E_INPUT,
            "byte %llu: %s: found %llu bytes before the end, expected %llu; " DAMAGED,
            (unsigned long long)r->at, what, (unsigned long long)(r->bytes - r->at),
            (unsigned long long)n);
    }
    *out = r->data + r->at;
    r->at += n;
    return RR_OK;
}

static rr_status take_u32(reader *r, const char *what, uint32_t *out) {
    const uint8_t *from = NULL;
    RR_TRY(take(r, sizeof *out, what, &from));
    memcpy(out, from, sizeof *out);
    return RR_OK;
}

static rr_status take_u64(reader *r, const char *what, uint64_t *out) {
    const uint8_t *from = NULL;
    RR_TRY(take(r, sizeof *out, what, &from));
    memcpy(out, from, sizeof *out);
    return RR_OK;
}

static rr_status take_text(reader *r, uint64_t max_bytes, const char *what, rr_text *out) {
    uint64_t n = 0, begin = r->at;
    const uint8_t *from = NULL;
    RR_TRY(take_u64(r, what, &n));
    if (n > max_bytes) {
        return rr_fail(r->diag, RR_E_INPUT,
            "byte %llu: %s: found a length of %llu, expected at most %llu; " DAMAGED,
            (unsigned long long)begin, what, (unsigned long long)n, (unsigned long long)max_bytes);
    }
    RR_TRY(take(r, n, what, &from));
    *out = (rr_text){(const char *)from, (size_t)n};
    return RR_OK;
}

static rr_status take_type(reader *r, const char *what, rr_gguf_type *out) {
    uint32_t type;
    RR_TRY(take_u32(r, what, &type));
    if (type >= RR_GGUF_TYPE_COUNT) {
        return rr_fail(r->diag, RR_E_INPUT,
            "byte %llu: %s: found %u, expected a type number below %d; " DAMAGED,
            (unsigned long long)(r->at - 4), what, type, RR_GGUF_TYPE_COUNT);
    }
    *out = (rr_gguf_type)type;
    return RR_OK;
}

/* `n` values of one type; all checks that the type allows. */
static rr_status take_items(reader *r, rr_gguf_type type, uint64_t n) {
    uint64_t left = r->bytes - r->at;
    uint64_t least = type == RR_GGUF_STRING ? 8 : type_rows[type].bytes;
    const uint8_t *from = NULL;
    if (n > left / least) {
        return rr_fail(r->diag, RR_E_INPUT,
            "byte %llu: found %llu %s values announced, but only %llu bytes left; " DAMAGED,
            (unsigned long long)r->at, (unsigned long long)n, type_rows[type].name,
            (unsigned long long)left);
    }
    if (type == RR_GGUF_STRING) {
        for (uint64_t i = 0; i < n; i++) {
            rr_text text;
            RR_TRY(take_text(r, UINT64_MAX, "string", &text));
        }
        return RR_OK;
    }
    RR_TRY(take(r, n * least, "values", &from));
    for (uint64_t i = 0; type == RR_GGUF_BOOL && i < n; i++) {
        if (from[i] > 1) {
            return rr_fail(r->diag, RR_E_INPUT,
                "byte %llu: bool: found %u, expected 0 or 1; " DAMAGED,
                (unsigned long long)(r->at - n + i), from[i]);
        }
    }
    return RR_OK;
}

static rr_status read_value_body(reader *r, rr_gguf_value *value) {
    RR_TRY(take_type(r, "value type", &value->type));
    value->item_type = value->type;
    value->n_items = 1;
    if (value->type == RR_GGUF_ARRAY) {
        RR_TRY(take_type(r, "array item type", &value->item_type));
        if (value->item_type == RR_GGUF_ARRAY) {
            return rr_fail(r->diag, RR_E_INPUT,
                "byte %llu: found an array of arrays, expected an array of plain values; no "
                "model that is supported has one",
                (unsigned long long)(r->at - 4));
        }
        RR_TRY(take_u64(r, "array length", &value->n_items));
    }
    uint64_t begin = r->at;
    RR_TRY(take_items(r, value->item_type, value->n_items));
    value->data = r->data + begin;
    value->data_bytes = r->at - begin;
    return RR_OK;
}

static rr_status read_value(reader *r, uint64_t index, rr_gguf_value *value) {
    rr_status status = take_text(r, MAX_KEY_BYTES, "key name", &value->key);
    if (status != RR_OK) {
        return rr_fail_context(r->diag, status, "key %llu", (unsigned long long)index);
    }
    status = read_value_body(r, value);
    return status == RR_OK
        ? RR_OK
        : rr_fail_context(r->diag, status, "key \"%s\"", rr_text_show(value->key).text);
}

static int compare_texts(rr_text a, rr_text b) {
    size_t n = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = n > 0 ? memcmp(a.data, b.data, n) : 0;
    return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static int compare_values(const void *a, const void *b) {
    const rr_gguf_value *const *va = a, *const *vb = b;
    return compare_texts((*va)->key, (*vb)->key);
}

static int compare_tensors(const void *a, const void *b) {
    const rr_gguf_tensor *const *ta = a, *const *tb = b;
    return compare_texts((*ta)->name, (*tb)->name);
}

static rr_status count_fits(reader *r, const char *what, uint64_t count, uint64_t least) {
    uint64_t left = r->bytes - r->at;
    if (count > left / least) {
        return rr_fail(r->diag, RR_E_INPUT,
            "byte %llu: found %llu %s announced, but only %llu bytes left; " DAMAGED,
            (unsigned long long)r->at, (unsigned long long)count, what, (unsigned long long)left);
    }
    return RR_OK;
}

static rr_status read_values(reader *r, rr_gguf *gguf, uint64_t n) {
    RR_TRY(count_fits(r, "keys", n, MIN_KEY_BYTES));
    gguf->values = calloc((size_t)n + 1, sizeof *gguf->values);
    gguf->values_by_key = calloc((size_t)n + 1, sizeof *gguf->values_by_key);
    if (gguf->values == NULL || gguf->values_by_key == NULL) {
        return rr_fail(r->diag, RR_E_MEMORY, "out of memory for %llu keys", (unsigned long long)n);
    }
    for (uint64_t i = 0; i < n; i++) {
        RR_TRY(read_value(r, i, &gguf->values[i]));
        gguf->values_by_key[i] = &gguf->values[i];
    }
    gguf->n_values = (size_t)n;
    qsort(gguf->values_by_key, gguf->n_values, sizeof *gguf->values_by_key, compare_values);
    for (size_t i = 1; i < gguf->n_values; i++) {
        if (compare_values(&gguf->values_by_key[i - 1], &gguf->values_by_key[i]) == 0) {
            return rr_fail(r->diag, RR_E_INPUT, "key \"%s\": found twice, expected once; " DAMAGED,
                rr_text_show(gguf->values_by_key[i]->key).text);
        }
    }
    return RR_OK;
}

/* The tensor's place in the data section is kept in `offset` until the section's start is known. */
static rr_status read_tensor_body(reader *r, rr_gguf_tensor *tensor, uint64_t *offset) {
    RR_TRY(take_u32(r, "dimensions", &tensor->n_dims));
    if (tensor->n_dims == 0 || tensor->n_dims > MAX_DIMS) {
        return rr_fail(r->diag, RR_E_INPUT,
            "byte %llu: found %u dimensions, expected 1 to %d; " DAMAGED,
            (unsigned long long)(r->at - 4), tensor->n_dims, MAX_DIMS);
    }
    uint64_t n_weights = 1;
    for (uint32_t d = 0; d < MAX_DIMS; d++) {
        tensor->dims[d] = 1;
        if (d < tensor->n_dims) {
            RR_TRY(take_u64(r, "dimension", &tensor->dims[d]));
        }
        if (tensor->dims[d] == 0 || !rr_mul_u64(n_weights, tensor->dims[d], &n_weights)) {
            return rr_fail(r->diag, RR_E_INPUT,
                "byte %llu: found dimension %u of size %llu, expected a shape with 1 to 2^64-1 "
                "weights; " DAMAGED,
                (unsigned long long)(r->at - 8), d, (unsigned long long)tensor->dims[d]);
        }
    }
    RR_TRY(take_u32(r, "tensor type", &tensor->type));
    RR_TRY(take_u64(r, "tensor offset", offset));
    const rr_qtype_info *info = rr_qtype_get(tensor->type);
    if (info == NULL) {
        return RR_OK; /* an error only for who wants to use it */
    }
    if (tensor->dims[0] % info->block_weights != 0) {
        return rr_fail(r->diag, RR_E_INPUT,
            "found %llu columns of type %s, expected a multiple of %u; " DAMAGED,
            (unsigned long long)tensor->dims[0], info->name, info->block_weights);
    }
    if (!rr_mul_u64(n_weights / info->block_weights, info->block_bytes, &tensor->bytes)) {
        return rr_fail(r->diag, RR_E_INPUT,
            "found %llu weights of type %s, expected a size below 2^64 bytes; " DAMAGED,
            (unsigned long long)n_weights, info->name);
    }
    return RR_OK;
}

/* Checks the offset and turns it into a pointer. `begin` is the data section's place in the
 * file. */
static rr_status place_tensor(
    const reader *r, uint64_t begin, uint64_t alignment, uint64_t offset, rr_gguf_tensor *tensor) {
    uint64_t room = begin <= r->bytes ? r->bytes - begin : 0;
    if (offset % alignment != 0) {
        return rr_fail(r->diag, RR_E_INPUT,
            "found the offset %llu, expected a multiple of the file's alignment %llu; " DAMAGED,
            (unsigned long long)offset, (unsigned long long)alignment);
    }
    if (begin > r->bytes || offset > room || tensor->bytes > room - offset) {
        return rr_fail(r->diag, RR_E_INPUT,
            "found %llu bytes at offset %llu of the data section (byte %llu of the file), but "
            "the file ends at byte %llu; " DAMAGED,
            (unsigned long long)tensor->bytes, (unsigned long long)offset,
            (unsigned long long)begin, (unsigned long long)r->bytes);
    }
    tensor->data = r->data + begin + offset;
    return RR_OK;
}

static rr_status read_alignment(const rr_gguf *gguf, rr_diag *diag, uint64_t *out) {
    *out = DEFAULT_ALIGNMENT;
    if (rr_gguf_find(gguf, "general.alignment") == NULL) {
        return RR_OK;
    }
    RR_TRY(rr_gguf_u64(gguf, "general.alignment", out, diag));
    if (*out < 8 || *out > (1u << 30) || (*out & (*out - 1)) != 0) {
        return rr_fail(diag, RR_E_INPUT,
            "key \"general.alignment\": found %llu, expected a power of two from 8 to 2^30; " DAMAGED,
            (unsigned long long)*out);
    }
    return RR_OK;
}

static rr_status read_tensors(reader *r, rr_gguf *gguf, uint64_t n) {
    RR_TRY(count_fits(r, "tensors", n, MIN_TENSOR_BYTES));
    gguf->tensors = calloc((size_t)n + 1, sizeof *gguf->tensors);
    gguf->tensors_by_name = calloc((size_t)n + 1, sizeof *gguf->tensors_by_name);
    uint64_t *offsets = calloc((size_t)n + 1, sizeof *offsets);
    rr_status status = RR_OK;
    uint64_t alignment = 0;
    if (gguf->tensors == NULL || gguf->tensors_by_name == NULL || offsets == NULL) {
        RR_TRY_GOTO(
            rr_fail(r->diag, RR_E_MEMORY, "out of memory for %llu tensors", (unsigned long long)n));
    }
    RR_TRY_GOTO(read_alignment(gguf, r->diag, &alignment));
    for (uint64_t i = 0; i < n; i++) {
        rr_gguf_tensor *tensor = &gguf->tensors[i];
        gguf->tensors_by_name[i] = tensor;
        status = take_text(r, MAX_TENSOR_NAME_BYTES, "tensor name", &tensor->name);
        if (status != RR_OK) {
            rr_fail_context(r->diag, status, "tensor %llu", (unsigned long long)i);
            goto fail;
        }
        status = read_tensor_body(r, tensor, &offsets[i]);
        if (status != RR_OK) {
            rr_fail_context(r->diag, status, "tensor \"%s\"", rr_text_show(tensor->name).text);
            goto fail;
        }
    }
    gguf->head_bytes = r->at;
    uint64_t begin = rr_round_up(r->at, alignment);
    for (uint64_t i = 0; i < n; i++) {
        status = place_tensor(r, begin, alignment, offsets[i], &gguf->tensors[i]);
        if (status != RR_OK) {
            rr_fail_context(
                r->diag, status, "tensor \"%s\"", rr_text_show(gguf->tensors[i].name).text);
            goto fail;
        }
    }
    gguf->n_tensors = (size_t)n;
    qsort(gguf->tensors_by_name, gguf->n_tensors, sizeof *gguf->tensors_by_name, compare_tensors);
    for (size_t i = 1; i < gguf->n_tensors; i++) {
        if (compare_tensors(&gguf->tensors_by_name[i - 1], &gguf->tensors_by_name[i]) == 0) {
            RR_TRY_GOTO(
                rr_fail(r->diag, RR_E_INPUT, "tensor \"%s\": found twice, expected once; " DAMAGED,
                    rr_text_show(gguf->tensors_by_name[i]->name).text));
        }
    }
fail:
    free(offsets);
    return status;
}

static rr_status read_header(reader *r, uint64_t *n_tensors, uint64_t *n_values) {
    const uint8_t *magic = NULL;
    uint32_t version;
    RR_TRY(take(r, 4, "magic", &magic));
    const char *packing = rr_text_packing(magic, 4);
    if (packing != NULL) {
        return rr_fail(r->diag, RR_E_INPUT,
            "is packed with %s, expected a GGUF model as it is: unpack it first", packing);
    }
    if (memcmp(magic, "GGUF", 4) != 0) {
        return rr_fail(r->diag, RR_E_INPUT,
            "byte 0: found %02x %02x %02x %02x, expected \"GGUF\"; this is not a GGUF model file",
            magic[0], magic[1], magic[2], magic[3]);
    }
    RR_TRY(take_u32(r, "version", &version));
    if (version == __builtin_bswap32(2) || version == __builtin_bswap32(3)) {
        return rr_fail(r->diag, RR_E_INPUT,
            "byte 4: found a big-endian GGUF file, expected little endian; convert the model "
            "for a little-endian machine");
    }
    if (version != 2 && version != 3) {
        return rr_fail(r->diag, RR_E_INPUT,
            "byte 4: found GGUF version %u, expected 2 or 3; convert the model with a current "
            "converter",
            version);
    }
    RR_TRY(take_u64(r, "tensor count", n_tensors));
    return take_u64(r, "key count", n_values);
}

static rr_status parse(reader *r, rr_gguf *gguf) {
    uint64_t n_tensors = 0, n_values = 0;
    RR_TRY(read_header(r, &n_tensors, &n_values));
    RR_TRY(read_values(r, gguf, n_values));
    return read_tensors(r, gguf, n_tensors);
}

static rr_status open_memory(
    const void *data, uint64_t bytes, const char *label, rr_gguf **out, rr_diag *diag) {
    rr_gguf *gguf = calloc(1, sizeof *gguf);
    size_t label_bytes = strlen(label) + 1;
    char *path = malloc(label_bytes);
    if (gguf == NULL || path == NULL) {
        free(path);
        free(gguf);
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", label);
    }
    memcpy(path, label, label_bytes);
    gguf->path = path;
    gguf->bytes = bytes;
    gguf->data = data;
    reader r = {.data = data, .bytes = bytes, .diag = diag};
    rr_status status = parse(&r, gguf);
    if (status != RR_OK) {
        rr_gguf_close(&gguf);
        return rr_fail_context(diag, status, "%s", label);
    }
    *out = gguf;
    return RR_OK;
}

rr_status rr_gguf_open(const char *path, rr_gguf **out, rr_diag *diag) {
    rr_mapping mapping = {0};
    RR_TRY(rr_file_map(path, &mapping, diag));
    rr_gguf *gguf = NULL;
    rr_status status = open_memory(mapping.data, mapping.bytes, path, &gguf, diag);
    if (status != RR_OK) {
        rr_file_unmap(&mapping);
        return status;
    }
    gguf->mapping = mapping;
    *out = gguf;
    return RR_OK;
}

rr_status rr_gguf_parse(
    const void *data, uint64_t bytes, const char *label, rr_gguf **out, rr_diag *diag) {
    return open_memory(data, bytes, label, out, diag);
}

void rr_gguf_close(rr_gguf **gguf) {
    if (*gguf == NULL) {
        return;
    }
    rr_file_unmap(&(*gguf)->mapping);
    free((*gguf)->values_by_key);
    free((*gguf)->tensors_by_name);
    free((*gguf)->values);
    free((*gguf)->tensors);
    free((*gguf)->path);
    free(*gguf);
    *gguf = NULL;
}

void rr_gguf_drop_pages(const rr_gguf *gguf) {
    rr_file_drop_pages(&gguf->mapping);
}

const char *rr_gguf_path(const rr_gguf *gguf) {
    return gguf->path;
}

uint64_t rr_gguf_file_bytes(const rr_gguf *gguf) {
    return gguf->bytes;
}

int64_t rr_gguf_modified_ns(const rr_gguf *gguf) {
    return gguf->mapping.modified_ns;
}

const void *rr_gguf_head(const rr_gguf *gguf, uint64_t *bytes) {
    *bytes = gguf->head_bytes;
    return gguf->data;
}

size_t rr_gguf_n_values(const rr_gguf *gguf) {
    return gguf->n_values;
}

const rr_gguf_value *rr_gguf_value_at(const rr_gguf *gguf, size_t index) {
    return index < gguf->n_values ? &gguf->values[index] : NULL;
}

size_t rr_gguf_n_tensors(const rr_gguf *gguf) {
    return gguf->n_tensors;
}

const rr_gguf_tensor *rr_gguf_tensor_at(const rr_gguf *gguf, size_t index) {
    return index < gguf->n_tensors ? &gguf->tensors[index] : NULL;
}

const rr_gguf_value *rr_gguf_find(const rr_gguf *gguf, const char *key) {
    rr_gguf_value probe = {.key = {key, strlen(key)}};
    const rr_gguf_value *wanted = &probe;
    const rr_gguf_value *const *found = gguf->n_values == 0
        ? NULL
        : bsearch(&wanted, gguf->values_by_key, gguf->n_values, sizeof wanted, compare_values);
    return found == NULL ? NULL : *found;
}

const rr_gguf_tensor *rr_gguf_tensor_find(const rr_gguf *gguf, const char *name) {
    rr_gguf_tensor probe = {.name = {name, strlen(name)}};
    const rr_gguf_tensor *wanted = &probe;
    const rr_gguf_tensor *const *found = gguf->n_tensors == 0
        ? NULL
        : bsearch(&wanted, gguf->tensors_by_name, gguf->n_tensors, sizeof wanted, compare_tensors);
    return found == NULL ? NULL : *found;
}

/* The value of a key that must be there. */
static rr_status need(const rr_gguf *gguf, const char *key, const char *wanted,
    const rr_gguf_value **out, rr_diag *diag) {
    const rr_gguf_value *value = rr_gguf_find(gguf, key);
    if (value == NULL) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: key \"%s\": not found, expected %s; the file is not a complete model", gguf->path,
            key, wanted);
    }
    *out = value;
    return RR_OK;
}

static rr_status wrong_type(
    const rr_gguf *gguf, const rr_gguf_value *value, const char *wanted, rr_diag *diag) {
    return rr_fail(diag, RR_E_INPUT,
        "%s: key \"%s\": found a value of type %s, expected %s; the file is not a valid model",
        gguf->path, rr_text_show(value->key).text, type_rows[value->type].name, wanted);
}

rr_status rr_gguf_u64(const rr_gguf *gguf, const char *key, uint64_t *out, rr_diag *diag) {
    const rr_gguf_value *value = NULL;
    RR_TRY(need(gguf, key, "an integer", &value, diag));
    uint64_t bits = 0; /* little endian: the low bytes of a narrower value */
    uint32_t bytes = type_rows[value->type].bytes;
    bool is_signed = false;
    switch (value->type) {
    case RR_GGUF_I8:
    case RR_GGUF_I16:
    case RR_GGUF_I32:
    case RR_GGUF_I64:
        is_signed = true;
        break;
    case RR_GGUF_U8:
    case RR_GGUF_U16:
    case RR_GGUF_U32:
    case RR_GGUF_U64:
        break;
    default:
        return wrong_type(gguf, value, "an integer", diag);
    }
    memcpy(&bits, value->data, bytes);
    if (is_signed && bits >> (8 * bytes - 1) != 0) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: key \"%s\": found a negative number, expected 0 or more; the file is not a "
            "valid model",
            gguf->path, key);
    }
    *out = bits;
    return RR_OK;
}

rr_status rr_gguf_f64(const rr_gguf *gguf, const char *key, double *out, rr_diag *diag) {
    const rr_gguf_value *value = NULL;
    RR_TRY(need(gguf, key, "a floating-point number", &value, diag));
    if (value->type == RR_GGUF_F32) {
        float single;
        memcpy(&single, value->data, sizeof single);
        *out = (double)single;
        return RR_OK;
    }
    if (value->type == RR_GGUF_F64) {
        memcpy(out, value->data, sizeof *out);
        return RR_OK;
    }
    return wrong_type(gguf, value, "a floating-point number", diag);
}

static rr_status need_type(const rr_gguf *gguf, const char *key, rr_gguf_type type,
    const char *wanted, const rr_gguf_value **out, rr_diag *diag) {
    RR_TRY(need(gguf, key, wanted, out, diag));
    return (*out)->type == type ? RR_OK : wrong_type(gguf, *out, wanted, diag);
}

rr_status rr_gguf_bool(const rr_gguf *gguf, const char *key, bool *out, rr_diag *diag) {
    const rr_gguf_value *value = NULL;
    RR_TRY(need_type(gguf, key, RR_GGUF_BOOL, "a bool", &value, diag));
    *out = value->data[0] != 0;
    return RR_OK;
}

rr_status rr_gguf_string(const rr_gguf *gguf, const char *key, rr_text *out, rr_diag *diag) {
    const rr_gguf_value *value = NULL;
    RR_TRY(need_type(gguf, key, RR_GGUF_STRING, "a string", &value, diag));
    *out = (rr_text){(const char *)value->data + 8, (size_t)value->data_bytes - 8};
    return RR_OK;
}

bool rr_gguf_next_string(const rr_gguf_value *array, uint64_t *cursor, rr_text *out) {
    if (array->type != RR_GGUF_ARRAY || array->item_type != RR_GGUF_STRING ||
        *cursor >= array->data_bytes) {
        return false;
    }
    uint64_t n;
    memcpy(&n, array->data + *cursor, sizeof n);
    *out = (rr_text){(const char *)array->data + *cursor + 8, (size_t)n};
    *cursor += 8 + n;
    return true;
}
