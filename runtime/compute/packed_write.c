/* Writing: a file that has no name until it is whole. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/file_out.h"
#include "runtime/base/log.h"
#include "runtime/base/thread.h"
#include "runtime/compute/packed_format.h"

struct rr_packed_writer {
    rr_buf path;
    rr_file_out file;
    rr_packed_head head;
    rr_packed_entry *table;
    uint64_t file_bytes, at;
    size_t n_added;
};

/* Whether the file is one of ours: it begins with our magic number. Any other file belongs to
 * someone else and is never replaced. */
static rr_status check_name(const char *path, rr_diag *diag) {
    rr_mapping map = {0};
    rr_diag absent = {0};
    rr_status status = rr_file_map(path, &map, &absent);
    if (status == RR_E_INPUT) {
        return rr_fail(diag, status, "%s", absent.text);
    }
    if (map.bytes >= 8 && memcmp(map.data, RR_PACKED_MAGIC, 6) != 0) {
        status = rr_fail(diag, RR_E_INPUT, "%s: found a file of another kind", path);
    } else {
        status = RR_OK;
    }
    rr_file_unmap(&map);
    return status;
}

static rr_status check_room(const rr_packed_writer *writer, rr_diag *diag) {
    uint64_t room = 0; /* also where it cannot be told */
    (void)rr_file_out_room(&writer->file, &room);
    return room / 2 >= writer->file_bytes
        ? RR_OK
        : rr_fail(diag, RR_E_IO, "%s: found room for %llu bytes, expected twice %llu",
              writer->path.data, (unsigned long long)room, (unsigned long long)writer->file_bytes);
}

rr_packed_writer *rr_packed_begin(const rr_packed_wish *wish) {
    rr_diag diag = {0};
    rr_status status = RR_OK;
    rr_packed_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return NULL;
    }
    writer->table = calloc(wish->n + 1, sizeof *writer->table);
    rr_packed_path(rr_source_stem(wish->source), wish->layout, &writer->path);
    if (writer->table == NULL || writer->path.failed ||
        !rr_packed_lay_out(wish, &writer->head, writer->table, &writer->file_bytes)) {
        status = rr_fail(&diag, RR_E_MEMORY, "out of memory");
        goto fail;
    }
    RR_TRY_GOTO(check_name(writer->path.data, &diag));
    RR_TRY_GOTO(rr_file_out_open_unnamed(writer->path.data, &writer->file, &diag));
    RR_TRY_GOTO(check_room(writer, &diag));
    return writer;
fail:
    rr_log(RR_LOG_INFO, "packed weights: not written: %s: %s", rr_status_name(status), diag.text);
    rr_packed_discard(&writer);
    return NULL;
}

/* Whatever was written before, the next byte is that of `offset`. */
static rr_status skip_to(rr_packed_writer *writer, uint64_t offset, rr_diag *diag) {
    RR_TRY(rr_file_out_skip(&writer->file, offset - writer->at, diag));
    writer->at = offset;
    return RR_OK;
}

typedef struct sum_job {
    const uint8_t *data;
    uint64_t bytes;
    uint64_t *pieces;
} sum_job;

static void sum_piece(void *user, size_t index) {
    const sum_job *job = user;
    uint64_t begin = (uint64_t)index * RR_PACKED_PIECE, left = job->bytes - begin;
    job->pieces[index] = rr_packed_piece_checksum(
        index, job->data + begin, left < RR_PACKED_PIECE ? (size_t)left : RR_PACKED_PIECE);
}

static bool checksum(const void *data, uint64_t bytes, uint64_t *out) {
    size_t n = rr_packed_n_pieces(bytes);
    sum_job job = {.data = data, .bytes = bytes, .pieces = malloc((n + 1) * sizeof *job.pieces)};
    if (job.pieces == NULL) {
        return false;
    }
    rr_parallel_for(n, 0, sum_piece, &job);
    *out = rr_packed_item_checksum(bytes, job.pieces);
    free(job.pieces);
    return true;
}

static rr_status add(rr_packed_writer *writer, const void *bytes, rr_diag *diag) {
    rr_packed_entry *entry = &writer->table[writer->n_added++];
    if (!checksum(bytes, entry->bytes, &entry->checksum)) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    RR_TRY(skip_to(writer, entry->offset, diag));
    RR_TRY(rr_file_out_write(&writer->file, bytes, (size_t)entry->bytes, diag));
    writer->at += entry->bytes;
    return RR_OK;
}

static rr_status finish(rr_packed_writer *writer, rr_diag *diag) {
    writer->head.checksum = rr_packed_head_checksum(&writer->head, writer->table);
    RR_TRY(skip_to(writer, writer->file_bytes, diag));
    RR_TRY(rr_file_out_rewrite(&writer->file, 0, &writer->head, sizeof writer->head, diag));
    RR_TRY(rr_file_out_rewrite(&writer->file, sizeof writer->head, writer->table,
        (size_t)writer->head.n * sizeof *writer->table, diag));
    return rr_file_out_finish(&writer->file, diag);
}

void rr_packed_add(rr_packed_writer **pointer, const void *bytes) {
    rr_diag diag = {0};
    if (*pointer != NULL && add(*pointer, bytes, &diag) != RR_OK) {
        rr_log(RR_LOG_INFO, "packed weights: not written: %s", diag.text);
        rr_packed_discard(pointer);
    }
}

void rr_packed_finish(rr_packed_writer **pointer) {
    rr_diag diag = {0};
    rr_packed_writer *writer = *pointer;
    if (writer == NULL) {
        return;
    }
    if (finish(writer, &diag) == RR_OK) {
        rr_log(RR_LOG_INFO,
            "weights: packed cache %s written, %llu bytes; --no-packed-cache does without",
            writer->path.data, (unsigned long long)writer->file_bytes);
    } else {
        rr_log(RR_LOG_INFO, "packed weights: not written: %s", diag.text);
    }
    rr_packed_discard(pointer);
}

void rr_packed_discard(rr_packed_writer **pointer) {
    rr_packed_writer *writer = *pointer;
    if (writer == NULL) {
        return;
    }
    rr_file_out_discard(&writer->file);
    rr_buf_destroy(&writer->path);
    free(writer->table);
    free(writer);
    *pointer = NULL;
}
