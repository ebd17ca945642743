#include "rerank/serve/detail.h"

#include <stdlib.h>

#include "rerank/attention.h"
#include "rerank/data/json_out.h"
#include "rerank/report/explain.h"

static double ms(uint64_t time_ns) {
    return (double)time_ns * 1e-6;
}

static const char *truth(bool value) {
    return value ? "true" : "false";
}

/* Windows */

void rr_serve_shown(
    const rr_serve_request *request, const uint32_t *passages, size_t n, rr_buf *out) {
    rr_buf_text(out, "[");
    for (size_t i = 0; i < n; i++) {
        rr_buf_printf(out, "%s%u", i > 0 ? "," : "", request->index[passages[i]]);
    }
    rr_buf_text(out, "]");
}

static void write_reads(const rr_window_result *window, rr_buf *out) {
    rr_buf_text(out, ",\"probabilities\":[");
    for (uint32_t i = 0; i < window->n; i++) {
        rr_buf_printf(out, "%s%.9g", i > 0 ? "," : "", window->reads[i].probability);
    }
    rr_buf_text(out, "]");
}

void rr_serve_detail_window(
    const rr_serve_request *request, const rr_window_result *window, rr_buf *out) {
    rr_buf_printf(
        out, "{\"begin\":%zu,\"end\":%zu,\"documents\":", window->window.begin, window->window.end);
    rr_serve_shown(request, window->passages, window->n, out);
    rr_buf_text(out, ",\"permutation\":[");
    for (uint32_t i = 0; i < window->n; i++) {
        rr_buf_printf(out, "%s%u", i > 0 ? "," : "", window->permutation[i]);
    }
    rr_buf_text(out, "],\"reasoning\":");
    rr_json_quote(window->reasoning.data, window->reasoning.bytes, out);
    rr_buf_text(out, ",\"answer\":");
    rr_json_quote(window->answer.data, window->answer.bytes, out);
    if (window->reads != NULL) {
        write_reads(window, out);
    }
    rr_buf_printf(out, ",\"repaired\":%s,\"truncated\":%s,\"late\":%s", truth(window->repaired),
        truth(window->truncated), truth(window->late));
    rr_buf_printf(out,
        ",\"prompt_tokens\":%llu,\"reused_tokens\":%llu,\"shared_tokens\":%llu,"
        "\"generated_tokens\":%llu",
        (unsigned long long)window->prompt_tokens, (unsigned long long)window->reused_tokens,
        (unsigned long long)window->shared_tokens, (unsigned long long)window->generated_tokens);
    rr_buf_printf(out, ",\"prompt_ms\":%.3f,\"generate_ms\":%.3f,\"time_ms\":%.3f}",
        ms(window->prompt_ns), ms(window->generate_ns), ms(window->time_ns));
}

static void write_windows(const rr_serve_request *request, const rr_ranking *ranking, rr_buf *out) {
    rr_buf_text(out, ",\"windows\":[");
    for (size_t i = 0; i < ranking->n_windows; i++) {
        rr_buf_text(out, i > 0 ? "," : "");
        rr_serve_detail_window(request, &ranking->windows[i], out);
    }
    rr_buf_text(out, "]");
}

/* Explanations */

/* One text about one document: a sentence that names it, or what drew the attention in it. */
static void write_note(
    uint32_t index, size_t window, uint32_t label, rr_text text, bool *is_first, rr_buf *out) {
    rr_buf_printf(out,
        "%s{\"index\":%u,\"window\":%zu,\"label\":%u,\"text\":", *is_first ? "" : ",", index,
        window, label);
    rr_json_quote(text.data, text.bytes, out);
    *is_first = false;
}

static void write_said(
    const rr_serve_request *request, const rr_explanations *said, bool *is_first, rr_buf *out) {
    for (size_t passage = 0; passage < said->n; passage++) {
        for (size_t i = said->first[passage]; i < said->first[passage + 1]; i++) {
            const rr_said *one = &said->said[i];
            write_note(request->index[passage], one->window, one->label, one->text, is_first, out);
            rr_buf_printf(out, ",\"named\":%u}", one->n_named);
        }
    }
}

static void write_words(const rr_passage_read *read, rr_text shown, rr_buf *out) {
    rr_buf_printf(out, ",\"share\":%.6g,\"words\":[", (double)read->sentence.share);
    bool is_first = true;
    for (uint32_t i = 0; i < read->n_words; i++) {
        const rr_text word = rr_attention_text(shown, read->words[i]);
        if (word.bytes > 0) {
            rr_buf_text(out, is_first ? "{\"text\":" : ",{\"text\":");
            rr_json_quote(word.data, word.bytes, out);
            rr_buf_printf(out, ",\"share\":%.6g}", (double)read->words[i].share);
            is_first = false;
        }
    }
    rr_buf_text(out, "]}");
}

static void write_attention(const rr_serve_request *request, const rr_ranking *ranking,
    const rr_prompt_form *form, bool *is_first, rr_buf *out) {
    rr_attention *attention = calloc(ranking->n + 1, sizeof *attention);
    if (attention == NULL) {
        out->failed = true;
        return;
    }
    rr_attention_find(ranking, attention);
    for (size_t i = 0; i < ranking->n; i++) {
        const rr_passage_read *read = attention[i].read;
        if (read == NULL || read->sentence.end == 0) {
            continue;
        }
        rr_buf shown = {0};
        rr_prompt_passage(form, &request->query.passages[i], &shown);
        const rr_text text = {shown.data != NULL ? shown.data : "", shown.bytes};
        write_note(request->index[i], attention[i].window, attention[i].label,
            rr_attention_text(text, read->sentence), is_first, out);
        write_words(read, text, out);
        out->failed = out->failed || shown.failed;
        rr_buf_destroy(&shown);
    }
    free(attention);
}

static void write_explanations(const rr_serve_request *request, const rr_ranking *ranking,
    const rr_serve_made_by *made_by, rr_buf *out) {
    rr_explanations said = {0};
    bool is_first = true;
    rr_buf_text(out, ",\"explanations\":[");
    if (rr_explain_ranking(ranking, &said, NULL) != RR_OK) {
        out->failed = true;
    } else {
        write_attention(request, ranking, &made_by->form, &is_first, out);
        write_said(request, &said, &is_first, out);
    }
    rr_buf_text(out, "]");
    rr_explanations_destroy(&said);
}

void rr_serve_detail(const rr_serve_request *request, const rr_ranking *ranking,
    const rr_serve_made_by *made_by, rr_buf *out) {
    rr_buf_printf(out, "{\"mode\":\"%s\",\"calibrated\":%s,\"late\":%s,", made_by->mode,
        truth(ranking->scores != NULL), truth(rr_ranking_n_late(ranking) > 0));
    rr_json_member("device", made_by->device, out);
    rr_buf_printf(out, ",\"time_ms\":%.3f", ms(ranking->time_ns));
    if (request->wish.explain) {
        write_windows(request, ranking, out);
        write_explanations(request, ranking, made_by, out);
    }
    rr_buf_text(out, "}");
}
