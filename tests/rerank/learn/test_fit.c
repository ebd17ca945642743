/* What a readout is fitted with: minima of known functions; windows drawn from judged lists;
 * features of which it is known what tells. */
#include "runtime/base/file_out.h"
#include "tests/check.h"

#include <math.h>
#include <unistd.h>

#include "rerank/data/trec_read.h"
#include "rerank/learn/fit.h"
#include "rerank/learn/fit_minimize.h"
#include "runtime/base/random.h"
#include "tests/support/folder.h"

/* The minimum */

enum { N_SQUARES = 30 };

typedef struct counted {
    size_t n_calls;
    double worst; /* how much higher a value was than the lowest before */
} counted;

/* Σ (i + 1) (x_i − i)², whose axes differ 30 times in steepness. */
static double squares(void *user, const double *x, double *g) {
    double sum = 0;
    ((counted *)user)->n_calls++;
    for (int i = 0; i < N_SQUARES; i++) {
        sum += (i + 1) * (x[i] - i) * (x[i] - i);
        g[i] = 2 * (i + 1) * (x[i] - i);
    }
    return sum;
}

static double rosenbrock(void *user, const double *x, double *g) {
    const double a = 1 - x[0], b = x[1] - x[0] * x[0];
    ((counted *)user)->n_calls++;
    g[0] = -2 * a - 400 * x[0] * b;
    g[1] = 200 * b;
    return a * a + 100 * b * b;
}

/* Flat, without a minimum, and one that ends in what is no number. */
static double flat(void *user, const double *x, double *g) {
    (void)x;
    ((counted *)user)->n_calls++;
    g[0] = 0;
    return 1;
}

static double endless(void *user, const double *x, double *g) {
    ((counted *)user)->n_calls++;
    g[0] = 1;
    return x[0];
}

static double broken(void *user, const double *x, double *g) {
    ((counted *)user)->n_calls++;
    g[0] = 2 * x[0];
    return x[0] < 3 ? NAN : x[0] * x[0];
}

static void check_minimize(void) {
    rr_diag diag = {0};
    counted c = {0};
    double x[N_SQUARES] = {0}, again[N_SQUARES] = {0};
    CHECK_OK(rr_minimize(squares, &c, N_SQUARES, x, 1e-8, 1000, &diag), diag);
    for (int i = 0; i < N_SQUARES; i++) {
        CHECK_MSG(fabs(x[i] - i) < 1e-8, "x[%d] = %.12f", i, x[i]);
    }
    CHECK_MSG(c.n_calls < 100, "%zu calls", c.n_calls);
    CHECK_OK(rr_minimize(squares, &c, N_SQUARES, again, 1e-8, 1000, &diag), diag);
    CHECK(memcmp(x, again, sizeof x) == 0);
    c.n_calls = 0;
    double two[2] = {-1.2, 1};
    CHECK_OK(rr_minimize(rosenbrock, &c, 2, two, 1e-8, 1000, &diag), diag);
    CHECK_MSG(fabs(two[0] - 1) < 1e-6 && fabs(two[1] - 1) < 1e-6 && c.n_calls < 300,
        "%.9f %.9f after %zu calls", two[0], two[1], c.n_calls);
    double one = 5;
    CHECK_OK(rr_minimize(flat, &c, 1, &one, 1e-8, 1000, &diag), diag);
    CHECK(one == 5);
    c.n_calls = 0;
    CHECK_OK(rr_minimize(endless, &c, 1, &one, 1e-8, 50, &diag), diag);
    CHECK(one < 5 && c.n_calls <= 51);
    CHECK_OK(rr_minimize(broken, &c, 1, &(double){10}, 1e-8, 1000, &diag), diag);
    one = 10;
    CHECK_OK(rr_minimize(broken, &c, 1, &one, 1e-8, 1000, &diag), diag);
    CHECK_MSG(one >= 3 && one < 10, "%g", one);
    one = 7;
    CHECK_OK(rr_minimize(endless, &c, 1, &one, 1e-8, 0, &diag), diag);
    CHECK(one == 7);
}

/* Windows */

typedef struct judged_list {
    rr_candidates candidates;
    rr_trec_table qrels;
} judged_list;

