/* `rearank replay`: the window loop and the answer parser over recorded answers; needs no model and
 * no device. */
#include "rerank/replay.h"
#include "rerank/execute.h"
#include "tools/ranking.h"

static rr_status replay_all(
    const rr_ranking_input *input, rr_replay *replay, rr_ranking_output *output, rr_diag *diag) {
    rr_responder responder = rr_replay_responder(replay);
    RR_TRY(rr_ranking_output_begin(output, input, diag));
    RR_TRY(rr_replay_check(replay, &input->candidates, &input->params, diag));
    for (size_t i = 0; i < input->candidates.n && !rr_out_failed(); i++) {
        const rr_query *query = &input->candidates.queries[i];
        rr_ranking ranking;
        RR_TRY(rr_rank(query, &input->params, &responder, &ranking, diag));
        rr_status status = rr_replay_check_used(replay, query, &ranking, diag);
        if (status == RR_OK) {
            status = rr_ranking_output_add(output, query, &ranking, diag);
        }
        rr_ranking_destroy(&ranking);
        RR_TRY(status);
    }
    return rr_ranking_output_end(output, diag);
}

int rr_verb_replay(int argc, char **argv) {
    rr_ranking_input input;
    rr_ranking_output output;
    const char *answers = NULL;
    const rr_opt options[] = {
        {.name = "answers",
            .letter = 'a',
            .kind = RR_OPT_TEXT,
            .target = &answers,
            .value = "FILE",
            .help =
                "recorded answers, one JSON object a line: {\"qid\", \"responses\": [\"...\", ...]} in call order"},
    };
    const rr_opt_group what = rr_ranking_input_group(&input, false);
    const rr_cli_spec spec = {
        .synopsis = "--candidates FILE --answers FILE",
        .about =
            "Ranks by recorded answers instead of a model's: the windows, the parsing and the output of `rank`.",
        .notes =
            "`rearank rank --log FILE` records answers. Give the same --window, --step, --depth, --schedule\n"
            "and --passes here.\n"
            "\n"
            "What is read of an answer: the first <answer>...</answer>, else what follows the last </think>,\n"
            "else all of it. What stands before a </think> is thinking, and so is an <answer> quoted there.\n"
            "Where numbers stand in brackets, only those are ids: \"[3] > [5] (4 pages)\". Prose outside any\n"
            "<answer> that has none in brackets lists nothing. Other numbers are ids as they stand: \"3 > 5 > 1\".\n"
            "Digits of any script count, full-width, superscript and circled ones, too.",
        .groups = {what, rr_source_group(&input.source), rr_cli_options(options),
            rr_ranking_output_group(&output)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    if ((input.candidates_path == NULL && !rr_source_given(&input.source)) || answers == NULL) {
        return rr_cli_usage_error(
            "--%s FILE is missing", answers == NULL ? "answers" : "candidates");
    }
    rr_diag diag = {0};
    rr_recording recording = {0};
    code = rr_ranking_input_read(&input, &args);
    if (code == RR_CLI_GO_ON) {
        rr_cli_files files = {0};
        rr_ranking_output_files(&output, &files);
        rr_ranking_input_files(&input, &args, &files);
        rr_cli_reads(&files, "--answers", answers);
        code = rr_cli_files_check(&files);
    }
    if (code == RR_CLI_GO_ON) {
        rr_status status = rr_recording_read(answers, &recording, &diag);
        rr_replay replay = {&recording, answers};
        if (status == RR_OK) {
            status = replay_all(&input, &replay, &output, &diag);
        }
        code = status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
    }
    rr_recording_destroy(&recording);
    rr_ranking_input_release(&input);
    rr_ranking_output_release(&output);
    return code;
}
