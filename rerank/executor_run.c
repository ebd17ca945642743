/* Doing what was chosen: asking the responder, hearing the answer while it is written, preparing. */
#include <stdlib.h>
#include <string.h>

#include "rerank/executor_state.h"

/* Hears the answer while it is written. */
static bool on_text(void *listener, const char *text, size_t bytes) {
    rr_worker_state *worker = listener;
    rr_executor *executor = worker->executor;
    rr_handover *handover = &worker->handover;
    if (handover->n_wanted > 0 && rr_handover_read(handover, text, bytes)) {
        rr_mutex_lock(&executor->lock);
        rr_place at = worker->now.at;
        if (at.job->state == RR_JOB_OPEN && !rr_schedule_at(at.job->schedule, at.index)->stale) {
            rr_schedule_hint(at.job->schedule, at.index, handover->ids, handover->n_ids);
            rr_executor_advance(executor, at.job);
        }
        rr_mutex_unlock(&executor->lock);
    }
    return !atomic_load(&worker->unwanted) && !rr_executor_must_stop(executor);
}

/* A query's time begins when its first window is asked about. */
static void begin_time(rr_executor *executor, rr_job *job) {
    const uint64_t after_ns = job->asked.rank.deadline_after_ns, now_ns = rr_time_ns();
    if (job->has_begun) {
        return;
    }
    job->has_begun = true;
    if (after_ns != 0) {
        const uint64_t end_ns = after_ns < UINT64_MAX - now_ns ? now_ns + after_ns : UINT64_MAX;
        if (job->deadline_ns == 0 || end_ns < job->deadline_ns) {
            job->deadline_ns = end_ns;
            rr_cond_signal(&executor->timed);
        }
    }
}

/* The call that a task means, over the worker's own copy of the passages. */
static rr_call call_of(rr_worker_state *worker, rr_task what) {
    rr_job *job = what.at.job;
    begin_time(worker->executor, job);
    const rr_planned *planned = rr_schedule_at(job->schedule, what.at.index);
    memcpy(worker->order, planned->passages, planned->n * sizeof *worker->order);
    return (rr_call){
        .query = job->asked.query,
        .index = what.at.index,
        .n_calls = rr_schedule_n_windows(job->schedule),
        .window = planned->window,
        .order = worker->order,
        .n = planned->n,
        .asker = job->asked.asker,
        .reasons = job->asked.rank.then_reason &&
            what.at.index + 1 == rr_schedule_n_windows(job->schedule),
        .deadline_ns = job->deadline_ns,
    };
}

static void begin_call(rr_worker_state *worker, rr_task what) {
    rr_executor *executor = worker->executor;
    rr_job *job = what.at.job;
    const rr_planned *planned = rr_schedule_at(job->schedule, what.at.index);
    rr_job_call *call = rr_job_call_at(job, what.at.index);
    bool may_hand_over = executor->n_workers > 1 && !executor->no_work_ahead;
    rr_handover_init(&worker->handover, planned->n, may_hand_over ? planned->n_handed_over : 0,
        job->asked.rank.style == RR_PROMPT_RANKGPT, worker->ids);
    call->worker = (size_t)(worker - executor->workers);
    call->is_early = !planned->settled;
    executor->counts.n_early += call->is_early;
    rr_schedule_begin(job->schedule, what.at.index);
    job->n_running++;
    if (worker->held.job != NULL && !rr_place_is_same(worker->held, what.at)) {
        rr_cond_broadcast(&executor->changed); /* what it had prepared is anybody's now */
    }
    worker->held = (rr_place){NULL, 0};
}

/* What came of a call. */
typedef struct call_end {
    const rr_call *call;
    rr_status status;
    const rr_reply *reply;
    uint64_t time_ns;
    bool may_be_cancelled; /* by us */
    const rr_diag *diag;
} call_end;

