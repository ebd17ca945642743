/* The self-test on this machine's device, which for this is no software device: what it finds, what
 * it remembers. */
#define _DEFAULT_SOURCE /* setenv(), MAP_ANONYMOUS */
#include <math.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/file_out.h"
#include "runtime/base/log.h"
#include "runtime/compute/selftest.h"
#include "tests/check.h"
#include "tests/support/folder.h"

static rr_vk_instance *instance;
static char folder[256];

static rr_vk_device *open_device(void) {
    rr_vk_device *device = NULL;
    rr_diag diag = {0};
    const rr_device_info *info = rr_vk_device_info_at(instance, 0);
    CHECK_OK(
        rr_vk_device_open(instance, 0, info->caps_reported & ~(uint32_t)RR_CAP_CPU, &device, &diag),
        diag);
    return device;
}

static void verdict_path(const rr_device_info *info, char *out, size_t bytes) {
    int used = snprintf(out, bytes, "%s/selftest/", folder);
    for (int i = 0; i < 16; i++) {
        used += snprintf(out + used, bytes - (size_t)used, "%02x", info->uuid[i]);
    }
    snprintf(out + used, bytes - (size_t)used, ".txt");
}

static void forget(const rr_device_info *info) {
    char path[sizeof folder + 64];
    verdict_path(info, path, sizeof path);
    unlink(path);
}

/* Every case computes what the base kernels do. */
static void test_cases(rr_vk_device *device) {
    static const uint32_t caps[] = {RR_CAP_COOP_INT8, RR_CAP_COOP, RR_CAP_DOT, RR_CAP_SUBGROUP};
    const uint32_t all = rr_vk_info(device)->caps;
    rr_selftest_bench *bench = NULL;
    rr_diag diag = {0};
    CHECK_OK(rr_selftest_bench_create(device, &bench, &diag), diag);
    for (size_t c = 0; bench != NULL && c < sizeof caps / sizeof caps[0]; c++) {
        for (uint32_t i = 0; (all & caps[c]) != 0 && i < RR_SELFTEST_CASES; i++) {
            rr_selftest_figures f;
            bool differs = false;
            CHECK_OK(rr_selftest_case(bench, i, all, caps[c], &differs, &f, &diag), diag);
            if (differs) {
                printf("%-40s error %.2g of the limit, %.0f us with, %.0f without\n", f.name,
                    f.error, f.with_ns / 1e3, f.without_ns / 1e3);
                CHECK_MSG(f.error <= 1, "%s", f.name);
                CHECK(f.with_ns > 0 && f.without_ns > 0);
            }
        }
    }
    rr_selftest_bench_destroy(&bench);
}

static void test_verdicts(rr_vk_device *device) {
    const rr_device_info *info = rr_vk_info(device);
    const uint32_t tested = info->caps & RR_SELFTEST_CAPS;
    uint32_t drop = 77;
    rr_diag diag = {0};
    /* nothing is too slow: nothing is dropped, and that is remembered */
    forget(info);
    CHECK_INT(rr_selftest_recall(info).tested, 0);
    CHECK_OK(rr_selftest(device, &(rr_selftest_limits){.time = INFINITY}, &drop, &diag), diag);
    CHECK_INT(drop, 0);
    CHECK_INT(rr_selftest_recall(info).tested, tested);
    CHECK_INT(rr_selftest_remembered(info), 0);
    /* remembered: limits that nothing can meet are not asked any more */
    CHECK_OK(rr_selftest(device, &(rr_selftest_limits){.error = -1}, &drop, &diag), diag);
    CHECK_INT(drop, 0);
    /* wrong results: all that makes a difference is dropped */
    forget(info);
    CHECK_OK(rr_selftest(device, &(rr_selftest_limits){.error = -1}, &drop, &diag), diag);
    CHECK((drop & RR_CAP_SUBGROUP) == (info->caps & RR_CAP_SUBGROUP));
    CHECK_INT(rr_selftest_remembered(info), drop);
    /* too slow: the same */
    forget(info);
    CHECK_OK(rr_selftest(device, &(rr_selftest_limits){.time = 1e-9}, &drop, &diag), diag);
    CHECK((drop & RR_CAP_SUBGROUP) == (info->caps & RR_CAP_SUBGROUP));
    /* a software device needs no verdict */
    rr_device_info software = *info;
    software.caps |= RR_CAP_CPU;
    CHECK_INT(rr_selftest_remembered(&software), 0);
}

