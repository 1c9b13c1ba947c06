/* Configuration files: what is read, and how a mistake is reported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/config.h"
#include "agent/settings.h"

static const struct option_spec specs[] = {
    {.name = "base-url", .kind = OPTION_TEXT, .in_file = true},
    {.name = "export-interval-ms",
     .kind = OPTION_WHOLE,
     .minimum = 1,
     .maximum = 600000,
     .in_file = true},
    {.name = "config", .kind = OPTION_TEXT},
};

struct fixture {
    char path[64];
    struct options options;
    struct config config;
    struct failure failure;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.path = "/tmp/marline_config_XXXXXX", .config = CONFIG_INIT};
    int fd = mkstemp(f.path);
    if (fd < 0 || close(fd)) {
        return -1;
    }
    options_init(&f.options, specs, sizeof specs / sizeof specs[0]);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    config_deinit(&f->config);
    options_deinit(&f->options);
    return unlink(f->path);
}

static void write_text(struct fixture *f, const char *text)
{
    FILE *file = fopen(f->path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    f->failure = FAILURE_INIT;
}

static bool read_text(struct fixture *f, const char *text)
{
    write_text(f, text);
    return config_read_file(&f->config, f->path, &f->options, &f->failure);
}

/* The message without the file's random name. */
static const char *message(const struct fixture *f)
{
    size_t size = strlen(f->path);
    return strncmp(f->failure.text, f->path, size) == 0 ? f->failure.text + size : f->failure.text;
}

static void given_whole_file_when_read_then_every_key_arrives(void **state)
{
    struct fixture *f = *state;
    assert_true(read_text(f, "base_url: http://h:1\n"
                             "export_interval_ms: 250\n"
                             "plugins: [/lib/greet.so]\n"
                             "endpoints:\n"
                             "  - name: answer\n"
                             "    description: Answers\n"
                             "    exec: [/bin/cat, -u, '']\n"
                             "    environment: {MODE: \"a=b\", EMPTY: ''}\n"
                             "    pass_environment: [OPENAI_API_KEY]\n"
                             "    timeout_ms: 1500\n"
                             "    output_max_bytes: 10\n"
                             "    parameters: {input: str, n: {type: int, default: 3}}\n"
                             "    return_type: dict\n"
                             "    request_mapping: {input: '{{ input }}', k: 3, on: true}\n"
                             "    response_mapping: {output: $.output, list: [a, null, 1.5]}\n"));
    assert_string_equal(options_text(&f->options, "base-url"), "http://h:1");
    assert_int_equal(options_whole(&f->options, "export-interval-ms"), 250);
    assert_int_equal(f->config.plugin_count, 1);
    assert_string_equal(f->config.plugins[0].path, "/lib/greet.so");
    assert_int_equal(f->config.endpoint_count, 1);
    const struct endpoint_config *e = f->config.endpoints[0];
    assert_string_equal(e->name, "answer");
    assert_int_equal(e->exec.command.count, 3);
    assert_string_equal(e->exec.command.items[2], "");
    assert_string_equal(e->exec.environment.items[0], "MODE=a=b");
    assert_string_equal(e->exec.environment.items[1], "EMPTY=");
    assert_string_equal(e->exec.pass.items[0], "OPENAI_API_KEY");
    assert_string_equal(e->exec.folder, "/tmp");
    assert_int_equal(e->timeout_ms, 1500);
    assert_int_equal(e->output_max, 10);
    assert_int_equal(e->parameter_count, 2);
    assert_string_equal(e->parameters[0].type, "str");
    assert_null(e->parameters[0].default_text);
    assert_string_equal(e->parameters[1].default_text, "3");
    assert_string_equal(e->request_mapping, "{\"input\":\"{{ input }}\",\"k\":3,\"on\":true}");
    assert_string_equal(e->response_mapping, "{\"output\":\"$.output\",\"list\":[\"a\",null,1.5]}");
}

