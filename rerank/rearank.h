/* rearank: listwise passage reranking with a reasoning model, on any Vulkan device. The one public
 * header: C11 and C++.
 *
 *     rearank_engine *engine = NULL;
 *     rearank_open_options open = {0};
 *     open.model_path = "model.gguf";
 *     if (rearank_open(&open, &engine) != REARANK_OK) { fprintf(stderr, "%s\n",
 *     rearank_last_error()); … } rearank_passage passages[] = {{"Fleas live for weeks."}, {"Paris
 *     is a city."}}; rearank_ranking *ranking = NULL;
 *     if (rearank_rank(engine, "how long do fleas live", passages, 2, NULL, &ranking) ==
 *     REARANK_OK) {
 *         size_t n;
 *         const rearank_result *results = rearank_ranking_results(ranking, &n);
 *         …
 *     }
 *     rearank_ranking_free(ranking);
 *     rearank_close(engine);
 *
 * Texts are NUL-terminated UTF-8; invalid bytes are read as U+FFFD. Zeroed option structs mean the
 * defaults. */
#ifndef REARANK_H
#define REARANK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define REARANK_API __attribute__((visibility("default")))
#else
#define REARANK_API
#endif

typedef enum rearank_status {
    REARANK_OK = 0,
    REARANK_E_USAGE = 1,       /* an argument makes no sense */
    REARANK_E_INPUT = 2,       /* the model file or a passage cannot be used */
    REARANK_E_IO = 3,          /* the operating system refused to read or write */
    REARANK_E_MEMORY = 4,      /* host or device memory is exhausted, or the plan does not fit */
    REARANK_E_DEVICE = 5,      /* no usable Vulkan device, or it was lost */
    REARANK_E_UNSUPPORTED = 6, /* well formed, but this build or device cannot do it */
    REARANK_E_CANCELLED = 7,   /* stopped on request */
    REARANK_E_INTERNAL = 8     /* a fault of the library */
} rearank_status;

typedef struct rearank_engine rearank_engine;   /* a model on a device */
typedef struct rearank_ranking rearank_ranking; /* what came out */

/* "0.1.0" */
REARANK_API const char *rearank_version(void);

/* What went wrong in the last call of this thread that failed: what was found, what was expected,
 * what to do. "" when none failed. Valid until the thread's next call. */
REARANK_API const char *rearank_last_error(void);

typedef struct rearank_open_options {
    const char *model_path; /* a Qwen2 or Qwen2.5 model: GGUF file or Hugging Face folder */
    const char *device;     /* index, UUID or part of the name; NULL = the best there is */
    /* tokens that a window's prompt and answer may take; 0 = 8192 or the model's limit */
    uint32_t n_context;
    /* Reading and compiling: `done` of `total` units of `what`. May be NULL. */
    void (*progress)(void *user, const char *what, uint64_t done, uint64_t total);
    void *user;
    /* a file of `rearank readout fit`, for this model; NULL = the one that comes with the library,
     * if any */
    const char *readout_path;
} rearank_open_options;

/* Opens a model; reads the whole file once. *out is untouched on failure. The library leaves the
 * environment of its process alone. On a software device of a processor with AVX-512,
 * LP_NATIVE_VECTOR_WIDTH=512 in the environment before the first call makes prompts faster; a
 * warning on standard error says so where the driver is known to bear it. */
REARANK_API rearank_status rearank_open(const rearank_open_options *options, rearank_engine **out);
/* No call on the engine may be running. NULL is accepted. */
REARANK_API void rearank_close(rearank_engine *engine);
REARANK_API const char *rearank_model_name(const rearank_engine *engine);
REARANK_API const char *rearank_device_name(const rearank_engine *engine);

typedef struct rearank_passage {
    const char *text;
    const char *title; /* NULL = none */
    const char *id;    /* comes back with the result; NULL = none */
} rearank_passage;

/* Which windows a ranking looks at. */
typedef enum rearank_schedule {
    REARANK_SLIDING = 0, /* from the back to the front, as in the paper */
    /* what beats a pivot taken from the first window; needs fewer windows for long lists */
    REARANK_TOPDOWN = 1,
    REARANK_SINGLE = 2 /* one window over all, at most 1000 */
} rearank_schedule;

/* How a ranking comes out of the model. */
typedef enum rearank_score_mode {
    /* as suits the model: ANSWER where its name holds "rearank" or `strict` says how, else READ where
     * the library has a readout for it (or `readout_path` names one), else ANSWER */
    REARANK_SCORE_AUTO = 0,
    /* no thinking and no writing: ids in the order of their probability as the answer's first */
    REARANK_SCORE_LOGITS = 1,
    REARANK_SCORE_ANSWER = 2, /* the model's written answer */
    /* no writing: what the model's attention and hidden states say of each passage; gives
     * calibrated scores */
    REARANK_SCORE_READ = 3
} rearank_score_mode;

