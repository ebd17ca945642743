/* Reading: the key, the checks, the items. */
#include "runtime/engine/packed.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "quant/quant.h"
#include "runtime/base/file.h"
#include "runtime/base/hash.h"
#include "runtime/base/log.h"
#include "runtime/base/thread.h"
#include "runtime/engine/packed_format.h"

enum { SAMPLE_BYTES = 4096, SAMPLE_STEP = 16 << 20, DATA_ALIGN = 4096, ITEM_ALIGN = 256 };
/* The system is asked for what comes next in steps, so far ahead that a fast disk is never idle. */
enum { AHEAD_BYTES = 64 << 20, AHEAD_STEP = 4 << 20, MAX_WORKERS = 16 };

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

struct rr_packed {
    rr_buf path;
    rr_file_in file;
    rr_packed_entry *table; /* the wanted one, with the checksums of the file's */
    uint64_t *pieces;       /* checksums of the item at work: room for the largest */
    uint8_t *buffers;       /* [n_workers][RR_PACKED_PIECE] */
    unsigned n_workers;
    atomic_uint_fast64_t asked_bytes; /* of the file, so far */
};

static bool make_room(const rr_packed_wish *wish, rr_packed *packed) {
    uint64_t most = 0;
    for (size_t i = 0; i < wish->n; i++) {
        most = wish->item_bytes[i] > most ? wish->item_bytes[i] : most;
    }
    packed->n_workers = rr_cpu_count() < MAX_WORKERS ? rr_cpu_count() : MAX_WORKERS;
    packed->pieces = calloc(rr_packed_n_pieces(most) + 1, sizeof *packed->pieces);
    packed->buffers = malloc((size_t)packed->n_workers * RR_PACKED_PIECE);
    return packed->pieces != NULL && packed->buffers != NULL;
}

/* NULL when the file is good, else what is wrong with it. Fills packed->table. */
static const char *check(const rr_packed_wish *wish, rr_packed *packed) {
    rr_packed_head wanted, found;
    uint64_t file_bytes;
    packed->table = calloc(wish->n + 1, sizeof *packed->table);
    if (packed->table == NULL || !rr_packed_lay_out(wish, &wanted, packed->table, &file_bytes)) {
        return "cannot be checked";
    }
    if (!rr_file_in_read(&packed->file, 0, &found, sizeof found)) {
        return "is too short";
    }
    if (memcmp(found.magic, wanted.magic, sizeof found.magic) != 0) {
        return "holds no packed weights of this version";
    }
    if (found.key != wanted.key || found.n != wanted.n) {
        return "belongs to another model or layout";
    }
    if (packed->file.bytes != file_bytes) {
        return "is truncated";
    }
    for (size_t i = 0; i < wish->n; i++) {
        rr_packed_entry entry;
        if (!rr_file_in_read(
                &packed->file, sizeof found + i * sizeof entry, &entry, sizeof entry) ||
            entry.offset != packed->table[i].offset || entry.bytes != packed->table[i].bytes) {
            return "is damaged";
        }
        packed->table[i].checksum = entry.checksum;
    }
    if (rr_packed_head_checksum(&found, packed->table) != found.checksum) {
        return "is damaged";
    }
    return make_room(wish, packed) ? NULL : "cannot be read for lack of memory";
}

rr_packed *rr_packed_open(const rr_packed_wish *wish) {
    rr_diag diag = {0};
    rr_packed *packed = calloc(1, sizeof *packed);
    if (packed == NULL) {
        return NULL;
    }
    rr_packed_path(rr_gguf_path(wish->gguf), wish->layout, &packed->path);
    if (packed->path.failed || rr_file_in_open(packed->path.data, &packed->file, &diag) != RR_OK) {
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

typedef struct read_job {
    rr_packed *packed;
    uint64_t offset, bytes; /* in the file */
    uint8_t *to;
    size_t first; /* piece of the item */
    atomic_size_t n_taken;
    atomic_bool failed;
} read_job;

/* One step is asked for at a time, by whichever thread comes first, so that the others go on. */
static void ask_ahead(rr_packed *packed, uint64_t end) {
    uint64_t asked = atomic_load(&packed->asked_bytes);
    if (end + AHEAD_BYTES > asked &&
        atomic_compare_exchange_strong(&packed->asked_bytes, &asked, asked + AHEAD_STEP)) {
        rr_file_in_will_read(&packed->file, asked, AHEAD_STEP);
    }
}

static void read_pieces(void *user, size_t worker) {
    read_job *job = user;
    uint8_t *buffer = job->packed->buffers + worker * RR_PACKED_PIECE;
    for (;;) {
        size_t i = atomic_fetch_add(&job->n_taken, 1);
        uint64_t begin = (uint64_t)i * RR_PACKED_PIECE;
        if (begin >= job->bytes || atomic_load(&job->failed)) {
            return;
        }
        size_t bytes =
            job->bytes - begin < RR_PACKED_PIECE ? (size_t)(job->bytes - begin) : RR_PACKED_PIECE;
        ask_ahead(job->packed, job->offset + begin);
        if (!rr_file_in_read(&job->packed->file, job->offset + begin, buffer, bytes)) {
            atomic_store(&job->failed, true);
            return;
        }
        job->packed->pieces[job->first + i] =
            rr_packed_piece_checksum(job->first + i, buffer, bytes);
        memcpy(job->to + begin, buffer, bytes);
    }
}

bool rr_packed_read(rr_packed *packed, size_t i, uint64_t at, uint64_t bytes, void *to) {
    const rr_packed_entry *entry = &packed->table[i];
    read_job job = {.packed = packed,
        .offset = entry->offset + at,
        .bytes = bytes,
        .to = to,
        .first = (size_t)(at / RR_PACKED_PIECE)};
    rr_parallel_for(packed->n_workers, packed->n_workers, read_pieces, &job);
    bool last = at + bytes == entry->bytes;
    if (job.failed ||
        (last && rr_packed_item_checksum(entry->bytes, packed->pieces) != entry->checksum)) {
        rr_log(RR_LOG_DEBUG, "packed weights: %s: item %zu is damaged", packed->path.data, i);
        return false;
    }
    return true;
}

void rr_packed_close(rr_packed **pointer, bool damaged) {
    rr_packed *packed = *pointer;
    if (packed == NULL) {
        return;
    }
    if (damaged) {
        (void)rr_file_remove(packed->path.data, NULL);
    }
    rr_file_in_close(&packed->file);
    rr_buf_destroy(&packed->path);
    free(packed->table);
    free(packed->pieces);
    free(packed->buffers);
    free(packed);
    *pointer = NULL;
}
