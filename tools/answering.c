#include "tools/answering.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/hash.h"

static const uint32_t not_given = UINT32_MAX;
enum { MODE_NOT_GIVEN = -1, MODE_ANSWER, MODE_LOGITS, MODE_READ };
static const char *const mode_names[] = {"answer", "logits", "read", NULL};
enum { MOST_ORDERS = 64 };

rr_opt_group rr_answering_group(rr_answering *answering) {
    *answering = (rr_answering){
        .think_budget = not_given, .answer_depth = not_given, .score_mode = MODE_NOT_GIVEN};
    const rr_opt options[] = {
        {.name = "score-mode",
            .kind = RR_OPT_CHOICE,
            .target = &answering->score_mode,
            .choices = mode_names,
            .help =
                "read = no writing: what the model's attention and hidden states say of each passage, in one pass over the prompt; "
                "relevance_score is then a calibrated probability. answer = what the model writes. logits = no writing: ids by their "
                "probability as the answer's first (default: answer for a model named Rearank, else read where there is a readout)"},
        {.name = "reason",
            .kind = RR_OPT_FLAG,
            .target = &answering->reason,
            .help =
                "let the model reason and write its answer, freely or strictly as suits it: --score-mode answer"},
        {.name = "strict",
            .kind = RR_OPT_FLAG,
            .target = &answering->strict,
            .help =
                "free thinking, then a grammar that admits whole rankings only (default, but for models named Rearank)"},
        {.name = "no-strict",
            .kind = RR_OPT_FLAG,
            .target = &answering->free,
            .help = "the model writes its answer freely; what is no ranking is repaired"},
        {.name = "think-budget",
            .kind = RR_OPT_U32,
            .target = &answering->think_budget,
            .value = "N",
            .help =
                "strict: tokens of thinking before the answer is begun by force, at most --max-tokens (default 1024)",
            .max = 1 << 20},
        {.name = "answer-depth",
            .kind = RR_OPT_U32,
            .target = &answering->answer_depth,
            .value = "K",
            .help =
                "strict: an answer lists the best K, the others follow in their order (default 0 = all)",
            .max = RR_WINDOW_MAX},
        {.name = "readout",
            .kind = RR_OPT_TEXT,
            .target = &answering->readout_path,
            .value = "FILE",
            .help =
                "read: what to make of what is read, as `rearank readout fit` writes it (default: the one that comes with the program "
                "for this model)"},
        {.name = "orders",
            .kind = RR_OPT_U32,
            .target = &answering->n_orders,
            .value = "N",
            .help =
                "read: the mean over N orders of each window, which takes out what place does, in N times the time (default 1)",
            .min = 1,
            .max = MOST_ORDERS},
        {.name = "passage-chars",
            .kind = RR_OPT_U32,
            .target = &answering->passage_chars,
            .value = "N",
            .help =
                "read: characters of a passage that are read (default: as the readout was fitted, 1000)",
            .min = 1,
            .max = 1 << 20},
        {.name = "then-reason",
            .kind = RR_OPT_FLAG,
            .target = &answering->then_reason,
            .help =
                "read, then let the model reason over the window at the top and order it once more"},
        {.name = "no-drafts",
            .kind = RR_OPT_FLAG,
            .target = &answering->no_drafts,
            .help =
                "ask the model for every token; else it verifies guesses, several at once: the same answers, sooner"},
        {.name = "draft-model",
            .kind = RR_OPT_TEXT,
            .target = &answering->draft_model,
            .value = "FILE",
            .help =
                "a smaller model of the same family, on the same device, that guesses what no text does: the same answers"},
        {.name = "plain",
            .kind = RR_OPT_FLAG,
            .target = &answering->plain,
            .help =
                "one window after another, and a pass for every token, brackets too: the same answers, later; to measure against"},
    };
    _Static_assert(
        sizeof options <= sizeof answering->options, "rr_answering.options is too small");
    memcpy(answering->options, options, sizeof options);
    return (rr_opt_group){"Answers", answering->options, sizeof options / sizeof options[0]};
}

