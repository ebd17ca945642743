/* Reading: the checks, the items. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/thread.h"
#include "runtime/compute/packed_format.h"

/* The system is asked for what comes next in steps, so far ahead that a fast disk is never idle. */
enum { AHEAD_BYTES = 64 << 20, AHEAD_STEP = 4 << 20, MAX_WORKERS = 16 };

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
    rr_packed_path(rr_source_stem(wish->source), wish->layout, &packed->path);
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
