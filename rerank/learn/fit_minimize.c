#include "rerank/learn/fit_minimize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 8, HALVINGS = 40 };

typedef struct state {
    size_t n, n_kept, next;
    double *steps, *turns; /* [KEPT][n]: of x, of the gradient */
    double inverse[KEPT];  /* 1 / (step · turn) */
    double *g, *to, *to_g, *direction;
} state;

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static double largest(const double *a, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        most = fabs(a[i]) > most ? fabs(a[i]) : most;
    }
    return most;
}

/* direction = −H g, with H made of the kept steps. */
static void aim(state *s) {
    double factors[KEPT];
    for (size_t i = 0; i < s->n; i++) {
        s->direction[i] = -s->g[i];
    }
    for (size_t k = 0; k < s->n_kept; k++) {
        const size_t at = (s->next + KEPT - 1 - k) % KEPT;
        factors[at] = s->inverse[at] * dot(s->steps + at * s->n, s->direction, s->n);
        for (size_t i = 0; i < s->n; i++) {
            s->direction[i] -= factors[at] * s->turns[at * s->n + i];
        }
    }
    double scale = 1 / fmax(largest(s->g, s->n), 1.0);
    if (s->n_kept > 0) {
        const size_t at = (s->next + KEPT - 1) % KEPT;
        const double *turn = s->turns + at * s->n;
        scale = 1 / (s->inverse[at] * dot(turn, turn, s->n));
    }
    for (size_t i = 0; i < s->n; i++) {
        s->direction[i] *= scale;
    }
    for (size_t k = s->n_kept; k-- > 0;) {
        const size_t at = (s->next + KEPT - 1 - k) % KEPT;
        const double back = s->inverse[at] * dot(s->turns + at * s->n, s->direction, s->n);
        for (size_t i = 0; i < s->n; i++) {
            s->direction[i] += (factors[at] - back) * s->steps[at * s->n + i];
        }
    }
}

/* Keeps the step from x to s->to where the function curves upward. */
static void keep(state *s, const double *x) {
    double *step = s->steps + s->next * s->n, *turn = s->turns + s->next * s->n;
    for (size_t i = 0; i < s->n; i++) {
        step[i] = s->to[i] - x[i];
        turn[i] = s->to_g[i] - s->g[i];
    }
    const double along = dot(step, turn, s->n);
    if (along > 1e-12 * dot(turn, turn, s->n)) {
        s->inverse[s->next] = 1 / along;
        s->next = (s->next + 1) % KEPT;
        s->n_kept += s->n_kept < KEPT;
    }
}

/* One step down; false when there is none. */
static bool step_down(state *s, rr_objective_fn fn, void *user, double *x, double *value) {
    aim(s);
    const double slope = dot(s->g, s->direction, s->n);
    if (!(slope < 0)) {
        return false;
    }
    double length = 1;
    for (int i = 0; i < HALVINGS; i++, length /= 2) {
        for (size_t k = 0; k < s->n; k++) {
            s->to[k] = x[k] + length * s->direction[k];
        }
        const double there = fn(user, s->to, s->to_g);
        if (there <= *value + 1e-4 * length * slope) {
            keep(s, x);
            memcpy(x, s->to, s->n * sizeof *x);
            memcpy(s->g, s->to_g, s->n * sizeof *s->g);
            const bool moved = there < *value;
            *value = there;
            return moved;
        }
    }
    return false;
}

rr_status rr_minimize(rr_objective_fn fn, void *user, size_t n, double *x, double tolerance,
    size_t n_steps, rr_diag *diag) {
    double *memory = calloc((size_t)(2 * KEPT + 4) * n + 1, sizeof *memory);
    if (memory == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a fit");
    }
    state s = {.n = n, .steps = memory, .turns = memory + KEPT * n};
    s.g = memory + 2 * KEPT * n;
    s.to = s.g + n;
    s.to_g = s.to + n;
    s.direction = s.to_g + n;
    double value = fn(user, x, s.g);
    for (size_t i = 0;
         i < n_steps && largest(s.g, n) > tolerance && step_down(&s, fn, user, x, &value); i++) {
    }
    free(memory);
    return RR_OK;
}