static void given_command_as_text_when_read_then_split(void **state)
{
    struct fixture *f = *state;
    assert_true(read_text(f, "endpoints:\n  - {name: a, exec: \"/bin/echo 'b c' d\"}\n"));
    assert_int_equal(f->config.endpoints[0]->exec.command.count, 3);
    assert_string_equal(f->config.endpoints[0]->exec.command.items[1], "b c");
}

/* The agent's own table, and the working folder is another one than the file's. */
static void given_relative_paths_when_settings_read_then_they_lie_beside_the_file(void **state)
{
    static const struct {
        const char *option;
        const char *path;
    } paths[] = {{"outbox", "/tmp/o.db"},
                 {"spool", "/tmp/s.db"},
                 {"api-key-file", "/tmp/key"},
                 {"ca-file", "/tmp/tls/ca.pem"},
                 {"client-certificate-file", "/tmp/tls/cert.pem"},
                 {"client-key-file", "/tmp/tls/key.pem"}};
    struct fixture *f = *state;
    char config[] = "--config";
    char *arguments[] = {config, f->path, NULL};
    struct settings settings;
    write_text(f, "plugin_directory: plugins\n"
                  "outbox: o.db\n"
                  "spool: s.db\n"
                  "api_key_file: key\n"
                  "ca_file: tls/ca.pem\n"
                  "client_certificate_file: tls/cert.pem\n"
                  "client_key_file: tls/key.pem\n"
                  "plugins: [greet.so]\n"
                  "base_url: localhost\n");
    settings_init(&settings, NULL, 0);
    assert_true(settings_read(&settings, 2, arguments, &f->failure));
    assert_string_equal(settings.config.plugin_folder, "/tmp/plugins");
    assert_string_equal(settings.config.plugins[0].path, "/tmp/greet.so");
    assert_string_equal(options_text(&settings.options, "base-url"), "localhost");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_string_equal(options_text(&settings.options, paths[i].option), paths[i].path);
    }
    settings_deinit(&settings);
}

static void given_absolute_path_and_flag_when_settings_read_then_both_stay(void **state)
{
    struct fixture *f = *state;
    char config[] = "--config";
    char spool[] = "--spool";
    char file[] = "spool.db";
    char *arguments[] = {config, f->path, spool, file, NULL};
    struct settings settings;
    write_text(f, "outbox: /var/lib/outbox.db\nspool: other.db\n");
    settings_init(&settings, NULL, 0);
    assert_true(settings_read(&settings, 4, arguments, &f->failure));
    assert_string_equal(options_text(&settings.options, "outbox"), "/var/lib/outbox.db");
    assert_string_equal(options_text(&settings.options, "spool"), "spool.db");
    settings_deinit(&settings);
}

struct mistake {
    const char *text;
    const char *message; /* its beginning */
    const char *fix;     /* part of it */
};