static void read_list(const char *lines, const char *qrels, judged_list *out) {
    char path[256];
    rr_diag diag = {0};
    *out = (judged_list){0};
    rr_test_file(path, sizeof path);
    CHECK_OK(rr_candidates_parse(lines, strlen(lines), "made", &out->candidates, &diag), diag);
    CHECK_OK(rr_file_write_atomic(path, qrels, strlen(qrels), &diag), diag);
    CHECK_OK(rr_trec_read_qrels(path, &out->qrels, &diag), diag);
    unlink(path);
}

static void drop_list(judged_list *list) {
    rr_candidates_destroy(&list->candidates);
    rr_trec_table_destroy(&list->qrels);
}

/* Query q has n[q] passages; passage p of it has grade grade(q, p), −9 = none. */
static void make_list(const uint32_t *n, uint32_t n_queries,
    int (*grade)(uint32_t query, uint32_t passage), judged_list *out) {
    rr_buf lines = {0}, qrels = {0};
    for (uint32_t q = 0; q < n_queries; q++) {
        rr_buf_printf(&lines, "{\"qid\": \"q%u\", \"query\": \"query %u\", \"hits\": [", q, q);
        for (uint32_t p = 0; p < n[q]; p++) {
            rr_buf_printf(
                &lines, "%s{\"docid\": \"d%u\", \"text\": \"text %u\"}", p > 0 ? ", " : "", p, p);
            if (grade(q, p) != -9) {
                rr_buf_printf(&qrels, "q%u 0 d%u %d\n", q, p, grade(q, p));
            }
        }
        rr_buf_text(&lines, "]}\n");
    }
    rr_buf_text(&qrels, "other 0 d0 1\n");
    read_list(lines.data, qrels.data, out);
    rr_buf_destroy(&lines);
    rr_buf_destroy(&qrels);
}

/* 0: a third relevant, 1: all but three, 2: all alike, 3: few are judged, 4: grades below 0, 5:
 * relevant ones of several grades alone, 6: only beyond the first hundred is something relevant, 7:
 * a few. */
static int grade_of(uint32_t query, uint32_t passage) {
    switch (query) {
    case 0:
        return passage % 3 == 0 ? 1 + (int)(passage % 2) : 0;
    case 1:
        return passage < 3 ? 0 : 2;
    case 2:
        return 1;
    case 3:
        return passage < 7 ? (int)(passage % 2) : -9;
    case 4:
        return passage % 2 == 0 ? 1 : passage % 4 == 1 ? -1 : 0;
    case 5:
        return 1 + (int)(passage % 3);
    case 6:
        return passage >= 100;
    default:
        return passage < 2 ? 1 : -9;
    }
}
enum { N_LISTS = 8 };
static const uint32_t list_sizes[N_LISTS] = {120, 40, 30, 30, 50, 30, 110, 25};

static const rr_fit_window *window_of(const rr_fit_windows *windows, const char *qid, size_t skip) {
    for (size_t i = 0; i < windows->n; i++) {
        if (strcmp(windows->windows[i].query->qid, qid) == 0 && skip-- == 0) {
            return &windows->windows[i];
        }
    }
    return NULL;
}

static uint32_t n_relevant(const rr_fit_window *window) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < window->n; i++) {
        n += window->grades[i] > 0;
    }
    return n;
}

static bool is_ascending(const rr_fit_window *window) {
    for (uint32_t i = 1; i < window->n; i++) {
        if (window->passages[i] < window->passages[i - 1]) {
            return false;
        }
    }
    return true;
}

static bool same_windows(const rr_fit_windows *a, const rr_fit_windows *b) {
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        const rr_fit_window *x = &a->windows[i], *y = &b->windows[i];
        same = x->query == y->query && x->n == y->n &&
            memcmp(x->passages, y->passages, x->n * sizeof *x->passages) == 0;
    }
    return same;
}

/* Each passage once, of the first `depth`, with its grade. */
static void check_window(
    const rr_fit_window *window, const rr_fit_windows_params *p, bool unjudged_is_0) {
    bool seen[200] = {false}, differ = false;
    const uint32_t query = (uint32_t)(window->query->qid[1] - '0'),
                   depth = p->depth != 0 ? p->depth : 100;
    CHECK(window->n >= 2 && window->n <= (p->size != 0 ? p->size : 20));
    for (uint32_t i = 0; i < window->n; i++) {
        const uint32_t passage = window->passages[i];
        CHECK(passage < window->query->n && passage < depth && !seen[passage]);
        seen[passage] = true;
        const int grade = grade_of(query, passage);
        CHECK(grade >= 0 ? window->grades[i] == grade
                         : grade == -9 && unjudged_is_0 && window->grades[i] == 0);
        differ = differ || window->grades[i] != window->grades[0];
    }
    CHECK(differ);
}

