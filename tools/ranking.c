#include "tools/ranking.h"

#include <string.h>

#include "runtime/base/file_out.h"
#include "runtime/base/log.h"

enum { DEPTH = 100 };
static const uint32_t depth_not_given = UINT32_MAX;

/* Input */

rr_opt_group rr_ranking_input_group(rr_ranking_input *input, bool with_query) {
    memset(input, 0, sizeof *input);
    input->window = RR_RANK_WINDOW;
    input->depth = depth_not_given;
    input->passes = 1;
    const rr_opt options[] = {
        {.name = "query",
            .letter = 'q',
            .kind = RR_OPT_TEXT,
            .target = &input->query,
            .value = "TEXT",
            .help = "the question to rank by"},
        {.name = "candidates",
            .kind = RR_OPT_TEXT,
            .target = &input->candidates_path,
            .value = "FILE",
            .help =
                "many queries, one JSON object a line: {\"qid\", \"query\", \"hits\": [{\"docid\", \"text\"}]}; also "
                "RankGPT's and rank_llm's files"},
        {.name = "window",
            .kind = RR_OPT_U32,
            .target = &input->window,
            .value = "N",
            .help = "passages ranked at once (default 20)",
            .min = 2,
            .max = RR_WINDOW_MAX},
        {.name = "step",
            .kind = RR_OPT_U32,
            .target = &input->step,
            .value = "N",
            .help = "how far the window moves up each time (default 10)",
            .min = 1,
            .max = RR_WINDOW_MAX},
        {.name = "depth",
            .kind = RR_OPT_U32,
            .target = &input->depth,
            .value = "N",
            .help = "rank this many from the top, keep the rest behind them; 0 = all (default 100)",
            .max = UINT32_MAX - 1},
        {.name = "schedule",
            .kind = RR_OPT_CHOICE,
            .target = &input->schedule,
            .choices = rr_schedule_names,
            .help =
                "which windows: sliding from the back to the front; topdown: what beats a pivot of the first window, all "
                "other windows side by side; single: one over all passages (default sliding)"},
        {.name = "passes",
            .kind = RR_OPT_U32,
            .target = &input->passes,
            .value = "N",
            .help = "do it all over N times, each over the outcome of the one before (default 1)",
            .min = 1,
            .max = RR_PASSES_MAX},
        {.name = "no-think",
            .kind = RR_OPT_FLAG,
            .target = &input->no_think,
            .help = "use the prompt without reasoning (RankGPT's)"},
    };
    enum { N_OPTIONS = sizeof options / sizeof options[0] };
    _Static_assert(
        sizeof options <= sizeof input->options, "rr_ranking_input.options is too small");
    memcpy(input->options, options, sizeof options);
    size_t skipped = with_query ? 0 : 1;
    return (rr_opt_group){"What to rank", input->options + skipped, N_OPTIONS - skipped};
}

static int read_passages(rr_ranking_input *input, const rr_cli_args *args, rr_diag *diag) {
    if (input->query == NULL) {
        return rr_cli_usage_error(
            "nothing to rank by: give -q QUERY and passages, --candidates FILE, or --run FILE");
    }
    static const char *const standard_input[] = {"-"};
    const char *const *paths = (const char *const *)args->items;
    size_t n_paths = args->n;
    if (n_paths == 0 && rr_terminal_is(RR_STREAM_IN)) {
        return rr_cli_usage_error(
            "no passages: name a file with a passage a line, or pipe them in");
    }
    if (n_paths == 0) {
        paths = standard_input;
        n_paths = 1;
    }
    rr_status status =
        rr_passages_read("1", input->query, paths, n_paths, &input->candidates, diag);
    return status == RR_OK ? RR_CLI_GO_ON : rr_cli_fail(status, diag);
}

