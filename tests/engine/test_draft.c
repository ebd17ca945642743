/* Suffix lookup against a plain search, and the choice of depth. */
#include "runtime/engine/draft.h"
#include "runtime/engine/draft_depth.h"
#include "tests/check.h"

static uint64_t state = 3;

static uint32_t next_random(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

static size_t matched(const int32_t *text, size_t at, const int32_t *tokens, size_t n) {
    size_t length = 0;
    while (length < at && length < n && length < RR_DRAFT_MAX_MATCH &&
        text[at - 1 - length] == tokens[n - 1 - length]) {
        length++;
    }
    return length;
}

/* As draft.h says it, looking at every place. */
static uint32_t plain_draft(
    const rr_draft_sources *sources, const int32_t *tokens, size_t n, int32_t *out, uint32_t max) {
    size_t best = 0, n_follow = 0;
    const int32_t *follow = NULL;
    for (size_t at = 1; at < n; at++) {
        size_t length = matched(tokens, at, tokens, n);
        if (length >= best) {
            best = length;
            follow = tokens + at;
            n_follow = n - at;
        }
    }
    for (size_t t = sources->n; t-- > 0;) {
        size_t before = best; /* what comes first wins among equals, within a text the last */
        for (size_t at = 1; at < sources->texts[t].n; at++) {
            size_t length = matched(sources->texts[t].ids, at, tokens, n);
            if (length > before && length >= best) {
                best = length;
                follow = sources->texts[t].ids + at;
                n_follow = sources->texts[t].n - at;
            }
        }
    }
    if (best < (sources->min_match != 0 ? sources->min_match : 2)) {
        return 0;
    }
    size_t count = best * RR_DRAFT_TOKENS_PER_MATCHED;
    count = count < max ? count : max;
    count = count < n_follow ? count : n_follow;
    memcpy(out, follow, count * sizeof *out);
    return (uint32_t)count;
}

static void test_random(void) {
    enum { MOST = 300, N_TEXTS = 3 };
    int32_t tokens[MOST], ids[N_TEXTS][MOST], found[32], expected[32];
    int n_drafts = 0;
    for (int run = 0; run < 3000; run++) {
        rr_draft_text texts[N_TEXTS];
        rr_draft_sources sources = {
            .texts = texts, .n = next_random(N_TEXTS + 1), .min_match = next_random(5)};
        const uint32_t n_letters = 1 + next_random(6);
        const size_t n = 1 + next_random(MOST);
        for (size_t i = 0; i < n; i++) {
            tokens[i] = (int32_t)next_random(n_letters);
        }
        for (size_t t = 0; t < sources.n; t++) {
            texts[t] = (rr_draft_text){ids[t], next_random(MOST + 1)};
            size_t from = next_random((uint32_t)n);
            for (size_t i = 0; i < texts[t].n; i++) { /* half of them quote the timeline */
                ids[t][i] =
                    t % 2 == 0 && from + i < n ? tokens[from + i] : (int32_t)next_random(n_letters);
            }
        }
        const uint32_t max = next_random(32);
        uint32_t n_found = rr_draft(&sources, tokens, n, found, max);
        uint32_t n_expected = max == 0 ? 0 : plain_draft(&sources, tokens, n, expected, max);
        CHECK_MSG(n_found == n_expected && memcmp(found, expected, n_found * sizeof *found) == 0,
            "run %d: %u tokens drafted, expected %u, or others", run, n_found, n_expected);
        n_drafts += n_found > 0;
    }
    CHECK(n_drafts > 1000);
}

static void test_cases(void) {
    static const int32_t tokens[] = {1, 2, 3, 4, 5, 9, 2, 3};
    static const int32_t answer[] = {9, 2, 3, 7, 7, 7, 7, 7, 7, 7, 7};
    const rr_draft_text text = {answer, sizeof answer / sizeof answer[0]};
    int32_t out[16];
    CHECK_INT(rr_draft(NULL, tokens, 8, out, 16), 4); /* two match, four follow */
    CHECK(out[0] == 4 && out[1] == 5 && out[2] == 9 && out[3] == 2);
    CHECK_INT(rr_draft(NULL, tokens, 8, out, 1), 1);
    CHECK_INT(rr_draft(NULL, tokens, 6, out, 16), 0);
    CHECK_INT(rr_draft(NULL, tokens, 1, out, 16), 0);
    CHECK_INT(rr_draft(NULL, tokens, 0, out, 16), 0);
    CHECK_INT(rr_draft(NULL, tokens, 7, out, 16), 0); /* one token is too little */
    rr_draft_sources sources = {.texts = &text, .n = 1};
    CHECK_INT(rr_draft(&sources, tokens, 8, out, 16), 6); /* three match there */
    CHECK_INT(out[0], 7);
    sources.min_match = 4;
    CHECK_INT(rr_draft(&sources, tokens, 8, out, 16), 0);
}

static void test_depth(void) {
    enum { ROWS = 32 };
    double ns[ROWS + 1] = {0};
    rr_draft_depth good = {0}, bad = {0};
    CHECK_INT(rr_draft_depth_choose(&good, ns, ROWS, 0, 15), 0); /* nothing measured */
    ns[1] = 10.0;
    CHECK(rr_draft_depth_choose(&good, ns, ROWS, 0, 15) >
        0); /* tried once a pass of one row is known */
    for (int i = 0; i < 20; i++) {
        rr_draft_depth_learn(&good, 8, 8);
        rr_draft_depth_learn(&bad, 8, 0);
    }
    CHECK(rr_draft_depth_chance(&good) > 0.95 && rr_draft_depth_chance(&bad) < 0.2);
    /* a device that computes: each row half as much again; one that reads: rows for nothing */
    double dear[ROWS + 1] = {0}, cheap[ROWS + 1] = {0};
    for (int n = 1; n <= ROWS; n++) {
        dear[n] = 5.0 + 5.0 * n;
        cheap[n] = 10.0 + 0.01 * n;
    }
    CHECK_INT(rr_draft_depth_choose(&good, cheap, ROWS, 0, 15), 15);
    CHECK_INT(rr_draft_depth_choose(&good, cheap, ROWS, 0, 3), 3);
    CHECK_INT(rr_draft_depth_choose(&bad, dear, ROWS, 0, 15), 0);
    CHECK(rr_draft_depth_choose(&good, dear, ROWS, 0, 15) > 3);
    /* as many as the pass has room for */
    CHECK_INT(rr_draft_depth_choose(&good, cheap, ROWS, 30, 15), 1);
    CHECK_INT(rr_draft_depth_choose(&good, cheap, ROWS, 31, 15), 0);
    rr_draft_depth slow = good; /* a drafter that takes as long as a pass for each token */
    rr_draft_depth_learn_cost(&slow, 4, 40.0);
    CHECK(slow.draft_ns == 10.0);
    CHECK_INT(rr_draft_depth_choose(&slow, cheap, ROWS, 0, 15), 0);
    rr_draft_depth_learn_cost(&good, 4, 0.04);
    CHECK_INT(rr_draft_depth_choose(&good, cheap, ROWS, 0, 15), 15);
    for (int i = 0; i < RR_DRAFT_DEPTH_IDLE; i++) {
        CHECK_INT(rr_draft_depth_choose(&bad, dear, ROWS, 0, 15), 0);
        rr_draft_depth_learn(&bad, 0, 0);
    }
    CHECK_INT(rr_draft_depth_choose(&bad, dear, ROWS, 0, 15), 2); /* once in a while */
    CHECK_INT(rr_draft_depth_choose(&bad, dear, ROWS, 0, 1), 1);
    rr_draft_depth_learn(&bad, 2, 0);
    CHECK_INT(rr_draft_depth_choose(&bad, dear, ROWS, 0, 15), 0);
    /* what is not measured lies on the line of what is */
    double some[ROWS + 1] = {0};
    some[2] = 20.0;
    some[6] = 40.0;
    CHECK(rr_draft_depth_pass_ns(some, ROWS, 4) == 30.0);
    CHECK(rr_draft_depth_pass_ns(some, ROWS, 8) == 50.0);
    CHECK(rr_draft_depth_pass_ns(some, ROWS, 1) == 20.0);
    CHECK(rr_draft_depth_pass_ns(some, ROWS, 6) == 40.0);
    some[6] = 15.0; /* noise: more rows take no less */
    CHECK(rr_draft_depth_pass_ns(some, ROWS, 8) == 15.0);
}

int main(void) {
    test_cases();
    test_random();
    test_depth();
    return CHECK_END();
}
