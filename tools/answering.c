#include "tools/answering.h"

#include <string.h>

static const uint32_t not_given = UINT32_MAX;
enum { MODE_ANSWER, MODE_LOGITS };
static const char *const mode_names[] = {"answer", "logits", NULL};

rr_opt_group rr_answering_group(rr_answering *answering) {
    *answering = (rr_answering){.think_budget = not_given, .answer_depth = not_given};
    const rr_opt options[] = {
        {.name = "strict", .kind = RR_OPT_FLAG, .target = &answering->strict,
         .help = "free thinking, then a grammar that admits whole rankings only (default, but for models named Rearank)"},
        {.name = "no-strict", .kind = RR_OPT_FLAG, .target = &answering->free,
         .help = "the model writes its answer freely; what is no ranking is repaired"},
        {.name = "think-budget", .kind = RR_OPT_U32, .target = &answering->think_budget, .value = "N",
         .help = "strict: tokens of thinking before the answer is begun by force, at most --max-tokens (default 1024)",
         .max = 1 << 20},
        {.name = "answer-depth", .kind = RR_OPT_U32, .target = &answering->answer_depth, .value = "K",
         .help = "strict: an answer lists the best K, the others follow in their order (default 0 = all)", .max = RR_WINDOW_MAX},
        {.name = "score-mode", .kind = RR_OPT_CHOICE, .target = &answering->score_mode, .choices = mode_names,
         .help = "answer = as written (default); logits = no reasoning: ids by their probability as the answer's first"},
        {.name = "no-drafts", .kind = RR_OPT_FLAG, .target = &answering->no_drafts,
         .help = "ask the model for every token; else it verifies guesses, several at once: the same answers, sooner"},
        {.name = "draft-model", .kind = RR_OPT_TEXT, .target = &answering->draft_model, .value = "FILE",
         .help = "a smaller model of the same family, on the same device, that guesses what no text does: the same answers"},
        {.name = "plain", .kind = RR_OPT_FLAG, .target = &answering->plain,
         .help = "one window after another, and a pass for every token, brackets too: the same answers, later; to measure against"},
    };
    _Static_assert(sizeof options <= sizeof answering->options, "rr_answering.options is too small");
    memcpy(answering->options, options, sizeof options);
    return (rr_opt_group){"Answers", answering->options, sizeof options / sizeof options[0]};
}

/* An option that only a strict answer has. */
static const char *strict_option(const rr_answering *answering) {
    return answering->strict                      ? "--strict"
           : answering->think_budget != not_given ? "--think-budget"
           : answering->answer_depth != not_given ? "--answer-depth"
                                                  : NULL;
}

int rr_answering_check(const rr_answering *answering, float temperature, uint32_t n_jobs) {
    if (answering->plain && n_jobs > 1) {
        return rr_cli_usage_error("--plain is one window after another, --jobs %u several at once: leave out one of them", n_jobs);
    }
    const char *no_guess = answering->no_drafts                        ? "--no-drafts"
                           : answering->plain                          ? "--plain"
                           : temperature > 0                           ? "--temperature"
                           : answering->score_mode == MODE_LOGITS      ? "--score-mode logits"
                                                                       : NULL;
    if (answering->draft_model != NULL && no_guess != NULL) {
        return rr_cli_usage_error("--draft-model guesses, %s leaves nothing to guess: leave out one of them", no_guess);
    }
    const char *strict = strict_option(answering);
    const char *other = answering->free                        ? "--no-strict"
                        : answering->score_mode == MODE_LOGITS ? "--score-mode logits"
                                                               : NULL;
    if (strict != NULL && other != NULL) {
        return rr_cli_usage_error("%s is for strict answers: leave out it or %s", strict, other);
    }
    return RR_CLI_GO_ON;
}

bool rr_answering_by_logits(const rr_answering *answering) {
    return answering->score_mode == MODE_LOGITS;
}

void rr_answering_apply(const rr_answering *answering, const char *model_name, rr_model_responder *model) {
    const bool strict = strict_option(answering) != NULL || (!answering->free && rr_strict_suits(model_name));
    model->mode = answering->score_mode == MODE_LOGITS ? RR_ANSWER_LOGITS : strict ? RR_ANSWER_STRICT : RR_ANSWER_FREE;
    model->think_budget = answering->think_budget == not_given ? 0
                          : answering->think_budget == 0       ? -1
                                                               : (int32_t)answering->think_budget;
    model->no_drafts = answering->no_drafts || answering->plain;
    model->every_token = answering->plain;
    model->answer_depth = answering->answer_depth == not_given ? 0 : answering->answer_depth;
}
