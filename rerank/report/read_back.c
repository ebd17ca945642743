#include "rerank/report/read_back.h"

#include <float.h>
#include <stdio.h>

#include "rerank/data/clean.h"
#include "rerank/data/jsonl.h"

static const char *const shape =
    "{\"query\": …, \"results\": [{\"index\": 0, \"id\": …}], \"windows\": […]} as `rearank rank --format json` writes it";

/* Where an object stands, as messages name it. */
typedef struct place {
    char text[96];
} place;

/* `where` is of the object that the list is in. */
static place place_in(const char *where, const char *list, size_t index) {
    place p;
    snprintf(p.text, sizeof p.text, "%.60s%s[%zu].", where, list, index);
    return p;
}

static place place_of(const char *list, size_t index) {
    return place_in("", list, index);
}

/* A whole number that may be absent: 0 then. */
static rr_status read_count(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    const char *key, uint64_t most, uint64_t *out, rr_diag *diag) {
    yyjson_val *value = yyjson_obj_get(object, key);
    *out = 0;
    if (value == NULL || yyjson_is_null(value)) {
        return RR_OK;
    }
    if (!yyjson_is_uint(value) || yyjson_get_uint(value) > most) {
        return rr_jsonl_fail(jsonl, diag, "%s\"%s\": expected a whole number from 0 to %llu", where,
            key, (unsigned long long)most);
    }
    *out = yyjson_get_uint(value);
    return RR_OK;
}

/* A time in milliseconds. */
static rr_status read_ns(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    const char *key, uint64_t *out, rr_diag *diag) {
    double ms = 0.0;
    RR_TRY(rr_jsonl_number(jsonl, object, where, key, &ms, diag));
    if (!(ms >= 0.0 && ms < 1e12)) {
        return rr_jsonl_fail(
            jsonl, diag, "%s\"%s\": expected milliseconds from 0 to 1e12", where, key);
    }
    *out = (uint64_t)(ms * 1e6);
    return RR_OK;
}

static bool is_true(yyjson_val *object, const char *key) {
    return yyjson_is_true(yyjson_obj_get(object, key));
}

/* Results */

static rr_status read_result(
    const rr_jsonl *jsonl, yyjson_val *result, size_t rank, rr_run_item *item, rr_diag *diag) {
    place where = place_of("results", rank);
    size_t n = item->query.n;
    yyjson_val *index = yyjson_obj_get(result, "index");
    if (!yyjson_is_uint(index) || yyjson_get_uint(index) >= n ||
        item->passages[yyjson_get_uint(index)].id != NULL) {
        return rr_jsonl_fail(
            jsonl, diag, "%s\"index\": expected each number from 0 to %zu once", where.text, n - 1);
    }
    rr_passage *passage = &item->passages[yyjson_get_uint(index)];
    item->ranking.order[rank] = (uint32_t)yyjson_get_uint(index);
    RR_TRY(rr_jsonl_id(jsonl, result, where.text, "id", false, &passage->id, diag));
    RR_TRY(rr_jsonl_text(jsonl, result, where.text, "title", true, &passage->title, diag));
    RR_TRY(rr_jsonl_text(jsonl, result, where.text, "text", true, &passage->text, diag));
    item->has_texts = item->has_texts || passage->text.bytes > 0;
    return RR_OK;
}

static rr_status out_of_memory(const rr_jsonl *jsonl, rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", jsonl->label);
}

static rr_status read_results(
    const rr_jsonl *jsonl, yyjson_val *root, rr_run_item *item, rr_diag *diag) {
    yyjson_val *results, *result;
    RR_TRY(rr_jsonl_array(jsonl, root, "", "results", &results, diag));
    size_t index, n = yyjson_arr_size(results);
    item->query.n = item->ranking.n = n;
    item->passages = rr_arena_alloc(jsonl->arena, n + 1, sizeof *item->passages);
    item->ranking.order = rr_arena_alloc(jsonl->arena, n + 1, sizeof *item->ranking.order);
    if (item->passages == NULL || item->ranking.order == NULL) {
        return out_of_memory(jsonl, diag);
    }
    item->query.passages = item->passages;
    yyjson_arr_foreach(results, index, n, result) {
        RR_TRY(read_result(jsonl, result, index, item, diag));
    }
    return RR_OK;
}

