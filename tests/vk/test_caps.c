/* Capability names and masks, and the quirk table on recorded devices. */
#include "runtime/vk/quirks.h"
#include "tests/check.h"
#include "tests/support/devices.h"

static void check_mask(uint32_t caps, const char *mask, uint32_t expected) {
    rr_diag diag = {0};
    uint32_t found = 0xdeadu;
    CHECK_OK(rr_caps_mask(caps, mask, &found, &diag), diag);
    CHECK_MSG(found == expected, "mask \"%s\" of 0x%x: found 0x%x, expected 0x%x",
        mask != NULL ? mask : "NULL", caps, found, expected);
}

static void check_bad_mask(const char *mask, const char *says) {
    rr_diag diag = {0};
    uint32_t found = 7;
    CHECK_INT(rr_caps_mask(RR_CAP_DOT, mask, &found, &diag), RR_E_USAGE);
    CHECK_INT(found, 7);
    CHECK_MSG(strstr(diag.text, says) != NULL, "\"%s\" does not say \"%s\"", diag.text, says);
}

static void test_masks(void) {
    const uint32_t all = (1u << RR_CAP_COUNT) - 1;
    check_mask(all, NULL, all);
    check_mask(all, "", all);
    check_mask(all, "none", 0);
    check_mask(all, "-coop", all & ~(uint32_t)RR_CAP_COOP);
    check_mask(all, "-coop-int8", all & ~(uint32_t)RR_CAP_COOP_INT8);
    check_mask(all, "-coop,-dot", all & ~(uint32_t)(RR_CAP_COOP | RR_CAP_DOT));
    check_mask(RR_CAP_DOT, "-coop,-int64", RR_CAP_DOT);
    check_mask(all, "none,-dot", 0);
    for (int bit = 0; bit < RR_CAP_COUNT; bit++) {
        char mask[64];
        snprintf(mask, sizeof mask, "-%s", rr_cap_text((rr_cap_bit)bit));
        check_mask(all, mask, all & ~(1u << bit));
    }
    check_bad_mask("+dot", "can only be taken away");
    check_bad_mask("dot", "\"dot\"");
    check_bad_mask("-nothing", "-coop-int8");
    check_bad_mask("-coop,", "\"\"");
    check_bad_mask("-coop, -dot", "\" -dot\"");
    check_bad_mask("-", "\"-\"");
    check_bad_mask("None", "\"None\"");
    CHECK_TEXT(rr_cap_text(RR_CAP_COUNT), "?");
}

static void check_lift(const char *mask, rr_status status, uint32_t caps, uint32_t lifted) {
    rr_device_info info = {
        .caps_reported = RR_CAP_COOP | RR_CAP_DOT | RR_CAP_CPU, .caps = RR_CAP_CPU | RR_CAP_DOT};
    rr_diag diag = {0};
    CHECK_INT(rr_caps_lift(&info, mask, &diag), status);
    CHECK_MSG(info.caps == caps && info.lifted == lifted, "\"%s\": caps 0x%x, lifted 0x%x", mask,
        info.caps, info.lifted);
}

static void test_lifts(void) {
    const uint32_t before = RR_CAP_CPU | RR_CAP_DOT;
    check_lift(NULL, RR_OK, before, 0);
    check_lift("-cpu", RR_OK, RR_CAP_DOT, 0);
    check_lift("+coop", RR_OK, before | RR_CAP_COOP, RR_CAP_COOP);
    check_lift("-cpu,+coop,+dot", RR_OK, RR_CAP_DOT | RR_CAP_COOP, RR_CAP_COOP | RR_CAP_DOT);
    check_lift("none,+coop", RR_OK, RR_CAP_COOP, RR_CAP_COOP);
    check_lift("+coop,none", RR_OK, 0, 0);
    check_lift("+coop,-coop", RR_OK, before, 0);
    check_lift("+coop-int8", RR_E_UNSUPPORTED, before, 0); /* not reported */
    check_lift("+", RR_E_USAGE, before, 0);
    check_lift("+coop,", RR_E_USAGE, before, 0);
}

static rr_device_info recorded(const char *name) {
    char path[256];
    rr_diag diag = {0};
    rr_device_info *devices = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "tests/data/devices/%s.json", name);
    CHECK_OK(rr_devices_read(path, &devices, &n, &diag), diag);
    CHECK_MSG(n == 1, "%s: %zu devices, expected 1", path, n);
    rr_device_info info = n == 1 ? devices[0] : (rr_device_info){0};
    free(devices);
    return info;
}

