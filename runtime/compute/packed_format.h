/* The bytes of a file of packed weights, for its reader and its writer: the key, and where things
 * lie. */
#ifndef RR_COMPUTE_PACKED_FORMAT_H
#define RR_COMPUTE_PACKED_FORMAT_H

#include "runtime/compute/packed.h"

#define RR_PACKED_MAGIC "RRPACK01"

typedef struct rr_packed_head {
    char magic[8];
    uint64_t key, n;
    uint64_t checksum; /* of head and table, this field 0 */
} rr_packed_head;

typedef struct rr_packed_entry {
    uint64_t offset, bytes, checksum;
} rr_packed_entry;

/* What the head and the table must be, but for checksums: `table` has n entries. False when it does
 * not fit 64 bits. */
bool rr_packed_lay_out(
    const rr_packed_wish *wish, rr_packed_head *head, rr_packed_entry *table, uint64_t *file_bytes);
uint64_t rr_packed_head_checksum(const rr_packed_head *head, const rr_packed_entry *table);
/* The checksum of an item is that of the checksums of its pieces of RR_PACKED_PIECE bytes, the last
 * one shorter. */
uint64_t rr_packed_piece_checksum(uint64_t index, const void *data, size_t bytes);
uint64_t rr_packed_item_checksum(uint64_t bytes, const uint64_t *pieces);
static inline size_t rr_packed_n_pieces(uint64_t bytes) {
    return (size_t)((bytes + RR_PACKED_PIECE - 1) / RR_PACKED_PIECE);
}

#endif