/* Windows */

/* Which numbers a list has named; one array for all lists, each with a stamp of its own. */
typedef struct seen_numbers {
    uint32_t *stamps; /* one for each number that any list may name */
    uint32_t stamp;
} seen_numbers;

/* A list of n different numbers from `from` to `to`. */
static rr_status read_numbers(const rr_jsonl *jsonl, yyjson_val *window, const char *where,
    const char *key, size_t n, size_t from, size_t to, seen_numbers *seen, const uint32_t **out,
    rr_diag *diag) {
    yyjson_val *list, *value;
    RR_TRY(rr_jsonl_array(jsonl, window, where, key, &list, diag));
    size_t index, n_found = yyjson_arr_size(list);
    uint32_t *numbers = rr_arena_alloc(jsonl->arena, n + 1, sizeof *numbers);
    seen->stamp++;
    if (numbers == NULL) {
        return out_of_memory(jsonl, diag);
    }
    bool fits = n_found == n;
    yyjson_arr_foreach(list, index, n_found, value) {
        fits = fits && yyjson_is_uint(value) && yyjson_get_uint(value) >= from &&
            yyjson_get_uint(value) <= to && seen->stamps[yyjson_get_uint(value)] != seen->stamp;
        if (fits) {
            numbers[index] = (uint32_t)yyjson_get_uint(value);
            seen->stamps[numbers[index]] = seen->stamp;
        }
    }
    if (!fits) {
        return rr_jsonl_fail(jsonl, diag,
            "%s\"%s\": expected %zu different numbers from %zu to %zu", where, key, n, from, to);
    }
    *out = numbers;
    return RR_OK;
}

static rr_status read_costs(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    rr_window_result *window, rr_diag *diag) {
    const uint64_t most = (uint64_t)1 << 40;
    RR_TRY(read_count(jsonl, object, where, "prompt_tokens", most, &window->prompt_tokens, diag));
    RR_TRY(read_count(jsonl, object, where, "reused_tokens", most, &window->reused_tokens, diag));
    RR_TRY(read_count(
        jsonl, object, where, "generated_tokens", most, &window->generated_tokens, diag));
    RR_TRY(read_ns(jsonl, object, where, "prompt_ms", &window->prompt_ns, diag));
    RR_TRY(read_ns(jsonl, object, where, "generate_ms", &window->generate_ns, diag));
    return read_ns(jsonl, object, where, "time_ms", &window->time_ns, diag);
}

/* A list of n numbers from `least` to `most`. */
static rr_status read_doubles(const rr_jsonl *jsonl, yyjson_val *window, const char *where,
    const char *key, size_t n, double least, double most, double *out, rr_diag *diag) {
    yyjson_val *list, *value;
    RR_TRY(rr_jsonl_array(jsonl, window, where, key, &list, diag));
    size_t index, n_found = yyjson_arr_size(list);
    bool fits = n_found == n;
    yyjson_arr_foreach(list, index, n_found, value) {
        fits = fits && yyjson_is_num(value) && rr_jsonl_value(value) >= least &&
            rr_jsonl_value(value) <= most;
        if (fits) {
            out[index] = rr_jsonl_value(value);
        }
    }
    return fits ? RR_OK
                : rr_jsonl_fail(jsonl, diag, "%s\"%s\": expected %zu numbers from %g to %g", where,
                      key, n, least, most);
}