/* A test that took the process down is tried once more, then its capability is left out. */
static void test_crashes(rr_vk_device *device) {
    const rr_device_info *info = rr_vk_info(device);
    const uint32_t rest = info->caps & RR_SELFTEST_CAPS & ~(uint32_t)RR_CAP_SUBGROUP;
    uint32_t drop = 0;
    rr_diag diag = {0};
    for (uint32_t tries = 1; (info->caps & RR_CAP_SUBGROUP) != 0 && tries <= 2; tries++) {
        rr_selftest_keep(info,
            &(rr_selftest_verdict){.tested = rest, .trying = RR_CAP_SUBGROUP, .tries = tries});
        CHECK_OK(rr_selftest(device, &(rr_selftest_limits){.time = INFINITY}, &drop, &diag), diag);
        CHECK_INT(drop, tries < 2 ? 0 : RR_CAP_SUBGROUP);
        CHECK_INT(rr_selftest_recall(info).trying, 0);
    }
}

/* A kernel at whose making the driver ends the process: the module's words lie where nothing can be
 * read. */
static void die_of_kernel(uint32_t caps) {
    const long page = sysconf(_SC_PAGESIZE);
    uint32_t *spirv =
        mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    spirv[0] = 0x07230203; /* SPIR-V's magic number: all that is looked at here */
    mprotect((char *)spirv + page, (size_t)page, PROT_NONE);
    rr_vk_device *device = open_device();
    rr_vk_kernel *kernel = NULL;
    rr_diag diag = {0};
    const rr_vk_kernel_params params = {
        .label = "deadly", .spirv = spirv, .spirv_bytes = (size_t)page * 2, .caps = caps};
    (void)rr_vk_kernel_create(device, &params, &kernel, &diag);
    _exit(0);
}

