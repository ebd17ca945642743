#include "rerank/keep/journal_code.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"

/* The numbers of a window, each as 64 bits; its arrays, its texts and what was read of its passages
 * follow them. A field that is added to rr_window_result or rr_ranking belongs here: without it a
 * resumed run would lose it. (But for `late`: such rankings are not kept; and a ranking's `scores`
 * are made of what its windows read.) */
typedef struct field {
    const char *name;
    size_t offset, bytes;
} field;
#define FIELD(name) \
    { #name, offsetof(rr_window_result, name), sizeof(((rr_window_result *)0)->name) }
static const field fields[] = {
    FIELD(window.begin),
    FIELD(window.end),
    FIELD(n_listed),
    FIELD(repaired),
    FIELD(truncated),
    FIELD(prompt_tokens),
    FIELD(reused_tokens),
    FIELD(shared_tokens),
    FIELD(generated_tokens),
    FIELD(prompt_ns),
    FIELD(generate_ns),
    FIELD(time_ns),
};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };
#if UINTPTR_MAX == UINT64_MAX
_Static_assert(sizeof(rr_window_result) == 160,
    "rr_window_result has changed: write and read the new field here, then mend this size");
_Static_assert(sizeof(rr_ranking) == 64,
    "rr_ranking has changed: write and read the new field here, then mend this size");
_Static_assert(sizeof(rr_passage_read) == 128,
    "rr_passage_read has changed: write and read the new field here, then mend this size");
#endif

/* the place of a text that is no part of the response */
static const uint64_t outside = UINT64_MAX;

uint64_t rr_journal_code_version(void) {
    uint64_t hash = 2; /* the version of all that is no field */
    for (size_t i = 0; i < N_FIELDS; i++) {
        hash = rr_hash(hash, fields[i].name, strlen(fields[i].name));
    }
    return hash;
}

/* Writing */

static void put(rr_buf *out, uint64_t value) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
    rr_buf_append(out, bytes, sizeof bytes);
}

static void put_all(rr_buf *out, const uint32_t *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[4] = {(uint8_t)values[i], (uint8_t)(values[i] >> 8),
            (uint8_t)(values[i] >> 16), (uint8_t)(values[i] >> 24)};
        rr_buf_append(out, bytes, sizeof bytes);
    }
}

static void put_32(rr_buf *out, uint32_t value) {
    put_all(out, &value, 1);
}

static void put_double(rr_buf *out, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(out, bits);
}

static void put_read_part(rr_buf *out, const rr_read_part *part) {
    uint32_t share;
    memcpy(&share, &part->share, sizeof share);
    put_32(out, part->begin);
    put_32(out, part->end);
    put_32(out, share);
}

/* Whether there are any, then those of each label. */
static void put_reads(rr_buf *out, const rr_passage_read *reads, uint32_t n) {
    put(out, reads != NULL);
    for (uint32_t i = 0; reads != NULL && i < n; i++) {
        put_double(out, reads[i].score);
        put_double(out, reads[i].probability);
        put_read_part(out, &reads[i].sentence);
        put_32(out, reads[i].n_words);
        for (uint32_t k = 0; k < reads[i].n_words; k++) {
            put_read_part(out, &reads[i].words[k]);
        }
    }
}

static uint64_t get_field(const rr_window_result *window, const field *f) {
    const char *at = (const char *)window + f->offset;
    if (f->bytes == sizeof(uint64_t)) {
        return *(const uint64_t *)(const void *)at;
    }
    return f->bytes == sizeof(uint32_t) ? *(const uint32_t *)(const void *)at
                                        : *(const bool *)(const void *)at;
}

/* A part of the response as its place there, any other text itself. */
static void put_part(rr_buf *out, rr_text whole, rr_text part) {
    uintptr_t begin = (uintptr_t)whole.data, at = (uintptr_t)part.data;
    bool inside = part.data != NULL && at >= begin && at - begin <= whole.bytes &&
        part.bytes <= whole.bytes - (at - begin);
    put(out, inside ? at - begin : outside);
    put(out, part.bytes);
    if (!inside) {
        rr_buf_append(out, part.data, part.bytes);
    }
}

