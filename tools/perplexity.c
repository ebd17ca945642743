/* `rearank perplexity`: how well a model predicts a text.
 * Owns: the options and the output. Pieces and sums: tools/text_pieces.h. */
#include <math.h>

#include "tools/cli.h"
#include "tools/text_pieces.h"

typedef struct perplexity_request {
    const char *text;
    uint32_t length, most;
    bool json;
} perplexity_request;

typedef struct piece_rows {
    const rr_text_pieces *pieces;
    size_t index; /* of the piece */
    uint32_t n_vocab;
    rr_mean loss; /* -log of the probability of what follows */
} piece_rows;

static rr_status add_row(void *user, size_t position, const float *logits, rr_diag *diag) {
    piece_rows *rows = user;
    if (rr_text_piece_counts(rows->pieces, position)) {
        const int32_t next = rr_text_piece(rows->pieces, rows->index)[position + 1];
        rr_mean_add(&rows->loss, rr_log_sum_exp(logits, rows->n_vocab) - (double)logits[next]);
    }
    return rr_cli_interrupted() ? rr_fail(diag, RR_E_CANCELLED, "interrupted") : RR_OK;
}

static void print(const perplexity_request *request, const piece_rows *rows) {
    const double perplexity = exp(rr_mean_of(&rows->loss));
    const double error = perplexity * rr_mean_error(&rows->loss);
    if (request->json) {
        rr_out_printf("{\"perplexity\":%.6f,\"error\":%.6f,\"tokens\":%zu,\"pieces\":%zu,"
                      "\"length\":%zu}\n",
            perplexity, error, rows->loss.n, rows->pieces->n, rows->pieces->length);
    } else {
        rr_out_printf("perplexity %.4f ± %.4f, of %zu tokens in %zu pieces of %zu\n", perplexity,
            error, rows->loss.n, rows->pieces->n, rows->pieces->length);
    }
}

static rr_status run(
    const perplexity_request *request, const rr_engine_params *params, rr_diag *diag) {
    rr_engine *engine = NULL;
    rr_session *session = NULL;
    const rr_tokenizer *tokenizer = NULL;
    rr_text_pieces pieces = {0};
    piece_rows rows = {.pieces = &pieces};
    rr_engine_params sized = *params;
    sized.compute.n_context = request->length < 16 ? 16 : request->length;
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_engine_open(&sized, &engine, diag));
    RR_TRY_GOTO(rr_engine_tokenizer(engine, &tokenizer, diag));
    RR_TRY_GOTO(rr_text_pieces_read(
        request->text, tokenizer, request->length, request->most, &pieces, diag));
    RR_TRY_GOTO(rr_session_create(engine, &session, diag));
    rows.n_vocab = rr_engine_model(engine)->config.n_vocab;
    for (; rows.index < pieces.n; rows.index++) {
        rr_cli_progress(NULL, "pieces", rows.index, pieces.n);
        RR_TRY_GOTO(rr_session_logits_all(
            session, rr_text_piece(&pieces, rows.index), pieces.length, add_row, &rows, diag));
    }
    rr_cli_progress(NULL, "pieces", pieces.n, pieces.n);
    print(request, &rows);
fail:
    rr_text_pieces_destroy(&pieces);
    rr_session_destroy(&session);
    rr_engine_close(&engine);
    return status;
}

static void on_interrupt(void *user) {
    (void)user; /* rr_cli_interrupted() is asked between rows */
}

int rr_verb_perplexity(int argc, char **argv) {
    rr_cli_engine engine;
    perplexity_request request = {.length = RR_PIECE_LENGTH};
    const rr_opt options[] = {
        {.name = "length",
            .kind = RR_OPT_U32,
            .target = &request.length,
            .value = "N",
            .help = "tokens a piece (default 512)",
            .min = RR_PIECE_MIN_LENGTH,
            .max = 1 << 20},
        {.name = "pieces",
            .kind = RR_OPT_U32,
            .target = &request.most,
            .value = "N",
            .help = "only the first N pieces (default: all)",
            .min = 1,
            .max = UINT32_MAX},
        {.name = "json",
            .kind = RR_OPT_FLAG,
            .target = &request.json,
            .help = "print one JSON object"},
    };
    const rr_cli_spec spec = {
        .synopsis = "TEXT",
        .about =
            "Tells how well a model predicts a text: the exponential of the mean loss of its tokens. The text is cut\n"
            "into pieces; the first half of each is context, the tokens behind it count, as in llama.cpp's perplexity.",
        .min_args = 1,
        .max_args = 1,
        .groups = {rr_cli_options(options), rr_cli_engine_group(&engine)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    request.text = args.items[0];
    rr_diag diag = {0};
    rr_cli_on_interrupt(on_interrupt, NULL);
    rr_status status = rr_cli_engine_ready(&engine, &diag);
    if (status == RR_OK) {
        status = run(&request, &engine.params, &diag);
    }
    rr_cli_engine_release(&engine);
    return status == RR_OK ? RR_EXIT_OK : rr_cli_fail(status, &diag);
}