/* An option that only one way has, and was given; NULL = none. */
static const char *strict_option(const rr_answering *answering) {
    return answering->strict                   ? "--strict"
        : answering->think_budget != not_given ? "--think-budget"
        : answering->answer_depth != not_given ? "--answer-depth"
                                               : NULL;
}

static const char *written_option(const rr_answering *answering) {
    /* how it reasons then */
    const char *strict = answering->then_reason ? NULL : strict_option(answering);
    return answering->score_mode == MODE_ANSWER                     ? "--score-mode answer"
        : answering->reason                                         ? "--reason"
        : answering->free && !answering->then_reason                ? "--no-strict"
        : strict != NULL                                            ? strict
        : answering->draft_model != NULL && !answering->then_reason ? "--draft-model"
                                                                    : NULL;
}

static const char *read_option(const rr_answering *answering) {
    return answering->score_mode == MODE_READ ? "--score-mode read"
        : answering->readout_path != NULL     ? "--readout"
        : answering->n_orders != 0            ? "--orders"
        : answering->passage_chars != 0       ? "--passage-chars"
        : answering->then_reason              ? "--then-reason"
                                              : NULL;
}

static const char *logits_option(const rr_answering *answering) {
    return answering->score_mode == MODE_LOGITS ? "--score-mode logits" : NULL;
}

/* Options of two ways. */
static int exclude(const char *a, const char *b) {
    return a != NULL && b != NULL
        ? rr_cli_usage_error("%s and %s rank in two ways: leave out one of them", a, b)
        : RR_CLI_GO_ON;
}

int rr_answering_check(const rr_answering *answering, float temperature, uint32_t n_jobs) {
    if (answering->plain && n_jobs > 1) {
        return rr_cli_usage_error(
            "--plain is one window after another, --jobs %u several at once: leave out one of them",
            n_jobs);
    }
    const char *no_guess = answering->no_drafts ? "--no-drafts"
        : answering->plain                      ? "--plain"
        : temperature > 0                       ? "--temperature"
        : answering->score_mode == MODE_LOGITS  ? "--score-mode logits"
                                                : NULL;
    if (answering->draft_model != NULL && no_guess != NULL) {
        return rr_cli_usage_error(
            "--draft-model guesses, %s leaves nothing to guess: leave out one of them", no_guess);
    }
    const char *written = written_option(answering), *read = read_option(answering),
               *logits = logits_option(answering);
    int code = exclude(written, read);
    code = code == RR_CLI_GO_ON ? exclude(written, logits) : code;
    code = code == RR_CLI_GO_ON ? exclude(read, logits) : code;
    if (code == RR_CLI_GO_ON && answering->free && strict_option(answering) != NULL) {
        return rr_cli_usage_error(
            "%s is for strict answers: leave out it or --no-strict", strict_option(answering));
    }
    return code;
}

const char *rr_answering_way(const rr_answering *answering) {
    static const char *const names[] = {[RR_ANSWER_FREE] = "reason",
        [RR_ANSWER_STRICT] = "strict",
        [RR_ANSWER_LOGITS] = "logits",
        [RR_ANSWER_READ] = "read"};
    return names[answering->mode];
}

/* What the line on standard error calls it. */
static const char *way_text(rr_answer_mode mode) {
    static const char *const texts[] = {
        [RR_ANSWER_FREE] = "by what the model reasons and writes freely",
        [RR_ANSWER_STRICT] = "by what the model reasons and then answers under a grammar",
        [RR_ANSWER_LOGITS] = "by the probability of each passage as the first of the answer",
        [RR_ANSWER_READ] =
            "by what the model's attention and hidden states say of the passages, without writing"};
    return texts[mode];
}

