/* `rearank eval`: runs against relevance judgements. Needs no model and no GPU. */
#include <stdlib.h>
#include <string.h>

#include "rerank/data/bright.h"
#include "rerank/data/dataset.h"
#include "rerank/data/trec_read.h"
#include "runtime/base/log.h"
#include "tools/cli.h"
#include "tools/eval_out.h"

enum { FORMAT_TABLE, FORMAT_JSON, FORMAT_TEX };
enum { TEST_FIRST, TEST_ALL, TEST_NONE };
static const char *const formats[] = {"table", "json", "tex", NULL};
static const char *const tests[] = {"first", "all", "none", NULL};

static rr_status evaluate(rr_eval_report *report, const rr_trec_table *qrels,
    const rr_trec_table *excluded, size_t index, rr_diag *diag) {
    rr_trec_table run = {0};
    rr_eval *eval = &report->runs[index];
    rr_status status = rr_trec_read_run(report->paths[index], &run, diag);
    if (status == RR_OK && excluded->label != NULL) {
        rr_bright_exclude(&run, excluded, RR_BRIGHT_CUT);
    }
    if (status == RR_OK) {
        status = rr_eval_run(&run, qrels, &report->measures, &report->params, eval, diag);
    }
    if (status == RR_OK && eval->n_unjudged > 0) {
        int shown = eval->unjudged.bytes < 60 ? (int)eval->unjudged.bytes : 60;
        rr_log(RR_LOG_WARN, "%s: queries without judgements, left out: %zu (such as \"%.*s\")",
            report->paths[index], eval->n_unjudged, shown, eval->unjudged.data);
    }
    if (status == RR_OK && eval->n_missing > 0) {
        rr_log(RR_LOG_WARN, "%s: judged queries that the run lacks: %zu; %s", report->paths[index],
            eval->n_missing,
            report->params.complete ? "they count as 0" : "left out; --complete counts them as 0");
    }
    eval->unjudged = (rr_text){0}; /* its text goes with the run */
    rr_trec_table_destroy(&run);
    return status;
}

