/* Owns: the file format of readouts, and those that come with the program. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "rerank/data/json_out.h"
#include "rerank/prompt.h"
#include "rerank/readout.h"
#include "rerank/readouts.h"
#include "runtime/base/text_file.h"

enum { VERSION = 1, MOST_BYTES = 16 << 20, MOST_NESTED = 16 };

/* Reading */

typedef struct reader {
    const char *label;
    const char *part; /* the object whose members are read, for messages */
    rr_diag *diag;
    rr_status status; /* the first failure */
} reader;

RR_PRINTF(3, 4) static void fail(reader *r, const char *key, const char *expected, ...) {
    char text[128];
    va_list args;
    va_start(args, expected);
    vsnprintf(text, sizeof text, expected, args);
    va_end(args);
    if (r->status == RR_OK) {
        r->status = rr_fail(r->diag, RR_E_INPUT, "%s: a readout's \"%s%s%s\": expected %s",
            r->label, r->part, r->part[0] != '\0' ? "." : "", key, text);
    }
}

/* A member of the whole; what is read next are its own. */
static yyjson_val *get_part(reader *r, yyjson_val *root, const char *key) {
    yyjson_val *value = yyjson_obj_get(root, key);
    r->part = "";
    if (!yyjson_is_obj(value)) {
        fail(r, key, "an object");
    }
    r->part = key;
    return value;
}

static uint32_t get_u32(
    reader *r, yyjson_val *object, const char *key, uint32_t least, uint32_t most) {
    yyjson_val *value = yyjson_obj_get(object, key);
    if (!yyjson_is_uint(value) || yyjson_get_uint(value) < least || yyjson_get_uint(value) > most) {
        fail(r, key, "a whole number from %u to %u", least, most);
        return 0;
    }
    return (uint32_t)yyjson_get_uint(value);
}

static double get_number(reader *r, yyjson_val *value, const char *key) {
    const double number = yyjson_is_num(value) ? yyjson_get_num(value) : NAN;
    if (!(fabs(number) <= 1e12)) {
        fail(r, key, "a number, at most 1e12 in size");
        return 0;
    }
    return number;
}

static const char *get_text(reader *r, yyjson_val *object, const char *key, size_t room) {
    yyjson_val *value = yyjson_obj_get(object, key);
    if (!yyjson_is_str(value) || yyjson_get_len(value) >= room ||
        strlen(yyjson_get_str(value)) != yyjson_get_len(value)) {
        fail(r, key, "a text shorter than %zu bytes", room);
        return "";
    }
    return yyjson_get_str(value);
}

/* An array of exactly n numbers. */
static void get_numbers(reader *r, yyjson_val *object, const char *key, size_t n, double *out) {
    yyjson_val *array = yyjson_obj_get(object, key), *item;
    yyjson_arr_iter iter;
    if (!yyjson_is_arr(array) || yyjson_arr_size(array) != n) {
        fail(r, key, "%zu numbers", n);
        return;
    }
    yyjson_arr_iter_init(array, &iter);
    while ((item = yyjson_arr_iter_next(&iter)) != NULL) {
        *out++ = get_number(r, item, key);
    }
}

static void get_model(reader *r, yyjson_val *root, rr_readout *out) {
    yyjson_val *model = get_part(r, root, "model");
    const char *fingerprint = get_text(r, model, "fingerprint", 17);
    strcpy(out->model_name, get_text(r, model, "name", sizeof out->model_name));
    if (strcmp(get_text(r, model, "architecture", 32), "qwen2") != 0) {
        fail(r, "architecture", "\"qwen2\"");
    }
    if (strspn(fingerprint, "0123456789abcdef") != 16) {
        fail(r, "fingerprint", "16 hexadecimal digits");
    }
    out->fingerprint = strtoull(fingerprint, NULL, 16);
    out->n_layers = get_u32(r, model, "layers", 1, RR_MODEL_MAX_LAYERS);
    out->shape.n_heads = get_u32(r, model, "heads", 1, 1024);
    out->shape.d_model = get_u32(r, model, "d_model", 1, 1 << 16);
}

static void get_prompt(reader *r, yyjson_val *root, rr_readout *out) {
    yyjson_val *prompt = get_part(r, root, "prompt");
    if (strcmp(get_text(r, prompt, "style", 32), "rearank") != 0) {
        fail(r, "style", "\"rearank\"");
    }
    strcpy(out->prompt, get_text(r, prompt, "digest", sizeof out->prompt));
    out->form = (rr_prompt_form){.style = RR_PROMPT_REARANK,
        .passage_chars = get_u32(r, prompt, "passage_chars", 0, 1 << 20)};
}