static void make_windows(
    const rr_fit_set *sets, size_t n, const rr_fit_windows_params *params, rr_fit_windows *out) {
    rr_diag diag = {0};
    CHECK_OK(rr_fit_windows_make(sets, n, params, out, &diag), diag);
    for (size_t i = 0; i < out->n; i++) {
        check_window(&out->windows[i], params, sets[out->windows[i].set].unjudged_is_0);
    }
}

static void check_windows(void) {
    judged_list list;
    rr_fit_windows windows, again;
    make_list(list_sizes, N_LISTS, grade_of, &list);
    rr_fit_set sets[2] = {{.candidates = &list.candidates, .qrels = &list.qrels}};
    rr_fit_windows_params params = {.seed = 3};
    make_windows(sets, 1, &params, &windows);
    CHECK_INT(windows.n, 4); /* q0, q1, q4, q5 */
    CHECK_INT(windows.n_left_out, 4);
    const rr_fit_window *w = window_of(&windows, "q0", 0);
    CHECK(w != NULL && w->n == 20 && n_relevant(w) == 10 && !is_ascending(w));
    w = window_of(&windows, "q1", 0);
    CHECK(w != NULL && w->n == 20 && n_relevant(w) == 17); /* others lack */
    w = window_of(&windows, "q4", 0);
    CHECK(w != NULL && w->n == 20 && n_relevant(w) == 10);
    w = window_of(&windows, "q5", 0);
    CHECK(w != NULL && w->n == 20 && n_relevant(w) == 20);
    CHECK(window_of(&windows, "q2", 0) == NULL && window_of(&windows, "q3", 0) == NULL &&
        window_of(&windows, "q6", 0) == NULL);
    make_windows(sets, 1, &params, &again);
    CHECK(same_windows(&windows, &again));
    rr_fit_windows_destroy(&again);
    params.seed = 4;
    make_windows(sets, 1, &params, &again);
    CHECK(!same_windows(&windows, &again));
    rr_fit_windows_destroy(&again);
    rr_fit_windows_destroy(&windows);

    sets[0].unjudged_is_0 = true; /* where relevant ones alone are judged */
    params = (rr_fit_windows_params){.seed = 3, .size = 9, .per_query = 3};
    make_windows(sets, 1, &params, &windows);
    CHECK_INT(windows.n, 3 * 6); /* and q3, q7 */
    CHECK_INT(windows.n_left_out, 2);
    /* rounds: every query once, then again, with others or in another order */
    for (size_t i = 0; i < windows.n / 3; i++) {
        const rr_fit_window *first = &windows.windows[i],
                            *second = &windows.windows[windows.n / 3 + i];
        CHECK(first->query == second->query);
        CHECK(memcmp(first->passages, second->passages, first->n * sizeof *first->passages) != 0);
    }
    w = window_of(&windows, "q7", 0);
    CHECK(w != NULL && w->n == 9 && n_relevant(w) == 2);
    w = window_of(&windows, "q0", 0);
    CHECK(w != NULL && w->n == 9 && n_relevant(w) == 4); /* at most half */
    rr_fit_windows_destroy(&windows);

    params = (rr_fit_windows_params){.seed = 3, .depth = 10, .least = 10};
    make_windows(sets, 1, &params, &windows);
    w = window_of(&windows, "q0", 0);
    CHECK(w != NULL && w->n == 10);
    rr_fit_windows_destroy(&windows);
    params = (rr_fit_windows_params){.seed = 3, .least = 101};
    make_windows(sets, 1, &params, &windows);
    CHECK(windows.n == 0 && windows.n_left_out == N_LISTS);
    rr_fit_windows_destroy(&windows);

    /* so many queries of a set, the same in each round, whatever other sets there are */
    sets[1] = sets[0];
    sets[0].n_queries = 2;
    params = (rr_fit_windows_params){.seed = 9, .per_query = 2};
    make_windows(sets, 2, &params, &windows);
    CHECK_INT(windows.n, 2 * (2 + 6));
    make_windows(sets, 1, &params, &again);
    CHECK_INT(again.n, 4);
    CHECK(again.n == 4 && again.windows[0].query == windows.windows[0].query &&
        again.windows[1].query == windows.windows[1].query);
    CHECK(again.n == 4 && again.windows[2].query == again.windows[0].query &&
        windows.windows[8].query == again.windows[0].query);
    rr_fit_windows_destroy(&again);
    rr_fit_windows_destroy(&windows);
    make_windows(sets, 0, &params, &windows);
    CHECK_INT(windows.n, 0);
    rr_fit_windows_destroy(&windows);
    drop_list(&list);
}

