/* `rearank readout`: fits readouts, and tells what is in one.
 * Owns: the two sub-verbs, their options, the windows' way through the engine. What is fitted and
 * how: rerank/learn/fit.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/data/clean.h"
#include "rerank/data/digest.h"
#include "rerank/data/json_out.h"
#include "rerank/data/trec_read.h"
#include "rerank/keep/journal.h"
#include "rerank/learn/fit.h"
#include "rerank/learn/fit_store.h"
#include "runtime/base/file_out.h"
#include "runtime/base/thread.h"
#include "tools/cli.h"

enum { PASSAGE_CHARS = 1000, STATE_LAYERS = 4 };

typedef struct fit_options {
    rr_cli_list candidates, qrels, limits;
    const char *output, *store_path, *licence;
    uint32_t per_query, size, passage_chars;
    uint64_t seed;
    int without;
    rr_cli_engine engine;
} fit_options;

enum {
    WITHOUT_NOTHING,
    WITHOUT_QUERY_ROWS,
    WITHOUT_LAST_ROW,
    WITHOUT_STATES,
    WITHOUT_PLACE,
    WITHOUT_LENGTH
};
static const char *const part_names[] = {
    "nothing", "query-rows", "last-row", "states", "place", "length", NULL};

/* A fit in progress. */
typedef struct fit_job {
    const fit_options *options;
    rr_candidates candidates[RR_FIT_SETS];
    rr_trec_table qrels[RR_FIT_SETS];
    rr_fit_set sets[RR_FIT_SETS];
    size_t n_sets;
    rr_fit_windows windows;
    rr_model *model;
    rr_read_shape shape;
    rr_prompt_form form;
    rr_buf digest, store_path;
    rr_fit_store *store;
    rr_engine *engine; /* NULL while every window that was asked for is in the store */
    rr_session *session;
    const rr_tokenizer *tokenizer;
    rr_read_features *features; /* [windows.n] */
    double *first_stage;        /* [windows.n][size] */
    rr_fit_sample *samples;     /* [windows.n] */
    uint64_t n_tokens, read_ns;
} fit_job;

/* Judgements that name relevant passages alone say of all others that they are not. */
static bool names_relevant_alone(const rr_trec_table *qrels) {
    for (size_t i = 0; i < qrels->n_rows; i++) {
        if (qrels->rows[i].level <= 0) {
            return false;
        }
    }
    return true;
}

static rr_status read_sets(fit_job *job, rr_diag *diag) {
    const fit_options *o = job->options;
    for (size_t i = 0; i < o->candidates.n; i++) {
        const char *limit = o->limits.n == 0 ? "0" : o->limits.items[o->limits.n == 1 ? 0 : i];
        RR_TRY(rr_candidates_read(o->candidates.items[i], &job->candidates[i], diag));
        RR_TRY(rr_trec_read_qrels(o->qrels.items[i], &job->qrels[i], diag));
        job->sets[i] = (rr_fit_set){.candidates = &job->candidates[i],
            .qrels = &job->qrels[i],
            .unjudged_is_0 = names_relevant_alone(&job->qrels[i]),
            .n_queries = (uint32_t)strtoul(limit, NULL, 10)};
        job->n_sets++;
    }
    const rr_fit_windows_params params = {
        .size = o->size, .per_query = o->per_query, .seed = o->seed};
    RR_TRY(rr_fit_windows_make(job->sets, job->n_sets, &params, &job->windows, diag));
    if (job->windows.n == 0) {
        return rr_fail(diag, RR_E_INPUT,
            "no windows to learn from: of no query there are enough judged passages of different grades");
    }
    if (job->windows.n_left_out > 0) {
        rr_log(RR_LOG_INFO,
            "%zu queries are left out: too few judged passages, or all of one grade",
            job->windows.n_left_out);
    }
    return RR_OK;
}

/* What is read: attention in all layers, and the states behind four layers from two thirds of the
 * model on, of which one is chosen. */
static void set_shape(fit_job *job) {
    const rr_model_config *c = &job->model->config;
    job->shape =
        (rr_read_shape){.end_layer = c->n_layers, .n_heads = c->n_heads, .d_model = c->d_model};
    for (uint32_t i = 0; i < STATE_LAYERS; i++) {
        const uint32_t layer = c->n_layers * (8 + i) / 12;
        if (layer > 0 &&
            (job->shape.n_state_layers == 0 ||
                layer > job->shape.state_layers[job->shape.n_state_layers - 1])) {
            job->shape.state_layers[job->shape.n_state_layers++] = layer;
        }
    }
    job->form =
        (rr_prompt_form){.style = RR_PROMPT_REARANK, .passage_chars = job->options->passage_chars};
}