/* Layers behind which states are read: ascending, from 1. */
static void get_state_layers(reader *r, yyjson_val *states, rr_readout *out) {
    yyjson_val *layers = yyjson_obj_get(states, "layers"), *layer;
    yyjson_arr_iter iter;
    uint32_t before = 0;
    if (!yyjson_is_arr(layers) || yyjson_arr_size(layers) > RR_READ_LAYERS) {
        fail(r, "layers", "a list of at most %d layers", RR_READ_LAYERS);
        return;
    }
    yyjson_arr_iter_init(layers, &iter);
    while ((layer = yyjson_arr_iter_next(&iter)) != NULL) {
        if (!yyjson_is_uint(layer) || yyjson_get_uint(layer) <= before ||
            yyjson_get_uint(layer) > out->n_layers) {
            fail(r, "layers", "layers of the model, ascending from 1 to %u", out->n_layers);
            return;
        }
        before = out->shape.state_layers[out->shape.n_state_layers++] =
            (uint32_t)yyjson_get_uint(layer);
    }
}

/* Which numbers are weighed. */
static void get_shape(reader *r, yyjson_val *root, rr_readout *out) {
    yyjson_val *attention = get_part(r, root, "attention");
    out->shape.first_layer = get_u32(r, attention, "first_layer", 0, out->n_layers);
    out->shape.end_layer =
        get_u32(r, attention, "end_layer", out->shape.first_layer, out->n_layers);
    get_state_layers(r, get_part(r, root, "states"), out);
    if (out->shape.n_state_layers == 0 && out->shape.first_layer == out->shape.end_layer) {
        fail(r, "layers", "layers, since there is no attention to read either");
    }
}

static void get_weights(reader *r, yyjson_val *root, rr_readout *out) {
    const size_t n_mass = rr_read_n_mass(&out->shape, 1),
                 n_states = rr_read_n_states(&out->shape, 1);
    double *draw = rr_arena_alloc(&out->arena, n_mass + 1, sizeof *draw);
    out->weights =
        rr_arena_alloc(&out->arena, rr_readout_n_weights(&out->shape), sizeof *out->weights);
    out->draw = rr_arena_alloc(&out->arena, n_mass + 1, sizeof *out->draw);
    if (draw == NULL || out->weights == NULL || out->draw == NULL) {
        r->status = rr_fail(r->diag, RR_E_MEMORY, "%s: out of memory for a readout", r->label);
        return;
    }
    yyjson_val *attention = get_part(r, root, "attention");
    get_numbers(r, attention, "weights", n_mass, out->weights);
    get_numbers(r, attention, "draw", n_mass, draw);
    for (size_t i = 0; i < n_mass; i++) {
        if (draw[i] < 0) {
            fail(r, "draw", "numbers of 0 and more");
        }
        out->draw[i] = (float)draw[i];
    }
    get_numbers(r, get_part(r, root, "states"), "weights", n_states, out->weights + n_mass);
    yyjson_val *calibration = get_part(r, root, "calibration");
    out->slope = get_number(r, yyjson_obj_get(calibration, "slope"), "slope");
    out->intercept = get_number(r, yyjson_obj_get(calibration, "intercept"), "intercept");
    r->part = "";
    get_numbers(r, root, "place", RR_READOUT_PLACES, out->weights + n_mass + n_states);
    out->weights[n_mass + n_states + RR_READOUT_PLACES] =
        get_number(r, yyjson_obj_get(root, "length"), "length");
    out->first_stage = get_number(r, yyjson_obj_get(root, "first_stage"), "first_stage");
}

/* How deep JSON is nested. */
static size_t depth_of(const char *json, size_t bytes) {
    size_t depth = 0, most = 0;
    bool in_text = false;
    for (size_t i = 0; i < bytes; i++) {
        const char c = json[i];
        if (in_text) {
            i += c == '\\';
            in_text = c != '"';
        } else if (c == '{' || c == '[') {
            most = ++depth > most ? depth : most;
        } else if (c == '}' || c == ']') {
            depth--;
        } else {
            in_text = c == '"';
        }
    }
    return most;
}

static void get_about(reader *r, yyjson_val *root, rr_readout *out) {
    yyjson_val *about = get_part(r, root, "about");
    size_t bytes = 0;
    char *text = about != NULL ? yyjson_val_write(about, YYJSON_WRITE_NOFLAG, &bytes) : NULL;
    r->part = "";
    if (text != NULL && depth_of(text, bytes) > MOST_NESTED) {
        fail(r, "about", "at most %d objects and arrays within each other", MOST_NESTED);
    }
    out->about = (rr_text){text != NULL ? rr_arena_copy(&out->arena, text, bytes) : NULL, bytes};
    free(text);
    if (out->about.data == NULL && r->status == RR_OK) {
        r->status = rr_fail(r->diag, RR_E_MEMORY, "%s: out of memory for a readout", r->label);
    }
}

