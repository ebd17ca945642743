/* The backward reference of each op against finite differences of its forward reference; the
 * optimizer against steps worked out by hand. */
#include "runtime/ref/grad.h"
#include "tests/ref/differences.h"

enum { TOKENS = 3, OUT = 5, IN = 32, RANK = 2 };

/* y = x W^T + s (x A^T) B^T, the product of a frozen matrix and an adapter. */
typedef struct linear_case {
    float w[OUT * IN], x[TOKENS * IN], a[RANK * IN], b[OUT * RANK], weights[TOKENS * OUT];
} linear_case;

static const float LORA_SCALE = 0.7f;

static void product(
    const float *w, uint32_t rows, uint32_t cols, const float *x, float *y, const float *added) {
    float row[IN];
    rr_ref_matmul(&(rr_ref_matmul_params){.matrix = {rows, cols, RR_Q_F32, w, NULL, NULL},
        .x = x,
        .x_stride = cols,
        .y_stride = rows,
        .n_tokens = TOKENS,
        .residual = added,
        .y = y,
        .scratch = row});
}

static double linear_loss(const void *user) {
    const linear_case *c = user;
    float h[TOKENS * RANK], y[TOKENS * OUT];
    product(c->a, RANK, IN, c->x, h, NULL);
    for (int i = 0; i < TOKENS * RANK; i++) {
        h[i] *= LORA_SCALE;
    }
    product(c->b, OUT, RANK, h, y, NULL);
    product(c->w, OUT, IN, c->x, y, y);
    return combine(c->weights, y, TOKENS * OUT);
}

static void product_grad(const float *w, uint32_t rows, uint32_t cols, const float *d_y,
    float factor, bool adds, float *d_x) {
    double sums[IN];
    float weights[OUT * IN];
    rr_ref_matmul_grad(&(rr_ref_matmul_grad_params){.matrix = {rows, cols, RR_Q_F32, w, NULL, NULL},
        .d_y = d_y,
        .y_stride = rows,
        .x_stride = cols,
        .n_tokens = TOKENS,
        .factor = factor,
        .adds = adds,
        .d_x = d_x,
        .sums = sums,
        .weights = weights});
}

static void test_linear(void) {
    linear_case c;
    uint64_t state = 1;
    random_values(&state, c.w, OUT * IN);
    random_values(&state, c.x, TOKENS * IN);
    random_values(&state, c.a, RANK * IN);
    random_values(&state, c.b, OUT * RANK);
    random_values(&state, c.weights, TOKENS * OUT);
    float d_x[TOKENS * IN], u[TOKENS * RANK], h[TOKENS * RANK], d_a[RANK * IN], d_b[OUT * RANK];
    product(c.a, RANK, IN, c.x, h, NULL);
    product_grad(c.b, OUT, RANK, c.weights, 1, false, u);
    const rr_ref_outer_grad_params of_a = {.a = u,
        .b = c.x,
        .n_a = RANK,
        .n_b = IN,
        .a_stride = RANK,
        .b_stride = IN,
        .n_tokens = TOKENS,
        .factor = LORA_SCALE,
        .y = d_a};
    const rr_ref_outer_grad_params of_b = {.a = c.weights,
        .b = h,
        .n_a = OUT,
        .n_b = RANK,
        .a_stride = OUT,
        .b_stride = RANK,
        .n_tokens = TOKENS,
        .factor = LORA_SCALE,
        .y = d_b};
    rr_ref_outer_grad(&of_a);
    rr_ref_outer_grad(&of_b);
    product_grad(c.w, OUT, IN, c.weights, 1, false, d_x);
    product_grad(c.a, RANK, IN, u, LORA_SCALE, true, d_x);
    check_gradient("product, d_x", linear_loss, &c, c.x, d_x, TOKENS * IN);
    check_gradient("adapter, d_A", linear_loss, &c, c.a, d_a, RANK * IN);
    check_gradient("adapter, d_B", linear_loss, &c, c.b, d_b, OUT * RANK);
}

