/* Linked into sanitized programs only. Nothing is unloaded, so that memory which a driver keeps in its globals is still
 * reachable, and a leak that remains is shown with its library; the validation layer's own leaks are not ours. */
__attribute__((visibility("default"))) int dlclose(void *handle);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_options(void);

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
