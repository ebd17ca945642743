/* Linked into sanitized programs only. Nothing is unloaded, so that memory which a driver keeps in
 * its globals is still reachable, and a leak or a race that remains is shown with its library; the
 * validation layer's own leaks are not ours, and what a driver's threads do is no race of ours
 * (tests/tsan.supp). */
__attribute__((visibility("default"))) int dlclose(void *handle);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void);

int dlclose(void *handle) {
    (void)handle;
    return 0;
}

const char *__lsan_default_suppressions(void) {
    return "leak:libVkLayer_khronos_validation.so\n";
}

const char *__lsan_default_options(void) {
    return "print_suppressions=0";
}

const char *__tsan_default_options(void) {
    return "suppressions=" REARANK_TSAN_SUPPRESSIONS;
}
