/* The packed weights on disk, beside the model: <stem of the source>.<layout>.packed. A later start
 * reads them instead of packing. Owns: the file, its format, the key by which a stale one is known.
 * Does not own the list of what is packed (weights.c).
 *
 * Layout, little endian: the head (8 bytes of magic with the version of this layout, the key, n,
 * the checksum of head and table), a table of n entries (offset, bytes, checksum), zeros up to a
 * multiple of 4096, then the items, each at a multiple of 256, one behind the other. The file is
 * hostile until checked: it counts only when its table is the very one that this model would have
 * and its length agrees, and an item only when its checksum does. Nothing here is an error: what
 * fails is a debug line, and the weights are packed from the model. */
#ifndef RR_COMPUTE_PACKED_H
#define RR_COMPUTE_PACKED_H

#include "runtime/model/source.h"

/* Below this, packing takes no time worth the space. */
enum { RR_PACKED_MIN_BYTES = 256 << 20 };

/* What a file must hold to be of use. All borrowed. */
typedef struct rr_packed_wish {
    const rr_source *source;
    const char *layout;         /* "plain", "q8", "lanes16": part of the name and of the key */
    uint64_t recipe;            /* a hash of what each item is made of: part of the key */
    const uint64_t *item_bytes; /* [n] */
    size_t n;
} rr_packed_wish;

/* The key of content: layout, recipe, RR_PACKED_VERSION, of each of the model's files its size, its
 * time of change and what stands before the weights, and of each tensor 4 KiB at its start, at each
 * 16 MiB and at its end. */
uint64_t rr_packed_key(const rr_packed_wish *wish);
/* Appends the path of the file. */
void rr_packed_path(const char *model_stem, const char *layout, rr_buf *out);

typedef struct rr_packed rr_packed;

/* NULL when there is no such file, or it is stale or damaged. */
rr_packed *rr_packed_open(const rr_packed_wish *wish);
/* Bytes [at, at + bytes) of item i to `to`, which may be slow to read: the parts of an item in
 * turn, each but the last a multiple of RR_PACKED_PIECE, the items in order. False when they cannot
 * be read, or the item, whose last part this is, is damaged: then all that was read of it is of no
 * use. All threads work on it, each through a buffer of its own. */
enum { RR_PACKED_PIECE = 256 << 10 };
bool rr_packed_read(rr_packed *packed, size_t i, uint64_t at, uint64_t bytes, void *to);
/* A damaged file is removed, so that the next start writes it anew. */
void rr_packed_close(rr_packed **packed, bool damaged);

typedef struct rr_packed_writer rr_packed_writer;

/* NULL when there is no room for twice the file, or it may not be written, or the name is taken by
 * a file of another kind. */
rr_packed_writer *rr_packed_begin(const rr_packed_wish *wish);
/* The items in order. After a failure, which is a debug line, *writer is NULL and nothing is left.
 * NULL is accepted. */
void rr_packed_add(rr_packed_writer **writer, const void *bytes);
/* All items were added: the file gets its name. */
void rr_packed_finish(rr_packed_writer **writer);
void rr_packed_discard(rr_packed_writer **writer);

#endif