/* What was there is added to, and magnitudes are sums of absolute terms. */
static void test_adds(void) {
    const float a[2 * 2] = {1, -2, 3, 4}, b[2 * 1] = {-5, 6};
    float y[2] = {100, 200};
    double magnitude[2];
    rr_ref_outer_grad(&(rr_ref_outer_grad_params){.a = a,
        .b = b,
        .n_a = 2,
        .n_b = 1,
        .a_stride = 2,
        .b_stride = 1,
        .n_tokens = 2,
        .factor = -2,
        .adds = true,
        .y = y,
        .magnitude = magnitude});
    CHECK(y[0] == 100 - 2 * (-5 + 18) && y[1] == 200 - 2 * (10 + 24));
    CHECK(magnitude[0] == 100 + 2 * 23 && magnitude[1] == 200 + 2 * 34);
}

typedef struct rows_case {
    float x[TOKENS * 2 * IN], weight[IN], weights[TOKENS * 2 * IN];
} rows_case;

static double rmsnorm_loss(const void *user) {
    const rows_case *c = user;
    float y[TOKENS * IN];
    rr_ref_rmsnorm(c->x, c->weight, TOKENS, IN, 1e-2f, y);
    return combine(c->weights, y, TOKENS * IN);
}

static double swiglu_loss(const void *user) {
    const rows_case *c = user;
    float y[TOKENS * IN];
    rr_ref_swiglu(c->x, TOKENS, IN, y);
    return combine(c->weights, y, TOKENS * IN);
}

enum { HEAD = 8, HEADS = 3 }; /* of which two are rotated */
static const uint32_t positions[TOKENS] = {0, 3, 7};
static float table[8 * HEAD];

static double rope_loss(const void *user) {
    const rows_case *c = user;
    float y[TOKENS * HEADS * HEAD];
    memcpy(y, c->x, sizeof y);
    rr_ref_rope(y, HEADS * HEAD, positions, TOKENS, table, 2, HEAD);
    return combine(c->weights, y, TOKENS * HEADS * HEAD);
}

static void test_rows(void) {
    rows_case c;
    uint64_t state = 2;
    random_values(&state, c.x, TOKENS * 2 * IN);
    random_values(&state, c.weight, IN);
    random_values(&state, c.weights, TOKENS * 2 * IN);
    float d_x[TOKENS * 2 * IN];
    const rr_ref_rmsnorm_grad_params params = {.x = c.x,
        .weight = c.weight,
        .d_y = c.weights,
        .n_rows = TOKENS,
        .cols = IN,
        .epsilon = 1e-2f,
        .d_x = d_x};
    rr_ref_rmsnorm_grad(&params);
    check_gradient("rmsnorm", rmsnorm_loss, &c, c.x, d_x, TOKENS * IN);
    for (int i = 0; i < TOKENS * 2 * IN; i++) {
        c.x[i] *= 3; /* both sides of the bend */
    }
    memcpy(d_x, c.x, sizeof d_x);
    rr_ref_swiglu_grad(d_x, c.weights, TOKENS, IN, d_x); /* in place */
    check_gradient("swiglu", swiglu_loss, &c, c.x, d_x, TOKENS * 2 * IN);
    rr_ref_rope_table(100, HEAD, 8, table);
    memcpy(d_x, c.weights, sizeof d_x);
    rr_ref_rope_grad(d_x, HEADS * HEAD, positions, TOKENS, table, 2, HEAD);
    check_gradient("rope", rope_loss, &c, c.x, d_x, TOKENS * HEADS * HEAD);
}

/* silu far out: neither overflow nor NaN. */
static void test_swiglu_ends(void) {
    const float gate_up[2 * 4] = {1000, -1000, 88, -88, 2, 2, 2, 2}, d_y[4] = {1, 1, 1, 1};
    float d[8];
    rr_ref_swiglu_grad(gate_up, d_y, 1, 4, d);
    CHECK(d[0] == 2 && d[1] == 0 && d[2] == 2 && fabs((double)d[3]) < 1e-30);
    CHECK(d[4] == 1000 && d[5] == 0 && d[6] == 88 && fabs((double)d[7]) < 1e-30);
}

enum { SCORED = 3, VOCAB = 40 };
typedef struct entropy_case {
    float z[SCORED * VOCAB], weights[SCORED];
    uint32_t targets[SCORED], admitted[SCORED * 2];
    bool masked;
} entropy_case;