static void cancel(void *user) {
    rr_session_cancel(user);
}

static rr_status open_engine(fit_job *job, rr_engine_params *params, rr_diag *diag) {
    params->compute.readings = true;
    RR_TRY(rr_engine_open(params, &job->engine, diag));
    RR_TRY(rr_session_create(job->engine, &job->session, diag));
    RR_TRY(rr_engine_tokenizer(job->engine, &job->tokenizer, diag));
    rr_cli_on_interrupt(cancel, job->session);
    return RR_OK;
}

/* All else that what is read depends on. Every byte of the model's file counts: its fingerprint is
 * the same whatever it was quantized to. */
static rr_status describe(
    const fit_job *job, const rr_engine_params *params, rr_buf *out, rr_diag *diag) {
    const char *caps = params->compute.caps != NULL ? params->compute.caps : getenv("REARANK_CAPS");
    rr_buf graph = {0};
    rr_buf_printf(out, "rearank %s chars %u layers %u-%u states", REARANK_VERSION,
        job->form.passage_chars, job->shape.first_layer, job->shape.end_layer);
    for (uint32_t i = 0; i < job->shape.n_state_layers; i++) {
        rr_buf_printf(out, " %u", job->shape.state_layers[i]);
    }
    rr_buf_printf(out, " prompt %s exact %d caps %s model ", job->digest.data,
        params->compute.exact, caps != NULL ? caps : "");
    rr_status status = rr_digest_model(job->model->source, out, diag);
    if (params->compute.quantize != NULL) {
        rr_buf_printf(out, " as %s", params->compute.quantize);
    }
    if (job->model->adapters != NULL) {
        rr_buf_printf(out, " with adapters %016llx",
            (unsigned long long)rr_adapter_set_digest(job->model->adapters));
    }
    rr_buf_text(out, " device ");
    if (status == RR_OK) {
        status = rr_cli_engine_device(params, job->model, out, &graph, diag);
    }
    rr_buf_printf(out, " graph %s", graph.data != NULL ? graph.data : "");
    if (status == RR_OK && (out->failed || graph.failed)) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    rr_buf_destroy(&graph);
    return status;
}

static rr_status open_store(fit_job *job, const rr_engine_params *params, rr_diag *diag) {
    rr_buf about = {0};
    rr_status status = job->store_path.failed ? rr_fail(diag, RR_E_MEMORY, "out of memory")
                                              : describe(job, params, &about, diag);
    if (status == RR_OK) {
        status =
            rr_fit_store_open(job->store_path.data, about.data, &job->shape, &job->store, diag);
    }
    rr_buf_destroy(&about);
    return status;
}

/* Reads a window that is not in the store. */
static rr_status read_window(
    fit_job *job, const rr_fit_window *window, rr_read_features *out, rr_diag *diag) {
    const uint64_t start_ns = rr_time_ns();
    rr_prompt prompt = {0};
    rr_tokens tokens = {0};
    rr_read_places places;
    rr_status status =
        rr_prompt_build(&job->form, window->query, window->passages, window->n, &prompt, diag);
    RR_TRY_GOTO(status);
    RR_TRY_GOTO(rr_read_places_find(job->tokenizer, &prompt, &tokens, &places, diag));
    RR_TRY_GOTO(rr_read_features_make(&job->shape, window->n, out, diag));
    RR_TRY_GOTO(rr_read_features_get(job->session, &tokens, &places, &job->shape, NULL, out, diag));
    RR_TRY_GOTO(rr_fit_store_keep(job->store, window, out, diag));
    job->n_tokens += tokens.n;
    job->read_ns += rr_time_ns() - start_ns;
fail:
    rr_prompt_destroy(&prompt);
    rr_tokens_destroy(&tokens);
    return status;
}

/* What is fitted needs neither the device nor the model's weights, and may be interrupted
 * anywhere. */
static void close_engine(fit_job *job) {
    rr_cli_on_interrupt(NULL, NULL);
    rr_session_destroy(&job->session);
    rr_engine_close(&job->engine);
}

