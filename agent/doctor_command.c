/* marline-agent doctor: names what keeps an agent from working, with one line of advice. */
#include <string.h>

#include "agent/commands.h"
#include "agent/doctor_checks.h"
#include "agent/endpoints.h"
#include "agent/settings.h"
#include "programs/console.h"

static void print_help(const struct settings *s)
{
    (void)puts("Usage: marline-agent doctor [OPTION]…\n"
               "\n"
               "Looks at everything that an agent needs, in the order in which it needs it: the\n"
               "settings, what is to be served, the backend's name and port, HTTP and TLS, both\n"
               "clocks, the key, the project, and both channels. Stops at the first fault, and\n"
               "says how to mend it. Registers and stores nothing.\n"
               "\n"
               "  marline-agent doctor\n"
               "  marline-agent doctor --config agent.yaml\n"
               "\n"
               "Options:");
    settings_print_help(s, stdout);
    (void)puts("");
    command_print_exit_codes(stdout);
}

static void print_finding(const char *name, const struct finding *f, bool has_colour)
{
    static const char *const marks[] = {"ok", "WARN", "FAIL"};
    (void)printf("%s%-5s%s %-9s %s\n",
                 console_style(has_colour, f->kind == FINDING_OK ? STYLE_GOOD : STYLE_BAD),
                 marks[f->kind], console_style(has_colour, STYLE_PLAIN), name, f->text);
    if (*f->advice) {
        (void)printf("      %-9s %s\n", "", f->advice);
    }
    (void)fflush(stdout);
}

static enum exit_code examine(const struct settings *s, bool has_colour)
{
    size_t count;
    const struct doctor_check *checks = doctor_checks(&count);
    struct patient *p = patient_create(&s->connection);
    enum exit_code code = EXIT_CODE_OK;
    for (size_t i = 0; i < count && code == EXIT_CODE_OK; i++) {
        struct finding finding = {0};
        checks[i].run(p, &finding);
        print_finding(checks[i].name, &finding, has_colour);
        code = finding.kind == FINDING_FAILURE ? finding.code : EXIT_CODE_OK;
    }
    patient_destroy(p);
    return code;
}

static void print_settings_finding(const struct failure *f, const char *well, bool has_colour,
                                   const char *name)
{
    struct finding finding = {f->code ? FINDING_FAILURE : FINDING_OK, f->code, "", ""};
    (void)snprintf(finding.text, sizeof finding.text, "%s", f->code ? f->text : well);
    print_finding(name, &finding, has_colour);
}

/* An agent may well be examined before it has anything to serve. */
static bool examine_endpoints(const struct settings *s, struct failure *f, bool has_colour)
{
    struct endpoints endpoints = {0};
    char well[64] = "none yet";
    if (s->config.plugin_count + s->config.endpoint_count > 0 &&
        endpoints_init(&endpoints, &s->config, NULL, &s->connection, f)) {
        (void)snprintf(well, sizeof well, "%zu of plugins, %zu of the configuration",
                       endpoints.declared_count, endpoints.count);
    }
    endpoints_deinit(&endpoints);
    print_settings_finding(f, well, has_colour, "endpoints");
    return f->code == EXIT_CODE_OK;
}

enum exit_code command_doctor(int argc, char **argv)
{
    struct failure failure = FAILURE_INIT;
    struct settings settings;
    bool has_colour = console_has_colour(stdout);
    enum exit_code code = EXIT_CODE_OK;
    settings_init(&settings, NULL, 0);
    bool ok = settings_read(&settings, argc, argv, &failure);
    if (failure.code == EXIT_CODE_USAGE) {
        code = command_fail("doctor", &failure);
    } else if (ok && settings.options.help) {
        print_help(&settings);
    } else {
        ok = ok && settings_resolve(&settings, &failure);
        print_settings_finding(&failure, "complete", has_colour, "settings");
        ok = ok && examine_endpoints(&settings, &failure, has_colour);
        code = ok ? examine(&settings, has_colour) : failure.code;
    }
    settings_deinit(&settings);
    return code;
}
