/* The key, and where things lie in the file. */
#include "runtime/compute/packed_format.h"

#include <string.h>

#include "quant/quant.h"
#include "runtime/base/hash.h"

enum { SAMPLE_BYTES = 4096, SAMPLE_STEP = 16 << 20, DATA_ALIGN = 4096, ITEM_ALIGN = 256 };

static uint64_t hash_tensor(uint64_t hash, const uint8_t *data, uint64_t bytes) {
    uint64_t at = 0;
    while (bytes - at > SAMPLE_BYTES) {
        hash = rr_hash(hash, data + at, SAMPLE_BYTES);
        at += bytes - at > SAMPLE_STEP ? SAMPLE_STEP : bytes - at;
    }
    uint64_t last = bytes < SAMPLE_BYTES ? bytes : SAMPLE_BYTES;
    return rr_hash(hash, data + bytes - last, last);
}

uint64_t rr_packed_key(const rr_packed_wish *wish) {
    rr_source_file file = {0};
    (void)rr_source_file_at(wish->source, 0, &file);
    const uint64_t numbers[] = {
        RR_PACKED_VERSION, wish->recipe, file.bytes, (uint64_t)file.modified_ns};
    uint64_t hash = rr_hash(0, numbers, sizeof numbers);
    hash = rr_hash(hash, wish->layout, strlen(wish->layout));
    hash = rr_hash(hash, file.head, file.head_bytes);
    for (size_t i = 1; rr_source_file_at(wish->source, i, &file); i++) {
        const uint64_t more[] = {file.bytes, (uint64_t)file.modified_ns};
        hash = rr_hash(hash, more, sizeof more);
        hash = rr_hash(hash, file.head, file.head_bytes);
    }
    const uint8_t *data;
    uint64_t bytes;
    for (size_t i = 0; rr_source_tensor_at(wish->source, i, &data, &bytes); i++) {
        hash = bytes > 0 ? hash_tensor(hash, data, bytes) : hash;
    }
    return hash;
}

void rr_packed_path(const char *model_stem, const char *layout, rr_buf *out) {
    rr_buf_printf(out, "%s.%s.packed", model_stem, layout);
}

bool rr_packed_lay_out(const rr_packed_wish *wish, rr_packed_head *head, rr_packed_entry *table,
    uint64_t *file_bytes) {
    *head = (rr_packed_head){.key = rr_packed_key(wish), .n = wish->n};
    memcpy(head->magic, RR_PACKED_MAGIC, sizeof head->magic);
    uint64_t at = rr_round_up(sizeof *head + wish->n * sizeof *table, DATA_ALIGN);
    for (size_t i = 0; i < wish->n; i++) {
        table[i] = (rr_packed_entry){.offset = at, .bytes = wish->item_bytes[i]};
        if (!rr_add_u64(at, wish->item_bytes[i], &at) || at > UINT64_MAX - ITEM_ALIGN) {
            return false;
        }
        at = rr_round_up(at, ITEM_ALIGN);
    }
    *file_bytes = at;
    return true;
}

uint64_t rr_packed_head_checksum(const rr_packed_head *head, const rr_packed_entry *table) {
    rr_packed_head bare = *head;
    bare.checksum = 0;
    return rr_hash(rr_hash(0, &bare, sizeof bare), table, head->n * sizeof *table);
}

uint64_t rr_packed_piece_checksum(uint64_t index, const void *data, size_t bytes) {
    return rr_hash(index, data, bytes);
}

uint64_t rr_packed_item_checksum(uint64_t bytes, const uint64_t *pieces) {
    return rr_hash(bytes, pieces, rr_packed_n_pieces(bytes) * sizeof *pieces);
}