/* The version that this program reads, without an adapter. */
static void check_kind(reader *r, yyjson_val *root) {
    yyjson_val *version = yyjson_obj_get(root, "rearank_readout");
    if (!yyjson_is_uint(version)) {
        r->status = rr_fail(r->diag, RR_E_INPUT,
            "%s: no readout: expected a JSON object with \"rearank_readout\"", r->label);
    } else if (yyjson_get_uint(version) != VERSION) {
        r->status = rr_fail(r->diag, RR_E_UNSUPPORTED,
            "%s: a readout of version %llu (\"rearank_readout\"); this program reads version %d",
            r->label, (unsigned long long)yyjson_get_uint(version), VERSION);
    } else if (!yyjson_is_null(yyjson_obj_get(root, "adapter"))) {
        r->status = yyjson_obj_get(root, "adapter") == NULL
            ? rr_fail(r->diag, RR_E_INPUT, "%s: a readout's \"adapter\": expected null", r->label)
            : rr_fail(r->diag, RR_E_UNSUPPORTED,
                  "%s: a readout that needs an \"adapter\", which this program does not load",
                  r->label);
    }
}

rr_status rr_readout_parse(
    const char *text, size_t bytes, const char *label, rr_readout *out, rr_diag *diag) {
    *out = (rr_readout){0};
    yyjson_read_err error;
    yyjson_doc *doc =
        yyjson_read_opts((char *)(uintptr_t)text, bytes, YYJSON_READ_NOFLAG, NULL, &error);
    if (doc == NULL) {
        return rr_fail(diag, RR_E_INPUT, "%s: no readout: at byte %zu: %s; expected a JSON object",
            label, error.pos, error.msg);
    }
    reader r = {.label = label, .part = "", .diag = diag};
    yyjson_val *root = yyjson_doc_get_root(doc);
    check_kind(&r, root);
    void (*const parts[])(reader *, yyjson_val *, rr_readout *) = {
        get_model, get_prompt, get_shape, get_weights, get_about};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && r.status == RR_OK; i++) {
        parts[i](&r, root, out);
    }
    yyjson_doc_free(doc);
    return r.status;
}

rr_status rr_readout_load(const char *path, rr_readout *out, rr_diag *diag) {
    rr_buf text = {0};
    *out = (rr_readout){0};
    rr_status status = rr_text_file_read(path, MOST_BYTES, &text, diag);
    if (status == RR_OK) {
        status = rr_readout_parse(text.data != NULL ? text.data : "", text.bytes, path, out, diag);
    }
    rr_buf_destroy(&text);
    return status;
}

/* Writing */

/* −0 would be read as 0. */
static void put_number(rr_buf *out, double value) {
    rr_buf_printf(out, "%.6g", value == 0 ? 0.0 : value);
}

static void put_numbers(rr_buf *out, const char *key, const double *values, size_t n) {
    rr_buf_printf(out, "\"%s\": [", key);
    for (size_t i = 0; i < n; i++) {
        rr_buf_text(out, i == 0 ? "" : i % 16 == 0 ? ",\n    " : ", ");
        put_number(out, values[i]);
    }
    rr_buf_text(out, "]");
}

/* The numbers of a readout that stand alone. */
static void put_rest(const rr_readout *readout, double length, rr_buf *out) {
    const struct {
        const char *before;
        double value;
    } numbers[] = {{"  \"length\": ", length}, {",\n  \"first_stage\": ", readout->first_stage},
        {",\n  \"calibration\": {\"slope\": ", readout->slope},
        {", \"intercept\": ", readout->intercept}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        rr_buf_text(out, numbers[i].before);
        put_number(out, numbers[i].value);
    }
    rr_buf_text(out, "},\n");
}

static void put_quoted(rr_buf *out, const char *key, const char *text) {
    rr_buf_printf(out, "\"%s\": ", key);
    rr_json_quote(text, strlen(text), out);
}

/* The JSON object `about`, laid out for people: the same text however it was laid out before. False
 * when it is none. */
static bool put_about(rr_text about, rr_buf *out) {
    if (about.bytes == 0) {
        rr_buf_text(out, "{}");
        return true;
    }
    size_t bytes = 0;
    yyjson_doc *doc = yyjson_read(about.data, about.bytes, YYJSON_READ_NOFLAG);
    char *text = yyjson_is_obj(yyjson_doc_get_root(doc))
        ? yyjson_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, &bytes)
        : NULL;
    /* a line break in a text is written as \n */
    for (size_t i = 0; i < bytes && text != NULL; i++) {
        rr_buf_append(out, text[i] == '\n' ? "\n  " : &text[i], text[i] == '\n' ? 3 : 1);
    }
    yyjson_doc_free(doc);
    free(text);
    return text != NULL;
}