/* What was read of a window's passages, if anything was. */
static rr_status read_reads(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    rr_window_result *window, rr_diag *diag) {
    if (yyjson_obj_get(object, "scores") == NULL &&
        yyjson_obj_get(object, "probabilities") == NULL) {
        return RR_OK;
    }
    double *scores = rr_arena_alloc(jsonl->arena, window->n, sizeof *scores);
    double *probabilities = rr_arena_alloc(jsonl->arena, window->n, sizeof *probabilities);
    rr_passage_read *reads = rr_arena_alloc(jsonl->arena, window->n, sizeof *reads);
    if (scores == NULL || probabilities == NULL || reads == NULL) {
        return out_of_memory(jsonl, diag);
    }
    RR_TRY(
        read_doubles(jsonl, object, where, "scores", window->n, -DBL_MAX, DBL_MAX, scores, diag));
    RR_TRY(read_doubles(
        jsonl, object, where, "probabilities", window->n, 0.0, 1.0, probabilities, diag));
    for (uint32_t i = 0; i < window->n; i++) {
        reads[i].score = scores[i];
        reads[i].probability = probabilities[i];
    }
    window->reads = reads;
    return RR_OK;
}

static rr_status read_window(const rr_jsonl *jsonl, yyjson_val *object, size_t index,
    const rr_run_item *item, seen_numbers *seen, rr_window_result *window, rr_diag *diag) {
    place where = place_of("windows", index);
    uint64_t begin, end, listed;
    size_t n = item->query.n;
    RR_TRY(read_count(jsonl, object, where.text, "begin", n, &begin, diag));
    RR_TRY(read_count(jsonl, object, where.text, "end", n, &end, diag));
    yyjson_val *passages;
    RR_TRY(rr_jsonl_array(jsonl, object, where.text, "passages", &passages, diag));
    /* not always those from begin to end: a schedule may leave some out */
    size_t n_passages = yyjson_arr_size(passages);
    if (end <= begin || n_passages == 0 || n_passages > RR_WINDOW_MAX) {
        return rr_jsonl_fail(jsonl, diag,
            "windows[%zu]: expected \"end\" above \"begin\" and 1 to %d \"passages\"", index,
            (int)RR_WINDOW_MAX);
    }
    window->window = (rr_window){begin, end};
    window->n = (uint32_t)n_passages;
    RR_TRY(read_numbers(
        jsonl, object, where.text, "passages", window->n, 0, n - 1, seen, &window->passages, diag));
    RR_TRY(read_numbers(jsonl, object, where.text, "permutation", window->n, 1, window->n, seen,
        &window->permutation, diag));
    RR_TRY(rr_jsonl_text(jsonl, object, where.text, "reasoning", true, &window->reasoning, diag));
    RR_TRY(rr_jsonl_text(jsonl, object, where.text, "answer", true, &window->answer, diag));
    RR_TRY(read_count(jsonl, object, where.text, "listed", window->n, &listed, diag));
    window->n_listed = (uint32_t)listed;
    window->repaired = is_true(object, "repaired");
    window->truncated = is_true(object, "truncated");
    window->late = is_true(object, "late");
    RR_TRY(read_reads(jsonl, object, where.text, window, diag));
    return read_costs(jsonl, object, where.text, window, diag);
}

static rr_status read_windows(
    const rr_jsonl *jsonl, yyjson_val *root, rr_run_item *item, rr_diag *diag) {
    yyjson_val *windows, *object;
    RR_TRY(rr_jsonl_array(jsonl, root, "", "windows", &windows, diag));
    size_t index, n = yyjson_arr_size(windows);
    item->ranking.windows = rr_arena_alloc(jsonl->arena, n + 1, sizeof *item->ranking.windows);
    seen_numbers seen = {
        rr_arena_alloc(jsonl->arena, item->query.n + RR_WINDOW_MAX + 1, sizeof *seen.stamps), 0};
    if (item->ranking.windows == NULL || seen.stamps == NULL) {
        return out_of_memory(jsonl, diag);
    }
    item->ranking.n_windows = n;
    yyjson_arr_foreach(windows, index, n, object) {
        RR_TRY(read_window(jsonl, object, index, item, &seen, &item->ranking.windows[index], diag));
    }
    return RR_OK;
}