typedef struct rearank_options {
    size_t window;       /* passages ranked at once; 0 = 20 */
    size_t step;         /* how far the window moves up each time; 0 = 10 */
    size_t depth;        /* rank this many from the top, keep the rest behind them; 0 = all */
    int no_think;        /* 1 = the prompt without reasoning */
    uint32_t max_tokens; /* a window may take before its answer is finished by force; 0 = 2048 */
    float temperature;   /* 0 = always the likeliest token */
    float top_p;         /* with a temperature; 0 or 1 = off */
    uint64_t seed;       /* with a temperature */
    /* Text as the model writes it, whole characters, in window `window_index` of `n_windows`
     * (topdown: of those known so far); called on the ranking thread, not NUL-terminated. Returning
     * 0 cancels the ranking. May be NULL. */
    int (*on_text)(
        void *user, size_t window_index, size_t n_windows, const char *text, size_t bytes);
    void *user;
    rearank_schedule schedule;
    /* do it all over this many times, each over the outcome of the one before; 0 = 1 */
    size_t passes;
    /* 1 = free thinking, then a grammar that admits whole rankings only; -1 = free text; 0 = strict
     * unless the model's name holds "rearank" */
    int strict;
    /* strict: tokens of thinking before the answer is begun by force, at most max_tokens; 0 = 1024,
     * below 0 = none */
    int32_t think_budget;
    /* strict: ids that an answer lists, the others follow in their order; 0 = all */
    uint32_t answer_depth;
    rearank_score_mode score_mode;
    /* Seconds that the ranking may take from when its first window is asked about; 0 = any. Then
     * what is running is cut short, and windows that are not ranked by then keep the order that
     * they were given: the ranking is whole, its status REARANK_OK, and rearank_window.late says
     * which they are. */
    double deadline_s;
    uint32_t orders; /* read: the mean over so many orders of each window; 0 = 1 */
    /* read: characters of a passage that are read; 0 = as the readout was fitted */
    uint32_t passage_chars;
} rearank_options;

/* Ranks passages given best first, where there is an order. 0 and 1 passages need no model's
 * answer. `options` NULL = the defaults. Calls on one engine wait for each other. *out is untouched
 * on failure. */
REARANK_API rearank_status rearank_rank(rearank_engine *engine, const char *query,
    const rearank_passage *passages, size_t n, const rearank_options *options,
    rearank_ranking **out);
/* Makes the running ranking, or else the next, end with REARANK_E_CANCELLED soon. From any thread
 * or signal handler. */
REARANK_API void rearank_cancel(rearank_engine *engine);

typedef struct rearank_result {
    size_t index;   /* in the passages given */
    const char *id; /* the passage's; NULL when it had none */
    size_t rank;    /* from 1 */
    /* Strictly decreasing in (0, 1]. Where `calibrated` is 1 it is the probability that the passage
     * is relevant, lowered where a passage above it has less; else it says the order and nothing
     * more. */
    double score;
    int calibrated; /* 1 = the model's relevance was read, without an answer; else 0 */
} rearank_result;

/* A word of a passage that drew the model's attention. */
typedef struct rearank_word {
    const char *text;
    double share; /* of the attention that the passage drew, 0 to 1 */
} rearank_word;

/* What drew the attention in one passage, as the prompt showed it: whitespace collapsed, cut at
 * some length. */
typedef struct rearank_attention {
    const char *sentence;      /* the one that drew most; "" where none did */
    double share;              /* the sentence's, 0 to 1 */
    const rearank_word *words; /* [n_words] that drew most, in the passage's order */
    size_t n_words;
} rearank_attention;

/* One look of the model at a window of passages. */
typedef struct rearank_window {
    size_t begin, end; /* positions of the ranking, [begin, end) */
    /* end − begin; one more where topdown shows the pivot before them */
    size_t n;
    const uint32_t *passages;    /* [n] indices of those shown as [1], [2], … */
    const uint32_t *permutation; /* [n] ids 1…n, best first */
    /* all that was written; of a window that was read: its order, which nobody wrote */
    const char *response;
    const char *reasoning; /* what stands before the answer */
    const char *answer;
    int repaired; /* the answer was no permutation and was made one */
    /* the answer or the thinking was cut, or the answer finished by force */
    int truncated;
    /* Of the prompt's tokens, those that were there from an earlier prompt of the same job or of
     * one beside it; the rest were computed. */
    uint64_t prompt_tokens, reused_tokens, shared_tokens, generated_tokens;
    uint64_t prompt_ns, generate_ns;
    int late; /* the deadline came before it was ranked: its passages kept their order, the texts are "" */
    /* Of windows whose passages' relevance was read instead of answered, by label (that of [1]
     * first); NULL of all others. */
    /* [n] the window is ordered by them; they mean nothing outside of it */
    const double *scores;
    const double *probabilities;        /* [n] that the passage is relevant: calibrated */
    const rearank_attention *attention; /* [n] */
} rearank_window;

/* Owned by the ranking; *n gets their number. Results stand best first, windows in the order of the
 * calls. */
REARANK_API const rearank_result *rearank_ranking_results(
    const rearank_ranking *ranking, size_t *n);
REARANK_API const rearank_window *rearank_ranking_windows(
    const rearank_ranking *ranking, size_t *n);
REARANK_API void rearank_ranking_free(rearank_ranking *ranking); /* NULL is accepted */

#ifdef __cplusplus
}
#endif

#endif