/* Needs an instance of its own: a driver's threads do not live on in a child. */
static void crash_in_child(uint32_t caps) {
    const pid_t child = fork();
    int status = 0;
    if (child == 0) {
        rr_diag diag = {0};
        instance = NULL;
        if (rr_vk_instance_create(NULL, &instance, &diag) == RR_OK) {
            die_of_kernel(caps);
        }
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_MSG(!(WIFEXITED(status) && WEXITSTATUS(status) == 0),
        "the kernel was made, or refused in peace");
}

/* A process that died of a kernel is not followed by a second one: what the kernel needed is left
 * out at once, and only that. */
static void test_deadly_kernels(void) {
    rr_vk_device *device = open_device();
    if (device == NULL || (rr_vk_info(device)->caps & RR_CAP_SUBGROUP) == 0) {
        rr_vk_device_close(&device);
        return;
    }
    const rr_device_info info = *rr_vk_info(device);
    uint32_t drop = 0;
    rr_diag diag = {0};
    rr_vk_device_close(&device);
    forget(&info);
    crash_in_child(RR_CAP_SUBGROUP | RR_CAP_INT64);
    device = open_device();
    CHECK_OK(rr_selftest(device, &(rr_selftest_limits){.time = INFINITY}, &drop, &diag), diag);
    CHECK_INT(drop, RR_CAP_SUBGROUP);
    CHECK_INT(rr_selftest_remembered(&info), RR_CAP_SUBGROUP);
    CHECK_INT(rr_selftest_recall(&info).tested, info.caps & RR_SELFTEST_CAPS);
    CHECK_INT(rr_vk_take_deaths(&info), 0); /* told once */
    CHECK_OK(rr_selftest(device, &(rr_selftest_limits){0}, &drop, &diag), diag);
    CHECK_INT(drop, RR_CAP_SUBGROUP);
    rr_vk_device_close(&device);
    /* kernels that need nothing of this sort, and those of software devices, are nobody's fault */
    crash_in_child(RR_CAP_INT64);
    CHECK_INT(rr_vk_take_deaths(&info), 0);
    rr_device_info software = info;
    software.caps |= RR_CAP_CPU;
    crash_in_child(RR_CAP_SUBGROUP);
    CHECK_INT(rr_vk_take_deaths(&software), 0);
    CHECK_INT(rr_vk_take_deaths(&info), RR_CAP_SUBGROUP);
    forget(&info);
}

/* Of another driver or not whole: says nothing. */
static void test_files(rr_vk_device *device) {
    const rr_device_info *info = rr_vk_info(device);
    const rr_selftest_verdict kept = {.tested = RR_SELFTEST_CAPS, .dropped = RR_CAP_DOT};
    rr_selftest_keep(info, &kept);
    CHECK_INT(rr_selftest_recall(info).dropped, RR_CAP_DOT);
    rr_device_info other = *info;
    other.driver_version++;
    CHECK_INT(rr_selftest_recall(&other).tested, 0);
    char path[sizeof folder + 64];
    rr_buf text = {0};
    rr_diag diag = {0};
    verdict_path(info, path, sizeof path);
    CHECK_OK(rr_file_read(path, 4096, &text, &diag), diag);
    for (size_t cut = 0; cut + 1 < text.bytes; cut++) { /* the last byte is a line's end */
        CHECK_OK(rr_file_write_atomic(path, text.data, cut, &diag), diag);
        CHECK_MSG(rr_selftest_recall(info).tested == 0, "cut to %zu of %zu bytes", cut, text.bytes);
    }
    static const char *const bad[] = {
        "", "rearank selftest 2\n", "\xff\xfe\x00", "rearank selftest 1\ndriver zz shaders 1\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_OK(rr_file_write_atomic(path, bad[i], strlen(bad[i]), &diag), diag);
        CHECK_INT(rr_selftest_recall(info).tested, 0);
    }
    rr_buf_destroy(&text);
    forget(info);
}

/* With -v, what cannot be remembered is told. */
static void test_unwritable(rr_vk_device *device) {
    char in_the_way[sizeof folder + 16], said[2048];
    rr_diag diag = {0};
    snprintf(in_the_way, sizeof in_the_way, "%s/file", folder);
    CHECK_OK(rr_file_write_atomic(in_the_way, "", 0, &diag), diag);
    setenv("REARANK_CACHE", in_the_way, 1);
    FILE *file = tmpfile();
    const int saved = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    rr_log_set_level(RR_LOG_INFO);
    rr_selftest_keep(rr_vk_info(device), &(rr_selftest_verdict){0});
    rr_log_set_level(RR_LOG_WARN);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
    setenv("REARANK_CACHE", folder, 1);
    CHECK_MSG(strstr(said, "self-test: not remembered, the next start repeats it: ") != NULL &&
            strstr(said, in_the_way) != NULL,
        "%s", said);
}

int main(void) {
    rr_diag diag = {0};
    rr_test_folder(folder, sizeof folder);
    setenv("REARANK_CACHE", folder, 1);
    const rr_vk_instance_params params = {.validation = getenv("REARANK_TEST_VALIDATION") != NULL};
    if (rr_vk_instance_create(&params, &instance, &diag) != RR_OK) {
        CHECK_SKIP("%s", diag.text);
    }
    rr_vk_device *device = open_device();
    if (device != NULL) {
        test_cases(device);
        test_verdicts(device);
        test_crashes(device);
        test_files(device);
        test_unwritable(device);
        rr_vk_device_close(&device);
        test_deadly_kernels();
    }
    CHECK_INT(rr_vk_n_validation_messages(instance), 0);
    rr_vk_instance_destroy(&instance);
    char clean[300];
    snprintf(clean, sizeof clean, "rm -rf '%s'", folder);
    CHECK_INT(system(clean), 0);
    return CHECK_END();
}