/* Attention */

/* A part of what was shown of a passage, from its characters. */
static rr_status read_part(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    rr_text shown, rr_read_part *out, rr_diag *diag) {
    const size_t n_chars = rr_clean_count(shown.data, shown.bytes);
    uint64_t begin, end;
    double share = 0.0;
    RR_TRY(read_count(jsonl, object, where, "begin", n_chars, &begin, diag));
    RR_TRY(read_count(jsonl, object, where, "end", n_chars, &end, diag));
    RR_TRY(rr_jsonl_number(jsonl, object, where, "share", &share, diag));
    if (begin > end || !(share >= 0.0 && share <= 1.0)) {
        return rr_jsonl_fail(jsonl, diag,
            "%s\"begin\": expected at most \"end\", and a \"share\" from 0 to 1", where);
    }
    out->begin = (uint32_t)rr_clean_cut(shown.data, shown.bytes, (size_t)begin);
    out->end = (uint32_t)rr_clean_cut(shown.data, shown.bytes, (size_t)end);
    out->share = (float)share;
    return RR_OK;
}

/* What drew the attention in a passage, where the window that it names read that passage. */
static rr_status read_attention(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    const rr_run_item *item, uint32_t passage, rr_text shown, rr_diag *diag) {
    uint64_t window, label;
    yyjson_val *words, *word;
    size_t index, n;
    RR_TRY(read_count(jsonl, object, where, "window", UINT32_MAX, &window, diag));
    RR_TRY(read_count(jsonl, object, where, "label", UINT32_MAX, &label, diag));
    RR_TRY(rr_jsonl_array(jsonl, object, where, "words", &words, diag));
    const rr_window_result *of =
        window < item->ranking.n_windows ? &item->ranking.windows[window] : NULL;
    if (of == NULL || of->reads == NULL || label == 0 || label > of->n ||
        of->passages[label - 1] != passage || yyjson_arr_size(words) > RR_READ_WORDS) {
        return rr_jsonl_fail(jsonl, diag,
            "%s\"window\": expected one with scores, the passage's \"label\" there and at most %d \"words\"",
            where, (int)RR_READ_WORDS);
    }
    rr_passage_read *read = (rr_passage_read *)(uintptr_t)&of->reads[label - 1]; /* ours */
    RR_TRY(read_part(jsonl, object, where, shown, &read->sentence, diag));
    yyjson_arr_foreach(words, index, n, word) {
        RR_TRY(read_part(
            jsonl, word, place_in(where, "words", index).text, shown, &read->words[index], diag));
    }
    read->n_words = (uint32_t)n;
    return rr_passage_read_is_sound(read)
        ? RR_OK
        : rr_jsonl_fail(jsonl, diag, "%s\"words\": expected words apart and in order", where);
}

/* Explanations that hold words, one a passage; those of the reasoning are found in it anew. Without
 * the passage's text there is nothing that the words could stand in. */
static rr_status read_explanations(const rr_jsonl *jsonl, yyjson_val *result, size_t rank,
    const rr_run_item *item, rr_diag *diag) {
    const rr_prompt_form form = rr_rank_form(&item->params);
    const uint32_t passage = item->ranking.order[rank];
    yyjson_val *list = yyjson_obj_get(result, "explanations"), *object;
    size_t index, n, n_read = 0;
    rr_buf shown = {0};
    rr_status status = RR_OK;
    yyjson_arr_foreach(list, index, n, object) {
        if (status != RR_OK || yyjson_obj_get(object, "words") == NULL ||
            yyjson_obj_get(result, "text") == NULL) {
            continue;
        }
        const place at = place_in(place_of("results", rank).text, "explanations", index);
        rr_prompt_passage(&form, &item->passages[passage], &shown);
        status = n_read++ > 0 ? rr_jsonl_fail(jsonl, diag,
                                    "%s\"words\": expected one explanation with words", at.text)
            : shown.failed
            ? out_of_memory(jsonl, diag)
            : read_attention(jsonl, object, at.text, item, passage,
                  (rr_text){shown.data != NULL ? shown.data : "", shown.bytes}, diag);
    }
    rr_buf_destroy(&shown);
    return status;
}