/* Fits */

enum { LAYERS = 2, HEADS = 2, D_MODEL = 4, N_MADE = 60, SIZE = 10, N_STATE_LAYERS = 3 };

/* Windows whose passages have a hidden worth, of which the grade, one head's attention, one
 * direction of one layer's states and the first stage's score may tell with more or less noise; all
 * else is noise. */
typedef struct made_windows {
    rr_read_shape shape;
    rr_read_features features[N_MADE];
    int32_t grades[N_MADE][SIZE];
    double first_stage[N_MADE][SIZE];
    char qids[N_MADE][8];
    rr_fit_sample samples[N_MADE];
} made_windows;

typedef struct made_noise {
    /* deviation, where the worth's is 1; below 0 = it says the opposite; INFINITY = noise alone */
    double attention, states, first_stage;
} made_noise;

static double uniform(uint64_t *rng) {
    return (double)(rr_random(rng) >> 11) / 9007199254740992.0;
}

static double normal(uint64_t *rng) {
    return sqrt(-2 * log(1 - uniform(rng))) * cos(6.283185307179586 * uniform(rng));
}

static double told(double worth, double noise, uint64_t *rng) {
    const double other = normal(rng);
    return isinf(noise) ? other : noise < 0 ? -worth - noise * other : worth + noise * other;
}

static void make(const made_noise *noise, uint64_t seed, made_windows *out) {
    rr_diag diag = {0};
    uint64_t rng = seed;
    *out = (made_windows){.shape = {.end_layer = LAYERS,
                              .n_heads = HEADS,
                              .state_layers = {1, 2, 3},
                              .n_state_layers = N_STATE_LAYERS,
                              .d_model = D_MODEL}};
    for (int w = 0; w < N_MADE; w++) {
        rr_read_features *f = &out->features[w];
        CHECK_OK(rr_read_features_make(&out->shape, SIZE, f, &diag), diag);
        snprintf(out->qids[w], sizeof out->qids[w], "q%d", w / 2); /* two windows a query */
        for (int i = 0; i < SIZE; i++) {
            const double worth = normal(&rng);
            out->grades[w][i] = worth > 1 ? 2 : worth > 0.3 ? 1 : 0;
            out->first_stage[w][i] = 20 + 3 * told(worth, noise->first_stage, &rng);
            f->lengths[i] = 20 + (uint32_t)(rr_random(&rng) % 50);
            for (int k = 0; k < LAYERS * HEADS * RR_READ_KINDS; k++) {
                /* layer 1, head 0, the query's rows */
                const double x = k == 4 ? told(worth, noise->attention, &rng) : normal(&rng);
                /* and place, as in a model */
                f->mass[k * SIZE + i] = (float)(1e-3 * exp(0.5 * x - 0.05 * i));
            }
            for (int k = 0; k < N_STATE_LAYERS; k++) {
                for (int d = 0; d < D_MODEL; d++) {
                    f->states[(k * SIZE + i) * D_MODEL + d] = (float)(10 +
                        3 * (k == 1 && d == 2 ? told(worth, noise->states, &rng) : normal(&rng)));
                }
            }
        }
        out->grades[w][0] = 0;
        out->grades[w][1] = 1;
        out->samples[w] = (rr_fit_sample){.set = (uint32_t)w % 2,
            .qid = out->qids[w],
            .features = f,
            .grades = out->grades[w],
            .first_stage = out->first_stage[w]};
    }
}

static void drop(made_windows *made) {
    for (int w = 0; w < N_MADE; w++) {
        rr_read_features_destroy(&made->features[w]);
    }
}

