#include "rerank/report/run_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "rerank/attention.h"
#include "rerank/data/clean.h"
#include "rerank/data/json_out.h"
#include "rerank/report/explain.h"
#include "rerank/report/run_table.h"

const char *const rr_run_format_names[] = {"table", "json", "jsonl", "trec", "tsv", NULL};
_Static_assert(
    sizeof rr_run_format_names / sizeof rr_run_format_names[0] == RR_RUN_FORMAT_COUNT + 1,
    "one name a format");

static rr_status finish(const rr_buf *out, rr_diag *diag) {
    return out->failed ? rr_fail(diag, RR_E_MEMORY, "out of memory while writing a ranking")
                       : RR_OK;
}

/* Runs */

static rr_status check_id(const char *what, const char *id, rr_diag *diag) {
    for (const char *at = id; *at != '\0'; at++) {
        if (*at == ' ') {
            return rr_fail(diag, RR_E_INPUT,
                "%s \"%.100s\" holds a space, which a TREC run cannot hold; use --format tsv or json",
                what, id);
        }
    }
    return RR_OK;
}

rr_status rr_run_check(const rr_run_out *run, const rr_query *query, rr_diag *diag) {
    if (run->format != RR_RUN_TREC) {
        return RR_OK;
    }
    RR_TRY(check_id("qid", query->qid, diag));
    if (query->qid[0] == '#') {
        return rr_fail(diag, RR_E_INPUT,
            "qid \"%.100s\" starts with \"#\", which makes a comment of its lines in a TREC run (trec_eval 10); "
            "use --format tsv or json",
            query->qid);
    }
    for (size_t i = 0; i < query->n; i++) {
        RR_TRY(check_id("passage id", query->passages[i].id, diag));
    }
    return RR_OK;
}

static void write_trec(const rr_query *query, const rr_ranking *ranking, rr_buf *out) {
    for (size_t i = 0; i < ranking->n; i++) {
        rr_buf_printf(out, "%s Q0 %s %zu %zu rearank\n", query->qid,
            query->passages[ranking->order[i]].id, i + 1, ranking->n - i);
    }
}

static void write_tsv(const rr_query *query, const rr_ranking *ranking, rr_buf *out) {
    for (size_t i = 0; i < ranking->n; i++) {
        rr_buf_printf(out, "%s\t%s\t%zu\t%.9g\n", query->qid, query->passages[ranking->order[i]].id,
            i + 1, rr_ranking_score(ranking, i + 1));
    }
}

/* JSON */

static bool add_text(
    yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *text, size_t bytes) {
    return yyjson_mut_obj_add(object, yyjson_mut_str(doc, key), rr_json_text(doc, text, bytes));
}

static bool add_name(
    yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *name) {
    return name != NULL ? add_text(doc, object, key, name, strlen(name))
                        : yyjson_mut_obj_add_null(doc, object, key);
}

static double ms(uint64_t ns) {
    return (double)(ns / 1000) / 1000.0;
}

/* What is told about passages with --explain. */
typedef struct passage_notes {
    rr_explanations said;
    rr_attention *attention; /* [n] by passage; NULL = no window was read */
    rr_prompt_form form;     /* how passages were shown */
} passage_notes;

static rr_status explain(
    const rr_run_out *run, const rr_ranking *ranking, passage_notes *out, rr_diag *diag) {
    *out = (passage_notes){
        .form = run->params != NULL ? rr_rank_form(run->params) : (rr_prompt_form){0}};
    RR_TRY(rr_explain_ranking(ranking, &out->said, diag));
    if (ranking->scores != NULL) {
        out->attention = malloc(ranking->n * sizeof *out->attention);
        if (out->attention == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "out of memory while writing a ranking");
        }
        rr_attention_find(ranking, out->attention);
    }
    return RR_OK;
}

static void passage_notes_destroy(passage_notes *notes) {
    rr_explanations_destroy(&notes->said);
    free(notes->attention);
}

/* A float in the fewest digits that give it back. (yyjson's own way is newer than the oldest yyjson
 * that we meet.) */
static bool add_float(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, float value) {
    char text[32];
    double written = 0.0;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        written = strtod(text, NULL);
        if ((float)written >= value && (float)written <= value) {
            break;
        }
    }
    return yyjson_mut_obj_add_real(doc, object, key, written);
}