/* Takes it in. */
static void end_call(rr_worker_state *worker, rr_task what, const call_end *end) {
    rr_executor *executor = worker->executor;
    rr_job *job = what.at.job;
    job->n_running--;
    if (job->state != RR_JOB_OPEN) {
        return; /* given up meanwhile */
    }
    rr_job_call *kept = rr_job_call_at(job, what.at.index);
    const rr_planned *planned = rr_schedule_at(job->schedule, what.at.index);
    const rr_reply *reply = end->reply;
    rr_status status = end->status;
    rr_diag read_diag = {0};
    rr_window_result result = {.prompt_tokens = reply->prompt_tokens,
        .reused_tokens = reply->reused_tokens,
        .shared_tokens = reply->shared_tokens,
        .generated_tokens = reply->generated_tokens,
        .prompt_ns = reply->prompt_ns,
        .generate_ns = reply->generate_ns,
        .time_ns = end->time_ns};
    const bool late = status == RR_E_DEADLINE && job->deadline_ns != 0;
    job->late = job->late || late;
    if (status == RR_OK && !planned->stale) {
        status = rr_window_read(&job->ranking.arena, end->call, reply, &kept->result, &read_diag);
        kept->result.time_ns = end->time_ns;
        if (status != RR_OK) {
            rr_executor_give_up(executor, job, status, read_diag.text);
            return;
        }
        rr_schedule_done(job->schedule, what.at.index, kept->result.permutation);
    } else if (planned->stale ||
        (status == RR_E_CANCELLED && end->may_be_cancelled && !reply->refused &&
            !rr_executor_must_stop(executor))) {
        rr_job_lose(&executor->counts, &result);
        rr_schedule_forget(job->schedule, what.at.index);
    } else if (status == RR_E_CANCELLED) {
        rr_executor_give_up(executor, job, status, end->diag->text);
        return;
    } else if (!planned->settled) {
        rr_job_lose(&executor->counts, &result);
        kept->wait_till_settled = true;
        rr_schedule_forget(job->schedule, what.at.index);
    } else if (late) {
        status = rr_job_leave(job, what.at.index, &result, &read_diag);
        if (status != RR_OK) {
            rr_executor_give_up(executor, job, status, read_diag.text);
            return;
        }
    } else {
        rr_job_note_failure(job, what.at.index, status, end->diag);
    }
    rr_executor_advance(executor, job);
}

/* How a call's prompt is written: where the model reasons, as it was trained. */
static rr_prompt_form form_of(const rr_job *job, const rr_call *call) {
    const rr_prompt_form form = rr_rank_form(&job->asked.rank);
    return call->reasons ? (rr_prompt_form){.style = form.style} : form;
}

/* Asks the worker's responder, without the lock. */
static void run_call(rr_worker_state *worker, rr_task what) {
    rr_executor *executor = worker->executor;
    rr_call call = call_of(worker, what);
    bool may_be_cancelled = worker->may_start_cancelled;
    worker->may_start_cancelled = false;
    begin_call(worker, what);
    rr_mutex_unlock(&executor->lock);
    uint64_t start_ns = rr_time_ns();
    rr_prompt prompt = {0};
    rr_reply reply = {0};
    rr_diag diag = {0};
    const rr_responder *responder = &worker->means->responder;
    call.on_text = on_text;
    call.listener = worker;
    call.prompt = &prompt;
    const rr_prompt_form form = form_of(what.at.job, &call);
    rr_status status = rr_prompt_build(&form, call.query, call.order, call.n, &prompt, &diag);
    if (status == RR_OK) {
        status = responder->respond(responder->user, &call, &reply, &diag);
    }
    rr_prompt_destroy(&prompt);
    rr_mutex_lock(&executor->lock);
    worker->now.kind = RR_TASK_NONE; /* nobody needs to stop it */
    const call_end end = {
        &call, status, &reply, rr_time_ns() - start_ns, may_be_cancelled || worker->told, &diag};
    end_call(worker, what, &end);
    rr_buf_destroy(&reply.text);
    free(reply.reads);
}

static void run_prepare(rr_worker_state *worker, rr_task what) {
    rr_executor *executor = worker->executor;
    rr_call call = call_of(worker, what);
    size_t n_known = rr_schedule_at(what.at.job->schedule, what.at.index)->n_sure;
    worker->held = what.at;
    rr_mutex_unlock(&executor->lock);
    rr_prompt prompt = {0};
    rr_diag diag = {0};
    uint64_t n_computed = 0;
    const rr_prompt_form form = form_of(what.at.job, &call);
    rr_status status =
        rr_prompt_build_start(&form, call.query, call.order, n_known, call.n, &prompt, &diag);
    call.prompt = &prompt;
    if (status == RR_OK) {
        status = worker->means->prepare(worker->means->responder.user, &call, &n_computed, &diag);
    }
    rr_prompt_destroy(&prompt);
    rr_mutex_lock(&executor->lock);
    worker->now.kind = RR_TASK_NONE;
    executor->counts.n_prepared += status == RR_OK;
    executor->counts.ahead_tokens += n_computed;
}

void rr_executor_run(rr_worker_state *worker, rr_task what) {
    if (what.kind == RR_TASK_CALL) {
        run_call(worker, what);
    } else {
        run_prepare(worker, what);
    }
}
