/* Tells the service manager how the agent is. */
#include "agent/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "programs/logger.h"

/* Returns the size of the address; 0 when there is none, or none that fits. */
static socklen_t read_address(struct sockaddr_un *out)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t size = path ? strlen(path) : 0;
    if (size < 2 || size >= sizeof out->sun_path || (path[0] != '/' && path[0] != '@')) {
        return 0;
    }
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, path, size);
    if (path[0] == '@') { /* the abstract name space */
        out->sun_path[0] = '\0';
    }
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

void notify_send(const char *state)
{
    struct sockaddr_un address;
    socklen_t size = read_address(&address);
    if (size == 0) {
        return;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
                         (const struct sockaddr *)&address, size) < 0) {
        logger_write(LOG_WARN, "the service manager cannot be told: %s", strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

uint64_t notify_watchdog_interval_ms(void)
{
    const char *microseconds = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (!microseconds || (pid && strtol(pid, NULL, 10) != getpid())) {
        return 0;
    }
    return strtoull(microseconds, NULL, 10) / 2 / 1000;
}