static rr_fit_params params_of(const made_windows *made) {
    return (rr_fit_params){.samples = made->samples, .n = N_MADE, .shape = made->shape};
}

typedef struct fitted {
    rr_readout readout;
    rr_fit_result result;
} fitted;

static void fit(const rr_fit_params *params, fitted *out) {
    rr_diag diag = {0};
    *out = (fitted){0};
    CHECK_OK(rr_readout_fit(params, &out->readout, &out->result, &diag), diag);
}

static double pairs(const rr_fit_figures *figures) {
    return (figures[0].pairs + figures[1].pairs) / 2;
}

/* Attention and states both tell, with a little noise. */
static void check_fit(void) {
    static made_windows made;
    fitted f, again;
    make(&(made_noise){0.1, 0.1, INFINITY}, 1, &made);
    const rr_fit_params params = params_of(&made);
    fit(&params, &f);
    const rr_readout *r = &f.readout;
    CHECK_MSG(pairs(f.result.read) > 0.95, "held out: pairs %.4f", pairs(f.result.read));
    CHECK(f.result.read[0].n_windows == N_MADE / 2 && f.result.read[1].n_windows == N_MADE / 2 &&
        f.result.read[2].n_windows == 0);
    CHECK_MSG(
        f.result.read[0].ndcg > 0.95 && f.result.read[0].ndcg <= 1 && f.result.shown[0].ndcg < 0.8,
        "nDCG@10 %.4f, as shown %.4f", f.result.read[0].ndcg, f.result.shown[0].ndcg);
    CHECK(fabs(pairs(f.result.shown) - 0.5) < 0.1 && fabs(pairs(f.result.first_stage) - 0.5) < 0.1);
    CHECK_INT(f.result.state_layer, 2);
    CHECK(r->shape.n_state_layers == 1 && r->shape.state_layers[0] == 2 &&
        r->shape.end_layer == LAYERS && r->shape.d_model == D_MODEL);
    CHECK(r->weights[4] > 0 && r->weights[LAYERS * HEADS * RR_READ_KINDS + 2] > 0);
    for (int k = 0; k < LAYERS * HEADS * RR_READ_KINDS; k++) {
        CHECK(k == 4 || fabs(r->weights[k]) < 0.5 * r->weights[4]);
        CHECK(r->draw[k] >= 0 && r->draw[k] <= 1 && (r->draw[k] > 0) == (r->weights[k] > 0));
    }
    CHECK(r->draw[4] == 1);
    CHECK_MSG(r->first_stage >= 0 && r->first_stage < 0.2 * r->weights[4] * 5, "first stage %g",
        r->first_stage);
    CHECK(r->slope > 0 && isfinite(r->slope) && isfinite(r->intercept));
    fit(&params, &again);
    rr_buf a = {0}, b = {0};
    rr_diag diag = {0};
    CHECK_OK(rr_readout_write(&f.readout, &a, &diag), diag);
    CHECK_OK(rr_readout_write(&again.readout, &b, &diag), diag);
    CHECK(a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0 &&
        memcmp(&f.result, &again.result, sizeof f.result) == 0);
    rr_buf_destroy(&a);
    rr_buf_destroy(&b);
    rr_readout_destroy(&again.readout);
    rr_readout_destroy(&f.readout);
    drop(&made);
}

