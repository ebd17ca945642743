#include "rerank/learn/fit_windows.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/random.h"

enum { SIZE = 20, LEAST = 8, DEPTH = 100 };

static rr_fit_windows_params filled(const rr_fit_windows_params *params) {
    rr_fit_windows_params p = *params;
    p.size = p.size != 0 ? p.size : SIZE;
    p.least = p.least != 0 ? p.least : LEAST;
    p.depth = p.depth != 0 ? p.depth : DEPTH;
    p.per_query = p.per_query != 0 ? p.per_query : 1;
    return p;
}

/* The judgement of a passage: false = none. */
static bool find_grade(
    const rr_fit_set *set, const rr_trec_query *judged, const char *docid, int32_t *out) {
    if (judged != NULL) {
        const rr_trec_row wanted = {.docid = docid, .docid_bytes = (uint32_t)strlen(docid)};
        const rr_trec_row *row = bsearch(
            &wanted, &set->qrels->rows[judged->first], judged->n, sizeof wanted, rr_trec_by_docid);
        if (row != NULL) {
            *out = row->level > 0 ? row->level : 0;
            return row->level >= 0;
        }
    }
    *out = 0;
    return set->unjudged_is_0;
}

static void shuffle(uint32_t *values, uint32_t n, uint64_t *rng) {
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t j = (uint32_t)(rr_random(rng) % i), kept = values[i - 1];
        values[i - 1] = values[j];
        values[j] = kept;
    }
}

/* Passages of a query that have a grade: first those above 0 [*n_good], then the others. Returns
 * how many. */
static uint32_t list_judged(const rr_fit_set *set, const rr_query *query, uint32_t depth,
    uint32_t *out, int32_t *grades, uint32_t *n_good) {
    const rr_trec_query *judged =
        rr_trec_table_find(set->qrels, (rr_text){query->qid, strlen(query->qid)});
    const uint32_t end = query->n < depth ? (uint32_t)query->n : depth;
    uint32_t n = 0;
    for (int good = 1; good >= 0; good--) {
        for (uint32_t i = 0; i < end; i++) {
            int32_t grade;
            if (find_grade(set, judged, query->passages[i].id, &grade) &&
                (grade > 0) == (good != 0)) {
                out[n++] = i;
                grades[i] = grade;
            }
        }
        *n_good = good ? n : *n_good;
    }
    return n;
}

static bool all_equal(const int32_t *grades, const uint32_t *passages, uint32_t n) {
    for (uint32_t i = 1; i < n; i++) {
        if (grades[passages[i]] != grades[passages[0]]) {
            return false;
        }
    }
    return true;
}

/* Draws the window of `round` from `judged` [n], of which the first n_good have a grade above 0; 0
 * passages = none can be made. */
static uint32_t draw(const rr_fit_windows_params *p, const rr_query *query, uint32_t round,
    uint32_t *judged, uint32_t n, uint32_t n_good, const int32_t *grades) {
    uint64_t rng = rr_hash(p->seed + round, query->qid, strlen(query->qid));
    if (n < p->least || all_equal(grades, judged, n)) {
        return 0;
    }
    shuffle(judged, n_good, &rng);
    shuffle(judged + n_good, n - n_good, &rng);
    const uint32_t n_bad = n - n_good, half = p->size / 2;
    uint32_t good = n_good < half ? n_good : half;
    uint32_t bad = n_bad < p->size - good ? n_bad : p->size - good;
    good = n_good < p->size - bad ? n_good : p->size - bad; /* more of them where others lack */
    memmove(judged + good, judged + n_good, bad * sizeof *judged);
    shuffle(judged, good + bad, &rng);
    return all_equal(grades, judged, good + bad) ? 0 : good + bad;
}

static rr_status out_of_memory(rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "out of memory for windows to learn from");
}

