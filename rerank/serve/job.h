/* The rankings of a server: those in progress, and those kept for clients that went away.
 * Owns: the list of them, which exchange each belongs to, and how long one without an exchange goes
 * on and is kept. Private to server.c and exchange.c. Each function says whether the caller holds
 * rr_serve_jobs.lock. */
#ifndef RR_RERANK_SERVE_JOB_H
#define RR_RERANK_SERVE_JOB_H

#include "rerank/serve/ranker.h"
#include "rerank/serve/stream.h"
#include "runtime/base/thread.h"

enum { RR_SERVE_KEPT = 64 };
#define RR_SERVE_KEPT_BYTES ((size_t)64 << 20)

/* Who waits for a ranking. */
typedef struct rr_serve_owner {
    void (*wake)(void *user);
    void *user;
} rr_serve_owner;

typedef struct rr_serve_job {
    struct rr_serve_job *next;
    struct rr_serve_jobs *jobs;
    rr_serve_request request; /* owned */
    uint64_t hash;
    rr_serve_owner owner; /* wake NULL = its client is gone */
    void *handle;         /* of the ranker, while it is not over */
    bool is_started;      /* handle is set */
    bool is_ending;       /* the ranker has called; the ranking is being taken */
    bool is_over;
    bool was_cancelled;
    bool is_cancelling; /* a thread is in the ranker's cancel: it takes the ranking then */
    bool ended_meanwhile;
    rr_status status; /* once it is over */
    rr_diag diag;
    rr_ranking ranking;
    rr_serve_made_by made_by; /* all but its id, which is the exchange's */
    uint64_t end_ns;          /* without an owner: when it is let go; 0 = now */
    rr_stream *stream;        /* NULL = nobody listens while it is made */
} rr_serve_job;

typedef struct rr_serve_jobs {
    rr_mutex lock;   /* around all below and around streams */
    rr_cond changed; /* a job is over */
    rr_serve_job *first;
    const rr_ranker *ranker;
} rr_serve_jobs;

/* Of one that is in no list. */
void rr_serve_job_free(rr_serve_job *job);
/* Begins a ranking. `job` comes with request, owner and stream set and is the list's from then on;
 * after an error it is freed. The lock is not held. */
rr_status rr_serve_job_start(rr_serve_jobs *jobs, rr_serve_job *job, uint64_t deadline_ns,
    uint64_t submitter, rr_diag *diag);
/* One whose client is gone and that ranks the same; NULL = none. The lock is held. */
rr_serve_job *rr_serve_job_find(
    rr_serve_jobs *jobs, const rr_serve_request *request, uint64_t hash);
/* The owner lets go: it is kept until `end_ns`, or ended now where that is 0. The lock is held, and
 * is let go of and taken again. */
void rr_serve_job_abandon(rr_serve_jobs *jobs, rr_serve_job *job, uint64_t end_ns);
/* The owner has what it wanted. The lock is held. */
void rr_serve_job_finish(rr_serve_jobs *jobs, rr_serve_job *job);
/* Lets go of orphans whose time has come; of all that run where `others_wait`. Lock not held. */
void rr_serve_jobs_tick(rr_serve_jobs *jobs, uint64_t now_ns, bool others_wait);
/* Ends all and waits for it; lock not held. */
void rr_serve_jobs_close(rr_serve_jobs *jobs);

#endif
