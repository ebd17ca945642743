/* One engine = one model on one device. A session = one token timeline with its KV cache.
 * Owns: sessions, their keys and values, which calls share a pass. Passes are rr_compute's business
 * (compute.h). Knows nothing of ranking.
 * Several sessions may be used from several threads, whose calls share passes: what one session
 * computes has the same bits alone and in company, and a call that fails, is cancelled or meets its
 * deadline changes nothing for the others (a lost device fails all calls). One session is used by
 * one thread at a time, except rr_session_cancel. */
#ifndef RR_ENGINE_ENGINE_H
#define RR_ENGINE_ENGINE_H

#include "runtime/compute/graph_choice.h"
#include "runtime/compute/profile.h"
#include "runtime/model/tokenizer.h"

typedef struct rr_engine rr_engine;
typedef struct rr_session rr_session;

#define RR_KV_FIT UINT32_MAX

typedef struct rr_engine_params {
    rr_compute_params compute; /* model, device, passes; n_context: tokens a session can hold */
    uint32_t n_sessions;       /* at once; 0 = 1 */
    /* Tokens whose KV is kept, of all sessions together, at least n_context; 0 = as many as they
     * can have, RR_KV_FIT = as many of these as memory allows. Where it is fewer, sessions must
     * reserve pages: rr_session_hold. */
    uint32_t kv_tokens;
} rr_engine_params;

/* What an engine takes of the device, planned before anything is allocated. */
typedef struct rr_memory_plan {
    rr_compute_plan compute;
    uint64_t kv_bytes;
    uint64_t total_bytes, budget_bytes;
    uint64_t kv_bytes_per_token;
    uint64_t kv_tokens; /* that the KV cache holds, of all sessions together */
    uint32_t n_sessions;
    bool fits;
    bool is_short; /* sessions may have to wait for pages: rr_session_hold */
} rr_memory_plan;

/* Pure. Errors: RR_E_MEMORY when it does not fit (the message gives the figures and what to change;
 * *out is still filled), RR_E_USAGE for impossible parameters. */
rr_status rr_memory_plan_make(const rr_model *model, const rr_device_info *info,
    const rr_engine_params *params, rr_memory_plan *out, rr_diag *diag);

/* Opens model and device, packs the weights, compiles the kernels. Cold cost: reads the whole file
 * once, and leaves the packed weights beside it, which later starts read instead (packed.h). */
rr_status rr_engine_open(const rr_engine_params *params, rr_engine **out, rr_diag *diag);
void rr_engine_close(rr_engine **engine); /* all sessions must have been destroyed */

const rr_model *rr_engine_model(const rr_engine *engine);
/* Borrowed from the engine. Errors: RR_E_UNSUPPORTED when the file has no vocabulary that we can
 * use (says why); such a model still runs on token ids. */
rr_status rr_engine_tokenizer(const rr_engine *engine, const rr_tokenizer **out, rr_diag *diag);
const rr_device_info *rr_engine_device(const rr_engine *engine);
/* The device is lost: every call that needs it returns RR_E_DEVICE. Nothing brings this engine back;
 * another can be opened. Any thread. */
bool rr_engine_is_lost(const rr_engine *engine);
const rr_memory_plan *rr_engine_plan(const rr_engine *engine);
uint64_t rr_engine_n_validation_messages(const rr_engine *engine);

/* RR_E_MEMORY: n_sessions are there already */
rr_status rr_session_create(rr_engine *engine, rr_session **out, rr_diag *diag);
void rr_session_destroy(rr_session **session);

/* Reserves KV pages for a timeline of `n` tokens. Needed where the engine keeps fewer tokens than
 * its sessions could have (kv_tokens); without a reservation the session's calls then return
 * RR_E_USAGE. Reservations are granted in the order of the calls; the call waits for its own. It
 * ends an earlier reservation of the session first, and cuts a longer timeline to n.
 * Until rr_session_release, calls take timelines of up to n tokens and neither wait for pages nor
 * fail for want of them. After it the timeline stays until other sessions need its pages, which are
 * evicted from its end. Then a sync must come first: it computes what is gone, generated tokens too,
 * by the prompt's kernels.
 * A thread that waits here must hold no reservation of another session, or it may deadlock. Where
 * there are pages for all sessions nothing waits. Errors: RR_E_USAGE (n is 0 or above n_context),
 * RR_E_CANCELLED, RR_E_DEADLINE; then the session has no reservation. */