int rr_ranking_input_read(rr_ranking_input *input, const rr_cli_args *args) {
    rr_diag diag = {0};
    input->params = (rr_rank_params){
        .window = input->window,
        .step = input->step,
        .depth = input->depth == depth_not_given ? DEPTH : input->depth,
        .schedule = (rr_schedule_kind)input->schedule,
        .passes = input->passes,
        .style = input->no_think ? RR_PROMPT_RANKGPT : RR_PROMPT_REARANK,
    };
    rr_status status = rr_rank_params_check(&input->params, &input->params, &diag);
    if (status != RR_OK) {
        return rr_cli_usage_error("--%s", diag.text);
    }
    bool data_set = rr_source_given(&input->source);
    input->many = input->candidates_path != NULL || data_set;
    if (!input->many) {
        return read_passages(input, args, &diag);
    }
    const char *given = data_set ? input->source.data != NULL ? "--data" : "--run" : "--candidates";
    if (input->query != NULL || args->n > 0 || (data_set && input->candidates_path != NULL)) {
        return rr_cli_usage_error("%s brings its own queries and passages: leave out %s", given,
            input->query != NULL ? "-q"
                : args->n > 0    ? args->items[0]
                                 : "--candidates");
    }
    if (data_set) {
        return rr_source_read(&input->source, input->params.depth, &input->candidates);
    }
    rr_null_texts nulls = {.leave_out = input->source.skip_missing};
    status = rr_candidates_read_texts(input->candidates_path, &nulls, &input->candidates, &diag);
    if (status == RR_OK && nulls.n > 0) {
        rr_log(RR_LOG_WARN, "left out, since their texts are null: %zu passages (such as %s)",
            nulls.n, nulls.first);
    }
    if (status == RR_OK && input->source.limit != 0 && input->source.limit < input->candidates.n) {
        input->candidates.n = input->source.limit;
    }
    return status == RR_OK ? RR_CLI_GO_ON : rr_cli_fail(status, &diag);
}

void rr_ranking_input_files(
    const rr_ranking_input *input, const rr_cli_args *args, rr_cli_files *files) {
    rr_cli_reads(files, "--candidates", input->candidates_path);
    rr_source_files(&input->source, files);
    for (size_t i = 0; i < args->n; i++) {
        rr_cli_reads(files, "the passages", args->items[i]);
    }
    rr_cli_reads(files, "the passages", args->n == 0 && !input->many ? "-" : NULL);
}

void rr_ranking_input_release(rr_ranking_input *input) {
    rr_candidates_destroy(&input->candidates);
    rr_source_release(&input->source);
}

size_t rr_ranking_input_n_windows(const rr_ranking_input *input, size_t from) {
    size_t n_windows = 0;
    rr_schedule_params schedule = rr_rank_schedule(&input->params);
    for (size_t i = from; i < input->candidates.n; i++) {
        n_windows += rr_schedule_count(
            &schedule, rr_rank_n(&input->candidates.queries[i], &input->params), NULL);
    }
    return n_windows;
}

/* Output */

rr_opt_group rr_ranking_output_group(rr_ranking_output *output) {
    memset(output, 0, sizeof *output);
    output->format = -1;
    const rr_opt options[] = {
        {.name = "format",
            .letter = 'f',
            .kind = RR_OPT_CHOICE,
            .target = &output->format,
            .choices = rr_run_format_names,
            .help = "how rankings are written (default: table on a terminal, else json)"},
        {.name = "output",
            .letter = 'o',
            .kind = RR_OPT_TEXT,
            .target = &output->path,
            .value = "FILE",
            .help =
                "write there instead of standard output; the file appears when it is complete, never over an input"},
        {.name = "explain",
            .letter = 'e',
            .kind = RR_OPT_FLAG,
            .target = &output->run.explain,
            .help =
                "also what the reasoning says of each passage; json: and the passages' titles and texts"},
        {.name = "explain-all",
            .kind = RR_OPT_FLAG,
            .target = &output->run.explain_all,
            .help =
                "the same without limits, and in a table each window's whole reasoning and answer"},
        {.name = "report",
            .kind = RR_OPT_TEXT,
            .target = &output->report_path,
            .value = "FILE",
            .help = "also write a page in HTML there, as `rearank report` does"},
    };
    _Static_assert(
        sizeof options <= sizeof output->options, "rr_ranking_output.options is too small");
    memcpy(output->options, options, sizeof options);
    return (rr_opt_group){"Output", output->options, sizeof options / sizeof options[0]};
}

void rr_ranking_output_files(const rr_ranking_output *output, rr_cli_files *files) {
    rr_cli_writes(files, "--output", output->path);
    rr_cli_writes(files, "--report", output->report_path);
}

