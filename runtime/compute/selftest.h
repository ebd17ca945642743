/* The self-test of what a device advertises. A driver may offer matrix units or integer dot
 * products that compute wrongly or run slower than doing without; a kernel that needs one is used
 * only after it was held against the base kernels on this very device, for its result and for its
 * time. Once a device, driver and build: the verdict is kept in the user's cache folder,
 * selftest/<device UUID>.txt. A test that took the device down, or never ended, is seen by the next
 * start, which tries once more and then goes without; a driver that ended the process while it made
 * a kernel, in the test or later, gets no second try: the kernel's capability is left out at once.
 * Not on software devices, whose kernels the tests run, and which need none of it. Owns: the
 * verdict. Shared by the files of this folder and by tools that tell what will be used. */
#ifndef RR_COMPUTE_SELFTEST_H
#define RR_COMPUTE_SELFTEST_H

#include "runtime/compute/kern.h"

/* The capabilities that are tested, in this order. */
enum { RR_SELFTEST_CAPS = RR_CAP_COOP_INT8 | RR_CAP_COOP | RR_CAP_DOT | RR_CAP_SUBGROUP };

typedef struct rr_selftest_limits {
    /* of a result: least times the normalised mean square error that rounding explains; 0 = 1 */
    double error;
    double time; /* most time with a capability over that without; 0 = 1.25 */
} rr_selftest_limits;

/* Which of the device's enabled capabilities not to use, none on a software device: as remembered,
 * else by a test now, which is then remembered. Cost: some seconds the first time, mostly
 * compilation; a file's reading afterwards. Errors: RR_E_DEVICE (the device was lost), RR_E_MEMORY.
 * That a verdict cannot be kept is no error. */
rr_status rr_selftest(
    rr_vk_device *device, const rr_selftest_limits *limits, uint32_t *drop, rr_diag *diag);

/* What a start would leave out by what is remembered. Reads the file, tests nothing. */
uint32_t rr_selftest_remembered(const rr_device_info *info);

/* The verdict's file. Written before a capability is tried (`trying`) and after; of another driver
 * version or build it says nothing. */
typedef struct rr_selftest_verdict {
    uint32_t tested, dropped; /* capabilities */
    uint32_t trying, tries;   /* begun and not ended, how often */
} rr_selftest_verdict;
rr_selftest_verdict rr_selftest_recall(const rr_device_info *info);
void rr_selftest_keep(const rr_device_info *info, const rr_selftest_verdict *verdict);

/* The bench of the test: device memory with data, one case an op. */
typedef struct rr_selftest_bench rr_selftest_bench;
rr_status rr_selftest_bench_create(rr_vk_device *device, rr_selftest_bench **out, rr_diag *diag);
void rr_selftest_bench_destroy(rr_selftest_bench **bench);
enum { RR_SELFTEST_CASES = 8 };
/* Case `index` under `caps` and, with all of that, without `cap`. False when cap makes no
 * difference there. */
typedef struct rr_selftest_figures {
    /* normalised mean square error with cap against the base kernel, over what rounding explains */
    double error;
    double with_ns, without_ns;
    char name[64];
} rr_selftest_figures;
rr_status rr_selftest_case(rr_selftest_bench *bench, uint32_t index, uint32_t caps, uint32_t cap,
    bool *differs, rr_selftest_figures *out, rr_diag *diag);

#endif
