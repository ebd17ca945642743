/* Hostile reasonings: the first byte is the number of labels. Sentences and mentions must lie in
 * order, apart, within the text and within each other, and name nothing outside of the labels. */
#include <stdlib.h>
#include <string.h>

#include "rerank/report/explain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must(bool condition) {
    if (!condition) {
        abort();
    }
}

static void check_text(const char *text, size_t bytes, uint32_t n) {
    rr_arena arena = {0};
    rr_explained read;
    rr_diag diag = {0};
    must(rr_explain_text(text, bytes, n, &arena, &read, &diag) == RR_OK);
    size_t at = 0;
    for (size_t i = 0; i < read.n_sentences; i++) {
        rr_sentence s = read.sentences[i];
        must(s.begin >= at && s.end > s.begin && s.end <= bytes);
        at = s.end;
    }
    at = 0;
    for (size_t i = 0; i < read.n_mentions; i++) {
        const rr_mention *m = &read.mentions[i];
        must(m->sentence < read.n_sentences && m->begin >= at && m->end > m->begin);
        must(m->begin >= read.sentences[m->sentence].begin &&
            m->end <= read.sentences[m->sentence].end);
        must(m->first >= 1 && m->first <= m->last && m->last <= n);
        at = m->end;
    }
    rr_arena_destroy(&arena);
}

static void check_ranking(const char *text, size_t bytes, uint32_t n) {
    uint32_t *order = malloc((n + 1) * sizeof *order);
    must(order != NULL);
    for (uint32_t i = 0; i < n; i++) {
        order[i] = n - 1 - i;
    }
    rr_window_result windows[2] = {{.passages = order, .n = n, .reasoning = {text, bytes}}};
    windows[1] = windows[0];
    rr_ranking ranking = {.order = order, .n = n, .windows = windows, .n_windows = 2};
    rr_explanations e;
    rr_diag diag = {0};
    must(rr_explain_ranking(&ranking, &e, &diag) == RR_OK && e.n == n && e.first[0] == 0);
    for (size_t p = 0; p < n; p++) {
        must(
            e.first[p] <= e.first[p + 1] && e.first[p + 1] - e.first[p] <= 2 * RR_EXPLAIN_MAX_SAID);
        for (size_t i = e.first[p]; i < e.first[p + 1]; i++) {
            const rr_said *said = &e.said[i];
            must(said->window < 2 && said->n_named >= 1 && said->n_named <= n &&
                said->text.bytes > 0);
            must(said->text.data >= text && said->text.data + said->text.bytes <= text + bytes);
            must(said->begin < said->end && said->end - said->begin <= said->text.bytes);
        }
    }
    rr_explanations_destroy(&e);
    free(order);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0) {
        return 0;
    }
    uint32_t n = data[0];
    check_text((const char *)data + 1, bytes - 1, n);
    check_ranking((const char *)data + 1, bytes - 1, n);
    return 0;
}