/* Its text, where it stands in characters, its share. */
static bool add_part(
    yyjson_mut_doc *doc, yyjson_mut_val *object, rr_text shown, rr_read_part part) {
    rr_text text = rr_attention_text(shown, part);
    size_t begin = text.bytes > 0 ? rr_clean_count(shown.data, part.begin) : 0;
    return add_text(doc, object, "text", text.data, text.bytes) &&
        yyjson_mut_obj_add_uint(doc, object, "begin", begin) &&
        yyjson_mut_obj_add_uint(
            doc, object, "end", begin + rr_clean_count(text.data, text.bytes)) &&
        add_float(doc, object, "share", part.share);
}

/* What drew the attention when a passage was read. */
static bool add_attention(yyjson_mut_doc *doc, yyjson_mut_val *list, const passage_notes *notes,
    const rr_passage *passage, const rr_attention *attention) {
    const rr_passage_read *read = attention->read;
    if (read == NULL || (read->sentence.end == 0 && read->n_words == 0)) {
        return true;
    }
    rr_buf shown = {0};
    rr_prompt_passage(&notes->form, passage, &shown);
    rr_text text = {shown.data != NULL ? shown.data : "", shown.bytes};
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, list), *words = yyjson_mut_arr(doc);
    bool ok = !shown.failed && object != NULL &&
        yyjson_mut_obj_add_uint(doc, object, "window", attention->window) &&
        yyjson_mut_obj_add_uint(doc, object, "label", attention->label) &&
        add_part(doc, object, text, read->sentence) &&
        yyjson_mut_obj_add_val(doc, object, "words", words);
    for (uint32_t i = 0; i < read->n_words && ok; i++) {
        if (rr_attention_text(text, read->words[i]).bytes > 0) {
            yyjson_mut_val *word = yyjson_mut_arr_add_obj(doc, words);
            ok = word != NULL && add_part(doc, word, text, read->words[i]);
        }
    }
    rr_buf_destroy(&shown);
    return ok;
}

/* The sentences that name a passage. */
static bool add_said(yyjson_mut_doc *doc, yyjson_mut_val *list, const rr_explanations *explanations,
    size_t passage) {
    bool ok = true;
    for (size_t i = explanations->first[passage]; i < explanations->first[passage + 1] && ok; i++) {
        const rr_said *said = &explanations->said[i];
        yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, list);
        ok = object != NULL && yyjson_mut_obj_add_uint(doc, object, "window", said->window) &&
            yyjson_mut_obj_add_uint(doc, object, "label", said->label) &&
            yyjson_mut_obj_add_uint(doc, object, "begin", said->begin) &&
            yyjson_mut_obj_add_uint(doc, object, "end", said->end) &&
            yyjson_mut_obj_add_uint(doc, object, "named", said->n_named) &&
            add_text(doc, object, "text", said->text.data, said->text.bytes);
    }
    return ok;
}

/* A passage's texts and what is told about it. */
static bool add_explanations(yyjson_mut_doc *doc, yyjson_mut_val *item, const rr_passage *passage,
    const passage_notes *notes, size_t index) {
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    return (passage->title.bytes == 0 ||
               add_text(doc, item, "title", passage->title.data, passage->title.bytes)) &&
        add_text(doc, item, "text", passage->text.data, passage->text.bytes) &&
        yyjson_mut_obj_add_val(doc, item, "explanations", list) &&
        (notes->attention == NULL ||
            add_attention(doc, list, notes, passage, &notes->attention[index])) &&
        add_said(doc, list, &notes->said, index);
}

static bool add_results(yyjson_mut_doc *doc, yyjson_mut_val *root, const rr_query *query,
    const rr_ranking *ranking, const passage_notes *notes) {
    yyjson_mut_val *results = yyjson_mut_arr(doc);
    bool ok = yyjson_mut_obj_add_val(doc, root, "results", results);
    for (size_t i = 0; i < ranking->n && ok; i++) {
        const rr_passage *passage = &query->passages[ranking->order[i]];
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, results);
        ok = item != NULL && yyjson_mut_obj_add_uint(doc, item, "index", ranking->order[i]) &&
            add_name(doc, item, "id", passage->id) &&
            yyjson_mut_obj_add_uint(doc, item, "rank", i + 1) &&
            yyjson_mut_obj_add_real(
                doc, item, "relevance_score", rr_ranking_score(ranking, i + 1)) &&
            (notes == NULL || add_explanations(doc, item, passage, notes, ranking->order[i]));
    }
    return ok;
}

