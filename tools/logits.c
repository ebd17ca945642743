/* `rearank logits`: teacher-forced log-probabilities of a list of token ids, one JSON line a
 * position. Owns: the output format. The numbers come from rr_session_logits_all. */
#include <stdlib.h>

#include <yyjson.h>

#include "runtime/base/file_out.h"
#include "runtime/base/text_file.h"
#include "tools/cli.h"
#include "tools/text_pieces.h"

enum { TOKENS_BYTES = 64 << 20 };

/* A JSON array of token ids. */
static rr_status read_tokens(const char *path, rr_tokens *out, rr_diag *diag) {
    rr_buf text = {0};
    rr_status status = rr_text_file_read(path, TOKENS_BYTES, &text, diag);
    yyjson_doc *doc = NULL;
    if (status == RR_OK && text.bytes == 0) {
        status =
            rr_fail(diag, RR_E_INPUT, "%s: is empty, expected a JSON array of token ids", path);
    }
    if (status == RR_OK) {
        yyjson_read_err error = {0};
        doc = yyjson_read_opts(text.data, text.bytes, YYJSON_READ_NOFLAG, NULL, &error);
        if (doc == NULL) {
            status = rr_fail(diag, RR_E_INPUT,
                "%s: byte %zu: not JSON (%s); expected an array of token ids", path, error.pos,
                error.msg);
        } else if (!yyjson_is_arr(yyjson_doc_get_root(doc))) {
            status =
                rr_fail(diag, RR_E_INPUT, "%s: found a JSON %s, expected an array of token ids",
                    path, yyjson_get_type_desc(yyjson_doc_get_root(doc)));
        }
    }
    if (status == RR_OK) {
        size_t index, n;
        yyjson_val *value;
        yyjson_arr_foreach(yyjson_doc_get_root(doc), index, n, value) {
            if (!yyjson_is_uint(value) || yyjson_get_uint(value) > INT32_MAX) {
                status =
                    rr_fail(diag, RR_E_INPUT, "%s: item %zu: found a JSON %s, expected a token id",
                        path, index, yyjson_get_type_desc(value));
                break;
            }
            rr_tokens_push(out, (int32_t)yyjson_get_uint(value));
        }
    }
    if (status == RR_OK && out->failed) {
        status = rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
    }
    yyjson_doc_free(doc);
    rr_buf_destroy(&text);
    return status;
}

typedef struct logits_request {
    const char *tokens_path, *raw_path;
    uint32_t top;
} logits_request;

typedef struct writer {
    const rr_tokens *tokens;
    uint32_t n_vocab;
    uint32_t top;
    int32_t *order;   /* [top + 1], scratch */
    rr_file_out *raw; /* NULL = none */
} writer;

/* The `k` best ids in order, smaller ids first among equals: insertion into a short sorted list. */
static uint32_t best_ids(const float *logits, uint32_t n, uint32_t k, int32_t *out) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (kept == k && (k == 0 || !(logits[i] > logits[out[k - 1]]))) {
            continue;
        }
        uint32_t at = kept < k ? kept++ : k - 1;
        while (at > 0 && logits[i] > logits[out[at - 1]]) {
            out[at] = out[at - 1];
            at--;
        }
        out[at] = (int32_t)i;
    }
    return kept;
}

static rr_status write_row(void *user, size_t position, const float *logits, rr_diag *diag) {
    writer *w = user;
    double total = rr_log_sum_exp(logits, w->n_vocab);
    rr_out_printf(
        "{\"position\":%zu,\"id\":%d,\"next_logprob\":", position, w->tokens->ids[position]);
    if (position + 1 < w->tokens->n) {
        rr_out_printf("%.9g", (double)logits[w->tokens->ids[position + 1]] - total);
    } else {
        rr_out_text("null");
    }
    rr_out_text(",\"top\":[");
    uint32_t n = best_ids(logits, w->n_vocab, w->top, w->order);
    for (uint32_t i = 0; i < n; i++) {
        rr_out_printf("%s{\"id\":%d,\"logprob\":%.9g}", i == 0 ? "" : ",", w->order[i],
            (double)logits[w->order[i]] - total);
    }
    rr_out_text("]}\n");
    if (w->raw != NULL) {
        RR_TRY(rr_file_out_write(w->raw, logits, w->n_vocab * sizeof *logits, diag));
    }
    if (rr_cli_interrupted()) {
        return rr_fail(diag, RR_E_CANCELLED, "interrupted");
    }
    return rr_out_failed() ? rr_fail(diag, RR_E_IO, "cannot write to standard output") : RR_OK;
}

