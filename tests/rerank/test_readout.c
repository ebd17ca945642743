/* Readouts: what is written comes back; every wrong value is refused by name; scores against sums
 * by hand; whose model one is. */
#define _POSIX_C_SOURCE 200809L
#include "runtime/base/file_out.h"
#include "tests/check.h"

#include <math.h>
#include <unistd.h>
#include <yyjson.h>

#include "rerank/keep/journal.h"
#include "rerank/readout.h"
#include "rerank/readouts.h"
#include "tests/support/folder.h"
#include "tests/support/synth.h"

enum {
    HEADS = 2,
    D_MODEL = 3,
    N_MASS = 2 * HEADS * RR_READ_KINDS,
    N_STATES = 2 * D_MODEL,
    N_WEIGHTS = N_MASS + N_STATES + RR_READOUT_EXTRAS
};

static double weights[N_WEIGHTS];
static float draw[N_MASS];
static const char about[] =
    "{ \"note\": \"two\\nlines \\u00e9 {[\\\"\", \"figures\": [1, 0.5000, 1e-3], \"empty\": {} }";

/* A readout of attention in layers 1 and 2 and of states behind 2 and 3 of 4; borrows all. */
static rr_readout made(void) {
    rr_readout r = {.fingerprint = UINT64_C(0x0123456789abcdef),
        .n_layers = 4,
        .shape = {.first_layer = 1,
            .end_layer = 3,
            .n_heads = HEADS,
            .state_layers = {2, 3},
            .n_state_layers = 2,
            .d_model = D_MODEL},
        .form = {RR_PROMPT_REARANK, 1000},
        .weights = weights,
        .first_stage = 0.123456789,
        .draw = draw,
        .slope = 1.5,
        .intercept = -2,
        .about = {about, sizeof about - 1}};
    for (int i = 0; i < N_WEIGHTS; i++) {
        weights[i] = i % 3 == 0 ? -1.0 / (i + 1) : i * 1e-7 / 3;
    }
    for (int i = 0; i < N_MASS; i++) {
        draw[i] = i % 2 == 0 ? 0 : 1.0f / (float)i;
    }
    strcpy(r.model_name, "A \"quoted\" \\ name\t\xC3\xA9 \x7F");
    strcpy(r.prompt, "rearank \"0123\" \\");
    return r;
}

static void put(const rr_readout *readout, rr_buf *out) {
    rr_diag diag = {0};
    rr_buf_clear(out);
    CHECK_OK(rr_readout_write(readout, out, &diag), diag);
}

static void check_round_trip(void) {
    const rr_readout first = made();
    rr_readout second, third;
    rr_buf text = {0}, again = {0};
    rr_diag diag = {0};
    put(&first, &text);
    CHECK_OK(rr_readout_parse(text.data, text.bytes, "made", &second, &diag), diag);
    CHECK_TEXT(second.model_name, first.model_name);
    CHECK_TEXT(second.prompt, first.prompt);
    CHECK(second.fingerprint == first.fingerprint && second.n_layers == 4 &&
        second.form.passage_chars == 1000);
    CHECK(memcmp(&second.shape, &first.shape, sizeof first.shape) == 0);
    for (int i = 0; i < N_WEIGHTS; i++) {
        CHECK_MSG(fabs(second.weights[i] - weights[i]) <= 5e-6 * fabs(weights[i]),
            "weight %d: %.9g, was %.9g", i, second.weights[i], weights[i]);
    }
    for (int i = 0; i < N_MASS; i++) {
        CHECK(fabsf(second.draw[i] - draw[i]) <= 5e-3f * draw[i]);
    }
    CHECK(second.first_stage == 0.123457 && second.slope == 1.5 && second.intercept == -2);
    CHECK(strstr(text.data, "\"licence\"") == NULL && strstr(second.about.data, "0.5") != NULL);
    put(&second, &again);
    CHECK(text.bytes == again.bytes && memcmp(text.data, again.data, text.bytes) == 0);
    CHECK_OK(rr_readout_parse(again.data, again.bytes, "again", &third, &diag), diag);
    CHECK(memcmp(third.weights, second.weights, sizeof weights) == 0 &&
        memcmp(third.draw, second.draw, sizeof draw) == 0);
    rr_readout_destroy(&third);
    rr_readout_destroy(&second);
    rr_readout bare = made();
    bare.about = (rr_text){NULL, 0};
    bare.shape.end_layer = bare.shape.first_layer; /* states alone */
    put(&bare, &text);
    CHECK_OK(rr_readout_parse(text.data, text.bytes, "bare", &second, &diag), diag);
    CHECK(second.about.bytes == 2 &&
        rr_readout_n_weights(&second.shape) == N_STATES + RR_READOUT_EXTRAS);
    rr_readout_destroy(&second);
    bare = made();
    bare.shape.n_state_layers = 0; /* attention alone */
    put(&bare, &text);
    CHECK_OK(rr_readout_parse(text.data, text.bytes, "bare", &second, &diag), diag);
    CHECK(second.shape.n_state_layers == 0 && second.weights[N_MASS - 1] != 0);
    rr_readout_destroy(&second);
    rr_buf_destroy(&text);
    rr_buf_destroy(&again);
}

