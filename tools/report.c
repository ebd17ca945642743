/* `rearank report`: a ranking or a run as one HTML page. Needs no model and no device. */
#include <string.h>

#include "rerank/data/trec_read.h"
#include "rerank/report/report.h"
#include "runtime/base/file_out.h"
#include "runtime/base/log.h"
#include "runtime/base/text_file.h"
#include "tools/cli.h"

typedef struct report_options {
    const char *run, *output, *title, *qrels;
    const char *candidates_path, *passages_path;
} report_options;

/* What the report is made from. */
typedef struct report_job {
    const report_options *options;
    rr_buf run;
    rr_candidates texts; /* --candidates or --passages */
    rr_trec_table qrels;
    rr_report report;
    size_t n_queries, n_with_qid;
} report_job;

static rr_status count_query(void *user, rr_run_item *item, rr_diag *diag) {
    (void)diag;
    report_job *job = user;
    job->n_queries++;
    job->n_with_qid += item->qid != NULL;
    return RR_OK;
}

/* The query of --candidates with this qid; --passages has only one. `at` is where it should be. */
static const rr_query *find_query(const report_job *job, const rr_run_item *item, size_t at) {
    const rr_candidates *texts = &job->texts;
    if (job->options->passages_path != NULL || (item->qid == NULL && texts->n == 1)) {
        return &texts->queries[0];
    }
    if (item->qid != NULL && at < texts->n && strcmp(texts->queries[at].qid, item->qid) == 0) {
        return &texts->queries[at];
    }
    for (size_t i = 0; item->qid != NULL && i < texts->n; i++) {
        if (strcmp(texts->queries[i].qid, item->qid) == 0) {
            return &texts->queries[i];
        }
    }
    return NULL;
}

static const rr_passage *find_passage(const rr_query *query, const char *id, size_t at) {
    if (at < query->n && strcmp(query->passages[at].id, id) == 0) {
        return &query->passages[at];
    }
    for (size_t i = 0; i < query->n; i++) {
        if (strcmp(query->passages[i].id, id) == 0) {
            return &query->passages[i];
        }
    }
    return NULL;
}

/* Gives passages the texts that the run lacks. */
static rr_status add_query(void *user, rr_run_item *item, rr_diag *diag) {
    report_job *job = user;
    const rr_query *query = job->texts.n > 0 ? find_query(job, item, job->report.n_queries) : NULL;
    for (size_t i = 0; query != NULL && i < item->query.n; i++) {
        const rr_passage *found = find_passage(query, item->passages[i].id, i);
        if (found != NULL && item->passages[i].text.bytes == 0) {
            item->passages[i].text = found->text;
            item->passages[i].title = found->title;
            item->has_texts = item->has_texts || found->text.bytes > 0;
        }
    }
    return rr_report_add(&job->report, item, diag);
}

static rr_status read_inputs(report_job *job, rr_diag *diag) {
    const report_options *options = job->options;
    RR_TRY(rr_text_file_read(options->run, RR_CANDIDATES_MAX_BYTES, &job->run, diag));
    if (options->candidates_path != NULL) {
        RR_TRY(rr_candidates_read(options->candidates_path, &job->texts, diag));
    } else if (options->passages_path != NULL) {
        RR_TRY(rr_passages_read("1", "-", &options->passages_path, 1, &job->texts, diag));
    }
    return options->qrels != NULL ? rr_trec_read_qrels(options->qrels, &job->qrels, diag) : RR_OK;
}

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static rr_status make_report(report_job *job, rr_buf *page, rr_diag *diag) {
    const report_options *options = job->options;
    RR_TRY(read_inputs(job, diag));
    const char *run = job->run.data != NULL ? job->run.data : "";
    RR_TRY(rr_run_items_parse(run, job->run.bytes, options->run, count_query, job, diag));
    rr_report_params params = {
        .title = options->title,
        .source = strcmp(options->run, "-") == 0 ? NULL : file_name(options->run),
        .many = job->n_queries > 1,
        .qrels = options->qrels != NULL ? &job->qrels : NULL,
    };
    RR_TRY(rr_report_begin(&job->report, &params, diag));
    RR_TRY(rr_run_items_parse(run, job->run.bytes, options->run, add_query, job, diag));
    RR_TRY(rr_report_end(&job->report, page, diag));
    if (job->report.n_without_texts > 0) {
        rr_log(RR_LOG_WARN,
            "%s: queries without texts of passages: %zu of %zu; rank with --explain, or give --candidates or --passages",
            options->run, job->report.n_without_texts, job->n_queries);
    }
    if (options->qrels != NULL && job->report.n_judged < job->n_queries) {
        rr_log(RR_LOG_WARN, "%s: queries without judgements in %s: %zu of %zu%s", options->run,
            options->qrels, job->n_queries - job->report.n_judged, job->n_queries,
            job->n_with_qid == 0 && job->qrels.n_queries > 1
                ? "; the run has no qid to find them by"
                : "");
    }
    return RR_OK;
}

