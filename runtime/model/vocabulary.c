#include "runtime/model/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/model/utf8.h"

enum { ALPHABET_END = 0x100 + 68 }; /* 68 bytes are not printable Latin-1 */

/* The byte that a character of the alphabet stands for, -1 for other characters. */
static int byte_of(int32_t code_point) {
    if ((code_point >= 0x21 && code_point <= 0x7E) ||
        (code_point >= 0xA1 && code_point <= 0xFF && code_point != 0xAD)) {
        return code_point;
    }
    if (code_point < 0x100 || code_point >= ALPHABET_END) {
        return -1;
    }
    int i = code_point - 0x100; /* the i-th unprintable byte: 00–20, 7F–A0, AD */
    return i <= 0x20 ? i : i < 67 ? i - 0x21 + 0x7F : 0xAD;
}

bool rr_vocabulary_decode(rr_text text, rr_buf *out) {
    size_t kept = out->bytes;
    for (size_t at = 0; at < text.bytes;) {
        int32_t code_point;
        at += rr_utf8_next((const unsigned char *)text.data + at, text.bytes - at, &code_point);
        int byte = code_point < 0 ? -1 : byte_of(code_point);
        if (byte < 0) {
            out->bytes = kept;
            return false;
        }
        char one = (char)byte;
        rr_buf_append(out, &one, 1);
    }
    return true;
}

rr_text rr_vocabulary_text(const rr_vocabulary *vocabulary, uint32_t id) {
    uint32_t from = vocabulary->offsets[id];
    return (rr_text){vocabulary->bytes + from, vocabulary->offsets[id + 1] - from};
}

/* The slot that holds the token, else the free one where it belongs. */
static size_t slot_of(const rr_vocabulary *vocabulary, const char *bytes, size_t n) {
    const uint64_t hash = rr_fnv1a(bytes, n);
    size_t slot = (size_t)(hash ^ (hash >> 32)) & vocabulary->mask;
    for (; vocabulary->slots[slot] >= 0; slot = (slot + 1) & vocabulary->mask) {
        rr_text text = rr_vocabulary_text(vocabulary, (uint32_t)vocabulary->slots[slot]);
        if (text.bytes == n && memcmp(text.data, bytes, n) == 0) {
            break;
        }
    }
    return slot;
}

int32_t rr_vocabulary_find(const rr_vocabulary *vocabulary, const char *bytes, size_t n) {
    return vocabulary->slots[slot_of(vocabulary, bytes, n)];
}

static rr_status allocate(rr_vocabulary *vocabulary, uint32_t n, rr_diag *diag) {
    size_t size = 16;
    while (size / 2 < n) {
        size *= 2;
    }
    vocabulary->n = n;
    vocabulary->mask = size - 1;
    vocabulary->offsets = calloc((size_t)n + 1, sizeof *vocabulary->offsets);
    vocabulary->kinds = calloc((size_t)n, 1);
    vocabulary->slots = malloc(size * sizeof *vocabulary->slots);
    if (vocabulary->offsets == NULL || vocabulary->kinds == NULL || vocabulary->slots == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a vocabulary of %u tokens", n);
    }
    memset(vocabulary->slots, 0xFF, size * sizeof *vocabulary->slots);
    return RR_OK;
}

rr_status rr_vocabulary_read(const rr_token_list *list, rr_vocabulary *vocabulary, rr_diag *diag) {
    if (list->n == 0) {
        return rr_fail(diag, RR_E_INPUT, "%s: %s: found no tokens, expected a vocabulary",
            list->label, list->tokens_label);
    }
    RR_TRY(allocate(vocabulary, list->n, diag));
    memcpy(vocabulary->kinds, list->kinds, list->n);
    rr_buf bytes = {0};
    for (uint32_t id = 0; id < vocabulary->n; id++) {
        const rr_text text = list->texts[id];
        bool is_bytes = vocabulary->kinds[id] == RR_TOKEN_NORMAL && text.bytes > 0 &&
            rr_vocabulary_decode(text, &bytes);
        if (!is_bytes) {
            rr_buf_append(&bytes, text.data, text.bytes);
        }
        if (bytes.failed || bytes.bytes > UINT32_MAX) {
            rr_buf_destroy(&bytes);
            return rr_fail(diag, RR_E_MEMORY, "%s: %s: no room for the texts of %u tokens",
                list->label, list->tokens_label, vocabulary->n);
        }
        vocabulary->offsets[id + 1] = (uint32_t)bytes.bytes;
        vocabulary->bytes = bytes.data; /* moves while it grows */
        if (is_bytes) {
            uint32_t from = vocabulary->offsets[id];
            size_t slot = slot_of(vocabulary, bytes.data + from, bytes.bytes - from);
            if (vocabulary->slots[slot] < 0) {
                vocabulary->slots[slot] = (int32_t)id;
            }
        }
    }
    return RR_OK;
}

void rr_vocabulary_destroy(rr_vocabulary *vocabulary) {
    free(vocabulary->bytes);
    free(vocabulary->offsets);
    free(vocabulary->kinds);
    free(vocabulary->slots);
    *vocabulary = (rr_vocabulary){0};
}
