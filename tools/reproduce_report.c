#include "runtime/base/file_out.h"
#include "tools/reproduce.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "rerank/data/bright.h"
#include "rerank/data/trec_read.h"
#include "rerank/eval/eval.h"
#include "runtime/base/file.h"
#include "tools/cli.h"

/* Measuring */

enum { N_RESAMPLES = 2000 };

typedef struct judge {
    rr_measures measures;
    rr_trec_table qrels, excluded;
} judge;

static rr_status start_judge(judge *j, const char *qrels, rr_diag *diag) {
    RR_TRY(rr_measures_parse("ndcg@10", &j->measures, diag));
    return rr_trec_read_judgements(qrels, &j->qrels, &j->excluded, diag);
}

static void end_judge(judge *j) {
    rr_trec_table_destroy(&j->qrels);
    rr_trec_table_destroy(&j->excluded);
}

static rr_status judge_run(
    judge *j, const char *path, rr_trec_table *run, rr_eval *eval, rr_diag *diag) {
    RR_TRY(rr_trec_read_run(path, run, diag));
    if (j->excluded.label != NULL) {
        rr_bright_exclude(run, &j->excluded, RR_BRIGHT_CUT);
    }
    return rr_eval_run(run, &j->qrels, &j->measures, &(rr_eval_params){0}, eval, diag);
}

rr_status rr_reproduce_first_stage(
    const char *run, const char *qrels, double *ndcg, size_t *n_queries, rr_diag *diag) {
    judge j = {0};
    rr_trec_table table = {0};
    rr_eval eval = {0};
    rr_status status = start_judge(&j, qrels, diag);
    if (status == RR_OK) {
        status = judge_run(&j, run, &table, &eval, diag);
    }
    if (status == RR_OK) {
        *ndcg = 100.0 * eval.means[0];
        *n_queries = eval.n;
    }
    rr_eval_destroy(&eval);
    rr_trec_table_destroy(&table);
    end_judge(&j);
    return status;
}

/* The interval that holds the middle 95 % of the means of resampled queries; of one query, its
 * value. */
static rr_status interval(
    const double *values, size_t n, double *low, double *high, rr_diag *diag) {
    rr_interval found = {values[0], values[0]};
    if (n > 1 && !rr_bootstrap_mean(values, n, N_RESAMPLES, 0.95, 1, &found)) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    *low = 100.0 * found.low;
    *high = 100.0 * found.high;
    return RR_OK;
}

/* A text as a JSON string. */
static void put_text(rr_buf *out, const char *text, size_t bytes) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *value = doc != NULL ? yyjson_mut_strn(doc, text, bytes) : NULL;
    char *json = NULL;
    if (value != NULL) {
        yyjson_mut_doc_set_root(doc, value);
        json = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    }
    out->failed = out->failed || json == NULL;
    rr_buf_text(out, json != NULL ? json : "");
    free(json);
    yyjson_mut_doc_free(doc);
}

/* Both runs over the queries that are in both. */
static rr_status compare(
    const rr_eval *first, const rr_eval *ours, rr_reproduced *out, rr_diag *diag) {
    double *values = calloc(ours->n + 1, sizeof *values), first_sum = 0.0, sum = 0.0;
    if (values == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    /* both point into the same judgements, in the same order */
    for (size_t i = 0, k = 0; i < ours->n; i++) {
        while (k < first->n && first->queries[k] < ours->queries[i]) {
            k++;
        }
        if (k == first->n || first->queries[k] != ours->queries[i]) {
            continue;
        }
        double before = first->values[k], now = ours->values[i];
        values[out->n_queries++] = now;
        first_sum += before;
        sum += now;
        out->n_better += now > before;
        out->n_worse += now < before;
        rr_buf_text(&out->per_query, out->n_queries > 1 ? ", " : "");
        put_text(&out->per_query, ours->queries[i]->qid.data, ours->queries[i]->qid.bytes);
        rr_buf_printf(&out->per_query, ": [%.6f, %.6f]", before, now);
    }
    rr_status status = out->per_query.failed ? rr_fail(diag, RR_E_MEMORY, "out of memory") : RR_OK;
    if (status == RR_OK && out->n_queries == 0) {
        status = rr_fail(
            diag, RR_E_INPUT, "no query is in the ranking, the first stage and the judgements");
    }
    if (status == RR_OK) {
        out->first = 100.0 * first_sum / (double)out->n_queries;
        out->ours = 100.0 * sum / (double)out->n_queries;
        status = interval(values, out->n_queries, &out->low, &out->high, diag);
    }
    free(values);
    return status;
}

static void count_window(yyjson_val *window, rr_reproduced *out) {
    out->n_windows++;
    out->n_repaired += yyjson_get_bool(yyjson_obj_get(window, "repaired"));
    out->n_truncated += yyjson_get_bool(yyjson_obj_get(window, "truncated"));
    out->prompt_tokens += yyjson_get_uint(yyjson_obj_get(window, "prompt_tokens"));
    out->generated_tokens += yyjson_get_uint(yyjson_obj_get(window, "generated_tokens"));
}

/* What the ranking's own lines tell: model, device, flags, tokens, time. */
static rr_status count(const char *path, rr_reproduced *out, rr_diag *diag) {
    rr_mapping map = {0};
    RR_TRY(rr_file_map(path, &map, diag));
    const char *at = (const char *)map.data, *end = at + map.bytes;
    rr_status status = RR_OK;
    while (at < end && status == RR_OK) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t bytes = (size_t)((stop != NULL ? stop : end) - at), index, n;
        yyjson_doc *doc = yyjson_read(at, bytes, 0);
        yyjson_val *root = yyjson_doc_get_root(doc), *window;
        if (root == NULL) {
            status = rr_fail(diag, RR_E_INPUT, "%s: found what is no line of a ranking", path);
        }
        yyjson_arr_foreach(yyjson_obj_get(root, "windows"), index, n, window) {
            count_window(window, out);
        }
        yyjson_val *time = yyjson_obj_get(root, "time_ms");
        out->seconds += yyjson_is_real(time) ? yyjson_get_real(time) / 1000.0 : 0.0;
        const char *model = yyjson_get_str(yyjson_obj_get(root, "model")),
                   *device = yyjson_get_str(yyjson_obj_get(root, "device"));
        if (out->model.bytes == 0 && model != NULL && device != NULL) {
            rr_buf_text(&out->model, model);
            rr_buf_text(&out->device, device);
        }
        yyjson_doc_free(doc);
        at += bytes + (stop != NULL);
    }
    rr_file_unmap(&map);
    return status;
}

