/* Drafts on the real model: the bytes of plain greedy decoding, alone and four sessions together.
 * Prints what the drafts saved. REARANK_TEST_FAST=1 takes one prompt and a short answer. */
#include <pthread.h>

#include "runtime/base/thread.h"
#include "runtime/engine/draft.h"
#include "runtime/engine/internal.h"
#include "runtime/model/chat.h"
#include "tests/check.h"
#include "tests/support/real_model.h"

enum { N_PROMPTS = 4, N_ANSWER = 40, N_FAST_ANSWER = 12, N_CONTEXT = 512 };

static const char *const questions[N_PROMPTS] = {
    "Rank the passages by how well they answer the query: what keeps sourdough bread from going stale\n"
    "[1] Bread goes stale because the starch that gelatinised in the oven slowly crystallises again and gives its water to the "
    "crust.\n[2] The bakery on Mill Street opens at six. On Saturdays the queue reaches the bridge.\n[3] Never keep bread in the "
    "refrigerator: between zero and eight degrees the crystals of starch grow fastest.\n"
    "Say of each passage in one sentence what it tells, quoting its words, then give the ranking as [a] > [b] > [c].",
    "Write the following line three times, each on a line of its own, and nothing else:\nThe lighthouse keeper wrote down the "
    "height of the tide every hour, in centimetres.",
    "Rank the passages by how well they answer the query: largest rise of the tide\n[1] The keeper compared each hour with the "
    "next and marked the largest rise.\n[2] The river pushes the flood back after rain.\n[3] Boats wait for high water.\n[4] At "
    "spring tide the harbour master shuts the gate.\nAnswer with <answer> [a] > [b] > [c] > [d] </answer> only.",
    "Count from 1 to 40 in words, separated by commas.",
};

typedef struct window {
    rr_session *session;
    rr_tokens prompt, answer, found;
    float *last_logits;
    bool always, same_logits;
    uint32_t n_vocab;
    rr_generate_result result;
    rr_status status;
    rr_diag diag;
} window;

/* Syncs and generates; the answer goes to `out`. */
static rr_status generate(window *w, bool with_drafts, rr_tokens *out, const float **logits) {
    rr_generate_params params = {.max_tokens = check_is_fast() ? N_FAST_ANSWER : N_ANSWER};
    if (with_drafts) {
        params.draft = rr_draft;
        params.draft_always = w->always;
        params.draft_depth = w->always ? 6 : 0;
    }
    RR_TRY(rr_session_sync(w->session, w->prompt.ids, w->prompt.n, &w->diag));
    RR_TRY(rr_session_generate(w->session, &params, out, &w->result, &w->diag));
    return rr_session_logits(w->session, logits, &w->diag);
}

static void *run(void *user) {
    window *w = user;
    const float *logits = NULL;
    w->found.n = 0;
    w->status = generate(w, true, &w->found, &logits);
    w->same_logits =
        w->status == RR_OK && memcmp(logits, w->last_logits, w->n_vocab * sizeof *logits) == 0;
    return NULL;
}

static void check_window(size_t i, const window *w) {
    CHECK_MSG(w->status == RR_OK, "prompt %zu: %s", i, w->diag.text);
    CHECK_MSG(w->found.n == w->answer.n && w->found.n > 0 &&
            memcmp(w->found.ids, w->answer.ids, w->found.n * sizeof *w->found.ids) == 0,
        "prompt %zu: another answer", i);
    CHECK_MSG(w->same_logits, "prompt %zu: other logits behind the answer", i);
}

static void make_windows(rr_engine *engine, window *windows, size_t n) {
    rr_diag diag = {0};
    const rr_tokenizer *tokenizer = NULL;
    CHECK_OK(rr_engine_tokenizer(engine, &tokenizer, &diag), diag);
    for (size_t i = 0; i < n; i++) {
        window *w = &windows[i];
        const float *logits = NULL;
        const rr_message message = {"user", questions[i], strlen(questions[i])};
        w->n_vocab = rr_engine_model(engine)->config.n_vocab;
        w->last_logits = malloc(w->n_vocab * sizeof *w->last_logits);
        CHECK_OK(rr_session_create(engine, &w->session, &diag), diag);
        CHECK_OK(rr_chat_encode(tokenizer, &message, 1, true, &w->prompt, &diag), diag);
        CHECK_OK(generate(w, false, &w->answer, &logits), w->diag);
        memcpy(w->last_logits, logits, w->n_vocab * sizeof *logits);
        printf("prompt %zu: %zu tokens, plain: %zu tokens in %.2f s\n", i, w->prompt.n, w->answer.n,
            (double)w->result.time_ns * 1e-9);
    }
}

int main(void) {
    rr_buf path = {0};
    rr_diag diag = {0};
    if (!rr_real_model_path(&path)) {
        CHECK_SKIP("set REARANK_TEST_MODEL");
    }
    const size_t n = check_is_fast() ? 1 : N_PROMPTS;
    const rr_engine_params params = {
        .compute.model_path = path.data, .compute.n_context = N_CONTEXT, .n_sessions = N_PROMPTS};
    rr_engine *engine = NULL;
    rr_status status = rr_engine_open(&params, &engine, &diag);
    if (status == RR_E_DEVICE || status == RR_E_MEMORY) {
        CHECK_SKIP("%s", diag.text);
    }
    CHECK_OK(status, diag);
    window windows[N_PROMPTS] = {0};
    make_windows(engine, windows, n);
    for (int always = 1; always >= 0; always--) {
        for (size_t i = 0; i < n; i++) {
            windows[i].always = always != 0;
            run(&windows[i]);
            check_window(i, &windows[i]);
            printf("prompt %zu, %s: %.2f s, %zu of %zu drafted tokens right\n", i,
                always ? "six drafts a pass" : "depth by itself",
                (double)windows[i].result.time_ns * 1e-9, windows[i].result.n_accepted,
                windows[i].result.n_drafted);
        }
    }
    pthread_t threads[N_PROMPTS];
    rr_engine_stats before, after;
    size_t n_tokens = 0;
    rr_engine_stats_get(engine, &before);
    uint64_t begin_ns = rr_time_ns();
    for (size_t i = 0; i < n; i++) {
        CHECK(pthread_create(&threads[i], NULL, run, &windows[i]) == 0);
    }
    for (size_t i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
    }
    double took_s = (double)(rr_time_ns() - begin_ns) * 1e-9;
    rr_engine_stats_get(engine, &after);
    for (size_t i = 0; i < n; i++) {
        n_tokens += windows[i].found.n;
    }
    printf("together: %zu tokens in %d decode passes of %d rows, %.2f s\n", n_tokens,
        (int)(after.n_decode_passes - before.n_decode_passes),
        (int)(after.decode_rows - before.decode_rows), took_s);
    for (size_t i = 0; i < n; i++) {
        check_window(i, &windows[i]);
        rr_session_destroy(&windows[i].session);
        rr_tokens_destroy(&windows[i].prompt);
        rr_tokens_destroy(&windows[i].answer);
        rr_tokens_destroy(&windows[i].found);
        free(windows[i].last_logits);
    }
    rr_engine_close(&engine);
    rr_buf_destroy(&path);
    return CHECK_END();
}