/* Whoever did not ask for a depth may take the order behind it for a judgement. */
static void tell_depth(const rr_ranking_input *input) {
    size_t n_longer = 0;
    for (size_t i = 0; i < input->candidates.n; i++) {
        n_longer += input->candidates.queries[i].n > input->params.depth;
    }
    if (input->depth != depth_not_given || n_longer == 0) {
        return;
    }
    static const char advice[] = "the others stay behind them as they were; --depth 0 ranks all";
    if (!input->many) {
        rr_log(RR_LOG_WARN, "ranking the first %d of %zu passages; %s", DEPTH,
            input->candidates.queries[0].n, advice);
    } else {
        rr_log(RR_LOG_WARN, "queries with more than %d passages: %zu; ranking their first %d; %s",
            DEPTH, n_longer, DEPTH, advice);
    }
}

static rr_status begin_report(rr_ranking_output *output, rr_diag *diag) {
    if (output->report_path == NULL) {
        return RR_OK;
    }
    RR_TRY(rr_file_out_check(output->report_path, diag));
    return rr_report_begin(&output->report, &(rr_report_params){.many = output->run.many}, diag);
}

/* What a query's part of the report is made of. */
static rr_status add_to_report(
    rr_ranking_output *output, const rr_query *query, const rr_ranking *ranking, rr_diag *diag) {
    rr_run_item item = {
        .qid = output->run.many ? query->qid : NULL,
        .model = output->run.model,
        .device = output->run.device,
        .has_params = true,
        .params = *output->run.params,
        .way = output->run.way,
        .has_texts = true,
        .query = *query,
        .ranking = *ranking,
    };
    return rr_report_add(&output->report, &item, diag);
}

static rr_status end_report(rr_ranking_output *output, rr_diag *diag) {
    rr_buf page = {0};
    rr_status status = rr_report_end(&output->report, &page, diag);
    if (status == RR_OK) {
        status = rr_file_write_atomic(output->report_path, page.data, page.bytes, diag);
    }
    rr_buf_destroy(&page);
    return status;
}

rr_status rr_ranking_output_begin(
    rr_ranking_output *output, const rr_ranking_input *input, rr_diag *diag) {
    bool to_terminal = output->path == NULL && rr_terminal_is(RR_STREAM_OUT);
    if (output->format < 0) {
        output->format = to_terminal ? RR_RUN_TABLE : RR_RUN_JSON;
    }
    output->run.format = (rr_run_format)output->format;
    output->run.many = input->many;
    output->run.columns = to_terminal ? rr_terminal_columns(RR_STREAM_OUT) : 0;
    if (output->path != NULL) {
        RR_TRY(rr_file_out_check(output->path, diag));
    }
    output->run.explain = output->run.explain || output->run.explain_all;
    output->run.params = &input->params;
    RR_TRY(begin_report(output, diag));
    for (size_t i = 0; i < input->candidates.n; i++) {
        RR_TRY(rr_run_check(&output->run, &input->candidates.queries[i], diag));
    }
    tell_depth(input);
    return rr_run_begin(&output->run, &output->text, diag);
}

static void send(rr_ranking_output *output) {
    if (output->text.bytes > 0) {
        rr_out_write(output->text.data, output->text.bytes);
        rr_out_flush();
        rr_buf_clear(&output->text);
    }
}

rr_status rr_ranking_output_add(
    rr_ranking_output *output, const rr_query *query, const rr_ranking *ranking, rr_diag *diag) {
    RR_TRY(rr_run_query(&output->run, query, ranking, output->n_written, &output->text, diag));
    output->n_written++;
    if (output->report_path != NULL) {
        RR_TRY(add_to_report(output, query, ranking, diag));
    }
    if (output->path == NULL && output->run.format != RR_RUN_JSON) {
        send(output);
    }
    return RR_OK;
}

rr_status rr_ranking_output_end(rr_ranking_output *output, rr_diag *diag) {
    if (output->ended) {
        return RR_OK;
    }
    output->ended = true;
    RR_TRY(rr_run_end(&output->run, &output->text, diag));
    if (output->path != NULL) {
        RR_TRY(rr_file_write_atomic(output->path, output->text.data, output->text.bytes, diag));
    } else {
        send(output);
    }
    return output->report_path != NULL ? end_report(output, diag) : RR_OK;
}

void rr_ranking_output_release(rr_ranking_output *output) {
    rr_buf_destroy(&output->text);
    rr_report_destroy(&output->report);
}
