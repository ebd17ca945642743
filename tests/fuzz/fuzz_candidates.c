/* The readers of candidates, passages and recordings: the first byte chooses which. What is
 * accepted must be whole, and every passage must make a prompt. */
#include <stdlib.h>
#include <string.h>

#include "rerank/data/candidates.h"
#include "rerank/prompt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void use_query(const rr_query *query) {
    rr_diag diag = {0};
    size_t n_chars = strlen(query->qid) + query->text.bytes;
    for (size_t i = 0; i < query->n; i++) {
        n_chars += strlen(query->passages[i].id);
    }
    rr_prompt prompt;
    rr_prompt_style style = n_chars % 2 != 0 ? RR_PROMPT_REARANK : RR_PROMPT_RANKGPT;
    if (rr_prompt_build(&(rr_prompt_form){.style = style}, query, NULL, query->n, &prompt, &diag) !=
        RR_OK) {
        abort();
    }
    rr_prompt_destroy(&prompt);
}

static void read_candidates(char kind, const char *text, size_t bytes) {
    rr_candidates candidates;
    rr_diag diag = {0};
    rr_status status = kind == 'c' ? rr_candidates_parse(text, bytes, "fuzz", &candidates, &diag)
        : kind == 'p'
        ? rr_passages_parse("1", "query", text, bytes, "fuzz", &candidates, &diag)
        : rr_passages_parse("1", "query", text, bytes, "fuzz.jsonl", &candidates, &diag);
    if (status == RR_OK ? candidates.n == 0 : diag.text[0] == '\0') {
        abort();
    }
    for (size_t i = 0; i < candidates.n && status == RR_OK; i++) {
        use_query(&candidates.queries[i]);
    }
    rr_candidates_destroy(&candidates);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    if (data[0] != 'r') {
        read_candidates((char)data[0], text, bytes - 1);
        return 0;
    }
    rr_recording recording;
    rr_diag diag = {0};
    rr_status status = rr_recording_parse(text, bytes - 1, "fuzz", &recording, &diag);
    for (size_t i = 0; i < recording.n && status == RR_OK; i++) {
        if (rr_recording_find(&recording, recording.items[i].qid) != &recording.items[i]) {
            abort();
        }
    }
    rr_recording_destroy(&recording);
    return 0;
}