rr_status rr_reproduce_measure(const char *ranked, const char *first_stage, const char *qrels,
    rr_reproduced *out, rr_diag *diag) {
    judge j = {0};
    rr_trec_table first_run = {0}, our_run = {0};
    rr_eval first = {0}, ours = {0};
    rr_status status = RR_OK;
    RR_TRY_GOTO(start_judge(&j, qrels, diag));
    RR_TRY_GOTO(judge_run(&j, first_stage, &first_run, &first, diag));
    RR_TRY_GOTO(judge_run(&j, ranked, &our_run, &ours, diag));
    RR_TRY_GOTO(compare(&first, &ours, out, diag));
    RR_TRY_GOTO(count(ranked, out, diag));
fail:
    rr_eval_destroy(&first);
    rr_eval_destroy(&ours);
    rr_trec_table_destroy(&first_run);
    rr_trec_table_destroy(&our_run);
    end_judge(&j);
    return status;
}

void rr_reproduced_destroy(rr_reproduced *found) {
    rr_buf_destroy(&found->model);
    rr_buf_destroy(&found->device);
    rr_buf_destroy(&found->per_query);
}

/* The report */

static const char source[] = "REARANK (arXiv 2505.20046), table of results";

/* Whether the figure may be set beside the published one: all queries of the set count. */
static bool is_whole(const rr_reproduced *found) {
    return found->n_queries == found->row->n_queries;
}

static void put_row(rr_buf *out, const char *what, double published, bool has_ours, double ours) {
    rr_buf_printf(out, "| %s | ", what);
    rr_buf_printf(out, published > 0 ? "%.2f" : "-", published);
    rr_buf_printf(out, has_ours ? " | %.2f |\n" : " | |\n", ours);
}

static void write_markdown(const rr_reproduced *found, rr_buf *out) {
    const rr_published *row = found->row;
    const char *model = found->model.data != NULL ? found->model.data : "?",
               *device = found->device.data != NULL ? found->device.data : "?";
    rr_buf_printf(
        out, "# %s: nDCG@10 of `%s`\n\n| | published | here |\n|---|---|---|\n", row->title, model);
    put_row(out, "first stage (published: BM25, k1 0.9, b 0.4)", row->bm25, true, found->first);
    put_row(out, "Qwen2.5-7B, not trained to rank", row->zero_shot, false, 0);
    put_row(out, "RankGPT-4", row->rankgpt4, false, 0);
    put_row(out, "REARANK-7B", row->rearank, true, found->ours);
    rr_buf_printf(out,
        "\nHere: `%s` on %s, %zu of the set's %zu queries, 95 %% interval over queries %.2f to %.2f",
        model, device, found->n_queries, row->n_queries, found->low, found->high);
    if (is_whole(found) && row->rearank > 0) {
        rr_buf_printf(out, "; %+.2f against the published figure, which lies %s the interval.\n",
            found->ours - row->rearank,
            row->rearank >= found->low && row->rearank <= found->high ? "inside" : "outside");
    } else {
        rr_buf_printf(out, ".\n%s\n",
            is_whole(found)
                ? "The paper gives only the mean over BRIGHT's twelve sets: 17.7 (BM25 13.7)."
                : "Not the whole set: no comparison with the published figures.");
    }
    rr_buf_printf(out, "Queries better than the first stage: %zu, worse: %zu.\n", found->n_better,
        found->n_worse);
    rr_buf_printf(out,
        "Windows: %zu, of which the answer was repaired in %zu and cut in %zu. Tokens: %llu of prompts, %llu written. "
        "Time: %.0f s.\n\n",
        found->n_windows, found->n_repaired, found->n_truncated,
        (unsigned long long)found->prompt_tokens, (unsigned long long)found->generated_tokens,
        found->seconds);
    rr_buf_printf(out,
        "Settings: first %d results, window %d, step %d, greedy, at most %d tokens a window.\n\n    %s\n\nPublished figures: "
        "%s.\n",
        RR_REPRODUCE_DEPTH, RR_REPRODUCE_WINDOW, RR_REPRODUCE_STEP, RR_REPRODUCE_TOKENS,
        found->command, source);
}

