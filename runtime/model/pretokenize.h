/* The pre-tokenization regex of Qwen2: cuts text into the pieces inside which byte pairs are
 * merged. Owns: the regex and its compiled form. Source: tokenizer.json of Qwen2 (Hugging Face),
 * where Oniguruma runs it. */
#ifndef RR_MODEL_PRETOKENIZE_H
#define RR_MODEL_PRETOKENIZE_H

#include "runtime/base/status.h"

typedef struct rr_pretokenizer rr_pretokenizer; /* immutable, used from any thread */

/* Errors: RR_E_MEMORY, RR_E_INTERNAL. Cold cost: compiles the regex. */
rr_status rr_pretokenizer_create(rr_pretokenizer **out, rr_diag *diag);
void rr_pretokenizer_destroy(rr_pretokenizer **pretokenizer);

typedef rr_status (*rr_piece_fn)(void *user, const char *piece, size_t bytes, rr_diag *diag);

/* Calls `piece` for each piece of `text`, which must be valid UTF-8, in order; the pieces cover the
 * text. Stops at and returns the first failure of `piece`. Errors: RR_E_MEMORY, RR_E_INTERNAL.
 * Cost: O(bytes). */
rr_status rr_pretokenize(const rr_pretokenizer *pretokenizer, const char *text, size_t bytes,
    rr_piece_fn piece, void *user, rr_diag *diag);

#endif
