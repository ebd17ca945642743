/* The public interface over the window loop and one session of an engine.
 * Owns: the thread's last error text and the copies that results point into. */
#include "rerank/rearank.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/responder.h"

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
_Static_assert((int)REARANK_SLIDING == (int)RR_SCHEDULE_SLIDING && (int)REARANK_TOPDOWN == (int)RR_SCHEDULE_TOPDOWN &&
                   (int)REARANK_SINGLE == (int)RR_SCHEDULE_SINGLE && (int)REARANK_SINGLE + 1 == (int)RR_SCHEDULE_COUNT,
               "every schedule has a public name");
_Static_assert((int)REARANK_E_INTERNAL + 1 == (int)RR_E_DEADLINE && (int)RR_E_DEADLINE + 1 == (int)RR_STATUS_COUNT,
               "every status has a public name, but for RR_E_DEADLINE: a ranking that meets its deadline is no error");

struct rearank_engine {
    rr_engine *engine;
    rr_session *session;
    pthread_mutex_t lock; /* held while ranking */
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

rearank_status rearank_open(const rearank_open_options *options, rearank_engine **out) {
    last_error.text[0] = '\0';
    if (options == NULL || out == NULL || options->model_path == NULL) {
        return leave(rr_fail(&last_error, RR_E_USAGE, "rearank_open: found no %s",
                             out == NULL ? "out" : options == NULL ? "options" : "model_path"));
    }
    rearank_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL || pthread_mutex_init(&engine->lock, NULL) != 0) {
        free(engine);
        return leave(rr_fail(&last_error, RR_E_MEMORY, "out of memory"));
    }
    rr_engine_params params = {
        .model_path = options->model_path,
        .device = options->device,
        .n_context = options->n_context,
        .progress = options->progress,
        .progress_user = options->user,
    };
    rr_status status = rr_engine_open(&params, &engine->engine, &last_error);
    if (status == RR_OK) {
        status = rr_session_create(engine->engine, &engine->session, &last_error);
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
        rr_session_destroy(&engine->session);
        rr_engine_close(&engine->engine);
        pthread_mutex_destroy(&engine->lock);
        free(engine);
    }
}

const char *rearank_model_name(const rearank_engine *engine) {
    return rr_engine_model(engine->engine)->name;
}

const char *rearank_device_name(const rearank_engine *engine) {
    return rr_engine_device(engine->engine)->name;
}

static bool forward_text(void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens) {
    (void)n_tokens;
    const rearank_options *options = user;
    return bytes == 0 || options->on_text(options->user, call->index, call->n_calls, text, bytes) != 0;
}

static rr_text text_of(const char *text) {
    return (rr_text){text != NULL ? text : "", text != NULL ? strlen(text) : 0};
}

static rr_status copy_passages(const rearank_passage *passages, size_t n, rr_passage *copies) {
    for (size_t i = 0; i < n; i++) {
        if (passages[i].text == NULL) {
            return rr_fail(&last_error, RR_E_USAGE, "passage %zu: found no text", i);
        }
        copies[i] = (rr_passage){.id = "", .title = text_of(passages[i].title), .text = text_of(passages[i].text)};
    }
    return RR_OK;
}

static char *copy_text(rr_ranking *ranking, rr_text text) {
    return rr_arena_copy(&ranking->arena, text.data, text.bytes);
}