/* What was read of a window's passages, by label. */
static bool add_reads(yyjson_mut_doc *doc, yyjson_mut_val *item, const rr_window_result *window) {
    yyjson_mut_val *scores = yyjson_mut_arr(doc), *probabilities = yyjson_mut_arr(doc);
    bool ok = yyjson_mut_obj_add_val(doc, item, "scores", scores) &&
        yyjson_mut_obj_add_val(doc, item, "probabilities", probabilities);
    for (uint32_t i = 0; i < window->n && ok; i++) {
        ok = yyjson_mut_arr_add_real(doc, scores, window->reads[i].score) &&
            yyjson_mut_arr_add_real(doc, probabilities, window->reads[i].probability);
    }
    return ok;
}

static bool add_window(
    yyjson_mut_doc *doc, yyjson_mut_val *windows, const rr_window_result *window) {
    yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, windows), *passages = yyjson_mut_arr(doc);
    yyjson_mut_val *permutation = yyjson_mut_arr(doc);
    bool ok = item != NULL && yyjson_mut_obj_add_uint(doc, item, "begin", window->window.begin) &&
        yyjson_mut_obj_add_uint(doc, item, "end", window->window.end) &&
        add_text(doc, item, "reasoning", window->reasoning.data, window->reasoning.bytes) &&
        add_text(doc, item, "answer", window->answer.data, window->answer.bytes) &&
        yyjson_mut_obj_add_val(doc, item, "passages", passages) &&
        yyjson_mut_obj_add_val(doc, item, "permutation", permutation);
    for (uint32_t i = 0; i < window->n && ok; i++) {
        ok = yyjson_mut_arr_add_uint(doc, passages, window->passages[i]) &&
            yyjson_mut_arr_add_uint(doc, permutation, window->permutation[i]);
    }
    return ok && (window->reads == NULL || add_reads(doc, item, window)) &&
        yyjson_mut_obj_add_bool(doc, item, "repaired", window->repaired) &&
        yyjson_mut_obj_add_bool(doc, item, "truncated", window->truncated) &&
        yyjson_mut_obj_add_uint(doc, item, "listed", window->n_listed) &&
        yyjson_mut_obj_add_bool(doc, item, "late", window->late) &&
        yyjson_mut_obj_add_uint(doc, item, "prompt_tokens", window->prompt_tokens) &&
        yyjson_mut_obj_add_uint(doc, item, "reused_tokens", window->reused_tokens) &&
        yyjson_mut_obj_add_uint(doc, item, "shared_tokens", window->shared_tokens) &&
        yyjson_mut_obj_add_uint(doc, item, "generated_tokens", window->generated_tokens) &&
        yyjson_mut_obj_add_real(doc, item, "prompt_ms", ms(window->prompt_ns)) &&
        yyjson_mut_obj_add_real(doc, item, "generate_ms", ms(window->generate_ns)) &&
        yyjson_mut_obj_add_real(doc, item, "time_ms", ms(window->time_ns));
}

static bool add_options(yyjson_mut_doc *doc, yyjson_mut_val *root, const rr_run_out *run) {
    yyjson_mut_val *options = yyjson_mut_obj(doc);
    const rr_rank_params *params = run->params;
    return yyjson_mut_obj_add_val(doc, root, "options", options) &&
        yyjson_mut_obj_add_uint(doc, options, "window", params->window) &&
        yyjson_mut_obj_add_uint(doc, options, "step", params->step) &&
        yyjson_mut_obj_add_uint(doc, options, "depth", params->depth) &&
        yyjson_mut_obj_add_str(doc, options, "schedule", rr_schedule_names[params->schedule]) &&
        yyjson_mut_obj_add_uint(doc, options, "passes", params->passes) &&
        yyjson_mut_obj_add_bool(doc, options, "think", params->style == RR_PROMPT_REARANK) &&
        (params->passage_chars == 0 ||
            yyjson_mut_obj_add_uint(doc, options, "passage_chars", params->passage_chars)) &&
        (run->way == NULL || yyjson_mut_obj_add_str(doc, options, "way", run->way));
}

