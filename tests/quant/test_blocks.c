/* Reading the file's blocks, against two independent witnesses: hashes of what the Python package
 * gguf 0.19 computes from the same bytes, and a weight-by-weight reading of the layouts as the GGUF
 * specification words them. */
#include "quant/quant.h"
#include "runtime/base/hash.h"
#include "tests/check.h"
#include "tests/support/blocks.h"

enum { N_WEIGHTS = 4096 };

static float half_at(const uint8_t *from) {
    return rr_f16_to_f32((uint16_t)(from[0] | from[1] << 8));
}

/* Weight i of a block of 32. */
static float small_weight(rr_qtype type, const uint8_t *b, int i) {
    int nibble_at = type == RR_Q_Q4_0 ? 2 : type == RR_Q_Q4_1 ? 4 : type == RR_Q_Q5_0 ? 6 : 8;
    int high_at = type == RR_Q_Q5_0 ? 2 : 4;
    if (type == RR_Q_Q8_0) {
        return half_at(b) * (float)(int8_t)b[2 + i];
    }
    int q = i < 16 ? b[nibble_at + i] & 15 : b[nibble_at + i - 16] >> 4;
    if (type == RR_Q_Q5_0 || type == RR_Q_Q5_1) {
        q |= (b[high_at + i / 8] >> i % 8 & 1) << 4;
    }
    switch (type) {
    case RR_Q_Q4_0:
        return half_at(b) * (float)(q - 8);
    case RR_Q_Q5_0:
        return half_at(b) * (float)(q - 16);
    default:
        return half_at(b) * (float)q + half_at(b + 2);
    }
}

/* Weight i of a super-block of 256. */
static float large_weight(rr_qtype type, const uint8_t *b, int i) {
    if (type == RR_Q_Q6_K) {
        int half = i / 128, quarter = i % 128 / 32, l = i % 32;
        int low = b[64 * half + l + (quarter % 2 ? 32 : 0)];
        int q =
            (quarter < 2 ? low & 15 : low >> 4) | (b[128 + 32 * half + l] >> 2 * quarter & 3) << 4;
        return half_at(b + 208) * (float)(int8_t)b[192 + i / 16] * (float)(q - 32);
    }
    int group = i / 32, l = i % 32;
    const uint8_t *s = b + 4;
    int sc = group < 4 ? s[group] & 63 : (s[group + 4] & 15) | (s[group - 4] >> 6) << 4;
    int m = group < 4 ? s[group + 4] & 63 : s[group + 4] >> 4 | (s[group] >> 6) << 4;
    const uint8_t *qs = b + (type == RR_Q_Q5_K ? 48 : 16);
    int byte = qs[32 * (group / 2) + l];
    int q = group % 2 ? byte >> 4 : byte & 15;
    if (type == RR_Q_Q5_K) {
        q |= (b[16 + l] >> group & 1) << 4;
    }
    return half_at(b) * (float)sc * (float)q - half_at(b + 2) * (float)m;
}

static float weight(rr_qtype type, const uint8_t *block, int i) {
    float value;
    uint32_t bits;
    switch (type) {
    case RR_Q_F32:
        memcpy(&value, block, 4);
        return value;
    case RR_Q_F16:
        return half_at(block);
    case RR_Q_BF16:
        bits = (uint32_t)(block[0] | block[1] << 8) << 16;
        memcpy(&value, &bits, 4);
        return value;
    case RR_Q_Q4_K:
    case RR_Q_Q5_K:
    case RR_Q_Q6_K:
        return large_weight(type, block, i);
    default:
        return small_weight(type, block, i);
    }
}

int main(void) {
    static const struct {
        rr_qtype type;
        uint64_t hash;
    } expected[] = {
        {RR_Q_F32, 0xcb71a852d9b05258},
        {RR_Q_F16, 0xc562542a101a48d8},
        {RR_Q_BF16, 0x8c864ab039045f4c},
        {RR_Q_Q4_0, 0xd6ba22163f179b71},
        {RR_Q_Q5_0, 0xad58eba9f6d13e54},
        {RR_Q_Q8_0, 0x6c653e953a4d1448},
        {RR_Q_Q4_1, 0xe83610ddef2b6f96},
        {RR_Q_Q5_1, 0x97c22db2626acca8},
        {RR_Q_Q4_K, 0x26193bc4f2ddf02d},
        {RR_Q_Q5_K, 0x9692d1c1c241262e},
        {RR_Q_Q6_K, 0xeae7757628a2edd6},
    };
    size_t n;
    rr_qtype_all(&n);
    CHECK_INT(n, sizeof expected / sizeof expected[0]);
    for (size_t t = 0; t < n; t++) {
        rr_qtype type = expected[t].type;
        const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
        size_t n_blocks = N_WEIGHTS / info->block_weights, bytes = n_blocks * info->block_bytes;
        uint8_t *blocks = malloc(bytes), *before = malloc(bytes);
        float *found = malloc((N_WEIGHTS + 1) * sizeof *found);
        rr_random_blocks(type, 2026 + (uint64_t)type, n_blocks, blocks);
        memcpy(before, blocks, bytes);
        found[N_WEIGHTS] = 12345.0f;
        rr_blocks_unpack(type, blocks, N_WEIGHTS, found);
        CHECK(found[N_WEIGHTS] == 12345.0f);
        CHECK(memcmp(before, blocks, bytes) == 0);
        uint64_t hash = rr_fnv1a(found, N_WEIGHTS * sizeof *found);
        CHECK_MSG(hash == expected[t].hash, "%s: hash %016" PRIx64 ", expected %016" PRIx64,
            info->name, hash, expected[t].hash);
        for (int i = 0; i < N_WEIGHTS; i++) {
            uint32_t width = info->block_weights;
            float want = weight(
                type, blocks + (uint32_t)i / width * info->block_bytes, (int)((uint32_t)i % width));
            if (memcmp(&want, &found[i], sizeof want) != 0) {
                CHECK_MSG(false, "%s: weight %d is %a, expected %a", info->name, i,
                    (double)found[i], (double)want);
                break;
            }
        }
        free(found);
        free(before);
        free(blocks);
    }
    return CHECK_END();
}