/* Makes the public view of a finished ranking, in its own memory. */
static rr_status publish(rearank_ranking *out, const rearank_passage *passages) {
    rr_ranking *ranking = &out->ranking;
    out->results = rr_arena_alloc(&ranking->arena, ranking->n + 1, sizeof *out->results);
    out->windows = rr_arena_alloc(&ranking->arena, ranking->n_windows + 1, sizeof *out->windows);
    bool ok = out->results != NULL && out->windows != NULL;
    for (size_t i = 0; i < ranking->n && ok; i++) {
        const char *id = passages[ranking->order[i]].id;
        out->results[i] = (rearank_result){
            .index = ranking->order[i],
            .id = id != NULL ? copy_text(ranking, text_of(id)) : NULL,
            .rank = i + 1,
            .score = rr_rank_score(i + 1, ranking->n),
        };
        ok = id == NULL || out->results[i].id != NULL;
    }
    for (size_t i = 0; i < ranking->n_windows && ok; i++) {
        const rr_window_result *window = &ranking->windows[i];
        out->windows[i] = (rearank_window){
            .begin = window->window.begin,
            .end = window->window.end,
            .n = window->n,
            .passages = window->passages,
            .permutation = window->permutation,
            .response = window->response.data,
            .reasoning = copy_text(ranking, window->reasoning),
            .answer = copy_text(ranking, window->answer),
            .repaired = window->repaired,
            .truncated = window->truncated,
            .prompt_tokens = window->prompt_tokens,
            .reused_tokens = window->reused_tokens,
            .generated_tokens = window->generated_tokens,
            .prompt_ns = window->prompt_ns,
            .generate_ns = window->generate_ns,
            .late = window->late,
        };
        ok = out->windows[i].reasoning != NULL && out->windows[i].answer != NULL;
    }
    return ok ? RR_OK : rr_fail(&last_error, RR_E_MEMORY, "out of memory for a ranking");
}

static rr_answer_mode answer_mode(const rearank_engine *engine, const rearank_options *options) {
    if (options->score_mode == REARANK_SCORE_LOGITS) {
        return RR_ANSWER_LOGITS;
    }
    bool strict = options->strict != 0 ? options->strict > 0 : rr_strict_suits(rearank_model_name(engine));
    return strict ? RR_ANSWER_STRICT : RR_ANSWER_FREE;
}

static rr_status rank(rearank_engine *engine, const rr_query *query, rearank_options *options, rr_ranking *out) {
    rr_prompt_style style = options->no_think ? RR_PROMPT_RANKGPT : RR_PROMPT_REARANK;
    int32_t earlier[RR_EARLIER_TOKENS];
    rr_model_responder model = {
        .earlier = earlier,
        .earlier_room = RR_EARLIER_TOKENS,
        .engine = engine->engine,
        .session = engine->session,
        .style = style,
        .mode = answer_mode(engine, options),
        .think_budget = options->think_budget,
        .answer_depth = options->answer_depth,
        .max_tokens = options->max_tokens,
        .temperature = options->temperature,
        .top_p = options->top_p,
        .seed = options->seed,
    };
    if (options->on_text != NULL) {
        model.events = (rr_responder_events){.text = forward_text, .user = options};
    }
    if ((int)options->schedule < 0 || (int)options->schedule >= (int)RR_SCHEDULE_COUNT) {
        return rr_fail(&last_error, RR_E_USAGE, "schedule: found %d, expected 0 to %d", (int)options->schedule,
                       RR_SCHEDULE_COUNT - 1);
    }
    if (!(options->deadline_s >= 0.0)) {
        return rr_fail(&last_error, RR_E_USAGE, "deadline_s: found %g, expected 0 or more seconds", options->deadline_s);
    }
    rr_rank_params params = {
        .deadline_after_ns = rr_rank_deadline(options->deadline_s),
        .window = options->window,
        .step = options->step,
        .depth = options->depth,
        .schedule = (rr_schedule_kind)options->schedule,
        .passes = options->passes,
        .style = style,
    };
    rr_responder responder;
    RR_TRY(rr_model_responder_make(&model, &responder, &last_error));
    pthread_mutex_lock(&engine->lock);
    rr_status status = rr_rank(query, &params, &responder, out, &last_error);
    pthread_mutex_unlock(&engine->lock);
    return status;
}

rearank_status rearank_rank(rearank_engine *engine, const char *query, const rearank_passage *passages, size_t n,
                            const rearank_options *options, rearank_ranking **out) {
    last_error.text[0] = '\0';
    if (engine == NULL || query == NULL || out == NULL || (passages == NULL && n > 0)) {
        return leave(rr_fail(&last_error, RR_E_USAGE, "rearank_rank: found no %s",
                             engine == NULL ? "engine" : query == NULL ? "query" : out == NULL ? "out" : "passages"));
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
    RR_TRY_GOTO(rank(engine, &wanted, &filled, &ranking->ranking));
    RR_TRY_GOTO(publish(ranking, passages));
    *out = ranking;
    ranking = NULL;
fail:
    free(copies);
    rearank_ranking_free(ranking);
    return leave(status);
}

void rearank_cancel(rearank_engine *engine) {
    rr_session_cancel(engine->session);
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