/* `notes` is NULL where nothing was asked for. */
static bool fill_document(const rr_run_out *run, yyjson_mut_doc *doc, const rr_query *query,
    const rr_ranking *ranking, const passage_notes *notes) {
    yyjson_mut_val *root = yyjson_mut_obj(doc), *windows = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, root);
    bool ok = (!run->many || add_name(doc, root, "qid", query->qid)) &&
        add_text(doc, root, "query", query->text.data, query->text.bytes) &&
        add_name(doc, root, "model", run->model) && add_name(doc, root, "device", run->device) &&
        (run->params == NULL || add_options(doc, root, run)) &&
        add_results(doc, root, query, ranking, notes) &&
        yyjson_mut_obj_add_val(doc, root, "windows", windows);
    for (size_t i = 0; i < ranking->n_windows && ok; i++) {
        ok = add_window(doc, windows, &ranking->windows[i]);
    }
    return ok && yyjson_mut_obj_add_bool(doc, root, "late", rr_ranking_n_late(ranking) > 0) &&
        yyjson_mut_obj_add_real(doc, root, "time_ms", ms(ranking->time_ns));
}

/* Writes a filled document and frees it. */
static void write_document(yyjson_mut_doc *doc, bool filled, bool pretty, rr_buf *out) {
    size_t bytes;
    char *text = filled
        ? yyjson_mut_write(doc, pretty ? YYJSON_WRITE_PRETTY : YYJSON_WRITE_NOFLAG, &bytes)
        : NULL;
    if (text == NULL) {
        out->failed = true; /* all texts are clean, so only memory can lack */
    } else {
        rr_buf_append(out, text, bytes);
    }
    free(text);
    yyjson_mut_doc_free(doc);
}

static rr_status write_json(const rr_run_out *run, const rr_query *query, const rr_ranking *ranking,
    size_t index, rr_buf *out, rr_diag *diag) {
    bool in_array = run->format == RR_RUN_JSON && run->many;
    passage_notes notes = {0};
    yyjson_mut_doc *doc = NULL;
    rr_status status = RR_OK;
    if (run->explain) {
        RR_TRY_GOTO(explain(run, ranking, &notes, diag));
    }
    doc = yyjson_mut_doc_new(NULL);
    if (doc == NULL) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "out of memory while writing a ranking"));
    }
    if (in_array && index > 0) {
        rr_buf_text(out, ",\n");
    }
    bool filled = fill_document(run, doc, query, ranking, run->explain ? &notes : NULL);
    write_document(doc, filled, run->format == RR_RUN_JSON, out);
    if (!in_array) {
        rr_buf_text(out, "\n");
    }
fail:
    passage_notes_destroy(&notes);
    return status;
}

rr_status rr_run_record(
    const rr_query *query, const rr_ranking *ranking, rr_buf *out, rr_diag *diag) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (doc == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory while writing a ranking");
    }
    yyjson_mut_val *root = yyjson_mut_obj(doc), *responses = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, root);
    bool ok = add_name(doc, root, "qid", query->qid) &&
        yyjson_mut_obj_add_val(doc, root, "responses", responses);
    for (size_t i = 0; i < ranking->n_windows && ok; i++) {
        rr_text text = ranking->windows[i].response;
        ok = yyjson_mut_arr_append(responses, rr_json_text(doc, text.data, text.bytes));
    }
    write_document(doc, ok, false, out);
    rr_buf_text(out, "\n");
    return finish(out, diag);
}

/* All formats */

rr_status rr_run_begin(const rr_run_out *run, rr_buf *out, rr_diag *diag) {
    if (run->format == RR_RUN_JSON && run->many) {
        rr_buf_text(out, "[\n");
    }
    return finish(out, diag);
}

rr_status rr_run_query(const rr_run_out *run, const rr_query *query, const rr_ranking *ranking,
    size_t index, rr_buf *out, rr_diag *diag) {
    switch (run->format) {
    case RR_RUN_TABLE:
        RR_TRY(rr_run_table(run, query, ranking, index, out, diag));
        break;
    case RR_RUN_TREC:
        write_trec(query, ranking, out);
        break;
    case RR_RUN_TSV:
        write_tsv(query, ranking, out);
        break;
    default:
        RR_TRY(write_json(run, query, ranking, index, out, diag));
        break;
    }
    return finish(out, diag);
}

rr_status rr_run_end(const rr_run_out *run, rr_buf *out, rr_diag *diag) {
    if (run->format == RR_RUN_JSON && run->many) {
        rr_buf_text(out, "\n]\n");
    }
    return finish(out, diag);
}