static void given_mistakes_when_read_then_line_cause_and_fix_named(void **state)
{
    static const struct mistake mistakes[] = {
        {"", ": the file is empty", "put settings such as"},
        {"# nothing\n", ": the file is empty", "put settings such as"},
        {"- a\n", ":1: the configuration must be a mapping (key: value), not a list",
         "(key: value)"},
        {"base_url: [\n", ":2: did not find expected node content", "check the indentation"},
        {"base_url: a\n---\nbase_url: b\n", ":3: a second document starts here; keep one per file",
         "keep one per file"},
        {"base_url: a\nbase_ulr: b\n",
         ":2: unknown key 'base_ulr' of the configuration; did you mean 'base_url'?",
         "did you mean 'base_url'?"},
        {"config: x\n", ":1: unknown key 'config' of the configuration", "; there are base_url, "},
        {"base_url: a\nbase_url: b\n", ":2: the configuration has the key 'base_url' twice",
         "; keep one"},
        {"base_url: [a]\n", ":1: base_url must be a text, not a list",
         "; write 'base_url: TEXT' on one line"},
        {"base_url: ''\n", ":1: base_url must be a text that is not empty",
         "; give a value, or remove the line"},
        {"export_interval_ms: soon\n",
         ":1: export_interval_ms: 'soon' is not a whole number from 1 to 600000",
         "from 1 to 600000"},
        {"endpoints: {a: b}\n", ":1: endpoints must be a list, not a mapping",
         "; write 'endpoints: [FIRST, SECOND]'"},
        {"endpoints:\n  - exec: /bin/cat\n", ":2: an endpoint needs a name", "; add 'name: …'"},
        {"endpoints:\n  - name: a\n",
         ":2: endpoint 'a' says not what to run; add exec: [PROGRAM, "
         "ARGUMENT…], or http: {url: …}",
         "add exec:"},
        {"endpoints:\n  - {name: a, http: {method: GET}}\n", ":2: http needs a url",
         "; add 'url: http://…'"},
        {"endpoints:\n  - {name: a, http: {url: localhost}}\n",
         ":2: endpoint 'a': url 'localhost' does not start with http:// or https://", "; add it"},
        {"endpoints:\n  - {name: a, http: {url: 'http://h', method: get}}\n",
         ":2: endpoint 'a': method 'get' is not written in capital letters", "; write GET"},
        {"endpoints:\n  - {name: a, http: {url: 'http://h', response: {output: text}}}\n",
         ":2: output: 'text' is no JSON pointer, such as /answer/0/text", "such as /answer/0/text"},
        {"endpoints:\n  - {name: a, http: {url: 'http://h', headers: {A: '${MARLINE_NONE}'}}}\n",
         ":2: environment variable MARLINE_NONE is not set", "; export it before the start"},
        {"endpoints:\n  - {name: a, exec: /bin/cat, http: {url: 'http://h'}}\n",
         ":2: endpoint 'a' has both exec and http; keep one", "keep one"},
        {"endpoints:\n  - {name: a, exec: /bin/cat}\n  - {name: b, shell: true}\n",
         ":3: unknown key 'shell' of an endpoint", "; there are name, "},
        {"endpoints:\n  - {name: b, timeout_m: 3}\n",
         ":2: unknown key 'timeout_m' of an endpoint; did you mean 'timeout_ms'?", "did you mean"},
        {"endpoints:\n  - name: c\n    exec: /bin/cat\n    timeout_ms: 0\n",
         ":4: timeout_ms must be a whole number from 1 to 86400000, not '0'", "from 1 to 86400000"},
        {"endpoints:\n  - {name: c, exec: \"cat 'x\"}\n",
         ":2: exec cannot be read: a quote is not closed",
         "; a list [PROGRAM, ARGUMENT…] needs no quotes"},
        {"endpoints:\n  - {name: c, exec: [no-such-program-here]}\n",
         ":2: endpoint 'c': no program 'no-such-program-here' in PATH",
         "; install it, or name its path"},
        {"endpoints:\n  - {name: c, exec: [./no-such-file]}\n",
         ":2: endpoint 'c': cannot run /tmp/./no-such-file: no such file",
         "relative paths start at"},
        {"endpoints:\n  - {name: c, exec: [/etc/passwd]}\n",
         ":2: endpoint 'c': cannot run /etc/passwd: not an executable file (chmod +x it, or name "
         "its interpreter first)",
         "chmod +x it"},
        {"endpoints:\n  - {name: c, exec: /bin/cat, folder: /no/such}\n",
         ":2: endpoint 'c': folder /no/such does not exist", "; make it, or mend 'folder'"},
        {"endpoints:\n  - {name: c, exec: /bin/cat, request_mapping: x}\n",
         ":2: request_mapping must be a mapping, such as {input: \"{{ input }}\"}",
         "such as {input:"},
        {"endpoints:\n  - {name: c, exec: /bin/cat, environment: [A]}\n",
         ":2: environment must be a mapping (key: value), not a list", "(key: value)"},
        {"endpoints:\n  - {name: c, exec: /bin/cat, environment: {\"A=B\": c}}\n",
         ":2: 'A=B' is no name for an environment variable", "; use letters, digits and _"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        config_deinit(&f->config);
        assert_false(read_text(f, mistakes[i].text));
        assert_int_equal(f->failure.code, EXIT_CODE_CONFIGURATION);
        if (strncmp(message(f), mistakes[i].message, strlen(mistakes[i].message)) != 0 ||
            !strstr(message(f), mistakes[i].fix)) {
            fail_msg("'%s' is not '%s' with '%s'", message(f), mistakes[i].message,
                     mistakes[i].fix);
        }
    }
}

static void given_two_endpoints_of_one_name_when_read_then_both_places_named(void **state)
{
    struct fixture *f = *state;
    assert_false(read_text(f, "endpoints:\n  - {name: a, exec: /bin/cat}\n"
                              "  - {name: a, exec: /bin/cat}\n"));
    assert_non_null(strstr(f->failure.text, ":3: endpoint 'a' is defined already at "));
    assert_non_null(strstr(f->failure.text, ":2"));
}

static void given_alias_that_multiplies_when_read_as_json_then_refused(void **state)
{
    struct fixture *f = *state;
    char text[4096] = "endpoints:\n  - name: a\n    exec: /bin/cat\n    request_mapping:\n"
                      "      a0: &a0 [0000000000, 0000000000, 0000000000, 0000000000]\n";
    for (int i = 1; i < 12; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used,
                       "      a%d: &a%d [*a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1,
                       i - 1);
    }
    assert_false(read_text(f, text));
    assert_non_null(strstr(f->failure.text, "request_mapping is nested too deep or too large"));
}