/* The caps that stay, and whether a reason is given for each that goes. */
static void check_quirks(rr_device_info info, const char *what, uint32_t taken) {
    rr_quirks_apply(&info);
    uint32_t expected = info.caps_reported & ~taken;
    CHECK_MSG(info.caps == expected, "%s: caps 0x%x, expected 0x%x", what, info.caps, expected);
    bool silent = (info.caps_reported & taken) == 0;
    CHECK_MSG((info.quirks[0] == '\0') == silent, "%s: quirks \"%s\"", what, info.quirks);
    CHECK_MSG(
        strlen(info.quirks) + 1 < sizeof info.quirks, "%s: the text of the quirks is cut", what);
    bool asks = taken == 0 || info.type == RR_DEVICE_CPU;
    CHECK_MSG(rr_quirks_can_list_coop(&info) == asks, "%s: the probe %s for sizes of matrices",
        what, asks ? "does not ask" : "asks");
}

static uint32_t mesa(uint32_t major, uint32_t minor, uint32_t patch) {
    return major << 22 | minor << 12 | patch;
}

static void test_quirks(void) {
    const uint32_t coop = RR_CAP_COOP | RR_CAP_COOP_INT8;
    rr_device_info navi31 = recorded("amd-navi31");
    CHECK_INT(navi31.caps_reported & coop, coop);
    check_quirks(navi31, "navi31, Mesa", 0);
    navi31.driver_id = 1;
    check_quirks(navi31, "navi31, maker's driver", coop);
    navi31.driver_id = 2;
    check_quirks(navi31, "navi31, maker's open driver", coop);

    rr_device_info dg2 = recorded("intel-dg2");
    CHECK_INT(dg2.caps_reported & coop, coop);
    check_quirks(dg2, "dg2, Mesa 25.0.7", 0);
    dg2.driver_version = mesa(24, 3, 0);
    check_quirks(dg2, "dg2, Mesa 24.3.0", coop);
    dg2.driver_version = mesa(24, 3, 1);
    check_quirks(dg2, "dg2, Mesa 24.3.1", 0);
    dg2.driver_id = 5;
    check_quirks(dg2, "dg2, Windows driver", coop);

    rr_device_info lnl = recorded("intel-lnl");
    check_quirks(lnl, "lnl, Mesa 25.0.7", 0);
    lnl.driver_id = 5;
    check_quirks(lnl, "lnl, Windows driver", 0);

    rr_device_info tgl = recorded("intel-tgl");
    CHECK_INT(tgl.caps_reported & coop, coop);
    check_quirks(tgl, "tgl, Mesa 25.0.7", coop);
    tgl.driver_version = mesa(24, 1, 0);
    check_quirks(tgl, "tgl, Mesa 24.1.0, two rows", coop);

    rr_device_info software = recorded("llvmpipe-25.0.7");
    check_quirks(software, "llvmpipe", 0);
    software.caps_reported |= coop;
    check_quirks(software, "llvmpipe with coop", coop);
}

/* Wider vectors are asked for where the driver is known to bear them. */
static void test_widen(void) {
    static const struct {
        const char *driver;
        bool bears;
    } cases[] = {{"Mesa 22.3.6 (LLVM 15.0.6)", true}, {"Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6)", true},
        {"Mesa 25.0.0-devel", true}, {"Mesa 25.1.0 (LLVM 20.1.2)", false},
        {"Mesa 26.1.6-1~bpo13+1 (LLVM 19.1.7)", false}, {"Mesa 26.2.6-1 (LLVM 22.1.8)", false},
        {"Mesa 250.0.0", false}, {"Mesa", false}, {"", false}};
    rr_device_info software = recorded("llvmpipe-25.0.7");
    const bool has_registers = rr_quirks_can_widen(&software);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(software.driver_info, sizeof software.driver_info, "%s", cases[i].driver);
        CHECK_MSG(rr_quirks_can_widen(&software) == (has_registers && cases[i].bears), "%s",
            cases[i].driver);
    }
    rr_device_info other = recorded("swiftshader");
    CHECK(!rr_quirks_can_widen(&other));
    other = recorded("amd-navi31");
    CHECK(!rr_quirks_can_widen(&other));
}

