/* Promises, and the queue for them. */
#include "runtime/engine/admission.h"

#include <stddef.h>

static void give(rr_admission *a) {
    while (a->first != NULL && a->n_promised + a->first->n_pages <= a->n_pages) {
        rr_hold *hold = a->first;
        a->first = hold->next;
        a->n_promised += hold->n_pages;
        hold->given = true;
        rr_cond_signal(hold->wake);
    }
}

static rr_hold **link_of(rr_admission *a, const rr_hold *hold) {
    rr_hold **link = &a->first;
    while (*link != hold) {
        link = &(*link)->next;
    }
    return link;
}

void rr_admission_join(rr_admission *a, rr_hold *hold) {
    *link_of(a, NULL) = hold;
    give(a);
}

void rr_admission_cancel(rr_admission *a, rr_hold *hold) {
    *link_of(a, hold) = hold->next;
    give(a); /* those behind it may need less */
}

void rr_admission_leave(rr_admission *a, uint32_t n_pages) {
    a->n_promised -= n_pages;
    a->n_left++;
    give(a);
}
