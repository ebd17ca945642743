/* Where the system gives the executor no lock, or no condition, nothing is ranked and the call says
 * so. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <pthread.h>

#include "rerank/execute.h"
#include "tests/check.h"

static bool no_mutex, no_cond;

/* These stand in for the C library's own. */
int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes) {
    (void)attributes;
    *mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    return no_mutex ? ENOMEM : 0;
}

int pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes) {
    (void)attributes;
    *cond = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    return no_cond ? ENOMEM : 0;
}

static rr_status respond(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    (void)call;
    (void)diag;
    ++*(int *)user;
    rr_buf_text(&reply->text, "<answer>[2] > [1]</answer>");
    return RR_OK;
}

static rr_status take(void *user, size_t query, rr_ranking *ranking, rr_diag *diag) {
    (void)query;
    (void)ranking;
    (void)diag;
    ++*(int *)user;
    return RR_OK;
}

static rr_status run(size_t n_workers, int *n_calls, rr_diag *diag) {
    static const rr_passage passages[2] = {
        {.id = "a", .text = {"one", 3}}, {.id = "b", .text = {"two", 3}}};
    const rr_query query = {.qid = "q", .text = {"which", 5}, .passages = passages, .n = 2};
    const rr_worker worker = {.responder = {respond, n_calls}};
    const rr_worker workers[2] = {worker, worker};
    *n_calls = 0;
    return rr_execute(&(rr_execute_params){.queries = &query,
                          .n_queries = 1,
                          .workers = workers,
                          .n_workers = n_workers,
                          .on_ranking = take,
                          .user = n_calls},
        diag);
}

int main(void) {
    rr_diag diag = {0};
    int n_calls;
    for (size_t n_workers = 1; n_workers <= 2; n_workers++) {
        no_mutex = true;
        CHECK_INT(run(n_workers, &n_calls, &diag), RR_E_INTERNAL);
        CHECK_TEXT(diag.text, "cannot make a lock");
        CHECK_INT(n_calls, 0);
        no_mutex = false;
        no_cond = true;
        CHECK_INT(run(n_workers, &n_calls, &diag), RR_E_INTERNAL);
        CHECK_TEXT(diag.text, "cannot make a condition");
        CHECK_INT(n_calls, 0);
        no_cond = false;
        CHECK_OK(run(n_workers, &n_calls, &diag), diag);
        CHECK_INT(n_calls, 2); /* one window, one ranking */
    }
    return CHECK_END();
}
