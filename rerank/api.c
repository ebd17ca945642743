/* The public interface over a pool of one worker.
 * Owns: the thread's last error text. Does not own how a ranking looks to a caller
 * (rerank/api_view.h). */
#include "rerank/rearank.h"

#include <stdlib.h>
#include <string.h>

#include "rerank/api_view.h"
#include "rerank/pool.h"
#include "rerank/responder.h"
#include "runtime/base/thread.h"

#define SAME(name) _Static_assert((int)REARANK_##name == (int)RR_##name, #name)
SAME(OK);
SAME(E_USAGE);
SAME(E_INPUT);
SAME(E_IO);
SAME(E_MEMORY);
SAME(E_DEVICE);
SAME(E_UNSUPPORTED);
SAME(E_CANCELLED);
SAME(E_INTERNAL);
_Static_assert((int)REARANK_SLIDING == (int)RR_SCHEDULE_SLIDING &&
        (int)REARANK_TOPDOWN == (int)RR_SCHEDULE_TOPDOWN &&
        (int)REARANK_SINGLE == (int)RR_SCHEDULE_SINGLE &&
        (int)REARANK_SINGLE + 1 == (int)RR_SCHEDULE_COUNT,
    "every schedule has a public name");
_Static_assert((int)REARANK_E_INTERNAL + 1 == (int)RR_E_DEADLINE &&
        (int)RR_E_DEADLINE + 1 == (int)RR_E_BUSY && (int)RR_E_BUSY + 1 == (int)RR_STATUS_COUNT,
    "every status has a public name, but for RR_E_DEADLINE (a ranking that meets its deadline is no "
    "error) and RR_E_BUSY (no queue has a bound here)");

struct rearank_engine {
    rr_pool *pool;
    rr_readout readout; /* where has_readout */
    bool has_readout;
    rr_mutex lock; /* held while ranking */
};

struct rearank_ranking {
    rr_ranking ranking;
    rearank_result *results;
    rearank_window *windows;
};

static _Thread_local rr_diag last_error;

static rearank_status leave(rr_status status) {
    if (status != RR_OK && last_error.text[0] == '\0') {
        rr_fail(&last_error, status, "%s", rr_status_name(status));
    }
    return (rearank_status)status;
}

const char *rearank_version(void) {
    return REARANK_VERSION;
}

const char *rearank_last_error(void) {
    return last_error.text;
}

/* The readout that was named, or the one that comes with the library; a model that has none goes on
 * without. Comes before the engine, which takes memory for readings. */
static rr_status find_readout(rearank_engine *engine, const rearank_open_options *options) {
    const char *path = options->readout_path;
    rr_model *model = NULL;
    RR_TRY(rr_model_open(options->model_path, &model, &last_error));
    rr_status status = path == NULL
        ? rr_readout_find(model, &engine->readout, &engine->has_readout, &last_error)
        : rr_readout_load(path, &engine->readout, &last_error);
    if (status == RR_OK && path != NULL) {
        engine->has_readout = true;
        status = rr_readout_check(&engine->readout, model, path, &last_error);
    }
    rr_model_close(&model);
    return status;
}

rearank_status rearank_open(const rearank_open_options *options, rearank_engine **out) {
    last_error.text[0] = '\0';
    if (options == NULL || out == NULL || options->model_path == NULL) {
        return leave(rr_fail(&last_error, RR_E_USAGE, "rearank_open: found no %s",
            out == NULL           ? "out"
                : options == NULL ? "options"
                                  : "model_path"));
    }
    rearank_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL || !rr_mutex_create(&engine->lock)) {
        free(engine);
        return leave(rr_fail(&last_error, RR_E_MEMORY, "out of memory"));
    }
    rr_status status = find_readout(engine, options);
    const rr_pool_params params = {
        .engine = {.compute = {.model_path = options->model_path,
                       .device = options->device,
                       .n_context = options->n_context,
                       .progress = options->progress,
                       .progress_user = options->user,
                       .readings = engine->has_readout}},
        .may_be_fewer = true,
        .one_on_caller = true,
    };
    if (status == RR_OK) {
        status = rr_pool_open(&params, &engine->pool, &last_error);
    }
    if (status != RR_OK) {
        rearank_close(engine);
        return leave(status);
    }
    *out = engine;
    return REARANK_OK;
}

void rearank_close(rearank_engine *engine) {
    if (engine != NULL) {
        rr_pool_close(&engine->pool);
        rr_readout_destroy(&engine->readout);
        rr_mutex_destroy(&engine->lock);
        free(engine);
    }
}

const char *rearank_model_name(const rearank_engine *engine) {
    return rr_pool_model_name(engine->pool);
}

const char *rearank_device_name(const rearank_engine *engine) {
    return rr_pool_device_name(engine->pool);
}

static bool forward_text(
    void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens) {
    (void)n_tokens;
    const rearank_options *options = user;
    return bytes == 0 ||
        options->on_text(options->user, call->index, call->n_calls, text, bytes) != 0;
}

static rr_text text_of(const char *text) {
    return (rr_text){text != NULL ? text : "", text != NULL ? strlen(text) : 0};
}

static rr_status copy_passages(const rearank_passage *passages, size_t n, rr_passage *copies) {
    for (size_t i = 0; i < n; i++) {
        if (passages[i].text == NULL) {
            return rr_fail(&last_error, RR_E_USAGE, "passage %zu: found no text", i);
        }
        copies[i] = (rr_passage){
            .id = "", .title = text_of(passages[i].title), .text = text_of(passages[i].text)};
    }
    return RR_OK;
}

