/* All that a running agent is told. */
#include "agent/settings.h"

#include <string.h>

#include "programs/must.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct option_spec common[] = {
    {.name = "config",
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .environment = "MARLINE_CONFIG",
     .help = "YAML file with settings, plugins and endpoints"},
    {.name = "plugin",
     .kind = OPTION_LIST,
     .value_name = "FILE.so",
     .help = "shared object that declares endpoints; repeatable"},
    {.name = "plugin-directory",
     .kind = OPTION_TEXT,
     .value_name = "FOLDER",
     .environment = "MARLINE_PLUGIN_DIRECTORY",
     .in_file = true,
     .is_path = true,
     .help = "plugins are loaded from there alone"},
    {.name = "exec",
     .kind = OPTION_LIST,
     .value_name = "NAME=COMMAND",
     .help = "program that serves endpoint NAME; repeatable"},
    {.name = "export-interval-ms",
     .kind = OPTION_WHOLE,
     .value_name = "MS",
     .environment = "OTEL_BSP_SCHEDULE_DELAY",
     .default_text = "5000",
     .minimum = 10,
     .maximum = 600000,
     .in_file = true,
     .help = "spans are exported this often"},
    {.name = "concurrency",
     .kind = OPTION_WHOLE,
     .value_name = "N",
     .environment = "MARLINE_CONCURRENCY",
     .default_text = "8",
     .minimum = 1,
     .maximum = 256,
     .in_file = true,
     .help = "invocations that run at once"},
    {.name = "drain-timeout-ms",
     .kind = OPTION_WHOLE,
     .value_name = "MS",
     .environment = "MARLINE_DRAIN_TIMEOUT_MS",
     .default_text = "20000",
     .minimum = 0,
     .maximum = 3600000,
     .in_file = true,
     .help = "time to finish and deliver after SIGTERM"},
    {.name = "outbox",
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .environment = "MARLINE_OUTBOX",
     .in_file = true,
     .is_path = true,
     .help = "keep results there until the backend has them, over restarts and crashes"},
    {.name = "durable",
     .kind = OPTION_FLAG,
     .environment = "MARLINE_DURABLE",
     .in_file = true,
     .help = "the outbox survives a power cut too, at a flush to the disk per result"},
    {.name = "spool",
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .environment = "MARLINE_SPOOL",
     .in_file = true,
     .is_path = true,
     .help =
         "keep spans there that cannot be delivered, until they can, over restarts and crashes"},
    FLUSH_OPTION,
    CONNECTION_OPTIONS,
    LOG_OPTIONS("info"),
};

void settings_init(struct settings *s, const struct option_spec *own, size_t own_count)
{
    *s = (struct settings){.config = CONFIG_INIT, .spec_count = COUNT(common) + own_count};
    s->specs = must(marline__memory_array(s->spec_count, sizeof *s->specs));
    memcpy(s->specs, common, sizeof common);
    if (own_count > 0) {
        memcpy(s->specs + COUNT(common), own, own_count * sizeof *own);
    }
    options_init(&s->options, s->specs, s->spec_count);
}

void settings_deinit(struct settings *s)
{
    connection_deinit(&s->connection);
    config_deinit(&s->config);
    options_deinit(&s->options);
    marline__memory_free(s->specs);
}

static bool add_from_command_line(struct settings *s, struct failure *f)
{
    s->config.plugin_folder = must_text(options_text(&s->options, "plugin-directory"));
    const struct option_value *plugins = options_value(&s->options, "plugin");
    for (size_t i = 0; i < plugins->count; i++) {
        config_add_plugin(&s->config, plugins->texts[i], NULL);
    }
    const struct option_value *exec = options_value(&s->options, "exec");
    for (size_t i = 0; i < exec->count; i++) {
        if (!config_add_exec(&s->config, exec->texts[i], f)) {
            return false;
        }
    }
    return true;
}

bool settings_read(struct settings *s, int argc, char **argv, struct failure *f)
{
    struct options *o = &s->options;
    if (!options_read_arguments(o, argc, argv, f)) {
        return false;
    }
    if (o->help) {
        return true;
    }
    if (o->operand_count) {
        return failure_set(f, EXIT_CODE_USAGE, "unexpected argument '%s'", o->operands[0]);
    }
    if (!options_read_environment(o, f)) {
        return false;
    }
    const char *file = options_text(o, "config");
    return (!file || config_read_file(&s->config, file, o, f)) && add_from_command_line(s, f);
}

bool settings_resolve(struct settings *s, struct failure *f)
{
    return connection_resolve(&s->connection, &s->options, f);
}

void settings_print_help(const struct settings *s, FILE *out)
{
    options_print_help(s->specs, s->spec_count, out);
}