/* The readout that was named, or the one for this model. */
static rr_status find_readout(rr_answering *answering, const rr_model *model, rr_diag *diag) {
    if (answering->readout_path == NULL) {
        return rr_readout_find(model, &answering->readout, &answering->has_readout, diag);
    }
    RR_TRY(rr_readout_load(answering->readout_path, &answering->readout, diag));
    answering->has_readout = true;
    return rr_readout_check(&answering->readout, model, answering->readout_path, diag);
}

static rr_status note_fact(rr_answering *answering, rr_diag *diag) {
    rr_buf text = {0};
    rr_status status = RR_OK;
    if (answering->mode == RR_ANSWER_READ) {
        status = rr_readout_write(&answering->readout, &text, diag);
    }
    const uint64_t hash = status == RR_OK ? rr_hash(0, text.data, text.bytes) : 0;
    rr_buf_destroy(&text);
    snprintf(answering->fact, sizeof answering->fact, "%s %016llx", rr_answering_way(answering),
        (unsigned long long)hash);
    return status;
}

static rr_status decide(rr_answering *answering, const rr_model *model, rr_diag *diag) {
    const char *written = written_option(answering), *read = read_option(answering),
               *logits = logits_option(answering), *asked = written;
    rr_way way = rr_way_written(model->name);
    const bool may_read =
        written == NULL && logits == NULL && (read != NULL || !answering->no_think);
    if (may_read || answering->finds_readout) {
        RR_TRY(find_readout(answering, model, diag));
    }
    answering->then_mode = answering->free ? RR_ANSWER_FREE
        : strict_option(answering) != NULL ? RR_ANSWER_STRICT
                                           : way.mode;
    if (logits != NULL) {
        asked = logits;
        way.mode = RR_ANSWER_LOGITS;
    } else if (written != NULL) {
        way.mode = answering->then_mode;
    } else if (!may_read) {
        asked = "--no-think";
    } else {
        asked = read;
        if (asked != NULL && !answering->has_readout) {
            return rr_fail(diag, RR_E_UNSUPPORTED,
                "%s: no readout for the model \"%s\" comes with this program: `rearank readout fit` makes one, --readout FILE "
                "names one, --reason ranks without",
                asked, model->name);
        }
        way = asked != NULL ? (rr_way){RR_ANSWER_READ, NULL}
                            : rr_way_default(model->name, answering->has_readout);
    }
    answering->mode = way.mode;
    if (asked != NULL) {
        rr_log(RR_LOG_INFO, "ranking %s (%s)", way_text(way.mode), asked);
    } else {
        rr_cli_note("ranking %s: %s; --reason, --strict and --score-mode choose another way",
            way_text(way.mode), way.why);
    }
    return note_fact(answering, diag);
}

rr_status rr_answering_decide(
    rr_answering *answering, const rr_compute_params *params, rr_diag *diag) {
    rr_model *model = NULL;
    RR_TRY(rr_compute_open_model(params, &model, diag));
    const rr_status status = decide(answering, model, diag);
    rr_model_close(&model);
    return status;
}

uint32_t rr_answering_n_workers(const rr_answering *answering, uint32_t n_jobs, uint32_t usual) {
    return answering->plain ? 1 : n_jobs != 0 ? n_jobs : usual;
}

void rr_answering_apply(const rr_answering *answering, rr_answer_params *how) {
    how->mode = answering->mode;
    how->then_mode = answering->then_reason ? answering->then_mode : answering->mode;
    how->readout = answering->mode == RR_ANSWER_READ ? &answering->readout : NULL;
    how->n_orders = answering->n_orders;
    how->think_budget = answering->think_budget == not_given ? 0
        : answering->think_budget == 0                       ? -1
                                                             : (int32_t)answering->think_budget;
    how->no_drafts = answering->no_drafts || answering->plain;
    how->every_token = answering->plain;
    how->answer_depth = answering->answer_depth == not_given ? 0 : answering->answer_depth;
}

void rr_answering_release(rr_answering *answering) {
    rr_readout_destroy(&answering->readout);
}