rr_status rr_session_hold(rr_session *session, size_t n, rr_diag *diag);
void rr_session_release(rr_session *session);

/* Makes the session's timeline equal `tokens`: keeps the longest common prefix, computes the rest
 * in chunks, or shares what another session of the engine has computed of the same prompt (the same
 * bits). Prompts of several threads are computed one after another, short ones first (scheduler.h),
 * and generating sessions share their passes. After it the logits of the last token can be
 * sampled. Errors: RR_E_USAGE (n == 0, n > n_context, id out of range), RR_E_CANCELLED,
 * RR_E_DEADLINE, RR_E_DEVICE. After an error the session is still valid and holds a prefix of
 * `tokens`. */
rr_status rr_session_sync(rr_session *session, const int32_t *tokens, size_t n, rr_diag *diag);
/* where reservations are needed, only with one (rr_session_hold) */
size_t rr_session_n_tokens(const rr_session *session);
/* of the last sync: what the session itself had */
size_t rr_session_n_reused(const rr_session *session);
/* of the last sync: shared with other sessions */
size_t rr_session_n_shared(const rr_session *session);

/* Makes the session's timeline equal the first n tokens of `from`'s, which they share from then on.
 * A sync that goes on from there reuses them. Needed only for tokens that `from` generated: what is
 * prompt there, sync finds by itself. Neither session may be in a call of another thread meanwhile.
 * Errors: RR_E_USAGE (n beyond from's timeline, another engine's, itself), RR_E_DEVICE,
 * RR_E_CANCELLED, RR_E_DEADLINE. */
rr_status rr_session_fork(rr_session *session, const rr_session *from, size_t n, rr_diag *diag);

/* Called during sync after each chunk with the prompt tokens that are there so far and in all (of
 * this sync; without reused ones). */
typedef void (*rr_sync_progress_fn)(void *user, size_t done, size_t total);
void rr_session_on_sync_progress(rr_session *session, rr_sync_progress_fn fn, void *user);

/* Float32 logits [n_vocab] of the last token, owned by the session, valid until its next call.
 * Costs nothing after a sync or rr_engine_decode; after a greedy generate the last token is
 * computed once more. Errors: as sync; the timeline may then lack its last token: sync again. */
rr_status rr_session_logits(rr_session *session, const float **out, rr_diag *diag);

typedef enum rr_stop { RR_STOP_END, RR_STOP_MAX_TOKENS, RR_STOP_CONTEXT, RR_STOP_CALLER } rr_stop;

typedef struct rr_generate_params {
    uint32_t max_tokens; /* 0 = as many as the context, or the session's hold, has room for */
    float temperature;   /* 0 = greedy */
    float top_p;         /* 0 or 1 = off */
    uint64_t seed;
    bool ignore_end; /* goes on behind the end tokens: for measuring */
    /* Called for each generated token before the next is computed (not for the end token);
     * returning false stops with RR_STOP_CALLER. May be NULL. */
    bool (*on_token)(void *user, int32_t id);
    void *user;
    /* At temperature 0: guesses what follows `tokens` [n], the timeline with its newest token;
     * writes at most `max` ids and returns how many. Right guesses save passes, wrong ones cost a
     * little, the output is the same bytes whatever is guessed. rr_draft (draft.h) is one. How many
     * are asked for follows how earlier ones fared and what passes take, 0 at times. May be
     * NULL. */
    uint32_t (*draft)(void *user, const int32_t *tokens, size_t n, int32_t *ids, uint32_t max);
    void *draft_user;
    uint32_t draft_depth; /* most drafted tokens a pass; 0 = 15, at most RR_DECODE_ROWS − 1 */
    bool draft_always;    /* as many as draft_depth allows, whatever they cost: for tests */
} rr_generate_params;

typedef struct rr_generate_result {
    size_t n_tokens; /* appended to `out`, without the end token */
    rr_stop stop;
    uint64_t time_ns;
    /* guessed tokens that a pass looked at, and those that were right */
    size_t n_drafted, n_accepted;
} rr_generate_result;