/* Refused with the label and, where it is given, the member's name; or else whole. True when it was
 * refused. */
static bool check_refused_or_whole(
    const char *text, size_t bytes, const char *key, const char *what) {
    rr_readout readout, again;
    rr_diag diag = {0};
    rr_buf written = {0}, second = {0};
    const rr_status status = rr_readout_parse(text, bytes, "L.json", &readout, &diag);
    CHECK_MSG(status == RR_OK || status == RR_E_INPUT || status == RR_E_UNSUPPORTED,
        "%s %s: status %d", key, what, status);
    if (status == RR_OK) {
        put(&readout, &written);
        CHECK_OK(rr_readout_parse(written.data, written.bytes, what, &again, &diag), diag);
        put(&again, &second);
        CHECK_MSG(
            written.bytes == second.bytes && memcmp(written.data, second.data, second.bytes) == 0,
            "%s %s: other bytes:\n%s\n%s", key, what, written.data, second.data);
        rr_readout_destroy(&again);
    } else {
        /* other state layers want other weights */
        const bool is_named = strstr(diag.text, key) != NULL ||
            (strcmp(key, "layers") == 0 && strstr(diag.text, "states.weights") != NULL);
        CHECK_MSG(
            strstr(diag.text, "L.json: ") != NULL && is_named, "%s %s: %s", key, what, diag.text);
    }
    rr_readout_destroy(&readout);
    rr_buf_destroy(&written);
    rr_buf_destroy(&second);
    return status != RR_OK;
}

static const char *const values[] = {"null", "true", "\"\"", "\"text\"", "-1", "1.5", "1e13",
    "-1e300", "18446744073709551615", "4294967297", "[]", "{}", "[1]",
    "[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", "{\"a\": {\"b\": [1, {\"c\": null}]}}",
    "\"\\u0000\"",
    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""};
enum { N_VALUES = sizeof values / sizeof values[0] };

/* The text with the value at `at` replaced, or its member left out (NULL). */
static void check_with(
    yyjson_mut_doc *doc, yyjson_mut_val *at, const char *key, const char *value) {
    yyjson_doc *other = value != NULL ? yyjson_read(value, strlen(value), 0) : NULL;
    const yyjson_mut_val kept = *at;
    size_t bytes = 0;
    CHECK(value == NULL || other != NULL);
    if (other != NULL) {
        const yyjson_mut_val *copy = yyjson_val_mut_copy(doc, yyjson_doc_get_root(other));
        at->tag = copy->tag;
        at->uni = copy->uni;
    }
    char *text = yyjson_mut_write(doc, 0, &bytes);
    check_refused_or_whole(text, bytes, key, value);
    free(text);
    at->tag = kept.tag;
    at->uni = kept.uni;
    yyjson_doc_free(other);
}

/* Every member of an object, and of those within; elements of an array by its key. `about` may hold
 * anything. */
static void check_members(yyjson_mut_doc *doc, yyjson_mut_val *object, size_t *n) {
    size_t index, most;
    yyjson_mut_val *key, *value;
    yyjson_mut_obj_foreach(object, index, most, key, value) {
        const char *name = yyjson_mut_get_str(key);
        for (size_t i = 0; i < N_VALUES; i++) {
            check_with(doc, value, name, values[i]);
            if (yyjson_mut_is_arr(value) && yyjson_mut_arr_size(value) > 0) {
                check_with(doc, yyjson_mut_arr_get_last(value), name, values[i]);
            }
        }
        *n += 1;
        if (yyjson_mut_is_obj(value) && strcmp(name, "about") != 0) {
            check_members(doc, value, n);
        }
    }
}

