/* marline-agent config show: the settings in effect, and where each came from. */
#include <string.h>

#include "agent/commands.h"
#include "agent/settings.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct option_spec own_specs[] = {
    {.name = "origin", .kind = OPTION_FLAG, .help = "say where each value came from"},
};

static void print_help(const struct settings *s)
{
    (void)puts("Usage: marline-agent config show [OPTION]…\n"
               "\n"
               "Prints the settings that `marline-agent run` with the same options would use, in\n"
               "the form of a configuration file. Secrets are not shown.\n"
               "\n"
               "  marline-agent config show --config agent.yaml --origin\n"
               "\n"
               "Options:");
    settings_print_help(s, stdout);
    (void)puts("");
    command_print_exit_codes(stdout);
}

static void print_origin(const struct option_spec *spec, const struct option_value *v)
{
    switch (v->origin) {
    case ORIGIN_DEFAULT:
    case ORIGIN_FLAG:
        (void)printf("  # %s", option_origin_name(v->origin));
        break;
    case ORIGIN_ENVIRONMENT:
        (void)printf("  # %s", spec->environment);
        break;
    case ORIGIN_FILE:
        (void)printf("  # %s", v->where);
        break;
    }
}

static void print_key(const char *name)
{
    for (; *name; name++) {
        (void)putchar(*name == '-' ? '_' : *name);
    }
}

static void print_setting(const struct option_spec *spec, const struct option_value *v,
                          bool with_origin)
{
    if (v->count == 0) {
        (void)putchar('#');
        print_key(spec->name);
        (void)puts(": (not set)");
        return;
    }
    (void)fputs(spec->secret ? "#" : "", stdout);
    print_key(spec->name);
    (void)printf(": %s", spec->secret ? "(set, not shown)" : v->texts[v->count - 1]);
    if (with_origin) {
        print_origin(spec, v);
    }
    (void)putchar('\n');
}

static void print_names(const struct config *c, bool of_metrics, const char *title,
                        bool with_origin)
{
    bool is_first = true;
    for (size_t i = 0; i < c->endpoint_count; i++) {
        const struct endpoint_config *e = c->endpoints[i];
        if (e->is_metric != of_metrics) {
            continue;
        }
        if (is_first) {
            (void)printf("%s:\n", title);
            is_first = false;
        }
        (void)printf("  - name: %s", e->name);
        (void)printf(with_origin ? "  # %s\n" : "\n", e->where);
    }
}

static void print_served(const struct config *c, bool with_origin)
{
    if (c->plugin_count > 0) {
        (void)puts("plugins:");
    }
    for (size_t i = 0; i < c->plugin_count; i++) {
        const struct plugin_config *p = &c->plugins[i];
        (void)printf("  - %s", p->path);
        (void)printf(with_origin ? "  # %s\n" : "\n", p->where ? p->where : "flag");
    }
    print_names(c, false, "endpoints", with_origin);
    print_names(c, true, "metrics", with_origin);
}

static void show(const struct settings *s)
{
    bool with_origin = options_flag(&s->options, "origin");
    for (size_t i = 0; i < s->spec_count; i++) {
        if (s->specs[i].in_file || s->specs[i].secret) {
            print_setting(&s->specs[i], &s->options.values[i], with_origin);
        }
    }
    print_served(&s->config, with_origin);
}

enum exit_code command_config(int argc, char **argv)
{
    struct failure failure = FAILURE_INIT;
    struct settings settings;
    settings_init(&settings, own_specs, COUNT(own_specs));
    bool has_verb = argc > 0 && strcmp(argv[0], "show") == 0;
    bool wants_help = argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
    if (!has_verb && !wants_help) {
        failure_set(&failure, EXIT_CODE_USAGE, "say what to do: marline-agent config show");
    } else if (settings_read(&settings, argc - has_verb, argv + has_verb, &failure)) {
        if (settings.options.help) {
            print_help(&settings);
        } else {
            show(&settings);
        }
    }
    settings_deinit(&settings);
    return failure.code ? command_fail("config", &failure) : EXIT_CODE_OK;
}