static void put_model(const rr_readout *readout, rr_buf *out) {
    rr_buf_text(out, "  \"model\": {\"architecture\": \"qwen2\", ");
    put_quoted(out, "name", readout->model_name);
    rr_buf_printf(out,
        ", \"fingerprint\": \"%016llx\", \"layers\": %u, \"heads\": %u, \"d_model\": %u},\n  \"adapter\": null,\n",
        (unsigned long long)readout->fingerprint, readout->n_layers, readout->shape.n_heads,
        readout->shape.d_model);
    rr_buf_text(out, "  \"prompt\": {\"style\": \"rearank\", ");
    put_quoted(out, "digest", readout->prompt);
    rr_buf_printf(out, ", \"passage_chars\": %u},\n", readout->form.passage_chars);
}

rr_status rr_readout_write(const rr_readout *readout, rr_buf *out, rr_diag *diag) {
    const rr_read_shape *shape = &readout->shape;
    const size_t n_mass = rr_read_n_mass(shape, 1), n_states = rr_read_n_states(shape, 1);
    const double *weights = readout->weights;
    rr_buf_printf(out, "{\n  \"rearank_readout\": %d,\n", VERSION);
    put_model(readout, out);
    rr_buf_printf(out, "  \"attention\": {\"first_layer\": %u, \"end_layer\": %u,\n    ",
        shape->first_layer, shape->end_layer);
    put_numbers(out, "weights", weights, n_mass);
    rr_buf_text(out, ",\n    \"draw\": [");
    for (size_t i = 0; i < n_mass; i++) {
        rr_buf_printf(out, "%s%.3g",
            i == 0            ? ""
                : i % 32 == 0 ? ",\n    "
                              : ", ",
            readout->draw[i] > 0 ? (double)readout->draw[i] : 0.0);
    }
    rr_buf_text(out, "]},\n  \"states\": {\"layers\": [");
    for (uint32_t i = 0; i < shape->n_state_layers; i++) {
        rr_buf_printf(out, "%s%u", i == 0 ? "" : ", ", shape->state_layers[i]);
    }
    rr_buf_text(out, "],\n    ");
    put_numbers(out, "weights", weights + n_mass, n_states);
    rr_buf_text(out, "},\n  ");
    put_numbers(out, "place", weights + n_mass + n_states, RR_READOUT_PLACES);
    rr_buf_text(out, ",\n");
    put_rest(readout, weights[n_mass + n_states + RR_READOUT_PLACES], out);
    rr_buf_text(out, "  \"about\": ");
    const bool has_about = put_about(readout->about, out);
    rr_buf_text(out, "\n}\n");
    return has_about && !out->failed ? RR_OK
                                     : rr_fail(diag, RR_E_MEMORY, "out of memory for a readout");
}

void rr_readout_destroy(rr_readout *readout) {
    rr_arena_destroy(&readout->arena);
    *readout = (rr_readout){0};
}

/* Belonging */

rr_status rr_readout_check(
    const rr_readout *readout, const rr_model *model, const char *label, rr_diag *diag) {
    const rr_model_config *c = &model->config;
    if (readout->fingerprint != rr_model_fingerprint(model) || readout->n_layers != c->n_layers ||
        readout->shape.n_heads != c->n_heads || readout->shape.d_model != c->d_model) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: a readout of the model \"%s\", not of \"%s\" (fingerprints %016llx and %016llx): `rearank readout fit` makes one",
            label, readout->model_name, model->name, (unsigned long long)readout->fingerprint,
            (unsigned long long)rr_model_fingerprint(model));
    }
    rr_buf digest = {0};
    RR_TRY(rr_prompt_fact(RR_PROMPT_REARANK, &digest, diag));
    rr_buf_append(&digest, "", 1);
    const bool same = !digest.failed && strcmp(digest.data, readout->prompt) == 0;
    rr_buf_destroy(&digest);
    return same ? RR_OK
                : rr_fail(diag, RR_E_UNSUPPORTED,
                      "%s: a readout of a prompt of other wording (\"%s\"): fit it anew", label,
                      readout->prompt);
}

rr_status rr_readout_find(const rr_model *model, rr_readout *out, bool *found, rr_diag *diag) {
    const uint64_t fingerprint = rr_model_fingerprint(model);
    *found = false;
    *out = (rr_readout){0};
    for (size_t i = 0; i < rr_readouts_n && !*found; i++) {
        RR_TRY(rr_readout_parse(
            rr_readouts[i].text, strlen(rr_readouts[i].text), rr_readouts[i].name, out, diag));
        *found = out->fingerprint == fingerprint &&
            rr_readout_check(out, model, rr_readouts[i].name, diag) == RR_OK;
        if (!*found) {
            rr_readout_destroy(out);
        }
    }
    return RR_OK;
}
