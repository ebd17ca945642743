/* Reading: the key, the checks, the items. */
#include "runtime/engine/packed.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quant/quant.h"
#include "runtime/base/hash.h"
#include "runtime/base/log.h"
#include "runtime/base/thread.h"
#include "runtime/engine/packed_format.h"

enum { SAMPLE_BYTES = 4096, SAMPLE_STEP = 16 << 20, PIECE_BYTES = 256 << 10, DATA_ALIGN = 4096, ITEM_ALIGN = 256 };
enum { AHEAD_BYTES = 64 << 20 }; /* read ahead of the item at work */

static uint64_t hash_tensor(uint64_t hash, const rr_gguf_tensor *tensor) {
    uint64_t at = 0;
    while (tensor->bytes - at > SAMPLE_BYTES) {
        hash = rr_hash(hash, tensor->data + at, SAMPLE_BYTES);
        at += tensor->bytes - at > SAMPLE_STEP ? SAMPLE_STEP : tensor->bytes - at;
    }
    uint64_t last = tensor->bytes < SAMPLE_BYTES ? tensor->bytes : SAMPLE_BYTES;
    return rr_hash(hash, tensor->data + tensor->bytes - last, last);
}

uint64_t rr_packed_key(const rr_packed_wish *wish) {
    const uint64_t numbers[] = {RR_PACKED_VERSION, wish->recipe, rr_gguf_file_bytes(wish->gguf),
                                (uint64_t)rr_gguf_modified_ns(wish->gguf)};
    uint64_t head_bytes;
    const void *head = rr_gguf_head(wish->gguf, &head_bytes);
    uint64_t hash = rr_hash(0, numbers, sizeof numbers);
    hash = rr_hash(hash, wish->layout, strlen(wish->layout));
    hash = rr_hash(hash, head, head_bytes);
    for (size_t i = 0; i < rr_gguf_n_tensors(wish->gguf); i++) {
        const rr_gguf_tensor *tensor = rr_gguf_tensor_at(wish->gguf, i);
        hash = tensor->bytes > 0 ? hash_tensor(hash, tensor) : hash;
    }
    return hash;
}

void rr_packed_path(const char *model_path, const char *layout, rr_buf *out) {
    rr_buf_printf(out, "%s.%s.packed", model_path, layout);
}

bool rr_packed_lay_out(const rr_packed_wish *wish, rr_packed_head *head, rr_packed_entry *table, uint64_t *file_bytes) {
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

typedef struct hash_job {
    const uint8_t *data;
    uint8_t *to;
    uint64_t bytes;
    uint64_t *hashes; /* of the pieces */
} hash_job;

static void hash_piece(void *user, size_t index) {
    const hash_job *job = user;
    uint64_t begin = (uint64_t)index * PIECE_BYTES;
    uint64_t bytes = job->bytes - begin < PIECE_BYTES ? job->bytes - begin : PIECE_BYTES;
    job->hashes[index] = rr_hash(index, job->data + begin, bytes);
    if (job->to != NULL) {
        memcpy(job->to + begin, job->data + begin, (size_t)bytes);
    }
}

bool rr_packed_checksum(const void *data, uint64_t bytes, void *to, uint64_t *out) {
    size_t n = (size_t)((bytes + PIECE_BYTES - 1) / PIECE_BYTES);
    hash_job job = {.data = data, .to = to, .bytes = bytes, .hashes = malloc((n > 0 ? n : 1) * sizeof *job.hashes)};
    if (job.hashes == NULL) {
        return false;
    }
    rr_parallel_for(n, 0, hash_piece, &job);
    *out = rr_hash(bytes, job.hashes, n * sizeof *job.hashes);
    free(job.hashes);
    return true;
}

struct rr_packed {
    rr_buf path;
    rr_mapping map;
    rr_packed_entry *table; /* the wanted one, with the checksums of the file's */
    uint64_t asked_bytes;   /* of the file, read ahead so far */
};

/* NULL when the file is good, else what is wrong with it. Fills packed->table. */
static const char *check(const rr_packed_wish *wish, rr_packed *packed) {
    const rr_mapping *map = &packed->map;
    rr_packed_head wanted, found;
    uint64_t file_bytes;
    packed->table = calloc(wish->n + 1, sizeof *packed->table);
    if (packed->table == NULL || !rr_packed_lay_out(wish, &wanted, packed->table, &file_bytes)) {
        return "cannot be checked";
    }
    if (map->bytes < sizeof found) {
        return "is too short";
    }
    memcpy(&found, map->data, sizeof found);
    if (memcmp(found.magic, wanted.magic, sizeof found.magic) != 0) {
        return "holds no packed weights of this version";
    }
    if (found.key != wanted.key || found.n != wanted.n) {
        return "belongs to another model or layout";
    }
    if (map->bytes != file_bytes) {
        return "is truncated";
    }
    /* the length says that the table is there, but its bytes need not be aligned as ours are */
    const uint8_t *from = map->data + sizeof found;
    for (size_t i = 0; i < wish->n; i++, from += sizeof *packed->table) {
        rr_packed_entry entry;
        memcpy(&entry, from, sizeof entry);
        if (entry.offset != packed->table[i].offset || entry.bytes != packed->table[i].bytes) {
            return "is damaged";
        }
        packed->table[i].checksum = entry.checksum;
    }
    return rr_packed_head_checksum(&found, packed->table) == found.checksum ? NULL : "is damaged";
}

rr_packed *rr_packed_open(const rr_packed_wish *wish) {
    rr_diag diag = {0};
    rr_packed *packed = calloc(1, sizeof *packed);
    if (packed == NULL) {
        return NULL;
    }
    rr_packed_path(rr_gguf_path(wish->gguf), wish->layout, &packed->path);
    if (packed->path.failed || rr_file_map(packed->path.data, &packed->map, &diag) != RR_OK) {
        rr_log(RR_LOG_DEBUG, "packed weights: none: %s", diag.text);
        rr_packed_close(&packed, false);
        return NULL;
    }
    const char *fault = check(wish, packed);
    if (fault != NULL) {
        rr_log(RR_LOG_DEBUG, "packed weights: %s %s", packed->path.data, fault);
        rr_packed_close(&packed, false);
    }
    return packed;
}

const void *rr_packed_item(rr_packed *packed, size_t i, void *to) {
    const rr_packed_entry *entry = &packed->table[i];
    uint64_t end = entry->offset + entry->bytes + AHEAD_BYTES, checksum;
    if (end > packed->asked_bytes) {
        rr_file_will_read(&packed->map, packed->asked_bytes, end - packed->asked_bytes);
        packed->asked_bytes = end;
    }
    const uint8_t *data = packed->map.data + entry->offset;
    if (!rr_packed_checksum(data, entry->bytes, to, &checksum) || checksum != entry->checksum) {
        rr_log(RR_LOG_DEBUG, "packed weights: %s: item %zu is damaged", packed->path.data, i);
        return NULL;
    }
    return data;
}

void rr_packed_close(rr_packed **pointer, bool damaged) {
    rr_packed *packed = *pointer;
    if (packed == NULL) {
        return;
    }
    if (damaged) {
        (void)unlink(packed->path.data);
    }
    rr_file_unmap(&packed->map);
    rr_buf_destroy(&packed->path);
    free(packed->table);
    free(packed);
    *pointer = NULL;
}