void rr_journal_encode(const rr_ranking *ranking, rr_buf *out) {
    size_t start = out->bytes;
    put(out, rr_journal_code_version());
    put(out, ranking->n);
    put(out, ranking->n_windows);
    put(out, ranking->time_ns);
    put_all(out, ranking->order, ranking->n);
    for (size_t i = 0; i < ranking->n_windows; i++) {
        const rr_window_result *window = &ranking->windows[i];
        for (size_t k = 0; k < N_FIELDS; k++) {
            put(out, get_field(window, &fields[k]));
        }
        put(out, window->n);
        put_all(out, window->passages, window->n);
        put_all(out, window->permutation, window->n);
        put(out, window->response.bytes);
        rr_buf_append(out, window->response.data, window->response.bytes);
        put_part(out, window->response, window->reasoning);
        put_part(out, window->response, window->answer);
        put_reads(out, window->reads, window->n);
    }
    if (!out->failed) {
        put(out, rr_hash(0, out->data + start, out->bytes - start));
    }
}

/* Reading */

typedef struct reader {
    const uint8_t *at, *end;
    rr_arena *arena;
    bool bad, no_memory;
} reader;

static bool take(reader *r, uint64_t bytes, const uint8_t **out) {
    r->bad = r->bad || bytes > (uint64_t)(r->end - r->at);
    if (r->bad) {
        return false;
    }
    *out = r->at;
    r->at += bytes;
    return true;
}

static uint64_t get(reader *r) {
    const uint8_t *from;
    uint64_t value = 0;
    for (int i = take(r, 8, &from) ? 0 : 8; i < 8; i++) {
        value |= (uint64_t)from[i] << 8 * i;
    }
    return value;
}

static uint32_t number_at(const uint8_t *from) {
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
        (uint32_t)from[3] << 24;
}

/* n numbers in [first, first + below); *out is left alone when they are not. */
static void get_all(reader *r, uint64_t n, uint64_t first, uint64_t below, uint32_t **out) {
    const uint8_t *from;
    if (n > UINT32_MAX || !take(r, n * 4, &from)) {
        r->bad = true;
        return;
    }
    uint32_t *values = rr_arena_alloc(r->arena, (size_t)n + 1, sizeof *values);
    r->no_memory = r->no_memory || values == NULL;
    for (uint64_t i = 0; i < n && values != NULL; i++, from += 4) {
        values[i] = number_at(from);
        r->bad = r->bad || values[i] < first || values[i] - first >= below;
    }
    *out = values;
}

static uint32_t get_32(reader *r) {
    const uint8_t *from;
    return take(r, 4, &from) ? number_at(from) : 0;
}