static rr_status choose_mode(
    const rearank_engine *engine, const rearank_options *options, rr_answer_mode *out) {
    const char *name = rearank_model_name(engine);
    if (options->score_mode == REARANK_SCORE_LOGITS) {
        *out = RR_ANSWER_LOGITS;
    } else if (options->score_mode == REARANK_SCORE_READ) {
        *out = RR_ANSWER_READ;
    } else if (options->strict != 0) {
        *out = options->strict > 0 ? RR_ANSWER_STRICT : RR_ANSWER_FREE;
    } else {
        const bool may_read =
            options->score_mode == REARANK_SCORE_AUTO && engine->has_readout && !options->no_think;
        *out = rr_way_default(name, may_read).mode;
    }
    if (*out == RR_ANSWER_READ && !engine->has_readout) {
        return rr_fail(&last_error, RR_E_UNSUPPORTED,
            "there is no readout for the model \"%s\": name one (readout_path), or rank by answers",
            name);
    }
    if (*out == RR_ANSWER_READ && options->no_think) {
        return rr_fail(
            &last_error, RR_E_USAGE, "the prompt without reasoning (no_think) cannot be read");
    }
    return RR_OK;
}

static rr_prompt_form form_of(
    const rearank_engine *engine, const rearank_options *options, rr_answer_mode mode) {
    return (rr_prompt_form){.style = options->no_think ? RR_PROMPT_RANKGPT : RR_PROMPT_REARANK,
        .passage_chars = mode != RR_ANSWER_READ ? 0
            : options->passage_chars != 0       ? options->passage_chars
                                                : engine->readout.form.passage_chars};
}

static rr_status rank(rearank_engine *engine, const rr_query *query, rearank_options *options,
    rr_answer_mode mode, const rr_prompt_form *form, rr_ranking *out) {
    if ((int)options->schedule < 0 || (int)options->schedule >= (int)RR_SCHEDULE_COUNT) {
        return rr_fail(&last_error, RR_E_USAGE, "schedule: found %d, expected 0 to %d",
            (int)options->schedule, RR_SCHEDULE_COUNT - 1);
    }
    if (!(options->deadline_s >= 0.0)) {
        return rr_fail(&last_error, RR_E_USAGE, "deadline_s: found %g, expected 0 or more seconds",
            options->deadline_s);
    }
    rr_pool_query asked = {
        .query = query,
        .rank = {.deadline_after_ns = rr_rank_deadline(options->deadline_s),
            .window = options->window,
            .step = options->step,
            .depth = options->depth,
            .schedule = (rr_schedule_kind)options->schedule,
            .passes = options->passes,
            .style = form->style,
            .passage_chars = form->passage_chars},
        .answer = {.mode = mode,
            .readout = mode == RR_ANSWER_READ ? &engine->readout : NULL,
            .n_orders = options->orders,
            .think_budget = options->think_budget,
            .answer_depth = options->answer_depth,
            .max_tokens = options->max_tokens,
            .temperature = options->temperature,
            .top_p = options->top_p,
            .seed = options->seed},
    };
    if (options->on_text != NULL) {
        asked.events = (rr_responder_events){.text = forward_text, .user = options};
    }
    rr_mutex_lock(&engine->lock);
    const rr_status status = rr_pool_rank(engine->pool, &asked, out, &last_error);
    if (status == RR_E_CANCELLED) {
        rr_pool_resume(engine->pool); /* rearank_cancel ends one ranking */
    }
    rr_mutex_unlock(&engine->lock);
    return status;
}

rearank_status rearank_rank(rearank_engine *engine, const char *query,
    const rearank_passage *passages, size_t n, const rearank_options *options,
    rearank_ranking **out) {
    last_error.text[0] = '\0';
    if (engine == NULL || query == NULL || out == NULL || (passages == NULL && n > 0)) {
        return leave(rr_fail(&last_error, RR_E_USAGE, "rearank_rank: found no %s",
            engine == NULL      ? "engine"
                : query == NULL ? "query"
                : out == NULL   ? "out"
                                : "passages"));
    }
    rearank_options filled = {0};
    if (options != NULL) {
        filled = *options;
    }
    rr_status status = RR_OK;
    rr_passage *copies = calloc(n + 1, sizeof *copies);
    rearank_ranking *ranking = calloc(1, sizeof *ranking);
    if (copies == NULL || ranking == NULL) {
        RR_TRY_GOTO(rr_fail(&last_error, RR_E_MEMORY, "out of memory for %zu passages", n));
    }
    RR_TRY_GOTO(copy_passages(passages, n, copies));
    rr_query wanted = {.qid = "", .text = text_of(query), .passages = copies, .n = n};
    rr_answer_mode mode;
    RR_TRY_GOTO(choose_mode(engine, &filled, &mode));
    const rr_prompt_form form = form_of(engine, &filled, mode);
    RR_TRY_GOTO(rank(engine, &wanted, &filled, mode, &form, &ranking->ranking));
    const rr_api_view_params view = {&wanted, &form, passages};
    RR_TRY_GOTO(
        rr_api_view(&view, &ranking->ranking, &ranking->results, &ranking->windows, &last_error));
    *out = ranking;
    ranking = NULL;
fail:
    free(copies);
    rearank_ranking_free(ranking);
    return leave(status);
}

void rearank_cancel(rearank_engine *engine) {
    rr_pool_stop(engine->pool);
}

const rearank_result *rearank_ranking_results(const rearank_ranking *ranking, size_t *n) {
    *n = ranking->ranking.n;
    return ranking->results;
}

const rearank_window *rearank_ranking_windows(const rearank_ranking *ranking, size_t *n) {
    *n = ranking->ranking.n_windows;
    return ranking->windows;
}

void rearank_ranking_free(rearank_ranking *ranking) {
    if (ranking != NULL) {
        rr_ranking_destroy(&ranking->ranking);
        free(ranking);
    }
}