/* The probabilities, over windows that were not fitted on, are the shares of relevant passages. */
static void check_calibration(void) {
    static made_windows made, others;
    fitted f;
    make(&(made_noise){0.7, 0.9, INFINITY}, 2, &made);
    make(&(made_noise){0.7, 0.9, INFINITY}, 77, &others);
    const rr_fit_params params = params_of(&made);
    fit(&params, &f);
    double sum[4] = {0}, relevant[4] = {0}, n[4] = {0}, loss = 0;
    rr_diag diag = {0};
    for (int w = 0; w < N_MADE; w++) {
        double scores[SIZE], probabilities[SIZE];
        rr_read_features one = others.features[w];
        one.states += (size_t)SIZE * D_MODEL; /* the chosen layer's */
        CHECK_OK(rr_readout_score(&f.readout, &one, NULL, scores, probabilities, &diag), diag);
        for (int i = 2; i < SIZE; i++) {
            const int at = probabilities[i] < 0.25 ? 0
                : probabilities[i] < 0.5           ? 1
                : probabilities[i] < 0.75          ? 2
                                                   : 3;
            const bool is_relevant = others.grades[w][i] > 0;
            sum[at] += probabilities[i];
            relevant[at] += is_relevant;
            n[at]++;
            loss -= log(is_relevant ? probabilities[i] : 1 - probabilities[i]);
        }
    }
    CHECK_INT(f.result.state_layer, 2);
    for (int k = 0; k < 4; k++) {
        CHECK_MSG(n[k] >= 20 && fabs(sum[k] / n[k] - relevant[k] / n[k]) < 0.12,
            "%g passages of probability %.3f: %.3f are relevant", n[k], sum[k] / n[k],
            relevant[k] / n[k]);
    }
    /* ln 2 = nothing known */
    CHECK_MSG(
        loss / (n[0] + n[1] + n[2] + n[3]) < 0.6, "loss %.3f", loss / (n[0] + n[1] + n[2] + n[3]));
    rr_readout_destroy(&f.readout);
    drop(&made);
    drop(&others);
}

/* The first stage counts where it tells, and only there. */
static void check_first_stage(void) {
    static made_windows made;
    fitted f;
    make(&(made_noise){1, 1, 0.5}, 3, &made);
    rr_fit_params params = params_of(&made);
    fit(&params, &f);
    CHECK_MSG(f.readout.first_stage > 0.1, "weight %g", f.readout.first_stage);
    CHECK_MSG(pairs(f.result.both) > pairs(f.result.read) + 0.02 &&
            pairs(f.result.both) >= pairs(f.result.first_stage),
        "read %.4f, first stage %.4f, both %.4f", pairs(f.result.read), pairs(f.result.first_stage),
        pairs(f.result.both));
    rr_readout_destroy(&f.readout);
    for (int w = 0; w < N_MADE; w++) { /* as good as none */
        made.samples[w].first_stage = NULL;
    }
    fit(&params, &f);
    CHECK(f.readout.first_stage == 0 &&
        memcmp(f.result.both, f.result.read, sizeof f.result.both) == 0);
    CHECK(pairs(f.result.first_stage) == 0.5);
    rr_readout_destroy(&f.readout);
    drop(&made);
    make(&(made_noise){1, 1, -0.5}, 3, &made); /* the better the lower */
    params = params_of(&made);
    fit(&params, &f);
    CHECK(f.readout.first_stage == 0);
    rr_readout_destroy(&f.readout);
    drop(&made);
    make(&(made_noise){0.3, 0.3, INFINITY}, 3, &made);
    params = params_of(&made);
    fit(&params, &f);
    CHECK_MSG(f.readout.first_stage < 0.2, "weight of noise %g", f.readout.first_stage);
    rr_readout_destroy(&f.readout);
    drop(&made);
    /* nothing is read, the first stage knows */
    make(&(made_noise){INFINITY, INFINITY, 0.1}, 3, &made);
    params = params_of(&made);
    fit(&params, &f);
    CHECK_MSG(pairs(f.result.both) > 0.9, "both %.4f of %.4f", pairs(f.result.both),
        pairs(f.result.first_stage));
    CHECK(isfinite(f.readout.first_stage) && fabs(f.readout.slope) < 100);
    rr_readout_destroy(&f.readout);
    drop(&made);
}

/* What is left out has no weight, whatever it would tell. */
static void check_parts(void) {
    enum { N_MASS = LAYERS * HEADS * RR_READ_KINDS };
    static made_windows made;
    fitted f;
    make(&(made_noise){0.2, 0.2, INFINITY}, 4, &made);
    const rr_fit_parts parts[] = {{.no_query_rows = true}, {.no_last_row = true},
        {.no_states = true}, {.no_place = true}, {.no_length = true}, {.state_layer = 3}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        rr_fit_params params = params_of(&made);
        params.parts = parts[i];
        params.penalty = 0.01;
        params.state_penalty = 0.1;
        fit(&params, &f);
        const rr_readout *r = &f.readout;
        const size_t n = rr_readout_n_weights(&r->shape);
        CHECK(f.result.penalty == 0.01 &&
            (f.result.state_penalty == 0.1 || f.result.state_layer == 0));
        for (size_t k = 0; k < N_MASS; k++) {
            CHECK(!(k % 2 == 0 ? parts[i].no_query_rows : parts[i].no_last_row) ||
                (r->weights[k] == 0 && r->draw[k] == 0));
        }
        for (size_t k = 0; k < RR_READOUT_PLACES; k++) {
            CHECK((r->weights[n - RR_READOUT_EXTRAS + k] == 0) == parts[i].no_place);
        }
        CHECK((r->weights[n - 1] == 0) == parts[i].no_length);
        CHECK(!parts[i].no_states || (r->shape.n_state_layers == 0 && f.result.state_layer == 0));
        CHECK(parts[i].state_layer == 0 || f.result.state_layer == 3 || f.result.state_layer == 0);
        rr_readout_destroy(&f.readout);
    }
    drop(&made);
}