/* What was read of the passages, and the scores that follow from it. */
static rr_status read_scores(
    const rr_jsonl *jsonl, yyjson_val *root, rr_run_item *item, rr_diag *diag) {
    rr_status status = rr_ranking_score_all(&item->ranking, diag);
    yyjson_val *result;
    size_t index, n;
    rr_arena_take(jsonl->arena, &item->ranking.arena);
    RR_TRY(status);
    yyjson_arr_foreach(yyjson_obj_get(root, "results"), index, n, result) {
        RR_TRY(read_explanations(jsonl, result, index, item, diag));
    }
    return RR_OK;
}

/* Queries */

static rr_status read_options(
    const rr_jsonl *jsonl, yyjson_val *root, rr_run_item *item, rr_diag *diag) {
    yyjson_val *options = yyjson_obj_get(root, "options");
    uint64_t window, step, depth, passage_chars;
    rr_text way;
    if (!yyjson_is_obj(options)) {
        return RR_OK;
    }
    RR_TRY(read_count(jsonl, options, "options.", "window", UINT32_MAX, &window, diag));
    RR_TRY(read_count(jsonl, options, "options.", "step", UINT32_MAX, &step, diag));
    RR_TRY(read_count(jsonl, options, "options.", "depth", UINT32_MAX, &depth, diag));
    RR_TRY(
        read_count(jsonl, options, "options.", "passage_chars", UINT32_MAX, &passage_chars, diag));
    RR_TRY(rr_jsonl_text(jsonl, options, "options.", "way", true, &way, diag));
    item->way = way.bytes > 0 ? way.data : NULL;
    const char *schedule = yyjson_get_str(yyjson_obj_get(options, "schedule"));
    const uint64_t passes = yyjson_get_uint(yyjson_obj_get(options, "passes"));
    item->has_params = true;
    item->params = (rr_rank_params){.window = (size_t)window,
        .step = (size_t)step,
        .depth = (size_t)depth,
        .passes = passes < UINT32_MAX ? (size_t)passes : 0,
        .passage_chars = (uint32_t)passage_chars,
        .style = is_true(options, "think") ? RR_PROMPT_REARANK : RR_PROMPT_RANKGPT};
    /* runs of before there were others have none */
    for (int i = 0; i < RR_SCHEDULE_COUNT && schedule != NULL; i++) {
        if (strcmp(schedule, rr_schedule_names[i]) == 0) {
            item->params.schedule = (rr_schedule_kind)i;
        }
    }
    return RR_OK;
}

static rr_status read_query(
    const rr_jsonl *jsonl, yyjson_val *root, rr_run_item_fn fn, void *user, rr_diag *diag) {
    rr_run_item item = {0};
    rr_text model, device;
    if (!yyjson_is_obj(root)) {
        return rr_jsonl_fail(
            jsonl, diag, "found a JSON %s, expected %s", yyjson_get_type_desc(root), shape);
    }
    if (yyjson_obj_get(root, "results") == NULL) {
        return rr_jsonl_fail(jsonl, diag, "\"results\" is missing, expected %s", shape);
    }
    RR_TRY(rr_jsonl_id(jsonl, root, "", "qid", true, &item.qid, diag));
    RR_TRY(rr_jsonl_text(jsonl, root, "", "query", false, &item.query.text, diag));
    RR_TRY(rr_jsonl_text(jsonl, root, "", "model", true, &model, diag));
    RR_TRY(rr_jsonl_text(jsonl, root, "", "device", true, &device, diag));
    item.query.qid = item.qid != NULL ? item.qid : "1";
    item.model = model.bytes > 0 ? model.data : NULL;
    item.device = device.bytes > 0 ? device.data : NULL;
    RR_TRY(read_options(jsonl, root, &item, diag));
    RR_TRY(read_results(jsonl, root, &item, diag));
    RR_TRY(read_windows(jsonl, root, &item, diag));
    RR_TRY(read_scores(jsonl, root, &item, diag));
    RR_TRY(read_ns(jsonl, root, "", "time_ms", &item.ranking.time_ns, diag));
    return fn(user, &item, diag);
}

