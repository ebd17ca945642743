/* What the reasoning said about each passage: which passages its sentences name.
 * Owns: the forms in which a text names passages, and the way from a window's labels to the query's
 * passages. Pure functions of the text; nothing is guessed from its meaning.
 * Names: [3] · [1, 3] · [2-5] · [2]-[5] · [2] through [5] · passage 3 · Passage #3 · document 3 ·
 * passages 2, 4 and 7 · passages 2 to 5. Between brackets "to" makes a range only behind "passages"
 * or "from" ("I prefer [2] to [5]" names two). Numbers outside the window's labels name nothing. */
#ifndef RR_RERANK_REPORT_EXPLAIN_H
#define RR_RERANK_REPORT_EXPLAIN_H

#include "rerank/rerank.h"

typedef struct rr_mention {
    size_t begin, end;    /* bytes of the text that name it: "[3]", "passage 3", "[2]-[5]" */
    uint32_t first, last; /* labels from 1; more than one for a range */
    size_t sentence;      /* index of the sentence that it stands in */
} rr_mention;

typedef struct rr_sentence {
    size_t begin, end; /* bytes of the text, as rr_sentence_next cuts them */
} rr_sentence;

/* One text, read. Memory is the arena's that was given. */
typedef struct rr_explained {
    rr_sentence *sentences; /* [n_sentences] in the text's order, apart */
    /* [n_mentions] in the text's order, apart, each inside of its sentence */
    rr_mention *mentions;
    size_t n_sentences, n_mentions;
} rr_explained;

/* Reads any text, for the labels 1…n. Errors: RR_E_MEMORY. Cost: linear in the bytes, two walks. */
rr_status rr_explain_text(
    const char *text, size_t bytes, uint32_t n, rr_arena *arena, rr_explained *out, rr_diag *diag);

/* A sentence in which a passage is named. */
typedef struct rr_said {
    size_t window;     /* index in the ranking's windows */
    rr_text text;      /* points into that window's reasoning */
    size_t begin, end; /* where it stands there, in characters (code points) */
    uint32_t label;    /* the passage's label in that window, from 1 */
    uint32_t n_named;  /* passages that the sentence names; 1 = only this one */
} rr_said;

enum {
    /* more about a passage in one window is left out: only a text that wants to fill memory says so
     * much */
    RR_EXPLAIN_MAX_SAID = 256,
    /* a sentence that names more passages says little about each: who shows sentences may leave it
     * out */
    RR_EXPLAIN_CROWD = 4
};

/* What a ranking's reasoning said about each passage. Zero-initialise. Borrows the ranking. */
typedef struct rr_explanations {
    rr_arena arena;
    rr_said *said; /* by passage, then window, then place */
    /* [n + 1]: about passage p of the query are said[first[p]] to said[first[p + 1] - 1] */
    size_t *first;
    size_t n; /* passages */
} rr_explanations;

/* `out` must be destroyed whatever happens. Errors: RR_E_MEMORY. Cost: linear in the reasoning and
 * in what it names: a range costs its width. */
rr_status rr_explain_ranking(const rr_ranking *ranking, rr_explanations *out, rr_diag *diag);
void rr_explanations_destroy(rr_explanations *explanations); /* accepts a zeroed one */

#endif