/* A member that is called otherwise is missing. */
static void check_missing(const char *text) {
    static const char *const keys[] = {"rearank_readout", "model", "architecture", "name",
        "fingerprint", "heads", "d_model", "adapter", "prompt", "style", "digest", "passage_chars",
        "attention", "first_layer", "end_layer", "draw", "states", "place", "length", "first_stage",
        "calibration", "slope", "intercept", "about", "layers", "weights"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "\"%s\":", keys[i]);
        size_t n = 0;
        for (const char *at = text; (at = strstr(at, quoted)) != NULL; at++, n++) {
            rr_buf changed = {0};
            rr_buf_append(&changed, text, (size_t)(at - text) + 1);
            rr_buf_text(&changed, "_");
            rr_buf_text(&changed, at + 2);
            CHECK_MSG(check_refused_or_whole(changed.data, changed.bytes, keys[i], "missing"),
                "%s is not missed", keys[i]);
            rr_buf_destroy(&changed);
        }
        CHECK_MSG(n > 0, "no %s", keys[i]);
    }
}

static void check_refused(
    const char *text, const char *from, const char *to, rr_status expected, const char *says) {
    rr_readout readout;
    rr_diag diag = {0};
    rr_buf changed = {0};
    const char *at = strstr(text, from);
    CHECK_MSG(at != NULL, "no %s", from);
    rr_buf_append(&changed, text, at != NULL ? (size_t)(at - text) : 0);
    rr_buf_text(&changed, to);
    rr_buf_text(&changed, at != NULL ? at + strlen(from) : "");
    CHECK_INT(rr_readout_parse(changed.data, changed.bytes, "L.json", &readout, &diag), expected);
    CHECK_MSG(expected == RR_OK || strstr(diag.text, says) != NULL, "%s: %s", to, diag.text);
    rr_readout_destroy(&readout);
    rr_buf_destroy(&changed);
}