/* One value over the whole data: an array of queries, or one query on many lines. */
static rr_status read_document(
    rr_jsonl *jsonl, yyjson_val *root, rr_run_item_fn fn, void *user, rr_diag *diag) {
    jsonl->line = 1;
    if (!yyjson_is_arr(root)) {
        return read_query(jsonl, root, fn, user, diag);
    }
    if (yyjson_arr_size(root) == 0) {
        return rr_fail(diag, RR_E_INPUT, "%s: found no query, expected %s", jsonl->label, shape);
    }
    size_t index, n;
    yyjson_val *object;
    yyjson_arr_foreach(root, index, n, object) {
        rr_arena arena = {0};
        jsonl->arena = &arena;
        rr_status status = read_query(jsonl, object, fn, user, diag);
        rr_arena_destroy(&arena);
        if (status != RR_OK) {
            return rr_fail_context(diag, status, "query %zu of the array", index + 1);
        }
    }
    return RR_OK;
}

static rr_status read_lines(
    rr_jsonl *jsonl, rr_text line, yyjson_doc *doc, rr_run_item_fn fn, void *user, rr_diag *diag) {
    for (;;) {
        rr_arena arena = {0};
        jsonl->arena = &arena;
        rr_status status = read_query(jsonl, yyjson_doc_get_root(doc), fn, user, diag);
        yyjson_doc_free(doc);
        rr_arena_destroy(&arena);
        RR_TRY(status);
        if (!rr_jsonl_next_line(jsonl, &line)) {
            return RR_OK;
        }
        RR_TRY(rr_jsonl_parse(jsonl, line, shape, &doc, diag));
    }
}

rr_status rr_run_items_parse(const char *data, size_t bytes, const char *label, rr_run_item_fn fn,
    void *user, rr_diag *diag) {
    rr_arena arena = {0};
    rr_jsonl jsonl = rr_jsonl_start(label, data, bytes, &arena);
    rr_text line, whole = {jsonl.data, jsonl.bytes};
    rr_diag first = {0};
    yyjson_read_err error;
    yyjson_doc *doc = NULL;
    if (!rr_jsonl_next_line(&jsonl, &line)) {
        return rr_fail(diag, RR_E_INPUT, "%s: found nothing, expected %s", label, shape);
    }
    if (rr_jsonl_parse(&jsonl, line, shape, &doc, &first) == RR_OK) {
        return read_lines(&jsonl, line, doc, fn, user, diag);
    }
    doc = yyjson_read_opts(
        (char *)(uintptr_t)whole.data, whole.bytes, YYJSON_READ_NOFLAG, NULL, &error);
    if (doc == NULL) { /* the more telling of the two messages */
        return line.data[0] == '{' && jsonl.bytes > 0 && error.pos < line.bytes
            ? rr_fail(diag, RR_E_INPUT, "%s", first.text)
            : rr_fail(diag, RR_E_INPUT, "%s: not JSON at byte %zu: %s; expected %s", label,
                  error.pos + 1, error.msg, shape);
    }
    rr_status status = read_document(&jsonl, yyjson_doc_get_root(doc), fn, user, diag);
    yyjson_doc_free(doc);
    rr_arena_destroy(&arena);
    return status;
}