/* Generates after a sync until <|im_end|>, <|endoftext|>, max_tokens or the context's end. Appends
 * ids to `out`; the timeline then holds all of them but perhaps the last. Errors: RR_E_CANCELLED
 * and RR_E_DEADLINE (what was generated stays in `out`), RR_E_DEVICE, RR_E_USAGE (no sync
 * before). */
rr_status rr_session_generate(rr_session *session, const rr_generate_params *params, rr_tokens *out,
    rr_generate_result *result, rr_diag *diag);

/* The logits of a few ids as the token behind `tokens`, for a text that a grammar writes: out[i] is
 * that of ids[i]. Makes the timeline equal `tokens` as rr_session_sync does, but what is new goes
 * through the decode family, up to RR_DECODE_ROWS a pass, with the bits that it would have had if
 * it had been generated token by token. lm_head is evaluated from id 0 to the largest of `ids`
 * only: the digits and brackets of a byte-level vocabulary are among its first 64 ids. The bits are
 * those of rr_session_logits, which this call leaves unmade. Errors: as sync; RR_E_USAGE for no ids
 * or one out of range. */
rr_status rr_session_logits_of(rr_session *session, const int32_t *tokens, size_t n,
    const int32_t *ids, size_t n_ids, float *out, rr_diag *diag);

/* Chooses one of n <= RR_CHOICES logits: the largest (the first of equals), or with a temperature a
 * draw as rr_session_generate's, which moves `rng` on by one step. Pure. */
enum { RR_CHOICES = 32 };
size_t rr_choose(const float *logits, size_t n, float temperature, float top_p, uint64_t *rng);

/* Makes a running or the next sync/generate of this session return RR_E_CANCELLED soon. Any thread;
 * signal-safe. */
void rr_session_cancel(rr_session *session);

/* From `time_ns` on (rr_time_ns) every call that runs passes over this session returns
 * RR_E_DEADLINE, and what runs then soon does: a prompt between two submits, a generation between
 * two tokens, what waits for a pass once the running one ends. Stays until it is set anew; 0 =
 * none. Not while a call of the session runs. */
void rr_session_deadline(rr_session *session, uint64_t time_ns);

/* Teacher forcing: syncs to `tokens` from scratch and calls `row` for every position with its
 * logits [n_vocab], in order, maybe from another thread that uses the engine; `row` must not call
 * the engine. */
typedef rr_status (*rr_logits_fn)(void *user, size_t position, const float *logits, rr_diag *diag);
rr_status rr_session_logits_all(rr_session *session, const int32_t *tokens, size_t n,
    rr_logits_fn row, void *user, rr_diag *diag);

/* One decode pass over up to 32 rows of different sessions: appends tokens[i] to sessions[i] and
 * leaves each session's logits ready. Where other threads wait for passes as well, the rows may be
 * dealt to two, and after an error those of one may have been appended (rr_session_n_tokens). The
 * result of a row has the same bits whatever its company. Errors: as sync; RR_E_USAGE when a
 * session appears twice, belongs to another engine or is full. */
rr_status rr_engine_decode(
    rr_engine *engine, rr_session *const *sessions, const int32_t *tokens, size_t n, rr_diag *diag);

/* What was computed since the engine was opened. */
typedef struct rr_engine_stats {
    uint64_t n_passes;
    /* those with rows of a prompt, of decode: some have both */
    uint64_t n_prompt_passes, n_decode_passes;
    uint64_t decode_rows;   /* of all decode passes, drafted ones among them */
    uint64_t prompt_tokens; /* of all prompt passes */
    uint64_t shared_tokens; /* prompt tokens that another session had already */
    /* of generate calls that are over: accepted ones took no pass of their own */
    uint64_t drafted_tokens, accepted_tokens;
    uint64_t evictions; /* pages of sessions without a hold that were taken from them */
    /* pages of the KV cache with tokens of sessions; of these, those with several's */
    uint32_t pages_used, pages_shared;
} rr_engine_stats;
/* Any thread. Passes that failed are not counted. */
void rr_engine_stats_get(rr_engine *engine, rr_engine_stats *out);

/* The profile of the engine's passes: as rr_compute_profile and rr_compute_profile_rows (profile.h).
 * Not while another thread uses the engine. */
rr_status rr_engine_profile(rr_engine *engine, bool on, rr_diag *diag);
const rr_profile_row *rr_engine_profile_rows(const rr_engine *engine, size_t *n);

#endif