static void check_values(void) {
    const rr_readout readout = made();
    rr_buf text = {0};
    size_t n = 0;
    put(&readout, &text);
    yyjson_doc *doc = yyjson_read(text.data, text.bytes, 0);
    yyjson_mut_doc *mut = yyjson_doc_mut_copy(doc, NULL);
    check_members(mut, yyjson_mut_doc_get_root(mut), &n);
    CHECK_INT(n, 28);
    yyjson_mut_doc_free(mut);
    yyjson_doc_free(doc);
    check_missing(text.data);
    for (size_t cut = 0; cut + 2 < text.bytes; cut++) {
        CHECK_MSG(check_refused_or_whole(text.data, cut, "", "cut"), "cut at byte %zu", cut);
    }
    for (size_t i = 0; i < text.bytes; i++) { /* one byte is another */
        const char was = text.data[i];
        text.data[i] = (char)(was ^ (1 << i % 8));
        check_refused_or_whole(text.data, text.bytes, "", "flipped");
        text.data[i] = was;
    }
    const char *t = text.data;
    check_refused(t, "\"intercept\": -2", "\"intercept\": NaN", RR_E_INPUT, "no readout: at byte");
    check_refused(
        t, "\"intercept\": -2", "\"intercept\": Infinity", RR_E_INPUT, "no readout: at byte");
    check_refused(
        t, "\"intercept\": -2", "\"intercept\": 1e999", RR_E_INPUT, "no readout: at byte");
    check_refused(t, "\"intercept\": -2", "\"intercept\": 1e12", RR_OK, "");
    check_refused(t, "\"layers\": 4", "\"layers\": 2", RR_E_INPUT,
        "\"attention.end_layer\": expected a whole number from 1 to 2");
    check_refused(t, "\"layers\": 4", "\"layers\": 129", RR_E_INPUT,
        "\"model.layers\": expected a whole number from 1 to 128");
    check_refused(t, "\"layers\": [2, 3]", "\"layers\": [3, 2]", RR_E_INPUT,
        "\"states.layers\": expected layers of the model, ascending from 1 to 4");
    check_refused(t, "\"layers\": [2, 3]", "\"layers\": [3, 3]", RR_E_INPUT, "\"states.layers\"");
    check_refused(t, "\"layers\": [2, 3]", "\"layers\": [0, 3]", RR_E_INPUT, "\"states.layers\"");
    check_refused(t, "\"layers\": [2, 3]", "\"layers\": [2, 5]", RR_E_INPUT, "\"states.layers\"");
    check_refused(t, "\"layers\": [2, 3]", "\"layers\": [1, 2, 3, 4, 4]", RR_E_INPUT,
        "\"states.layers\": expected a list of at most 4 layers");
    check_refused(t, "\"layers\": [2, 3]", "\"layers\": [2]", RR_E_INPUT,
        "\"states.weights\": expected 3 numbers");
    check_refused(t, "\"first_layer\": 1", "\"first_layer\": 0", RR_E_INPUT,
        "\"attention.weights\": expected 12 numbers");
    check_refused(
        t, "\"first_layer\": 1", "\"first_layer\": 4", RR_E_INPUT, "\"attention.end_layer\"");
    check_refused(t, "\"heads\": 2", "\"heads\": 0", RR_E_INPUT,
        "\"model.heads\": expected a whole number from 1 to 1024");
    check_refused(t, "\"d_model\": 3", "\"d_model\": 0", RR_E_INPUT, "\"model.d_model\"");
    check_refused(t, "0123456789abcdef", " 123456789abcdef", RR_E_INPUT,
        "\"model.fingerprint\": expected 16 hexadecimal digits");
    check_refused(t, "0123456789abcdef", "0x23456789abcdef", RR_E_INPUT, "\"model.fingerprint\"");
    check_refused(t, "0123456789abcdef", "-123456789abcdef", RR_E_INPUT, "\"model.fingerprint\"");
    check_refused(
        t, "\"qwen2\"", "\"llama\"", RR_E_INPUT, "\"model.architecture\": expected \"qwen2\"");
    check_refused(t, "\"rearank_readout\": 1", "\"rearank_readout\": 2", RR_E_UNSUPPORTED,
        "a readout of version 2");
    check_refused(
        t, "\"adapter\": null", "\"adapter\": {\"name\": \"x\"}", RR_E_UNSUPPORTED, "\"adapter\"");
    check_refused(t, "\"empty\": {}", "\"empty\": [[[[[[[[[[[[[[[]]]]]]]]]]]]]]]", RR_OK, "");
    check_refused(t, "\"empty\": {}", "\"empty\": [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", RR_E_INPUT,
        "\"about\": expected at most 16 objects and arrays");
    rr_buf_destroy(&text);
}

static void check_files(void) {
    char path[256];
    rr_readout readout;
    rr_diag diag = {0};
    const rr_readout first = made();
    rr_buf text = {0};
    rr_test_file(path, sizeof path);
    CHECK_INT(rr_readout_load(path, &readout, &diag), RR_E_INPUT); /* empty */
    rr_readout_destroy(&readout);
    put(&first, &text);
    CHECK_OK(rr_file_write_atomic(path, text.data, text.bytes, &diag), diag);
    CHECK_OK(rr_readout_load(path, &readout, &diag), diag);
    rr_readout_destroy(&readout);
    CHECK(truncate(path, (16 << 20) + 1) == 0);
    CHECK_INT(rr_readout_load(path, &readout, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, path) != NULL);
    rr_readout_destroy(&readout);
    unlink(path);
    CHECK_INT(rr_readout_load(path, &readout, &diag), RR_E_IO);
    rr_readout_destroy(&readout);
    rr_buf_destroy(&text);
}

/* Scores */

static bool near(double a, double b) {
    return fabs(a - b) < 1e-12;
}