static void given_missing_file_when_read_then_named(void **state)
{
    struct fixture *f = *state;
    assert_false(config_read_file(&f->config, "/no/such.yaml", &f->options, &f->failure));
    assert_string_equal(f->failure.text, "/no/such.yaml: No such file or directory; "
                                         "check --config or MARLINE_CONFIG");
    assert_int_equal(f->failure.code, EXIT_CODE_CONFIGURATION);
}

static void given_folder_as_file_when_read_then_named(void **state)
{
    struct fixture *f = *state;
    assert_false(config_read_file(&f->config, "/tmp", &f->options, &f->failure));
    assert_string_equal(f->failure.text, "/tmp: Is a directory");
}

static void given_quick_form_when_added_then_endpoint(void **state)
{
    struct fixture *f = *state;
    assert_true(config_add_exec(&f->config, "echo=/bin/cat -u", &f->failure));
    assert_string_equal(f->config.endpoints[0]->name, "echo");
    assert_int_equal(f->config.endpoints[0]->exec.command.count, 2);
    assert_null(f->config.endpoints[0]->exec.folder);
}

static void given_quick_form_without_name_when_added_then_form_shown(void **state)
{
    struct fixture *f = *state;
    assert_false(config_add_exec(&f->config, "=/bin/cat", &f->failure));
    assert_int_equal(f->failure.code, EXIT_CODE_USAGE);
    assert_non_null(strstr(f->failure.text, "expected NAME=COMMAND"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_whole_file_when_read_then_every_key_arrives),
        TEST(given_command_as_text_when_read_then_split),
        TEST(given_relative_paths_when_settings_read_then_they_lie_beside_the_file),
        TEST(given_absolute_path_and_flag_when_settings_read_then_both_stay),
        TEST(given_mistakes_when_read_then_line_cause_and_fix_named),
        TEST(given_two_endpoints_of_one_name_when_read_then_both_places_named),
        TEST(given_alias_that_multiplies_when_read_as_json_then_refused),
        TEST(given_missing_file_when_read_then_named),
        TEST(given_folder_as_file_when_read_then_named),
        TEST(given_quick_form_when_added_then_endpoint),
        TEST(given_quick_form_without_name_when_added_then_form_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
