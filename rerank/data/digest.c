#include "rerank/data/digest.h"

#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/hash.h"

void rr_digest(uint64_t hash[2], const void *data, size_t bytes) {
    hash[0] = rr_hash(hash[0], data, bytes);
    hash[1] = rr_hash(hash[1] ^ UINT64_C(0x5851f42d4c957f2d), data, bytes);
}

void rr_digest_text(uint64_t hash[2], rr_text text) {
    const uint64_t bytes = text.bytes;
    rr_digest(hash, &bytes, sizeof bytes);
    rr_digest(hash, text.data != NULL ? text.data : "", text.bytes);
}

void rr_digest_query(uint64_t hash[2], const rr_query *query, bool with_ids) {
    rr_digest_text(hash, query->text);
    for (size_t i = 0; i < query->n; i++) {
        const rr_passage *passage = &query->passages[i];
        rr_digest_text(hash, passage->title);
        rr_digest_text(hash, passage->text);
        if (with_ids) {
            rr_digest_text(hash, (rr_text){passage->id, strlen(passage->id)});
        }
    }
    if (with_ids) {
        rr_digest_text(hash, (rr_text){query->qid, strlen(query->qid)});
    }
}

static rr_status hash_file(const char *path, uint64_t *hash, rr_diag *diag) {
    enum { PIECE = 64 << 20 };
    rr_mapping map = {0};
    RR_TRY(rr_file_map(path, &map, diag));
    for (uint64_t at = 0; at < map.bytes; at += PIECE) {
        rr_file_will_read(&map, at + PIECE, PIECE);
        *hash = rr_hash(*hash, map.data + at, map.bytes - at < PIECE ? map.bytes - at : PIECE);
    }
    rr_file_unmap(&map);
    return RR_OK;
}

rr_status rr_digest_model(const rr_source *source, rr_buf *out, rr_diag *diag) {
    rr_source_file file;
    uint64_t hash = 0;
    for (size_t i = 0; rr_source_file_at(source, i, &file); i++) {
        RR_TRY(hash_file(file.path, &hash, diag));
    }
    rr_buf_printf(out, "%016llx", (unsigned long long)hash);
    return out->failed ? rr_fail(diag, RR_E_MEMORY, "out of memory") : RR_OK;
}