static rr_status read_windows(fit_job *job, rr_engine_params *params, rr_diag *diag) {
    size_t n_kept = 0;
    for (size_t i = 0; i < job->windows.n; i++) {
        const rr_fit_window *window = &job->windows.windows[i];
        bool found;
        RR_TRY(rr_fit_store_find(job->store, window, &job->features[i], &found, diag));
        n_kept += found;
        if (!found && job->engine == NULL) {
            RR_TRY(open_engine(job, params, diag));
        }
        rr_status status = found ? RR_OK : read_window(job, window, &job->features[i], diag);
        if (status == RR_E_CANCELLED) {
            rr_cli_error(
                "interrupted: %zu of %zu windows are read and kept in %s; the same command goes on from there",
                i, job->windows.n, job->store_path.data);
        }
        RR_TRY(status);
        rr_cli_progress(NULL, "windows", i + 1, job->windows.n);
        double *scores = job->first_stage + i * job->options->size;
        for (uint32_t k = 0; k < window->n; k++) {
            scores[k] = window->query->passages[window->passages[k]].score;
        }
        job->samples[i] = (rr_fit_sample){.set = window->set,
            .qid = window->query->qid,
            .features = &job->features[i],
            .grades = window->grades,
            .first_stage = scores};
    }
    rr_log(RR_LOG_INFO, "%zu windows, %zu of them kept from before; %llu tokens in %.0f s",
        job->windows.n, n_kept, (unsigned long long)job->n_tokens, (double)job->read_ns * 1e-9);
    return RR_OK;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void put_figures(rr_buf *out, const char *name, const rr_fit_figures *f) {
    rr_buf_printf(out, ", \"%s\": {\"ndcg@10\": %.4f, \"pairs\": %.4f}", name, f->ndcg, f->pairs);
}

/* What a person wants to know of it later. */
static rr_status write_about(
    const fit_job *job, const rr_fit_result *r, rr_readout *readout, rr_diag *diag) {
    const fit_options *o = job->options;
    rr_buf text = {0};
    rr_buf_printf(&text, "{\n    \"program\": \"rearank %s\",\n    \"licence\": ", REARANK_VERSION);
    rr_json_quote(
        o->licence != NULL ? o->licence : "", o->licence != NULL ? strlen(o->licence) : 0, &text);
    rr_buf_printf(&text,
        ",\n    \"windows\": {\"size\": %u, \"per_query\": %u, \"seed\": %llu},\n    \"without\": \"%s\",\n",
        o->size, o->per_query, (unsigned long long)o->seed, part_names[o->without]);
    rr_buf_printf(&text, "    \"penalty\": %g, \"state_penalty\": %g,\n    \"sets\": [", r->penalty,
        r->state_penalty);
    for (size_t i = 0; i < job->n_sets; i++) {
        rr_buf_printf(&text, "%s\n      {\"candidates\": ", i > 0 ? "," : "");
        rr_json_quote(
            base_name(o->candidates.items[i]), strlen(base_name(o->candidates.items[i])), &text);
        rr_buf_printf(&text, ", \"unjudged\": \"%s\", \"windows\": %zu",
            job->sets[i].unjudged_is_0 ? "not relevant" : "left out", r->read[i].n_windows);
        put_figures(&text, "as_shown", &r->shown[i]);
        put_figures(&text, "first_stage", &r->first_stage[i]);
        put_figures(&text, "read", &r->read[i]);
        put_figures(&text, "read_and_first_stage", &r->both[i]);
        rr_buf_text(&text, "}");
    }
    rr_buf_text(&text, "\n    ]\n  }");
    char *copy = text.failed ? NULL : rr_arena_copy(&readout->arena, text.data, text.bytes);
    readout->about = (rr_text){copy, text.bytes};
    rr_buf_destroy(&text);
    return copy != NULL ? RR_OK : rr_fail(diag, RR_E_MEMORY, "out of memory for a readout");
}

static void print_result(const fit_job *job, const rr_fit_result *r) {
    rr_out_printf("%-28s %8s  %-15s  %-15s  %-15s  %-15s\n", "held out, nDCG@10 and pairs",
        "windows", "as shown", "first stage", "read", "both");
    for (size_t i = 0; i < job->n_sets; i++) {
        rr_out_printf(
            "%-28.28s %8zu", base_name(job->options->candidates.items[i]), r->read[i].n_windows);
        const rr_fit_figures *all[] = {&r->shown[i], &r->first_stage[i], &r->read[i], &r->both[i]};
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
            rr_out_printf("  %.4f   %.4f", all[k]->ndcg, all[k]->pairs);
        }
        rr_out_text("\n");
    }
    rr_out_printf("penalty %g", r->penalty);
    if (r->state_layer > 0) {
        rr_out_printf(", states behind layer %u of %u, penalty %g", r->state_layer,
            job->model->config.n_layers, r->state_penalty);
    }
    rr_out_text("\n");
}

