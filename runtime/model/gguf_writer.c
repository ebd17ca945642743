#include "runtime/model/gguf_writer.h"

#include <string.h>

enum { DEFAULT_ALIGNMENT = 32 };

static void put(rr_buf *buf, const void *value, size_t bytes) {
    rr_buf_append(buf, value, bytes);
}

static void put_u32(rr_buf *buf, uint32_t value) {
    put(buf, &value, sizeof value);
}

static void put_u64(rr_buf *buf, uint64_t value) {
    put(buf, &value, sizeof value);
}

static void put_text(rr_buf *buf, rr_text text) {
    put_u64(buf, text.bytes);
    put(buf, text.data, text.bytes);
}

static void put_string(rr_buf *buf, const char *text) {
    put_text(buf, (rr_text){text, strlen(text)});
}

static void begin_key(rr_gguf_writer *writer, const char *key, rr_gguf_type type) {
    writer->n_keys++;
    put_string(&writer->keys, key);
    put_u32(&writer->keys, (uint32_t)type);
}

static void begin_array(
    rr_gguf_writer *writer, const char *key, rr_gguf_type item_type, uint64_t n) {
    begin_key(writer, key, RR_GGUF_ARRAY);
    put_u32(&writer->keys, (uint32_t)item_type);
    put_u64(&writer->keys, n);
}

void rr_gw_u32(rr_gguf_writer *writer, const char *key, uint32_t value) {
    begin_key(writer, key, RR_GGUF_U32);
    put_u32(&writer->keys, value);
}

void rr_gw_u64(rr_gguf_writer *writer, const char *key, uint64_t value) {
    begin_key(writer, key, RR_GGUF_U64);
    put_u64(&writer->keys, value);
}

void rr_gw_f32(rr_gguf_writer *writer, const char *key, float value) {
    begin_key(writer, key, RR_GGUF_F32);
    put(&writer->keys, &value, sizeof value);
}

void rr_gw_bool(rr_gguf_writer *writer, const char *key, bool value) {
    uint8_t byte = value;
    begin_key(writer, key, RR_GGUF_BOOL);
    put(&writer->keys, &byte, 1);
}

void rr_gw_string(rr_gguf_writer *writer, const char *key, const char *value) {
    begin_key(writer, key, RR_GGUF_STRING);
    put_string(&writer->keys, value);
}

void rr_gw_text(rr_gguf_writer *writer, const char *key, rr_text value) {
    begin_key(writer, key, RR_GGUF_STRING);
    put_text(&writer->keys, value);
}

void rr_gw_strings(rr_gguf_writer *writer, const char *key, const char *const *values, uint64_t n) {
    begin_array(writer, key, RR_GGUF_STRING, n);
    for (uint64_t i = 0; i < n; i++) {
        put_string(&writer->keys, values[i]);
    }
}

void rr_gw_texts(rr_gguf_writer *writer, const char *key, const rr_text *values, uint64_t n) {
    begin_array(writer, key, RR_GGUF_STRING, n);
    for (uint64_t i = 0; i < n; i++) {
        put_text(&writer->keys, values[i]);
    }
}

void rr_gw_i32s(rr_gguf_writer *writer, const char *key, const int32_t *values, uint64_t n) {
    begin_array(writer, key, RR_GGUF_I32, n);
    put(&writer->keys, values, (size_t)n * sizeof *values);
}

void rr_gw_raw(
    rr_gguf_writer *writer, const char *key, uint32_t type, const void *body, size_t bytes) {
    begin_key(writer, key, (rr_gguf_type)type);
    put(&writer->keys, body, bytes);
}

void rr_gw_copy(rr_gguf_writer *writer, const rr_gguf_value *value) {
    writer->n_keys++;
    put_text(&writer->keys, value->key);
    put_u32(&writer->keys, (uint32_t)value->type);
    if (value->type == RR_GGUF_ARRAY) {
        put_u32(&writer->keys, (uint32_t)value->item_type);
        put_u64(&writer->keys, value->n_items);
    }
    put(&writer->keys, value->data, (size_t)value->data_bytes);
}

static void pad(rr_buf *buf, size_t to) {
    while (buf->bytes % to != 0 && !buf->failed) {
        rr_buf_append(buf, "", 1);
    }
}

static uint32_t alignment_of(const rr_gguf_writer *writer) {
    return writer->alignment == 0 ? DEFAULT_ALIGNMENT : writer->alignment;
}

void rr_gw_declare(rr_gguf_writer *writer, const char *name, uint32_t n_dims, const uint64_t *dims,
    uint32_t type, uint64_t bytes) {
    writer->data_bytes = rr_round_up(writer->data_bytes, alignment_of(writer));
    writer->n_tensors++;
    put_string(&writer->infos, name);
    put_u32(&writer->infos, n_dims);
    put(&writer->infos, dims, n_dims * sizeof *dims);
    put_u32(&writer->infos, type);
    put_u64(&writer->infos, writer->data_bytes);
    writer->data_bytes += bytes;
}

void rr_gw_tensor(rr_gguf_writer *writer, const char *name, uint32_t n_dims, const uint64_t *dims,
    uint32_t type, const void *data, size_t bytes) {
    pad(&writer->data, alignment_of(writer));
    rr_gw_declare(writer, name, n_dims, dims, type, bytes);
    put(&writer->data, data, bytes);
}

uint64_t rr_gw_padding(uint64_t bytes) {
    return rr_round_up(bytes, DEFAULT_ALIGNMENT) - bytes;
}

/* The head without emptying the writer; false when anything failed. */
static bool put_head(rr_gguf_writer *writer, rr_buf *out) {
    if (writer->alignment != 0) {
        rr_gw_u32(writer, "general.alignment", writer->alignment);
    }
    size_t begin = out->bytes;
    put(out, "GGUF", 4);
    put_u32(out, writer->version == 0 ? 3 : writer->version);
    put_u64(out, writer->n_tensors);
    put_u64(out, writer->n_keys);
    put(out, writer->keys.data, writer->keys.bytes);
    put(out, writer->infos.data, writer->infos.bytes);
    while ((out->bytes - begin) % alignment_of(writer) != 0 && !out->failed) {
        rr_buf_append(out, "", 1);
    }
    return !out->failed && !writer->keys.failed && !writer->infos.failed;
}

static void empty(rr_gguf_writer *writer) {
    rr_buf_destroy(&writer->keys);
    rr_buf_destroy(&writer->infos);
    rr_buf_destroy(&writer->data);
    *writer = (rr_gguf_writer){0};
}

rr_status rr_gw_head(rr_gguf_writer *writer, rr_buf *out) {
    bool ok = put_head(writer, out);
    empty(writer);
    return ok ? RR_OK : RR_E_MEMORY;
}

rr_status rr_gw_finish(rr_gguf_writer *writer, rr_buf *out) {
    bool ok = put_head(writer, out) && !writer->data.failed;
    if (ok) {
        put(out, writer->data.data, writer->data.bytes);
        ok = !out->failed;
    }
    empty(writer);
    return ok ? RR_OK : RR_E_MEMORY;
}