/* Two passages, one head in one layer, states of two numbers. */
static void check_scores(void) {
    double w[2 + 2 + RR_READOUT_EXTRAS] = {0}, scores[2], probabilities[2];
    float mass[4] = {0.5f, 0.25f, 0.125f, 0.0f}, states[4] = {3, 1, 1, 1};
    uint32_t lengths[2] = {3, 0};
    const double first_stage[2] = {10, 30}, equal[2] = {5, 5}, nan[2] = {NAN, 1},
                 huge[2] = {INFINITY, 1};
    rr_diag diag = {0};
    rr_readout r = {.shape = {.end_layer = 1,
                        .n_heads = 1,
                        .state_layers = {1},
                        .n_state_layers = 1,
                        .d_model = 2},
        .weights = w,
        .slope = 2,
        .intercept = 0.5};
    const rr_read_features f = {.n = 2, .lengths = lengths, .mass = mass, .states = states};
#define SCORE(stage) CHECK_OK(rr_readout_score(&r, &f, stage, scores, probabilities, &diag), diag)
    CHECK_INT(rr_readout_n_weights(&r.shape), 11);
    w[0] = 3; /* log of the query's mass */
    SCORE(NULL);
    const double a = 3 * (log(0.5 + 1e-6) - log(0.25 + 1e-6)) / 2;
    CHECK(near(scores[0], a) && near(scores[1], -a));
    CHECK(near(probabilities[0], 1 / (1 + exp(-2 * a - 0.5))) &&
        near(probabilities[1], 1 / (1 + exp(2 * a - 0.5))));
    w[0] = 0;
    w[1] = 1; /* of the last row's, which may be nothing */
    SCORE(NULL);
    CHECK(near(scores[0] - scores[1], log(0.125 + 1e-6) - log(1e-6)));
    w[1] = 0;
    /* states: 3 and 1 are 1 from their mean, the others nothing: a root mean square of sqrt(2 /
     * 4) */
    w[2] = 1;
    SCORE(NULL);
    CHECK(near(scores[0], sqrt(2)) && near(scores[1], -sqrt(2)));
    w[2] = 0;
    w[3] = 1;
    SCORE(NULL);
    CHECK(near(scores[0], 0) && near(scores[1], 0));
    w[3] = 0;
    static const double places[2][RR_READOUT_PLACES] = {{0, 0, 1, 0, 1, 0.5}, {1, 1, 0, 1, 0.5, 1}};
    for (int k = 0; k < RR_READOUT_PLACES; k++) {
        w[4 + k] = 1;
        SCORE(NULL);
        CHECK_MSG(near(scores[0] - scores[1], places[0][k] - places[1][k]), "place %d", k);
        w[4 + k] = 0;
    }
    w[10] = 1;
    SCORE(NULL);
    CHECK(near(scores[0] - scores[1], log(4) - log(1)));
    w[10] = 0;
    r.first_stage = 0.25;
    SCORE(first_stage);
    /* 10 is one deviation of 10 below their mean */
    CHECK(near(scores[0], -0.25) && near(scores[1], 0.25));
    const double *const none[] = {NULL, equal, nan, huge};
    for (size_t i = 0; i < 4; i++) {
        SCORE(none[i]);
        CHECK(scores[0] == 0 && scores[1] == 0 && near(probabilities[0], 1 / (1 + exp(-0.5))));
    }
    r.first_stage = 0;
    w[0] = 1; /* what is not finite counts as nothing */
    mass[0] = NAN;
    SCORE(NULL);
    CHECK(isfinite(scores[0]) && isfinite(scores[1]) && near(scores[0] + scores[1], 0));
    mass[0] = 0.5f;
    w[0] = 0;
    w[2] = 1;
    for (int i = 0; i < 4; i++) {
        states[i] = 7; /* no spread at all */
    }
    SCORE(NULL);
    CHECK(scores[0] == 0 && scores[1] == 0);
    states[0] = INFINITY;
    SCORE(NULL);
    CHECK(isfinite(scores[0]) && isfinite(scores[1]));
    const rr_read_features one = {.n = 1, .lengths = lengths, .mass = mass, .states = states};
    CHECK_OK(rr_readout_score(&r, &one, first_stage, scores, probabilities, &diag), diag);
    CHECK(scores[0] == 0);
    r.slope = 1e12;
    CHECK(rr_readout_probability(&r, 1e12) == 1 && rr_readout_probability(&r, -1e12) == 0 &&
        rr_readout_probability(&r, 0) > 0.6);
#undef SCORE
}

/* Belonging */

