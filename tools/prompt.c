/* `rearank prompt`: what a model would be asked about one window; needs no model and no device. */
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "tools/ranking.h"

static rr_status write_json(const rr_prompt *prompt, rr_diag *diag) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    bool ok = doc != NULL && list != NULL;
    if (ok) {
        yyjson_mut_doc_set_root(doc, list);
    }
    for (size_t i = 0; i < prompt->n && ok; i++) {
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, list);
        ok = item != NULL && yyjson_mut_obj_add_str(doc, item, "role", prompt->messages[i].role) &&
            yyjson_mut_obj_add_strn(doc, item, "content", prompt->messages[i].content,
                prompt->messages[i].content_bytes);
    }
    char *text = ok ? yyjson_mut_write(doc, YYJSON_WRITE_PRETTY, NULL) : NULL;
    yyjson_mut_doc_free(doc);
    if (text == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory while writing the prompt");
    }
    rr_out_text(text);
    rr_out_text("\n");
    free(text);
    return RR_OK;
}

static rr_status write_prompt(
    const rr_ranking_input *input, const rr_query *query, size_t index, bool json, rr_diag *diag) {
    const rr_rank_params *params = &input->params;
    size_t n = rr_rank_n(query, params);
    rr_schedule_params schedule = rr_rank_schedule(params);
    rr_window window;
    RR_TRY(rr_schedule_check(&schedule, n, diag));
    if (!rr_schedule_window(&schedule, n, index, &window)) {
        size_t n_windows = rr_schedule_count(&schedule, n, NULL);
        return rr_fail(diag, RR_E_USAGE,
            "--window-index: found %zu, but %zu passages make %zu window%s (counted from 0)%s",
            index, n, n_windows, n_windows == 1 ? "" : "s",
            params->schedule == RR_SCHEDULE_TOPDOWN
                ? ", of which only the first is known before it is ranked"
                : "");
    }
    rr_query part = *query;
    part.passages += window.begin;
    part.n = window.end - window.begin;
    rr_prompt prompt = {0};
    rr_buf text = {0};
    const rr_prompt_form form = rr_rank_form(params);
    rr_status status = rr_prompt_build(&form, &part, NULL, part.n, &prompt, diag);
    if (status == RR_OK && json) {
        status = write_json(&prompt, diag);
    } else if (status == RR_OK) {
        status = rr_chat_render(prompt.messages, prompt.n, true, &text, diag);
    }
    if (status == RR_OK && !json) {
        rr_out_write(text.data, text.bytes);
    }
    rr_buf_destroy(&text);
    rr_prompt_destroy(&prompt);
    return status;
}

static const rr_query *find_query(const rr_candidates *candidates, const char *qid) {
    for (size_t i = 0; i < candidates->n; i++) {
        if (qid == NULL || strcmp(candidates->queries[i].qid, qid) == 0) {
            return &candidates->queries[i];
        }
    }
    return NULL;
}

int rr_verb_prompt(int argc, char **argv) {
    static const char *const formats[] = {"text", "json", NULL};
    rr_ranking_input input;
    const char *qid = NULL;
    uint32_t index = 0;
    int format = 0;
    const rr_opt options[] = {
        {.name = "qid",
            .kind = RR_OPT_TEXT,
            .target = &qid,
            .value = "QID",
            .help = "which query of --candidates (default: the first)"},
        {.name = "window-index",
            .kind = RR_OPT_U32,
            .target = &index,
            .value = "K",
            .help = "which window in call order, from 0 = the one at the end (default 0)"},
        {.name = "format",
            .letter = 'f',
            .kind = RR_OPT_CHOICE,
            .target = &format,
            .choices = formats,
            .help =
                "rendered text, or the messages as `rearank tokenize --chat` reads them (default text)"},
    };
    const rr_opt_group what = rr_ranking_input_group(&input, true);
    const rr_cli_spec spec = {
        .synopsis = "-q QUERY [FILE...|-]",
        .about = "Prints the prompt of one window as it stands before anything is ranked.",
        .max_args = SIZE_MAX,
        .groups = {what, rr_source_group(&input.source), rr_cli_options(options)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code == RR_CLI_GO_ON) {
        code = rr_ranking_input_read(&input, &args);
    }
    if (code == RR_CLI_GO_ON) {
        const rr_query *query = find_query(&input.candidates, qid);
        rr_diag diag = {0};
        if (query == NULL) {
            code = rr_cli_usage_error("--qid: \"%s\" is not among the candidates", qid);
        } else {
            rr_status status = write_prompt(&input, query, index, format == 1, &diag);
            code = status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
        }
    }
    rr_ranking_input_release(&input);
    return code;
}