static double entropy_loss(const void *user) {
    const entropy_case *c = user;
    double loss = 0;
    for (uint32_t r = 0; r < SCORED; r++) {
        double total = 0;
        for (uint32_t i = 0; i < VOCAB; i++) {
            bool in = !c->masked || (c->admitted[r * 2 + i / 32] >> (i % 32) & 1) != 0;
            total += in ? exp((double)c->z[r * VOCAB + i]) : 0;
        }
        loss -= (double)c->weights[r] * ((double)c->z[r * VOCAB + c->targets[r]] - log(total));
    }
    return loss;
}

static void test_cross_entropy(void) {
    entropy_case c = {.weights = {0.5f, -1.5f, 2},
        .targets = {0, 39, 20},
        .admitted = {0x80000101u, 0x81u, 0, 0x80u, 0xFFFFFFFFu, 0xFFu}};
    uint64_t state = 3;
    random_values(&state, c.z, SCORED * VOCAB);
    float d_z[SCORED * VOCAB], log_p[SCORED];
    for (int masked = 0; masked < 2; masked++) {
        c.masked = masked != 0;
        const rr_ref_cross_entropy_params params = {.z = c.z,
            .targets = c.targets,
            .weights = c.weights,
            .admitted = c.masked ? c.admitted : NULL,
            .n_rows = SCORED,
            .cols = VOCAB,
            .log_p = log_p,
            .d_z = d_z};
        rr_ref_cross_entropy(&params);
        check_gradient(c.masked ? "cross entropy, masked" : "cross entropy", entropy_loss, &c, c.z,
            d_z, SCORED * VOCAB);
        double loss = 0;
        for (uint32_t r = 0; r < SCORED; r++) {
            loss -= (double)c.weights[r] * (double)log_p[r];
        }
        CHECK_MSG(fabs(loss - entropy_loss(&c)) < 1e-6, "loss %.9g", loss);
        for (uint32_t i = 0; c.masked && i < VOCAB; i++) {
            /* row 1 admits its target alone: certain, and no gradient */
            CHECK(d_z[VOCAB + i] == 0 && log_p[1] == 0);
            CHECK((c.admitted[i / 32] >> (i % 32) & 1) != 0 || d_z[i] == 0);
        }
    }
}

/* The first step of Adam is the rate times the sign of the gradient, whatever its size. */
static void test_adamw(void) {
    float w[3] = {1, -2, 3}, m[3] = {0}, v[3] = {0};
    const float g[3] = {4, -1e-3f, 0};
    rr_ref_adamw_params params = {.w = w,
        .m = m,
        .v = v,
        .g = g,
        .n = 3,
        .grad_scale = 0.5f,
        .rate = 0.125f,
        .beta1 = 0.5f,
        .beta2 = 0.75f,
        .decay = 0.25f,
        .correction1 = 1 / (1 - 0.5f),
        .correction2 = 1 / (1 - 0.75f)};
    params.n = 2; /* 0 / 0 without epsilon */
    rr_ref_adamw(&params);
    CHECK(w[0] == 1 - 1.0f / 32 - 0.125f && w[1] == -2 + 2.0f / 32 + 0.125f && w[2] == 3);
    CHECK(m[0] == 1 && v[0] == 1 && m[2] == 0 && v[2] == 0);
    /* a second step, of coordinate 0: m = 0.5 + 0.5, v = 0.75 + 0.25 * 4; with an epsilon */
    params.grad_scale = 0.25f;
    params.epsilon = 0.5f;
    params.n = 1;
    params.correction1 = 1 / (1 - 0.25f);
    params.correction2 = 1 / (1 - 0.5625f);
    const double before = (double)w[0];
    rr_ref_adamw(&params);
    const double expected =
        before * (1 - 0.03125) - 0.125 * (4.0 / 3) * 1 / (sqrt(1 / 0.4375) + 0.5);
    CHECK_MSG(m[0] == 1 && v[0] == 1, "m %g, v %g", (double)m[0], (double)v[0]);
    CHECK_MSG(
        fabs((double)w[0] - expected) < 1e-7, "w %.9g, expected %.9g", (double)w[0], expected);
}

int main(void) {
    test_linear();
    test_adds();
    test_rows();
    test_swiglu_ends();
    test_cross_entropy();
    test_adamw();
    return CHECK_END();
}