static rr_fit_parts parts_without(int without) {
    return (rr_fit_parts){.no_query_rows = without == WITHOUT_QUERY_ROWS,
        .no_last_row = without == WITHOUT_LAST_ROW,
        .no_states = without == WITHOUT_STATES,
        .no_place = without == WITHOUT_PLACE,
        .no_length = without == WITHOUT_LENGTH};
}

/* The model's name as valid UTF-8, as much of it as there is room for. */
static rr_status set_name(const char *name, rr_readout *out, rr_diag *diag) {
    rr_buf clean = {0};
    rr_clean_utf8(name, strlen(name), &clean);
    size_t n = 0;
    while (rr_clean_cut(clean.data, clean.bytes, n) < clean.bytes &&
        rr_clean_cut(clean.data, clean.bytes, n + 1) < sizeof out->model_name) {
        n++;
    }
    memcpy(out->model_name, clean.data != NULL ? clean.data : "",
        rr_clean_cut(clean.data, clean.bytes, n));
    const bool failed = clean.failed;
    rr_buf_destroy(&clean);
    return failed ? rr_fail(diag, RR_E_MEMORY, "out of memory for a readout") : RR_OK;
}

static rr_status fit_and_write(fit_job *job, rr_diag *diag) {
    rr_readout readout = {.fingerprint = rr_model_fingerprint(job->model),
        .n_layers = job->model->config.n_layers,
        .form = job->form};
    rr_fit_result result;
    rr_buf text = {0};
    rr_status status = RR_OK;
    RR_TRY_GOTO(set_name(job->model->name, &readout, diag));
    snprintf(readout.prompt, sizeof readout.prompt, "%s", job->digest.data);
    const rr_fit_params params = {.samples = job->samples,
        .n = job->windows.n,
        .shape = job->shape,
        .parts = parts_without(job->options->without),
        .progress = rr_cli_progress};
    RR_TRY_GOTO(rr_readout_fit(&params, &readout, &result, diag));
    print_result(job, &result);
    RR_TRY_GOTO(write_about(job, &result, &readout, diag));
    RR_TRY_GOTO(rr_readout_write(&readout, &text, diag));
    if (job->options->output != NULL) {
        RR_TRY_GOTO(rr_file_write_atomic(job->options->output, text.data, text.bytes, diag));
    }
fail:
    rr_buf_destroy(&text);
    rr_readout_destroy(&readout);
    return status;
}