/* Every recorded device: its caps are what the table of today makes of what it reported. */
static void test_recorded(void) {
    static const char *const names[] = {
        "amd-polaris10",
        "amd-vega10",
        "amd-navi10",
        "amd-navi21",
        "amd-navi31",
        "amd-vangogh",
        "amd-raphael_mendocino",
        "amd-renoir",
        "amd-gfx1150",
        "amd-gfx1200",
        "amd-gfx1201",
        "intel-tgl",
        "intel-adl",
        "intel-dg2",
        "intel-mtl",
        "intel-lnl",
        "intel-bmg",
        "nvk-tu102",
        "nvk-ga102",
        "amd-rdna4",
        "intel-ptl",
        "nvk-tu102-mesa26",
        "nvk-ga102-mesa26",
        "llvmpipe-22.3.6",
        "llvmpipe-25.0.7",
        "swiftshader",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rr_device_info info = recorded(names[i]);
        const rr_device_info before = info;
        rr_quirks_apply(&info);
        CHECK_MSG(info.caps == before.caps, "%s: caps 0x%x, recorded 0x%x", names[i], info.caps,
            before.caps);
        CHECK_MSG(strcmp(info.quirks, before.quirks) == 0, "%s: quirks \"%s\", recorded \"%s\"",
            names[i], info.quirks, before.quirks);
        CHECK_MSG(
            info.usable == (info.reason[0] == '\0'), "%s: reason \"%s\"", names[i], info.reason);
        CHECK_MSG(!info.usable ||
                (info.budget_bytes > 0 && info.budget_bytes <= info.device_memory_bytes),
            "%s: budget", names[i]);
        CHECK_MSG(
            ((info.caps & RR_CAP_CPU) != 0) == (info.type == RR_DEVICE_CPU), "%s: cpu", names[i]);
        CHECK_MSG((info.caps_reported & RR_CAP_COOP) == 0 || info.coop_f16.n > 0 ||
                info.quirks[0] != '\0',
            "%s: cooperative matrices of no shape", names[i]);
        CHECK_MSG(info.subgroup_size_min <= info.subgroup_size &&
                info.subgroup_size <= info.subgroup_size_max,
            "%s: subgroup sizes", names[i]);
    }
}

static void check_shape(const rr_coop_shapes *shapes, const char *what, rr_coop_shape expected) {
    const rr_coop_shape found = shapes->at[0];
    CHECK_MSG(
        shapes->n == 1 && found.m == expected.m && found.n == expected.n && found.k == expected.k,
        "%s: %u shapes, the first %u×%u×%u, expected %u×%u×%u", what, shapes->n, found.m, found.n,
        found.k, expected.m, expected.n, expected.k);
}

/* Every maker's matrices have their own size: what drivers listed. */
static void test_shapes(void) {
    static const struct {
        const char *name;
        rr_coop_shape f16, int8; /* k = 0: none */
    } rows[] = {
        {"amd-navi31", {16, 16, 16}, {16, 16, 16}},
        {"amd-gfx1150", {16, 16, 16}, {16, 16, 16}},
        {"intel-dg2", {8, 8, 16}, {8, 8, 32}},
        {"intel-lnl", {8, 16, 16}, {8, 16, 32}},
        {"intel-bmg", {8, 16, 16}, {8, 16, 32}},
        {"amd-navi21", {0}, {0}},
        {"intel-tgl", {0}, {0}},
        {"nvk-ga102", {0}, {0}},
        {"amd-rdna4", {16, 16, 16}, {16, 16, 16}},
        {"intel-ptl", {8, 16, 16}, {8, 16, 32}},
        {"llvmpipe-25.0.7", {0}, {0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const rr_device_info info = recorded(rows[i].name);
        if (rows[i].f16.k == 0) {
            CHECK_INT(info.coop_f16.n + info.coop_int8.n, 0);
            CHECK_INT(info.caps & (RR_CAP_COOP | RR_CAP_COOP_INT8), 0);
        } else {
            check_shape(&info.coop_f16, rows[i].name, rows[i].f16);
            check_shape(&info.coop_int8, rows[i].name, rows[i].int8);
        }
    }
}

int main(void) {
    test_masks();
    test_lifts();
    test_quirks();
    test_recorded();
    test_widen();
    test_shapes();
    return CHECK_END();
}