/* The window of a query in a round, or none. */
static rr_status add_window(const rr_fit_set *sets, uint32_t set, const rr_query *query,
    uint32_t round, const rr_fit_windows_params *p, rr_fit_windows *out, rr_diag *diag) {
    const size_t most = query->n < p->depth ? query->n : p->depth;
    uint32_t *judged = malloc((most + 1) * sizeof *judged), n_good = 0;
    int32_t *grades = calloc(most + 1, sizeof *grades);
    rr_status status = RR_OK;
    if (judged == NULL || grades == NULL) {
        status = out_of_memory(diag);
        goto fail;
    }
    uint32_t n = list_judged(&sets[set], query, p->depth, judged, grades, &n_good);
    n = draw(p, query, round, judged, n, n_good, grades);
    if (n == 0) {
        out->n_left_out += round == 0;
        goto fail;
    }
    rr_fit_window *window = &out->windows[out->n];
    *window = (rr_fit_window){.set = set, .query = query, .n = n};
    window->passages = rr_arena_alloc(&out->arena, n, sizeof *window->passages);
    window->grades = rr_arena_alloc(&out->arena, n, sizeof *window->grades);
    if (window->passages == NULL || window->grades == NULL) {
        status = out_of_memory(diag);
        goto fail;
    }
    for (uint32_t i = 0; i < n; i++) {
        window->passages[i] = judged[i];
        window->grades[i] = grades[judged[i]];
    }
    out->n++;
fail:
    free(judged);
    free(grades);
    return status;
}

typedef struct place {
    uint64_t key; /* by which queries are chosen */
    uint32_t query;
} place;

static int by_key(const void *left, const void *right) {
    const place *a = left, *b = right;
    return a->key != b->key   ? (a->key < b->key ? -1 : 1)
        : a->query < b->query ? -1
                              : a->query > b->query;
}

/* The queries of a set in the order of the seed's choice. */
static rr_status choose(const rr_fit_set *set, uint64_t seed, place **out, rr_diag *diag) {
    place *places = malloc((set->candidates->n + 1) * sizeof *places);
    if (places == NULL) {
        return out_of_memory(diag);
    }
    for (size_t i = 0; i < set->candidates->n; i++) {
        const char *qid = set->candidates->queries[i].qid;
        places[i] = (place){rr_hash(seed ^ UINT64_C(0x71), qid, strlen(qid)), (uint32_t)i};
    }
    qsort(places, set->candidates->n, sizeof *places, by_key);
    *out = places;
    return RR_OK;
}

/* A round over a set: until as many windows as queries are wanted, or no query is left. */
static rr_status add_round(const rr_fit_set *sets, uint32_t set, uint32_t round,
    const rr_fit_windows_params *p, rr_fit_windows *out, rr_diag *diag) {
    place *places = NULL;
    RR_TRY(choose(&sets[set], p->seed, &places, diag));
    const size_t begin = out->n,
                 most = sets[set].n_queries != 0 ? sets[set].n_queries : sets[set].candidates->n;
    rr_status status = RR_OK;
    for (size_t i = 0; i < sets[set].candidates->n && out->n - begin < most && status == RR_OK;
         i++) {
        status = add_window(
            sets, set, &sets[set].candidates->queries[places[i].query], round, p, out, diag);
    }
    free(places);
    return status;
}

rr_status rr_fit_windows_make(const rr_fit_set *sets, size_t n_sets,
    const rr_fit_windows_params *params, rr_fit_windows *out, rr_diag *diag) {
    const rr_fit_windows_params p = filled(params);
    *out = (rr_fit_windows){0};
    size_t most = 0;
    for (size_t i = 0; i < n_sets; i++) {
        most += sets[i].candidates->n * p.per_query;
    }
    out->windows = rr_arena_alloc(&out->arena, most + 1, sizeof *out->windows);
    if (out->windows == NULL) {
        return out_of_memory(diag);
    }
    for (uint32_t round = 0; round < p.per_query; round++) {
        for (uint32_t set = 0; set < n_sets; set++) {
            RR_TRY(add_round(sets, set, round, &p, out, diag));
        }
    }
    return RR_OK;
}

void rr_fit_windows_destroy(rr_fit_windows *windows) {
    rr_arena_destroy(&windows->arena);
    *windows = (rr_fit_windows){0};
}