static void count_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    uint64_t *last = user;
    CHECK(what != NULL && done >= *last && done <= total);
    *last = done;
    last[1] = total;
}

static void check_refused(const rr_fit_params *params, const char *says) {
    rr_readout readout = {0};
    rr_fit_result result;
    rr_diag diag = {0};
    CHECK_INT(rr_readout_fit(params, &readout, &result, &diag), RR_E_INPUT);
    CHECK_MSG(strstr(diag.text, says) != NULL, "%s", diag.text);
    rr_readout_destroy(&readout);
}

static void check_limits(void) {
    static made_windows made;
    fitted f;
    uint64_t seen[2] = {0};
    make(&(made_noise){0.5, 0.5, INFINITY}, 5, &made);
    rr_fit_params params = params_of(&made);
    for (int kind = 0; kind < 3; kind++) { /* the progress ends at its end */
        params.parts.no_states = kind == 1;
        params.penalty = kind == 2 ? 0.1 : 0;
        params.progress = count_progress;
        params.progress_user = seen;
        seen[0] = 0;
        fit(&params, &f);
        CHECK(seen[0] == seen[1] && seen[1] > 0);
        rr_readout_destroy(&f.readout);
    }
    params = params_of(&made);
    /* one query: every fold but one has all of it, the figures are those of nothing known */
    params.n = 1;
    fit(&params, &f);
    CHECK(f.result.read[0].n_windows == 1 && isfinite(f.readout.slope));
    rr_readout_destroy(&f.readout);
    params.n = 0;
    check_refused(&params, "no windows to learn from");
    params.n = N_MADE;
    int32_t kept[SIZE];
    memcpy(kept, made.grades[7], sizeof kept);
    for (int i = 0; i < SIZE; i++) {
        made.grades[7][i] = 1;
    }
    check_refused(
        &params, "query \"q3\": a window to learn from whose passages all have the same grade");
    memcpy(made.grades[7], kept, sizeof kept);
    made.samples[7].set = RR_FIT_SETS;
    check_refused(&params, "query \"q3\"");
    made.samples[7].set = 1;
    const float mass = made.features[7].mass[0], state = made.features[9].states[5];
    made.features[7].mass[0] = NAN;
    check_refused(&params, "query \"q3\": what was read of its passages is not finite");
    made.features[7].mass[0] = mass;
    made.features[9].states[5] = INFINITY;
    check_refused(&params, "query \"q4\": what was read of its passages is not finite");
    made.features[9].states[5] = state;
    for (int w = 0; w < N_MADE; w++) { /* nothing differs: no weight, no harm */
        memset(made.features[w].mass, 0, rr_read_n_mass(&made.shape, SIZE) * sizeof(float));
        memset(made.features[w].states, 0, rr_read_n_states(&made.shape, SIZE) * sizeof(float));
    }
    fit(&params, &f);
    for (size_t k = 0; k < LAYERS * HEADS * RR_READ_KINDS; k++) {
        CHECK(f.readout.weights[k] == 0 && f.readout.draw[k] == 0);
    }
    CHECK(isfinite(f.readout.slope) && isfinite(f.readout.intercept) &&
        isfinite(f.readout.first_stage));
    rr_readout_destroy(&f.readout);
    drop(&made);
}

int main(void) {
    check_minimize();
    check_windows();
    check_fit();
    check_calibration();
    check_first_stage();
    check_parts();
    check_limits();
    return CHECK_END();
}