static rr_status check_ids(
    const char *path, const rr_tokens *tokens, uint32_t n_vocab, rr_diag *diag) {
    for (size_t i = 0; i < tokens->n; i++) {
        if ((uint32_t)tokens->ids[i] >= n_vocab) {
            return rr_fail(diag, RR_E_INPUT,
                "%s: item %zu: found token id %d, expected 0 to %u (this model's vocabulary)", path,
                i, tokens->ids[i], n_vocab - 1);
        }
    }
    return RR_OK;
}

/* Opens the model and writes a row a token. */
static rr_status run(const logits_request *request, const rr_engine_params *params,
    const rr_tokens *tokens, rr_file_out *raw, rr_diag *diag) {
    rr_engine *engine = NULL;
    rr_session *session = NULL;
    writer w = {.tokens = tokens, .raw = raw};
    rr_engine_params sized = *params;
    if (sized.compute.n_context == 0) {
        sized.compute.n_context = tokens->n < 16 ? 16 : (uint32_t)tokens->n;
    }
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_engine_open(&sized, &engine, diag));
    RR_TRY_GOTO(rr_session_create(engine, &session, diag));
    w.n_vocab = rr_engine_model(engine)->config.n_vocab;
    RR_TRY_GOTO(check_ids(request->tokens_path, tokens, w.n_vocab, diag));
    w.top = request->top < w.n_vocab ? request->top : w.n_vocab;
    w.order = malloc((w.top + 1) * sizeof *w.order);
    if (w.order == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory");
        goto fail;
    }
    RR_TRY_GOTO(rr_session_logits_all(session, tokens->ids, tokens->n, write_row, &w, diag));
fail:
    free(w.order);
    rr_session_destroy(&session);
    rr_engine_close(&engine);
    return status;
}

static void on_interrupt(void *user) {
    (void)user; /* rr_cli_interrupted() is asked between rows */
}

static rr_status write_logits(const logits_request *request, rr_cli_engine *engine, rr_diag *diag) {
    rr_tokens tokens = {0};
    rr_file_out raw = {0};
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_cli_engine_ready(engine, diag));
    RR_TRY_GOTO(read_tokens(request->tokens_path, &tokens, diag));
    if (tokens.n == 0) {
        status = rr_fail(diag, RR_E_INPUT, "%s: found no token ids, expected at least one",
            request->tokens_path);
        goto fail;
    }
    if (request->raw_path != NULL) {
        RR_TRY_GOTO(rr_file_out_open(request->raw_path, &raw, diag));
    }
    RR_TRY_GOTO(
        run(request, &engine->params, &tokens, request->raw_path != NULL ? &raw : NULL, diag));
    if (request->raw_path != NULL) {
        status = rr_file_out_finish(&raw, diag);
    }
fail:
    rr_file_out_discard(&raw);
    rr_tokens_destroy(&tokens);
    return status;
}

int rr_verb_logits(int argc, char **argv) {
    rr_cli_engine engine;
    logits_request request = {.top = 5};
    const rr_opt options[] = {
        {.name = "tokens",
            .letter = 't',
            .kind = RR_OPT_TEXT,
            .target = &request.tokens_path,
            .value = "FILE",
            .help =
                "JSON array of token ids (`rearank tokenize --format json` writes one); - = standard input"},
        {.name = "top",
            .letter = 'k',
            .kind = RR_OPT_U32,
            .target = &request.top,
            .value = "K",
            .help = "how many of the likeliest ids to print (default 5)",
            .min = 0,
            .max = 10000},
        {.name = "raw",
            .kind = RR_OPT_TEXT,
            .target = &request.raw_path,
            .value = "FILE",
            .help = "also write all logits: float32 [n][vocabulary], little endian"},
    };
    const rr_cli_spec spec = {
        .synopsis = "--tokens FILE",
        .about =
            "Feeds a fixed list of token ids to the model and prints, a JSON line a position, the log-probability\n"
            "that it gives to the id that follows and its likeliest ids.",
        .groups = {rr_cli_options(options), rr_cli_engine_group(&engine)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    if (request.tokens_path == NULL) {
        return rr_cli_usage_error("--tokens FILE is needed");
    }
    rr_cli_files files = {0};
    rr_cli_writes(&files, "--raw", request.raw_path);
    rr_cli_reads(&files, "--tokens", request.tokens_path);
    rr_cli_engine_files(&engine, &files);
    code = rr_cli_files_check(&files);
    if (code != RR_CLI_GO_ON) {
        rr_cli_engine_release(&engine);
        return code;
    }
    rr_diag diag = {0};
    rr_cli_on_interrupt(on_interrupt, NULL);
    rr_status status = write_logits(&request, &engine, &diag);
    rr_cli_engine_release(&engine);
    if (status != RR_OK && rr_out_failed()) {
        return RR_EXIT_FAILURE; /* rr_out_finish says why, unless a reader went away */
    }
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}
