/* A GGUF model in one file or in several: STEM-00001-of-00003.gguf and so on, as llama.cpp's
 * gguf-split writes them. Metadata and vocabulary stand in the first part, tensors in any.
 * Owns: the parts. Which keys and tensors there must be is its reader's matter. */
#ifndef RR_MODEL_GGUF_PARTS_H
#define RR_MODEL_GGUF_PARTS_H

#include "runtime/model/gguf.h"

typedef struct rr_gguf_parts {
    rr_gguf **items; /* [n]; the first has the metadata */
    size_t n;
} rr_gguf_parts;

/* Opens the file, or all parts of the set of which `path` names any one, and checks that they
 * belong together and are complete. Errors: as rr_gguf_open; RR_E_INPUT names the part that is
 * missing or does not belong there. */
rr_status rr_gguf_parts_open(const char *path, rr_gguf_parts *out, rr_diag *diag);
/* One file; takes it (closes it on failure too). Errors: RR_E_MEMORY, RR_E_UNSUPPORTED for a part
 * of a set. */
rr_status rr_gguf_parts_of(rr_gguf **gguf, rr_gguf_parts *out, rr_diag *diag);
void rr_gguf_parts_close(rr_gguf_parts *parts); /* accepts a zeroed one */

/* NULL when absent. The place of its part goes to `part`. */
const rr_gguf_tensor *rr_gguf_parts_find(
    const rr_gguf_parts *parts, const char *name, size_t *part);

#endif