static void put_figure(rr_buf *out, const char *name, double value) {
    rr_buf_printf(out, "\"%s\": ", name);
    rr_buf_printf(out, value > 0 ? "%.2f" : "null", value);
}

static void write_json(const rr_reproduced *found, rr_buf *out) {
    const rr_published *row = found->row;
    rr_buf_printf(out,
        "{\n  \"name\": \"%s\",\n  \"title\": \"%s\",\n  \"source\": \"%s\",\n  \"measure\": \"ndcg@10\",\n  \"model\": ",
        row->name, row->title, source);
    put_text(out, found->model.data != NULL ? found->model.data : "", found->model.bytes);
    rr_buf_text(out, ",\n  \"device\": ");
    put_text(out, found->device.data != NULL ? found->device.data : "", found->device.bytes);
    rr_buf_text(out, ",\n  \"command\": ");
    put_text(out, found->command, strlen(found->command));
    rr_buf_printf(out,
        ",\n  \"settings\": {\"depth\": %d, \"window\": %d, \"step\": %d, \"max_tokens\": %d},\n",
        RR_REPRODUCE_DEPTH, RR_REPRODUCE_WINDOW, RR_REPRODUCE_STEP, RR_REPRODUCE_TOKENS);
    rr_buf_printf(out,
        "  \"n_queries\": %zu,\n  \"n_queries_of_set\": %zu,\n  \"limit_queries\": %zu,\n",
        found->n_queries, row->n_queries, found->limit);
    rr_buf_printf(out,
        "  \"first_stage\": %.4f,\n  \"reranked\": %.4f,\n  \"interval\": [%.4f, %.4f],\n",
        found->first, found->ours, found->low, found->high);
    rr_buf_text(out, "  \"published\": {");
    put_figure(out, "bm25", row->bm25);
    rr_buf_text(out, ", ");
    put_figure(out, "qwen2.5-7b", row->zero_shot);
    rr_buf_text(out, ", ");
    put_figure(out, "rankgpt-4", row->rankgpt4);
    rr_buf_text(out, ", ");
    put_figure(out, "rearank-7b", row->rearank);
    rr_buf_text(out, "},\n  \"difference\": ");
    rr_buf_printf(
        out, is_whole(found) && row->rearank > 0 ? "%.4f" : "null", found->ours - row->rearank);
    rr_buf_printf(out,
        ",\n  \"better\": %zu,\n  \"worse\": %zu,\n  \"windows\": %zu,\n  \"repaired\": %zu,\n  \"truncated\": %zu,\n",
        found->n_better, found->n_worse, found->n_windows, found->n_repaired, found->n_truncated);
    rr_buf_printf(out,
        "  \"prompt_tokens\": %llu,\n  \"generated_tokens\": %llu,\n  \"seconds\": %.3f,\n",
        (unsigned long long)found->prompt_tokens, (unsigned long long)found->generated_tokens,
        found->seconds);
    rr_buf_printf(out, "  \"per_query\": {%s}\n}\n",
        found->per_query.data != NULL ? found->per_query.data : "");
}

static rr_status write_into(
    const char *folder, const char *name, const rr_buf *text, rr_diag *diag) {
    rr_buf path = {0};
    rr_buf_printf(&path, "%s/%s", folder, name);
    rr_status status = path.failed || text->failed
        ? rr_fail(diag, RR_E_MEMORY, "out of memory")
        : rr_file_write_atomic(path.data, text->data, text->bytes, diag);
    rr_buf_destroy(&path);
    return status;
}

rr_status rr_reproduce_report(const rr_reproduced *found, const char *folder, rr_diag *diag) {
    rr_buf markdown = {0}, json = {0};
    write_markdown(found, &markdown);
    write_json(found, &json);
    rr_status status = write_into(folder, "report.md", &markdown, diag);
    if (status == RR_OK) {
        status = write_into(folder, "report.json", &json, diag);
    }
    if (status == RR_OK) {
        rr_out_write(markdown.data, markdown.bytes);
    }
    rr_buf_destroy(&markdown);
    rr_buf_destroy(&json);
    return status;
}
