/* The bytes of a file of packed weights, shared by its reader and its writer. */
#ifndef RR_ENGINE_PACKED_FORMAT_H
#define RR_ENGINE_PACKED_FORMAT_H

#include "runtime/engine/packed.h"

#define RR_PACKED_MAGIC "RRPACK01"

typedef struct rr_packed_head {
    char magic[8];
    uint64_t key, n;
    uint64_t checksum; /* of head and table, this field 0 */
} rr_packed_head;

typedef struct rr_packed_entry {
    uint64_t offset, bytes, checksum;
} rr_packed_entry;

/* What the head and the table must be, but for checksums: `table` has n entries. False when it does not fit 64 bits. */
bool rr_packed_lay_out(const rr_packed_wish *wish, rr_packed_head *head, rr_packed_entry *table, uint64_t *file_bytes);
uint64_t rr_packed_head_checksum(const rr_packed_head *head, const rr_packed_entry *table);
/* Of an item, on all threads; copied to `to` on the way unless that is NULL. False when out of memory. */
bool rr_packed_checksum(const void *data, uint64_t bytes, void *to, uint64_t *out);

#endif