static rr_model *open_synth(const rr_synth *params, rr_buf *storage) {
    rr_model *model = NULL;
    rr_diag diag = {0};
    CHECK_OK(rr_synth_open(params, storage, &model, &diag), diag);
    return model;
}

static uint64_t fingerprint_of(const rr_synth *params) {
    rr_buf storage = {0};
    rr_model *model = open_synth(params, &storage);
    const uint64_t fingerprint = rr_model_fingerprint(model);
    rr_model_close(&model);
    rr_buf_destroy(&storage);
    return fingerprint;
}

static void check_fingerprints(void) {
    const rr_synth plain = {.d_model = 256, .n_heads = 16, .d_ffn = 256, .seed = 4};
    const uint64_t expected = fingerprint_of(&plain);
    rr_synth other = plain;
    other.embedding = other.output = RR_Q_Q8_0;
    other.qkv = other.o = other.gate_up = other.down = RR_Q_Q4_K;
    CHECK(fingerprint_of(&other) == expected); /* quantized */
    other.seed = 5;
    CHECK(fingerprint_of(&other) != expected);
    other = plain;
    other.n_layers = 3;
    CHECK(fingerprint_of(&other) != expected);
    other = plain;
    other.d_ffn = 512;
    CHECK(fingerprint_of(&other) != expected);
}

static void check_belonging(void) {
    rr_buf storage = {0}, digest = {0}, text = {0};
    rr_diag diag = {0};
    rr_model *model = open_synth(&(rr_synth){.seed = 6}, &storage);
    rr_readout r = made(), found;
    bool is_found = true;
    CHECK_OK(rr_prompt_fact(RR_PROMPT_REARANK, &digest, &diag), diag);
    CHECK(digest.bytes < sizeof r.prompt);
    memcpy(r.prompt, digest.data, digest.bytes + 1);
    r.fingerprint = rr_model_fingerprint(model);
    r.n_layers = model->config.n_layers;
    r.shape.n_heads = model->config.n_heads;
    r.shape.d_model = model->config.d_model;
    CHECK_OK(rr_readout_check(&r, model, "L.json", &diag), diag);
    rr_readout wrong = r;
    wrong.fingerprint++;
    strcpy(wrong.model_name, "Another Model");
    CHECK_INT(rr_readout_check(&wrong, model, "L.json", &diag), RR_E_UNSUPPORTED);
    CHECK_MSG(
        strstr(diag.text,
            "L.json: a readout of the model \"Another Model\", not of \"synthetic\"") != NULL &&
            strstr(diag.text, "`rearank readout fit`") != NULL,
        "%s", diag.text);
    uint32_t *const shapes[] = {&wrong.n_layers, &wrong.shape.n_heads, &wrong.shape.d_model};
    for (size_t i = 0; i < 3; i++) {
        wrong.fingerprint = r.fingerprint;
        ++*shapes[i];
        CHECK_INT(rr_readout_check(&wrong, model, "L.json", &diag), RR_E_UNSUPPORTED);
        --*shapes[i];
    }
    wrong = r;
    wrong.prompt[0] ^= 1;
    CHECK_INT(rr_readout_check(&wrong, model, "L.json", &diag), RR_E_UNSUPPORTED);
    CHECK_MSG(strstr(diag.text, "other wording") != NULL, "%s", diag.text);

    CHECK_OK(rr_readout_find(model, &found, &is_found, &diag), diag);
    CHECK(!is_found);
    rr_readout_destroy(&found);
    for (size_t i = 0; i < rr_readouts_n; i++) { /* those that come with the program */
        CHECK_OK(rr_readout_parse(rr_readouts[i].text, strlen(rr_readouts[i].text),
                     rr_readouts[i].name, &found, &diag),
            diag);
        CHECK_TEXT(found.prompt, digest.data);
        for (size_t k = 0; k < i; k++) {
            CHECK(strcmp(rr_readouts[k].name, rr_readouts[i].name) != 0);
        }
        rr_readout_destroy(&found);
    }
    rr_buf_destroy(&text);
    rr_buf_destroy(&digest);
    rr_model_close(&model);
    rr_buf_destroy(&storage);
}

int main(void) {
    check_round_trip();
    check_values();
    check_files();
    check_scores();
    check_fingerprints();
    check_belonging();
    return CHECK_END();
}