static rr_status fit(fit_job *job, rr_diag *diag) {
    const fit_options *o = job->options;
    rr_engine_params params = o->engine.params;
    if (o->output != NULL) {
        RR_TRY(rr_file_out_check(o->output, diag));
    }
    RR_TRY(read_sets(job, diag));
    RR_TRY(rr_compute_open_model(&params.compute, &job->model, diag));
    set_shape(job);
    RR_TRY(rr_prompt_fact(RR_PROMPT_REARANK, &job->digest, diag));
    rr_buf_append(&job->digest, "", 1);
    rr_buf_printf(&job->store_path, "%s%s", o->store_path != NULL ? o->store_path : o->output,
        o->store_path != NULL ? "" : ".readings");
    job->features = calloc(job->windows.n, sizeof *job->features);
    job->samples = calloc(job->windows.n, sizeof *job->samples);
    job->first_stage = calloc(job->windows.n * o->size, sizeof *job->first_stage);
    if (job->digest.failed || job->features == NULL || job->samples == NULL ||
        job->first_stage == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    RR_TRY(open_store(job, &params, diag));
    RR_TRY(read_windows(job, &params, diag));
    close_engine(job);
    RR_TRY(fit_and_write(job, diag));
    rr_fit_store_close(&job->store);
    if (o->store_path == NULL) {
        remove(job->store_path.data);
    }
    return RR_OK;
}

static void fit_job_destroy(fit_job *job) {
    close_engine(job);
    rr_fit_store_close(&job->store);
    for (size_t i = 0; i < job->windows.n && job->features != NULL; i++) {
        rr_read_features_destroy(&job->features[i]);
    }
    free(job->features);
    free(job->samples);
    free(job->first_stage);
    rr_fit_windows_destroy(&job->windows);
    for (size_t i = 0; i < RR_FIT_SETS; i++) {
        rr_candidates_destroy(&job->candidates[i]);
        rr_trec_table_destroy(&job->qrels[i]);
    }
    rr_model_close(&job->model);
    rr_buf_destroy(&job->digest);
    rr_buf_destroy(&job->store_path);
}

static int check_files(fit_options *o) {
    rr_cli_files files = {0};
    rr_cli_writes(&files, "--output", o->output);
    rr_cli_writes(&files, "--store", o->store_path);
    for (size_t i = 0; i < o->candidates.n; i++) {
        rr_cli_reads(&files, "--candidates", o->candidates.items[i]);
        rr_cli_reads(&files, "--qrels", o->qrels.items[i]);
    }
    rr_cli_engine_files(&o->engine, &files);
    return rr_cli_files_check(&files);
}

static int check_fit(fit_options *o) {
    if (o->candidates.n == 0 || o->candidates.n != o->qrels.n) {
        return rr_cli_usage_error(
            "found %zu --candidates and %zu --qrels, expected as many of one as of the other",
            o->candidates.n, o->qrels.n);
    }
    if (o->candidates.n > RR_FIT_SETS) {
        return rr_cli_usage_error("%zu sets, expected at most %d", o->candidates.n, RR_FIT_SETS);
    }
    if (o->limits.n > 1 && o->limits.n != o->candidates.n) {
        return rr_cli_usage_error(
            "--limit: found %zu, expected one for all sets or one for each of %zu", o->limits.n,
            o->candidates.n);
    }
    for (size_t i = 0; i < o->limits.n; i++) {
        const char *limit = o->limits.items[i];
        if (limit[0] == '\0' || strspn(limit, "0123456789") != strlen(limit) || strlen(limit) > 9) {
            return rr_cli_usage_error(
                "--limit: found \"%.100s\", expected a number of queries below 1e9", limit);
        }
    }
    if (o->output == NULL && o->store_path == NULL) {
        return rr_cli_usage_error(
            "nowhere to write: name a readout with -o, or a --store to look at figures alone");
    }
    return check_files(o);
}

static int run_fit(int argc, char **argv) {
    fit_options o = {.per_query = 1, .size = 20, .passage_chars = PASSAGE_CHARS, .seed = 1};
    const rr_opt options[] = {
        {.name = "candidates",
            .kind = RR_OPT_LIST,
            .target = &o.candidates,
            .value = "FILE",
            .help =
                "queries with passages to learn from, as for `rearank rank`; may be repeated, each with its --qrels"},
        {.name = "qrels",
            .kind = RR_OPT_LIST,
            .target = &o.qrels,
            .value = "FILE",
            .help =
                "their judgements. Where these name relevant passages alone, the others count as not relevant; else passages "
                "without a judgement are left out"},
        {.name = "limit",
            .kind = RR_OPT_LIST,
            .target = &o.limits,
            .value = "N",
            .help =
                "only so many queries of a set, chosen by the seed; once for all sets or once for each (default 0 = all)"},
        {.name = "per-query",
            .kind = RR_OPT_U32,
            .target = &o.per_query,
            .value = "N",
            .help = "windows a query (default 1)",
            .min = 1,
            .max = 1000},
        {.name = "size",
            .kind = RR_OPT_U32,
            .target = &o.size,
            .value = "N",
            .help = "passages a window (default 20)",
            .min = 2,
            .max = RR_READ_PASSAGES},
        {.name = "passage-chars",
            .kind = RR_OPT_U32,
            .target = &o.passage_chars,
            .value = "N",
            .help = "characters of a passage that are read (default 1000)",
            .min = 1,
            .max = 1 << 20},
        {.name = "seed",
            .kind = RR_OPT_U64,
            .target = &o.seed,
            .value = "N",
            .help = "of the windows (default 1)"},
        {.name = "without",
            .kind = RR_OPT_CHOICE,
            .target = &o.without,
            .choices = part_names,
            .help = "leave a part of what is read out, to see what it is worth (default nothing)"},
        {.name = "output",
            .letter = 'o',
            .kind = RR_OPT_TEXT,
            .target = &o.output,
            .value = "FILE",
            .help = "the readout"},
        {.name = "store",
            .kind = RR_OPT_TEXT,
            .target = &o.store_path,
            .value = "FILE",
            .help =
                "keep what is read of the windows there for later fits (default: OUTPUT.readings, until the readout is written)"},
        {.name = "licence",
            .kind = RR_OPT_TEXT,
            .target = &o.licence,
            .value = "TEXT",
            .help = "of the data, noted in the readout"},
    };
    const rr_cli_spec spec = {
        .synopsis = "--candidates FILE --qrels FILE -o READOUT.json",
        .about =
            "Fits what a model's attention and hidden states say of passages to judgements, so that\n"
            "`rearank rank --score-mode read` ranks by them. Windows of random passages of each query's first 100 are\n"
            "read by the engine; then pairwise logistic regression, its penalty chosen by cross-validation over queries.\n"
            "Every window counts the same. A run that was stopped goes on with the same command.",
        .notes = "Standard output gets figures on queries that were held out, a line a set.",
        .groups = {rr_cli_options(options), rr_cli_engine_group(&o.engine)},
    };
    rr_cli_args args;
    rr_diag diag = {0};
    int code = rr_cli_parse(&spec, argc, argv, &args);
    code = code == RR_CLI_GO_ON ? check_fit(&o) : code;
    if (code == RR_CLI_GO_ON) {
        fit_job *job = calloc(1, sizeof *job);
        rr_status status = job == NULL ? rr_fail(&diag, RR_E_MEMORY, "out of memory")
                                       : rr_cli_engine_ready(&o.engine, &diag);
        if (status == RR_OK) {
            job->options = &o;
            status = fit(job, &diag);
            fit_job_destroy(job);
        }
        free(job);
        code = status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
    }
    rr_cli_engine_release(&o.engine);
    return code;
}

static void print_info(const rr_readout *r) {
    rr_out_printf("model         %s (fingerprint %016llx, %u layers)\n", r->model_name,
        (unsigned long long)r->fingerprint, r->n_layers);
    rr_out_printf("prompt        rearank, %u characters a passage\n", r->form.passage_chars);
    rr_out_printf("attention     layers %u to %u, %u heads, %zu weights\n",
        r->shape.first_layer + 1, r->shape.end_layer, r->shape.n_heads,
        rr_read_n_mass(&r->shape, 1));
    for (uint32_t i = 0; i < r->shape.n_state_layers; i++) {
        rr_out_printf("states        behind layer %u, %u weights\n", r->shape.state_layers[i],
            r->shape.d_model);
    }
    rr_out_printf("first stage   weight %.3g\n", r->first_stage);
    rr_out_printf("calibration   slope %.3g, intercept %.3g\n", r->slope, r->intercept);
    rr_out_printf("about         %.*s\n", (int)r->about.bytes, r->about.data);
}

static int run_info(int argc, char **argv) {
    const rr_cli_spec spec = {
        .synopsis = "READOUT.json",
        .about =
            "Tells what is in a readout: its model, what it weighs, what it was fitted on and how good it was.",
        .min_args = 1,
        .max_args = 1,
    };
    rr_cli_args args;
    rr_diag diag = {0};
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code == RR_CLI_GO_ON) {
        rr_readout readout = {0};
        const rr_status status = rr_readout_load(args.items[0], &readout, &diag);
        if (status == RR_OK) {
            print_info(&readout);
        }
        rr_readout_destroy(&readout);
        code = status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
    }
    return code;
}

int rr_verb_readout(int argc, char **argv) {
    static const struct {
        const char *name, *verb;
        int (*run)(int argc, char **argv);
    } subs[] = {{"fit", "readout fit", run_fit}, {"info", "readout info", run_info}};
    for (size_t i = 0; i < sizeof subs / sizeof subs[0]; i++) {
        if (argc > 1 && strcmp(argv[1], subs[i].name) == 0) {
            rr_cli_set_verb(subs[i].verb);
            return subs[i].run(argc - 1, argv + 1);
        }
    }
    const rr_cli_spec spec = {
        .synopsis = "fit --candidates FILE --qrels FILE -o READOUT.json, or info READOUT.json",
        .about =
            "Readouts are small files by which `rearank rank --score-mode read` ranks: what to make of a model's\n"
            "attention and hidden states. `rearank readout fit --help` tells how one is made.",
        .max_args = SIZE_MAX,
    };
    rr_cli_args args;
    const int code = rr_cli_parse(&spec, argc, argv, &args);
    return code != RR_CLI_GO_ON
        ? code
        : rr_cli_usage_error("expected `rearank readout fit` or `rearank readout info`");
}
