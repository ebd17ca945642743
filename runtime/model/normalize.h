/* Unicode normalization form C of arbitrary bytes.
 * Owns: the route from bytes to the valid, composed UTF-8 that the pre-tokenizer needs. Tables:
 * utf8proc. */
#ifndef RR_MODEL_NORMALIZE_H
#define RR_MODEL_NORMALIZE_H

#include "runtime/base/memory.h"

/* Appends `text` in NFC; each invalid sequence (maximal subpart) becomes U+FFFD. Errors:
 * RR_E_MEMORY, RR_E_INTERNAL. Thread safe. Cost: O(bytes) whatever the text; ASCII is copied. */
rr_status rr_nfc_append(const char *text, size_t bytes, rr_buf *out, rr_diag *diag);

#endif