static int report(const report_options *options) {
    report_job job = {.options = options};
    rr_buf page = {0};
    rr_diag diag = {0};
    rr_status status = options->output != NULL ? rr_file_out_check(options->output, &diag) : RR_OK;
    status = status != RR_OK ? status : make_report(&job, &page, &diag);
    if (status == RR_OK && options->output != NULL) {
        status = rr_file_write_atomic(options->output, page.data, page.bytes, &diag);
    } else if (status == RR_OK) {
        rr_out_write(page.data, page.bytes);
    }
    rr_report_destroy(&job.report);
    rr_trec_table_destroy(&job.qrels);
    rr_candidates_destroy(&job.texts);
    rr_buf_destroy(&job.run);
    rr_buf_destroy(&page);
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}

static int check_files(const report_options *options) {
    rr_cli_files files = {0};
    rr_cli_writes(&files, "--output", options->output);
    rr_cli_reads(&files, "RUN", options->run);
    rr_cli_reads(&files, "--candidates", options->candidates_path);
    rr_cli_reads(&files, "--passages", options->passages_path);
    rr_cli_reads(&files, "--qrels", options->qrels);
    return rr_cli_files_check(&files);
}

int rr_verb_report(int argc, char **argv) {
    report_options options = {0};
    const rr_opt rows[] = {
        {.name = "output",
            .letter = 'o',
            .kind = RR_OPT_TEXT,
            .target = &options.output,
            .value = "FILE",
            .help =
                "write there instead of standard output; the file appears when it is complete, never over an input"},
        {.name = "candidates",
            .kind = RR_OPT_TEXT,
            .target = &options.candidates_path,
            .value = "FILE",
            .help = "the candidates that were ranked, for the passages' texts when RUN lacks them"},
        {.name = "passages",
            .kind = RR_OPT_TEXT,
            .target = &options.passages_path,
            .value = "FILE",
            .help = "the same for a single query: the file that `rank -q` was given"},
        {.name = "qrels",
            .kind = RR_OPT_TEXT,
            .target = &options.qrels,
            .value = "FILE",
            .help = "judgements: shows grades, and nDCG@10 before and after"},
        {.name = "title",
            .kind = RR_OPT_TEXT,
            .target = &options.title,
            .value = "TEXT",
            .help = "the page's title (default: the query, or how many there are)"},
    };
    const rr_cli_spec spec = {
        .synopsis = "RUN.json -o FILE.html",
        .about =
            "Shows a ranking or a run as one HTML page that needs no network: ranks before and after with lines between them,\n"
            "the reasoning with its passages linked, tokens, time and flags of each window.",
        .notes =
            "RUN is what `rearank rank` writes with --format json or jsonl, \"-\" is standard input. With --explain it holds the\n"
            "passages' texts; without, give --candidates or --passages.",
        .min_args = 1,
        .max_args = 1,
        .groups = {rr_cli_options(rows)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    options.run = args.items[0];
    if (options.candidates_path != NULL && options.passages_path != NULL) {
        return rr_cli_usage_error(
            "--candidates and --passages are for different runs: give one of them");
    }
    if (options.output == NULL && rr_terminal_is(RR_STREAM_OUT)) {
        return rr_cli_usage_error("a page is not for a terminal: give -o FILE.html");
    }
    code = check_files(&options);
    return code == RR_CLI_GO_ON ? report(&options) : code;
}
