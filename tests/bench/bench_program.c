/* See bench_program.h. */
#include "bench_program.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "bench_http.h"

enum { LOOKS_MAX = 600, LOOK_MS = 50, EXIT_NO_STORE = 4, PATH_ROOM = 512 };

/* The backend-mock lies beside this program. */
static void find_program(char out[PATH_ROOM])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_ROOM - 32);
    out[n > 0 ? n : 0] = '\0';
    char *name = strrchr(out, '/');
    (void)snprintf(name ? name + 1 : out, 32, "marline-backend-mock");
}

static void launch(struct bench_program *p)
{
    char program[PATH_ROOM];
    char ready[64];
    char store[256];
    char url[192];
    find_program(program);
    (void)snprintf(ready, sizeof ready, "%s/ready.json", p->folder);
    if (p->has_postgres) {
        postgres_server_url(&p->postgres, url, sizeof url);
        (void)snprintf(store, sizeof store, "%s", url);
    } else {
        (void)snprintf(store, sizeof store, "sqlite:%s/store.db", p->folder);
    }
    p->pid = fork();
    if (p->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* whatever ends the benchmark ends it too */
        (void)freopen("/dev/null", "w", stdout);
        if (p->has_postgres) { /* it is tried again until the server answers */
            (void)freopen("/dev/null", "w", stderr);
        }
        (void)execl(program, program, "serve", "--listen", "127.0.0.1:0", "--store", store,
                    "--ready-file", ready, "--rate-limit", "0", "--log-level", "warn", NULL);
        perror(program);
        _exit(127);
    }
}

static bool read_ready(struct bench_program *p)
{
    char path[64];
    char text[1024] = "";
    char url[128];
    (void)snprintf(path, sizeof path, "%s/ready.json", p->folder);
    FILE *file = fopen(path, "r");
    if (!file) {
        return false;
    }
    size_t n = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    if (!bench_json_text(text, "base_url", url, sizeof url) ||
        !bench_json_text(text, "api_key", p->key, sizeof p->key) ||
        !bench_json_text(text, "project_id", p->project, sizeof p->project)) {
        return false;
    }
    p->port = (uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10);
    return true;
}

static bool wait_until_ready(struct bench_program *p)
{
    launch(p);
    for (int i = 0; i < LOOKS_MAX; i++) {
        int status;
        if (read_ready(p)) {
            return true;
        }
        (void)poll(NULL, 0, LOOK_MS);
        if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
            if (!p->has_postgres || !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_NO_STORE) {
                return false;
            }
            launch(p);
        }
    }
    return false;
}

bool bench_program_start(struct bench_program *p, bool on_postgres)
{
    char why[256];
    *p = (struct bench_program){.has_postgres = on_postgres};
    if (on_postgres) {
        enum postgres_start start =
            postgres_server_start_durable(&p->postgres, NULL, why, sizeof why);
        if (start != POSTGRES_STARTED) {
            (void)fprintf(stderr, "marline-bench: %s\n", why);
            bench_check(start == POSTGRES_MISSING, "PostgreSQL started");
            postgres_server_stop(&p->postgres);
            return false;
        }
    }
    (void)snprintf(p->folder, sizeof p->folder, "bench-XXXXXX");
    if (!mkdtemp(p->folder) || !wait_until_ready(p)) {
        (void)fprintf(stderr, "marline-bench: the backend-mock does not come up\n");
        exit(1);
    }
    return true;
}

void bench_program_stop(struct bench_program *p)
{
    static const char *const files[] = {"ready.json", "store.db", "store.db-wal", "store.db-shm",
                                        "store.db.key"};
    int status = 1;
    (void)kill(p->pid, SIGTERM);
    bench_check(waitpid(p->pid, &status, 0) == p->pid && status == 0, "the backend ended well");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s/%s", p->folder, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(p->folder);
    if (p->has_postgres) {
        postgres_server_stop(&p->postgres);
    }
}