static double get_double(reader *r) {
    uint64_t bits = get(r);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static rr_read_part get_read_part(reader *r) {
    rr_read_part part = {.begin = get_32(r)};
    part.end = get_32(r);
    uint32_t share = get_32(r);
    memcpy(&part.share, &share, sizeof part.share);
    return part;
}

static void get_read(reader *r, rr_passage_read *out) {
    out->score = get_double(r);
    out->probability = get_double(r);
    out->sentence = get_read_part(r);
    out->n_words = get_32(r);
    for (uint32_t k = 0; k < out->n_words && k < RR_READ_WORDS; k++) {
        out->words[k] = get_read_part(r);
    }
    r->bad = r->bad || !rr_passage_read_is_sound(out);
}

static const rr_passage_read *get_reads(reader *r, uint32_t n) {
    enum { LEAST = 2 * 8 + 3 * 4 + 4 }; /* bytes of a reading without words */
    uint64_t any = get(r);
    r->bad = r->bad || any > 1 || (any == 1 && n > (uint64_t)(r->end - r->at) / LEAST);
    if (r->bad || any == 0) {
        return NULL;
    }
    rr_passage_read *reads = rr_arena_alloc(r->arena, (size_t)n + 1, sizeof *reads);
    r->no_memory = r->no_memory || reads == NULL;
    for (uint32_t i = 0; i < n && reads != NULL && !r->bad; i++) {
        get_read(r, &reads[i]);
    }
    return reads;
}

static rr_text get_text(reader *r, uint64_t bytes) {
    const uint8_t *from;
    if (!take(r, bytes, &from)) {
        return (rr_text){"", 0};
    }
    const char *copy = rr_arena_copy(r->arena, (const char *)from, (size_t)bytes);
    r->no_memory = r->no_memory || copy == NULL;
    return (rr_text){copy, (size_t)bytes};
}

static rr_text get_part(reader *r, rr_text whole) {
    uint64_t at = get(r), bytes = get(r);
    if (at == outside) {
        return get_text(r, bytes);
    }
    if (r->bad || r->no_memory || at > whole.bytes || bytes > whole.bytes - at) {
        r->bad = true;
        return (rr_text){"", 0};
    }
    return (rr_text){whole.data + at, (size_t)bytes};
}

static void set_field(reader *r, rr_window_result *window, const field *f, uint64_t value) {
    char *at = (char *)window + f->offset;
    if (f->bytes == sizeof(uint64_t)) {
        *(uint64_t *)(void *)at = value;
    } else if (f->bytes == sizeof(uint32_t)) {
        *(uint32_t *)(void *)at = (uint32_t)value;
        r->bad = r->bad || value > UINT32_MAX;
    } else {
        *(bool *)(void *)at = value != 0;
        r->bad = r->bad || value > 1;
    }
}

static void get_window(reader *r, size_t n_passages, rr_window_result *window) {
    uint32_t *passages = NULL, *permutation = NULL;
    for (size_t k = 0; k < N_FIELDS; k++) {
        set_field(r, window, &fields[k], get(r));
    }
    uint64_t n = get(r);
    r->bad = r->bad || n > n_passages || window->window.begin > window->window.end ||
        window->window.end > n_passages;
    if (r->bad) {
        return;
    }
    get_all(r, n, 0, n_passages, &passages);
    get_all(r, n, 1, n, &permutation);
    window->n = (uint32_t)n;
    window->passages = passages;
    window->permutation = permutation;
    window->response = get_text(r, get(r));
    window->reasoning = get_part(r, window->response);
    window->answer = get_part(r, window->response);
    window->reads = get_reads(r, window->n);
}

/* Whether each of 0 … n - 1 occurs. */
static bool is_permutation(reader *r, const uint32_t *order, size_t n) {
    bool *seen = calloc(n + 1, sizeof *seen);
    r->no_memory = r->no_memory || seen == NULL;
    bool whole = seen != NULL;
    for (size_t i = 0; i < n && whole; i++) {
        whole = !seen[order[i]];
        seen[order[i]] = true;
    }
    free(seen);
    return whole;
}

static void get_ranking(reader *r, size_t n_passages, rr_ranking *out) {
    uint64_t n = get(r), n_windows = get(r);
    out->time_ns = get(r);
    r->bad = r->bad || n != n_passages || n_windows > (uint64_t)(r->end - r->at) / (8 * N_FIELDS);
    if (r->bad) {
        return;
    }
    get_all(r, n, 0, n, &out->order);
    out->windows = rr_arena_alloc(r->arena, (size_t)n_windows + 1, sizeof *out->windows);
    r->no_memory = r->no_memory || out->windows == NULL;
    out->n = n_passages;
    out->n_windows = (size_t)n_windows;
    for (size_t i = 0; i < out->n_windows && !r->bad && !r->no_memory; i++) {
        get_window(r, n_passages, &out->windows[i]);
    }
    r->bad = r->bad || r->at != r->end;
    if (!r->bad && !r->no_memory) {
        r->bad = !is_permutation(r, out->order, out->n);
    }
    if (!r->bad && !r->no_memory) {
        r->no_memory = rr_ranking_score_all(out, NULL) != RR_OK;
    }
}

rr_status rr_journal_decode(
    const void *data, size_t bytes, size_t n_passages, rr_ranking *out, rr_diag *diag) {
    rr_ranking ranking = {0};
    reader r = {.at = data, .end = (const uint8_t *)data + bytes, .arena = &ranking.arena};
    if (bytes < 16) {
        return rr_fail(diag, RR_E_INPUT, "found %zu bytes, expected a ranking", bytes);
    }
    reader tail = {.at = r.end - 8, .end = r.end};
    r.end -= 8;
    if (rr_hash(0, data, bytes - 8) != get(&tail)) {
        return rr_fail(diag, RR_E_INPUT, "found a wrong checksum: the bytes are damaged");
    }
    if (get(&r) != rr_journal_code_version()) {
        return rr_fail(diag, RR_E_INPUT, "found a ranking of another version of the program");
    }
    get_ranking(&r, n_passages, &ranking);
    if (r.bad || r.no_memory) {
        rr_ranking_destroy(&ranking);
        return r.no_memory
            ? rr_fail(diag, RR_E_MEMORY, "out of memory for a ranking")
            : rr_fail(diag, RR_E_INPUT, "found what is no ranking of %zu passages", n_passages);
    }
    *out = ranking;
    return RR_OK;
}
