#include "tools/text_pieces.h"

#include <math.h>

#include "runtime/base/text_file.h"

static const uint64_t max_text_bytes = (uint64_t)1 << 30;

rr_status rr_text_pieces_read(const char *path, const rr_tokenizer *tokenizer, uint32_t length,
    uint32_t most, rr_text_pieces *out, rr_diag *diag) {
    rr_buf text = {0};
    rr_text_pieces pieces = {.length = length};
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_text_file_read(path, max_text_bytes, &text, diag));
    RR_TRY_GOTO(rr_tokenizer_encode(
        tokenizer, text.data != NULL ? text.data : "", text.bytes, &pieces.tokens, diag));
    pieces.n = pieces.tokens.n / length;
    if (pieces.n == 0) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_INPUT,
            "%s: found %zu tokens, expected at least the %u of one piece: give a longer text or a "
            "shorter --length",
            path, pieces.tokens.n, length));
    }
    pieces.n = most != 0 && most < pieces.n ? most : pieces.n;
    *out = pieces;
    pieces.tokens = (rr_tokens){0};
fail:
    rr_text_pieces_destroy(&pieces);
    rr_buf_destroy(&text);
    return status;
}

void rr_text_pieces_destroy(rr_text_pieces *pieces) {
    rr_tokens_destroy(&pieces->tokens);
    *pieces = (rr_text_pieces){0};
}

double rr_log_sum_exp(const float *logits, size_t n) {
    double highest = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        highest = fmax(highest, (double)logits[i]);
    }
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += exp((double)logits[i] - highest);
    }
    return highest + log(sum);
}

void rr_mean_add(rr_mean *mean, double value) {
    mean->n++;
    mean->sum += value;
    mean->sum_squares += value * value;
}

double rr_mean_of(const rr_mean *mean) {
    return mean->sum / (double)mean->n;
}

double rr_mean_error(const rr_mean *mean) {
    const double n = (double)mean->n, of = rr_mean_of(mean);
    const double variance = mean->n > 1 ? (mean->sum_squares - n * of * of) / (n - 1.0) : 0.0;
    return variance > 0.0 ? sqrt(variance / n) : 0.0;
}
