/* The readouts that come with the program: rerank/readouts/NAME.json, put together by the build. */
#ifndef RR_RERANK_READOUTS_H
#define RR_RERANK_READOUTS_H

#include <stddef.h>

typedef struct rr_shipped_readout {
    const char *name, *text;
} rr_shipped_readout;
extern const rr_shipped_readout rr_readouts[];
extern const size_t rr_readouts_n;

#endif
