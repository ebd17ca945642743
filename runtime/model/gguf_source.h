/* The reader of GGUF files: keys and tensors of a Qwen2 model as llama.cpp's converter names
 * them. */
#ifndef RR_MODEL_GGUF_SOURCE_H
#define RR_MODEL_GGUF_SOURCE_H

#include "runtime/model/gguf.h"
#include "runtime/model/source.h"

/* A file, or all parts of the set that `path` names one of. Errors: as rr_gguf_parts_open. */
rr_status rr_source_open_gguf(const char *path, rr_source **out, rr_diag *diag);
/* Takes `gguf` (closes it on failure too). Errors: RR_E_MEMORY, RR_E_UNSUPPORTED for
 * a part of a set. */
rr_status rr_source_from_gguf(rr_gguf **gguf, rr_source **out, rr_diag *diag);
/* A file in memory that the caller keeps alive; `label` names it in messages. Errors: as
 * rr_gguf_parse. */
rr_status rr_source_parse_gguf(
    const void *data, uint64_t bytes, const char *label, rr_source **out, rr_diag *diag);

#endif
