/* Attention's backward pass over a prefix with branches against finite differences of the forward
 * reference, which knows plain sequences only: each branch is a sequence of its own behind a copy
 * of the prefix. */
#include "runtime/ref/grad.h"
#include "tests/ref/differences.h"

enum { MOST_ROWS = 12, HEADS = 4, KV_HEADS = 2, SIZE = 8, Q = HEADS * SIZE, KV = KV_HEADS * SIZE };

typedef struct attention_case {
    uint32_t segments[MOST_ROWS][2];
    uint32_t n_rows, n_prefix;
    float q[MOST_ROWS * Q], k[MOST_ROWS * KV], v[MOST_ROWS * KV], o[MOST_ROWS * Q];
    float weights[MOST_ROWS * Q]; /* of the loss */
} attention_case;

static const float SCALE = 0.6f;

/* Rows [begin, end) behind the prefix; of the prefix itself, begin is 0. */
static void forward_segment(attention_case *c, uint32_t begin, uint32_t end) {
    float cache[2 * KV_HEADS * MOST_ROWS * SIZE];
    double scratch[MOST_ROWS + 3 * SIZE];
    uint32_t positions[MOST_ROWS], before = begin < c->n_prefix ? 0 : c->n_prefix;
    const rr_ref_kv kv = {
        .n_kv_heads = KV_HEADS, .n_context = MOST_ROWS, .head_size = SIZE, .f32 = cache};
    for (uint32_t r = 0; r < before; r++) {
        rr_ref_kv_write(&kv, r, c->k + (size_t)r * KV, c->v + (size_t)r * KV);
    }
    for (uint32_t r = begin; r < end; r++) {
        positions[r - begin] = before + r - begin;
        rr_ref_kv_write(&kv, before + r - begin, c->k + (size_t)r * KV, c->v + (size_t)r * KV);
    }
    const rr_ref_attention_params params = {.q = c->q + (size_t)begin * Q,
        .positions = positions,
        .n_rows = end - begin,
        .n_heads = HEADS,
        .q_stride = Q,
        .scale = SCALE,
        .kv = kv,
        .y = c->o + (size_t)begin * Q};
    for (uint32_t h = 0; h < HEADS; h++) {
        rr_ref_attention_head(&params, h, scratch);
    }
}

static double attention_loss(const void *user) {
    attention_case *c = (attention_case *)(uintptr_t)user;
    for (uint32_t r = 0; r < c->n_rows; r = c->segments[r][1]) {
        forward_segment(c, r, c->segments[r][1]);
    }
    return combine(c->weights, c->o, (size_t)c->n_rows * Q);
}

/* lengths: of the prefix, then of the branches, then 0. */
static void check_case(const char *what, const uint32_t *lengths) {
    attention_case c = {.n_prefix = lengths[0]};
    uint64_t state = 5;
    for (int s = 0; s == 0 || lengths[s] != 0; s++) {
        uint32_t begin = c.n_rows;
        for (uint32_t i = 0; i < lengths[s]; i++, c.n_rows++) {
            c.segments[c.n_rows][0] = begin;
            c.segments[c.n_rows][1] = begin + lengths[s];
        }
    }
    random_values(&state, c.q, sizeof c.q / sizeof *c.q);
    random_values(&state, c.k, sizeof c.k / sizeof *c.k);
    random_values(&state, c.v, sizeof c.v / sizeof *c.v);
    random_values(&state, c.weights, sizeof c.weights / sizeof *c.weights);
    (void)attention_loss(&c);
    float lse[MOST_ROWS * HEADS], delta[MOST_ROWS * HEADS], d_q[MOST_ROWS * Q];
    float d_k[MOST_ROWS * KV], d_v[MOST_ROWS * KV];
    attention_case forward = c; /* whose o the differences write over */
    const rr_ref_attention_grad_params params = {
        .branches = {(const uint32_t(*)[2])c.segments, c.n_rows, c.n_prefix},
        .q = c.q,
        .k = c.k,
        .v = c.v,
        .o = forward.o,
        .d_o = c.weights,
        .n_heads = HEADS,
        .n_kv_heads = KV_HEADS,
        .head_size = SIZE,
        .q_stride = Q,
        .scale = SCALE,
        .lse = lse,
        .delta = delta,
        .d_q = d_q,
        .d_k = d_k,
        .d_v = d_v};
    CHECK(rr_ref_attention_grad(&params));
    char text[64];
    snprintf(text, sizeof text, "%s, d_q", what);
    check_gradient(text, attention_loss, &c, c.q, d_q, (size_t)c.n_rows * Q);
    snprintf(text, sizeof text, "%s, d_k", what);
    check_gradient(text, attention_loss, &c, c.k, d_k, (size_t)c.n_rows * KV);
    snprintf(text, sizeof text, "%s, d_v", what);
    check_gradient(text, attention_loss, &c, c.v, d_v, (size_t)c.n_rows * KV);
}

static void test_sees(void) {
    static const uint32_t segments[6][2] = {{0, 2}, {0, 2}, {2, 4}, {2, 4}, {4, 6}, {4, 6}};
    static const char *const expected[6] = {
        "100000", "110000", "111000", "111100", "110010", "110011"};
    const rr_ref_branches branches = {segments, 6, 2};
    for (uint32_t r = 0; r < 6; r++) {
        for (uint32_t j = 0; j < 6; j++) {
            CHECK_MSG(
                rr_ref_sees(&branches, r, j) == (expected[r][j] == '1'), "row %u, key %u", r, j);
        }
    }
}

int main(void) {
    test_sees();
    check_case("one sequence", (const uint32_t[]){7, 0});
    check_case("a prefix and three branches", (const uint32_t[]){4, 3, 1, 4, 0});
    check_case("branches without a prefix", (const uint32_t[]){0, 5, 2, 0});
    return CHECK_END();
}
