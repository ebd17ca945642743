/* Packed bytes are kept on disk: the recorded hashes of RR_PACKED_VERSION. When this fails, raise
 * the version and record. */
#include "quant/lanes.h"
#include "runtime/base/hash.h"
#include "tests/check.h"
#include "tests/support/blocks.h"

enum { ROWS = 40, COLS = 512, RECORDED_VERSION = 1 };

typedef struct recorded {
    rr_qtype type;
    uint64_t planes, lanes8, lanes16; /* 0: no such layout */
} recorded;

static const recorded rows[] = {
    {RR_Q_F32, 0x3daeb7c3fa680609, 0, 0},
    {RR_Q_F16, 0xbf35900b1484c5c3, 0, 0},
    {RR_Q_BF16, 0xbf35900b1484c5c3, 0, 0},
    {RR_Q_Q4_0, 0xc3c19741a214937e, 0xee00fea66077dca0, 0x7e567b5a1ea3c463},
    {RR_Q_Q4_1, 0x3769d059dd6478be, 0xd85aa716fe04c461, 0x1e37c0e54ba57f0d},
    {RR_Q_Q5_0, 0xc81aa80c1b568fdb, 0x297cc45145ae4f6b, 0xa012f28e200c89ed},
    {RR_Q_Q5_1, 0xe0a37075a468fbb5, 0x031d5b883f00a58c, 0x0e2680beeb123c75},
    {RR_Q_Q8_0, 0xd8890a3fac9968f6, 0x395ffc613697975b, 0x3ad04accbd292fa6},
    {RR_Q_Q4_K, 0x2a2c6d903be295c6, 0xaddff6f9a7b57564, 0xc583a685bf65f02f},
    {RR_Q_Q5_K, 0x4fff8597473c62ab, 0xdc04cd57c5e8f2b6, 0x710d15937a1848cd},
    {RR_Q_Q6_K, 0x2cac0eff65c3ee11, 0xe8a32a8f08532cf8, 0x79de7fbdd53e9ce3},
};

static uint64_t hash_of_planes(rr_qtype type, const void *blocks) {
    rr_diag diag = {0};
    rr_planes planes;
    CHECK_OK(rr_planes_plan(type, ROWS, COLS, &planes, &diag), diag);
    uint8_t *device = calloc(1, (size_t)planes.bytes);
    rr_planes_pack(&planes, blocks, 0, ROWS, device);
    uint64_t hash = rr_fnv1a(device, (size_t)planes.bytes);
    free(device);
    return hash;
}

/* The type alone and below Q4_0, so that what stacking joins is in it. */
static uint64_t hash_of_lanes(
    rr_qtype type, const void *blocks, const void *other, uint32_t width) {
    rr_diag diag = {0};
    rr_lanes_format format;
    uint8_t hashes[16];
    if (!rr_lanes_format_of(type, &format)) {
        return 0;
    }
    const rr_lanes_part parts[2] = {{RR_Q_Q4_0, 32, other}, {type, ROWS, blocks}};
    for (uint32_t stacked = 0; stacked < 2; stacked++) {
        rr_lanes lanes;
        CHECK_OK(rr_lanes_plan(parts + 1 - stacked, 1 + stacked, COLS, width, &lanes, &diag), diag);
        uint8_t *device = calloc(1, (size_t)lanes.bytes);
        for (uint32_t unit = 0; unit < lanes.n_units; unit++) {
            rr_lanes_pack_unit(&lanes, unit, device);
        }
        uint64_t hash = rr_fnv1a(device, (size_t)lanes.bytes);
        memcpy(hashes + 8 * stacked, &hash, 8);
        free(device);
    }
    return rr_fnv1a(hashes, sizeof hashes);
}

static void *blocks_of(rr_qtype type) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    size_t n = (size_t)ROWS * (COLS / info->block_weights);
    void *blocks = malloc(n * info->block_bytes);
    rr_random_blocks(type, 7, n, blocks);
    return blocks;
}

int main(void) {
    size_t n_types;
    (void)rr_qtype_all(&n_types);
    CHECK_INT(n_types, sizeof rows / sizeof rows[0]); /* every type is recorded */
    CHECK_MSG((int)RR_PACKED_VERSION == (int)RECORDED_VERSION,
        "RR_PACKED_VERSION is %d: record the hashes below", (int)RR_PACKED_VERSION);
    void *other = blocks_of(RR_Q_Q4_0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *blocks = blocks_of(rows[i].type);
        const recorded found = {rows[i].type, hash_of_planes(rows[i].type, blocks),
            hash_of_lanes(rows[i].type, blocks, other, 8),
            hash_of_lanes(rows[i].type, blocks, other, 16)};
        CHECK_MSG(found.planes == rows[i].planes && found.lanes8 == rows[i].lanes8 &&
                found.lanes16 == rows[i].lanes16,
            "packed bytes of %s differ from those of version %d: raise RR_PACKED_VERSION and record "
            "0x%016" PRIx64 ", 0x%016" PRIx64 ", 0x%016" PRIx64,
            rr_qtype_get((uint32_t)rows[i].type)->name, RECORDED_VERSION, found.planes,
            found.lanes8, found.lanes16);
        free(blocks);
    }
    free(other);
    return CHECK_END();
}