static rr_status compare(rr_eval_report *report, int test, rr_diag *diag) {
    size_t n = report->n_runs;
    if (test == TEST_NONE || n < 2) {
        return RR_OK;
    }
    report->pairs = calloc(test == TEST_ALL ? n * (n - 1) / 2 : n - 1, sizeof *report->pairs);
    if (report->pairs == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    for (size_t a = 0; a < (test == TEST_ALL ? n : 1); a++) {
        for (size_t b = a + 1; b < n; b++) {
            rr_eval_pair *pair = &report->pairs[report->n_pairs++];
            *pair = (rr_eval_pair){a, b, calloc(report->measures.n, sizeof *pair->tests),
                calloc(report->measures.n, sizeof *pair->intervals)};
            if (pair->tests == NULL || pair->intervals == NULL) {
                return rr_fail(diag, RR_E_MEMORY, "out of memory");
            }
            for (size_t m = 0; m < report->measures.n; m++) {
                RR_TRY(rr_trec_compare_runs(&report->runs[a], &report->runs[b], m,
                    &report->bootstrap, &pair->tests[m], &pair->intervals[m], diag));
            }
        }
    }
    return RR_OK;
}

static rr_status find_intervals(rr_eval_report *report, rr_diag *diag) {
    size_t n = report->measures.n;
    report->intervals = calloc(report->n_runs, n * sizeof *report->intervals);
    if (report->intervals == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < report->n_runs * n; i++) {
        RR_TRY(rr_eval_mean_interval(
            &report->runs[i / n], i % n, &report->bootstrap, &report->intervals[i], diag));
    }
    return RR_OK;
}

static rr_status report_all(rr_eval_report *report, int format, int test, rr_diag *diag) {
    rr_status status = RR_OK;
    rr_trec_table qrels = {0}, excluded = {0};
    report->runs = calloc(report->n_runs, sizeof *report->runs);
    if (report->runs == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    rr_eval_report_name(report);
    RR_TRY_GOTO(rr_trec_read_judgements(report->qrels, &qrels, &excluded, diag));
    for (size_t i = 0; i < report->n_runs; i++) {
        RR_TRY_GOTO(evaluate(report, &qrels, &excluded, i, diag));
    }
    RR_TRY_GOTO(find_intervals(report, diag));
    RR_TRY_GOTO(compare(report, test, diag));
    for (size_t i = 0; i < report->n_runs; i++) {
        if (report->names[i].failed) {
            status = rr_fail(diag, RR_E_MEMORY, "out of memory");
            goto fail;
        }
    }
    if (format == FORMAT_JSON) {
        RR_TRY_GOTO(rr_eval_report_json(report, diag));
    } else if (format == FORMAT_TEX) {
        rr_eval_report_tex(report);
    } else {
        rr_eval_report_table(report);
    }
fail:
    rr_trec_table_destroy(&qrels);
    rr_trec_table_destroy(&excluded);
    return status;
}

static void release(rr_eval_report *report) {
    for (size_t i = 0; i < report->n_runs; i++) {
        rr_buf_destroy(&report->names[i]);
        if (report->runs != NULL) {
            rr_eval_destroy(&report->runs[i]);
        }
    }
    for (size_t i = 0; i < report->n_pairs; i++) {
        free(report->pairs[i].tests);
        free(report->pairs[i].intervals);
    }
    free(report->intervals);
    free(report->runs);
    free(report->pairs);
}

/* The runs of --run, then the operands; at most one of all files is standard input. */
static int gather(rr_eval_report *report, const rr_cli_list *runs, const rr_cli_args *args) {
    if (report->qrels == NULL || runs->n + args->n == 0) {
        return rr_cli_usage_error("--%s FILE is missing", report->qrels == NULL ? "qrels" : "run");
    }
    if (runs->n + args->n > sizeof report->paths / sizeof report->paths[0]) {
        return rr_cli_usage_error(
            "more than %zu runs", sizeof report->paths / sizeof report->paths[0]);
    }
    size_t n_stdin = strcmp(report->qrels, "-") == 0;
    for (size_t i = 0; i < runs->n + args->n; i++) {
        report->paths[i] = i < runs->n ? runs->items[i] : args->items[i - runs->n];
        n_stdin += strcmp(report->paths[i], "-") == 0;
    }
    report->n_runs = runs->n + args->n;
    return n_stdin > 1 ? rr_cli_usage_error("standard input (\"-\") can be only one of the files")
                       : RR_CLI_GO_ON;
}

/* --qrels FOLDER stands for the judgements in it. */
static rr_status find_qrels(rr_eval_report *report, rr_dataset *folder, rr_diag *diag) {
    if (!rr_dataset_is_folder(report->qrels)) {
        return RR_OK;
    }
    RR_TRY(rr_dataset_find(report->qrels, folder, diag));
    if (folder->qrels != NULL) {
        report->qrels = folder->qrels;
        return RR_OK;
    }
    rr_buf names = {0};
    rr_dataset_names(RR_DATASET_QRELS, &names);
    rr_status status =
        rr_fail(diag, RR_E_INPUT, "%s: found none of %s; --qrels FILE names the judgements",
            report->qrels, names.data != NULL ? names.data : "");
    rr_buf_destroy(&names);
    return status;
}

int rr_verb_eval(int argc, char **argv) {
    rr_eval_report report = {.digits = 4, .bootstrap = {.level = 0.95, .seed = 1}};
    rr_cli_list runs = {0};
    const char *metrics = "ndcg@10,map,mrr,recall@100";
    uint32_t level = 1, depth = 0;
    int format = FORMAT_TABLE, test = TEST_FIRST;
    const rr_opt options[] = {
        {.name = "qrels",
            .kind = RR_OPT_TEXT,
            .target = &report.qrels,
            .value = "FILE",
            .help =
                "judgements: TREC or MS MARCO qrels, BEIR's qrels/*.tsv, BRIGHT's examples, or a folder with one of them"},
        {.name = "run",
            .letter = 'r',
            .kind = RR_OPT_LIST,
            .target = &runs,
            .value = "FILE",
            .help = "a run; again for each further one; all are set side by side"},
        {.name = "metrics",
            .letter = 'm',
            .kind = RR_OPT_TEXT,
            .target = &metrics,
            .value = "LIST",
            .help = "measures with commas between (default: ndcg@10,map,mrr,recall@100)"},
        {.name = "per-query",
            .letter = 'q',
            .kind = RR_OPT_FLAG,
            .target = &report.per_query,
            .help = "also each query's values (json always has them)"},
        {.name = "format",
            .letter = 'f',
            .kind = RR_OPT_CHOICE,
            .target = &format,
            .choices = formats,
            .help = "how to print (default: table)"},
        {.name = "level",
            .letter = 'l',
            .kind = RR_OPT_U32,
            .target = &level,
            .value = "N",
            .min = 1,
            .max = RR_EVAL_MAX_LEVEL,
            .help = "levels from N on count as relevant (default 1); nDCG's gains stay the levels"},
        {.name = "complete",
            .letter = 'c',
            .kind = RR_OPT_FLAG,
            .target = &report.params.complete,
            .help =
                "average over all judged queries: those that a run lacks count as 0; num_rel sums all levels above 0"},
        {.name = "depth",
            .letter = 'M',
            .kind = RR_OPT_U32,
            .target = &depth,
            .value = "N",
            .min = 1,
            .max = UINT32_MAX,
            .help = "look at the first N results of a query (default: all)"},
        {.name = "judged-only",
            .letter = 'J',
            .kind = RR_OPT_FLAG,
            .target = &report.params.judged_only,
            .help = "take passages without a judgement out of the runs first"},
        {.name = "test",
            .kind = RR_OPT_CHOICE,
            .target = &test,
            .choices = tests,
            .help =
                "paired t-tests of several runs: each against the first, all pairs, or none (default: first)"},
        {.name = "bootstrap",
            .letter = 'b',
            .kind = RR_OPT_U32,
            .target = &report.bootstrap.n_samples,
            .value = "N",
            .min = 100,
            .max = 10000000,
            .help =
                "also the intervals that hold means and differences with 95 % chance, from N samples (such as 10000)"},
        {.name = "digits",
            .kind = RR_OPT_U32,
            .target = &report.digits,
            .value = "N",
            .min = 1,
            .max = 15,
            .help = "decimals in table and tex (default 4)"},
    };
    rr_buf notes = {0};
    rr_buf_printf(&notes,
        "%s\n\nRuns are TREC runs, MS MARCO runs (qid docid rank), what `rearank rank` writes (json, jsonl, tsv), or candidates files,\n"
        "also RankGPT's and rank_llm's; \"-\" is standard input. The rules are those of trec_eval 10: results are ordered by\n"
        "score, ties by docid, both falling; scores are doubles (trec_eval 9 and pytrec_eval round them to floats, so that more\n"
        "of them tie); the rank column is ignored; queries without judgements are left out. Lines that start with # are comments\n"
        "unless they have the form of the other lines (trec_eval 10 skips all of them, 9 none).",
        rr_measures_help());
    const rr_cli_spec spec = {
        .synopsis = "--qrels FILE --run FILE [--run FILE ...]",
        .about = "Measures how good rankings are, by relevance judgements. Needs no GPU.",
        .notes = notes.data,
        .max_args = 255,
        .groups = {rr_cli_options(options)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    rr_buf_destroy(&notes);
    code = code == RR_CLI_GO_ON ? gather(&report, &runs, &args) : code;
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    rr_diag diag = {0};
    report.params.relevant_from = (int32_t)level;
    report.params.depth = depth;
    rr_dataset folder = {0};
    rr_status status = rr_measures_parse(metrics, &report.measures, &diag);
    if (status == RR_OK) {
        status = find_qrels(&report, &folder, &diag);
    }
    if (status == RR_OK) {
        status = report_all(&report, format, test, &diag);
    }
    release(&report);
    rr_dataset_destroy(&folder);
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}
