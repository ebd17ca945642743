#include "runtime/model/normalize.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "runtime/model/utf8.h"

/* Below this code point every character is its own NFC and none combines with one before it. So a
 * text falls into stretches that can be normalised one by one: a character below it and those from
 * it on that follow. */
enum { FIRST_COMBINING = 0x300 };

enum { MAX_DECOMPOSED = 8 }; /* room for one character; the longest canonical decomposition has 4 */

/* The canonically decomposed code points of one stretch. */
typedef struct workspace {
    int32_t *points;
    int32_t *spare; /* for sorting, same capacity */
    size_t n, capacity;
} workspace;

static rr_status work_reserve(workspace *work, size_t n, rr_diag *diag) {
    if (n <= work->capacity) {
        return RR_OK;
    }
    size_t capacity = n + n / 2;
    int32_t *points = realloc(work->points, capacity * sizeof *points);
    if (points != NULL) {
        work->points = points;
    }
    int32_t *spare = points != NULL ? realloc(work->spare, capacity * sizeof *spare) : NULL;
    if (spare == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory while normalising text");
    }
    work->spare = spare;
    work->capacity = capacity;
    return RR_OK;
}

static int combining_class(int32_t code_point) {
    return utf8proc_get_property(code_point)->combining_class;
}

/* Canonical order of points[from, to), none of which is a starter: stable by combining class. A
 * counting sort, because a hostile text may hold a million marks in a row. */
static void order_marks(workspace *work, size_t from, size_t to) {
    size_t start[257] = {0};
    for (size_t i = from; i < to; i++) {
        start[combining_class(work->points[i]) + 1]++;
    }
    for (size_t c = 1; c < 257; c++) {
        start[c] += start[c - 1];
    }
    for (size_t i = from; i < to; i++) {
        work->spare[start[combining_class(work->points[i])]++] = work->points[i];
    }
    memcpy(work->points + from, work->spare, (to - from) * sizeof *work->points);
}

static void order_all_marks(workspace *work) {
    size_t from = 0; /* where the current run of marks begins */
    int last_class = 0;
    bool sorted = true;
    for (size_t i = 0; i <= work->n; i++) {
        int class = i < work->n ? combining_class(work->points[i]) : 0;
        if (class != 0) {
            sorted = sorted && class >= last_class;
        } else {
            if (!sorted) {
                order_marks(work, from, i);
            }
            from = i + 1;
            sorted = true;
        }
        last_class = class;
    }
}

/* Appends the NFC of one stretch. */
static rr_status normalize_stretch(
    workspace *work, const unsigned char *text, size_t bytes, rr_buf *out, rr_diag *diag) {
    work->n = 0;
    for (size_t at = 0; at < bytes;) {
        RR_TRY(work_reserve(work, work->n + MAX_DECOMPOSED, diag));
        int32_t code_point;
        at += rr_utf8_next(text + at, bytes - at, &code_point);
        utf8proc_ssize_t n = utf8proc_decompose_char(code_point < 0 ? 0xFFFD : code_point,
            work->points + work->n, MAX_DECOMPOSED, UTF8PROC_STABLE | UTF8PROC_COMPOSE, NULL);
        if (n < 0 || n > MAX_DECOMPOSED) {
            return rr_fail(
                diag, RR_E_INTERNAL, "utf8proc cannot decompose U+%04X", (unsigned)code_point);
        }
        work->n += (size_t)n;
    }
    order_all_marks(work);
    utf8proc_ssize_t n = utf8proc_normalize_utf32(
        work->points, (utf8proc_ssize_t)work->n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n < 0) {
        return rr_fail(diag, RR_E_INTERNAL, "utf8proc cannot compose: %s", utf8proc_errmsg(n));
    }
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        utf8proc_uint8_t encoded[4];
        utf8proc_ssize_t length = utf8proc_encode_char(work->points[i], encoded);
        rr_buf_append(out, encoded, (size_t)length);
    }
    return RR_OK;
}

rr_status rr_nfc_append(const char *text, size_t bytes, rr_buf *out, rr_diag *diag) {
    const unsigned char *from = (const unsigned char *)text;
    rr_status status = RR_OK;
    workspace work = {0};
    size_t copied = 0;    /* what `out` already holds */
    size_t stretch = 0;   /* where the current stretch begins */
    bool is_plain = true; /* no character from FIRST_COMBINING on in it so far */
    for (size_t at = 0; at < bytes;) {
        int32_t code_point;
        size_t length = rr_utf8_next(from + at, bytes - at, &code_point);
        if (code_point >= 0 && code_point < FIRST_COMBINING) {
            if (!is_plain) {
                RR_TRY_GOTO(normalize_stretch(&work, from + stretch, at - stretch, out, diag));
                copied = at;
                is_plain = true;
            }
            stretch = at;
        } else if (is_plain) {
            rr_buf_append(out, from + copied, stretch - copied);
            copied = stretch;
            is_plain = false;
        }
        at += length;
    }
    if (is_plain) {
        rr_buf_append(out, from + copied, bytes - copied);
    } else {
        RR_TRY_GOTO(normalize_stretch(&work, from + stretch, bytes - stretch, out, diag));
    }
    if (out->failed) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory while normalising text");
    }
fail:
    free(work.points);
    free(work.spare);
    return status;
}
