/* SPDX-License-Identifier: Apache-2.0 */
/* One blocking GET with a deadline over everything: for HEALTHCHECK lines and scripts. */
#include "base/limits.h"
#include "cli/command.h"
#include "cli/print.h"
#include "net/loop.h"
#include "text/json.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX 65536u /* head and body; more is cut off */

struct target {
    char host[256], port[8], path[1024];
};

/* --- where --- */

/* "HOST[:PORT][/PATH]"; an IPv6 address stands in brackets. False when it is none. */
static bool split_url(const char *rest, struct gal_str *host, uint64_t *port, const char **path)
{
    bool in_brackets = rest[0] == '[';
    const char *behind;

    host->p = rest + in_brackets;
    host->n = strcspn(host->p, in_brackets ? "]" : ":/");
    behind = host->p + host->n;
    if (in_brackets && *behind++ != ']')
        return false;
    *port = 80;
    if (*behind == ':') {
        struct gal_str digits = {behind + 1, strcspn(behind + 1, "/")};
        if (gal_str_u64(digits, port) != GAL_OK || *port == 0 || *port > 65535)
            return false;
        behind = digits.p + digits.n;
    }
    *path = behind;
    return host->n > 0 && (*behind == '\0' || *behind == '/');
}

/* The scheme may be left out, and so may the path. */
static enum gal_status parse_url(const char *url, struct target *t, struct gal_err *err)
{
    struct gal_str host;
    const char *path;
    uint64_t port;

    if (strncmp(url, "https://", 8) == 0) {
        gal_fail(err, GAL_UNSUPPORTED, "%s: only http is spoken here", url);
        gal_err_hint(err, "ask the port that galley itself listens on");
        return GAL_UNSUPPORTED;
    }
    if (!split_url(strncmp(url, "http://", 7) == 0 ? url + 7 : url, &host, &port, &path) ||
        host.n >= sizeof(t->host) || strlen(path) >= sizeof(t->path) || strpbrk(url, " \r\n\t"))
        return gal_fail(err, GAL_INVALID, "'%s' is not a URL such as http://127.0.0.1:8080", url);
    snprintf(t->host, sizeof(t->host), "%.*s", GAL_STR_ARG(host));
    snprintf(t->port, sizeof(t->port), "%u", (unsigned)port);
    snprintf(t->path, sizeof(t->path), "%s", path[0] ? path : "/health/ready");
    return GAL_OK;
}

/* Where a server with this environment listens. */
static enum gal_status default_target(struct gal_cli *cli, struct target *t, struct gal_err *err)
{
    struct gal_config config;
    const char *host;
    enum gal_status status;

    gal_config_init(&config);
    status = gal_cli_config(cli, &config, err);
    host = config.values[GAL_KEY_HOST].text;
    if (strcmp(host, "0.0.0.0") == 0 || host[0] == '\0')
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    if (status == GAL_OK && config.values[GAL_KEY_HTTP_PORT].number == 0) {
        status = gal_fail(err, GAL_INVALID, "the port is 0: any");
        gal_err_hint(err, "give the URL that the server's log shows");
    }
    snprintf(t->host, sizeof(t->host), "%s", host);
    snprintf(t->port, sizeof(t->port), "%u", (unsigned)config.values[GAL_KEY_HTTP_PORT].number);
    snprintf(t->path, sizeof(t->path), "/health/ready");
    gal_config_release(&config);
    return status;
}

/* --- the exchange --- */

/* Waits for the socket; false with errno ETIMEDOUT when the deadline passes. */
static bool wait_for(int fd, short events, uint64_t deadline_us)
{
    struct pollfd p = {.fd = fd, .events = events};

    for (;;) {
        uint64_t now = gal_mono_us(&gal_clock_system);
        uint64_t left_ms = now < deadline_us ? (deadline_us - now + 999) / 1000 : 0;
        int n = poll(&p, 1, left_ms < 60000 ? (int)left_ms : 60000);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
        if (n == 0 && left_ms == 0) {
            errno = ETIMEDOUT;
            return false;
        }
    }
}

/* Connects to one address; -1 with errno. */
static int connect_one(const struct addrinfo *a, uint64_t deadline_us)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    int failure = 0;
    socklen_t size = sizeof(failure);

    if (fd < 0)
        return -1;
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
        return fd;
    if (errno == EINPROGRESS && wait_for(fd, POLLOUT, deadline_us) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0)
        return fd;
    failure = failure ? failure : errno;
    close(fd);
    errno = failure;
    return -1;
}

static enum gal_status open_socket(const struct target *t, uint64_t deadline_us, int *fd,
                                   struct gal_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int failure = getaddrinfo(t->host, t->port, &hints, &list);

    *fd = -1;
    if (failure)
        return gal_fail(err, GAL_UNAVAILABLE, "%s: %s", t->host, gai_strerror(failure));
    for (const struct addrinfo *a = list; a && *fd < 0; a = a->ai_next)
        *fd = connect_one(a, deadline_us);
    failure = errno;
    freeaddrinfo(list);
    if (*fd < 0)
        return gal_fail(err, GAL_UNAVAILABLE, "%s port %s: %s", t->host, t->port,
                        strerror(failure));
    return GAL_OK;
}

static bool send_all(int fd, struct gal_str s, uint64_t deadline_us)
{
    while (s.n) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n < 0 && !wait_for(fd, POLLOUT, deadline_us))
            return false;
        s = n > 0 ? (struct gal_str){s.p + n, s.n - (size_t)n} : s;
    }
    return true;
}

/* Until the peer closes: the request asks for that. */
static bool receive_all(int fd, struct gal_buf *out, uint64_t deadline_us)
{
    for (;;) {
        char *space = gal_buf_reserve(out, 4096);
        ssize_t n = space ? recv(fd, space, 4096, 0) : 0;
        if (n > 0)
            out->n += (size_t)n;
        if (n == 0)
            return true;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n < 0 && !wait_for(fd, POLLIN, deadline_us))
            return false;
    }
}

static enum gal_status get(const struct target *t, uint64_t timeout_us, struct gal_buf *answer,
                           struct gal_err *err)
{
    uint64_t deadline_us = gal_mono_us(&gal_clock_system) + timeout_us;
    bool is_v6 = strchr(t->host, ':') != NULL;
    char request[1600];
    int fd, n;
    bool done;

    if (open_socket(t, deadline_us, &fd, err) != GAL_OK)
        return GAL_UNAVAILABLE;
    n = snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUser-Agent: galley/" GAL_VERSION
                 "\r\nAccept: application/json\r\nConnection: close\r\n\r\n",
                 t->path, is_v6 ? "[" : "", t->host, is_v6 ? "]" : "", t->port);
    done = send_all(fd, (struct gal_str){request, (size_t)n}, deadline_us) &&
           receive_all(fd, answer, deadline_us);
    n = errno;
    close(fd);
    return done ? GAL_OK
                : gal_fail(err, GAL_UNAVAILABLE, "%s port %s: %s", t->host, t->port, strerror(n));
}

/* --- the answer --- */

/* "HTTP/1.1 503 Service Unavailable" in front; false when it is no HTTP. The status line alone
 * counts: a head or body that is cut off changes nothing in the verdict. */
static bool split(struct gal_str answer, uint64_t *status, struct gal_str *reason,
                  struct gal_str *body)
{
    struct gal_str line, version, code;
    const char *line_end = answer.n ? memmem(answer.p, answer.n, "\r\n", 2) : NULL;
    const char *head_end = answer.n ? memmem(answer.p, answer.n, "\r\n\r\n", 4) : NULL;

    if (!line_end || !gal_str_starts(answer, GAL_STR("HTTP/1.")))
        return false;
    *body = head_end ? (struct gal_str){head_end + 4, (size_t)(answer.p + answer.n - head_end - 4)}
                     : GAL_STR("");
    line = (struct gal_str){answer.p, (size_t)(line_end - answer.p)};
    if (!gal_str_cut(&line, ' ', &version) || !gal_str_cut(&line, ' ', &code) ||
        gal_str_u64(code, status) != GAL_OK)
        return false;
    *reason = line;
    return true;
}

/* What the body says in `detail`, `error` or `status`; the start of the body when it says none. */
static struct gal_str words_of(struct gal_str body, struct gal_arena *arena)
{
    static const char *const keys[] = {"detail", "error", "status"};
    yyjson_val *root;

    body = gal_str_trim(body);
    if (gal_json_read(body, arena, GAL_JSON_DEPTH_MAX, &root, NULL) == GAL_OK) {
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            yyjson_val *v = yyjson_obj_get(root, keys[i]);
            if (yyjson_is_str(v))
                return (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)};
        }
    }
    return (struct gal_str){body.p, body.n < 200 ? body.n : 200};
}

static int print_verdict(struct gal_cli *cli, struct gal_str answer)
{
    struct gal_str reason, body;
    struct gal_err err;
    uint64_t status;
    bool healthy;
    FILE *out;

    if (!split(answer, &status, &reason, &body)) {
        gal_fail(&err, GAL_UNAVAILABLE, "the answer is no HTTP/1.1");
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    }
    healthy = status >= 200 && status < 300;
    out = healthy ? cli->out : cli->err;
    fprintf(out, "%s%u ", healthy ? "" : "galley: health: ", (unsigned)status);
    gal_print_text(out, reason);
    body = words_of(body, &cli->arena);
    fputs(body.n ? ": " : "", out);
    gal_print_text(out, body);
    fputc('\n', out);
    return healthy ? GAL_EXIT_OK : GAL_EXIT_FAILURE;
}

/* --- the command --- */

static const struct gal_config_row timeout_row = {
    .name = "timeout", .type = GAL_CONF_DURATION, .min = 1000, .max = 3600000000u, .arg = "TIME"};

static int run_health(struct gal_cli *cli)
{
    const char *timeout = gal_cli_value(cli, "timeout");
    struct gal_config_value limit;
    struct gal_buf answer;
    struct target t;
    struct gal_err err;
    int code;

    if (gal_config_parse(&timeout_row, timeout ? timeout : "5s", &limit, &err) != GAL_OK) {
        gal_err_place(&err, "--timeout");
        return gal_cli_fail(cli, GAL_EXIT_USAGE, &err);
    }
    gal_buf_init(&answer, ANSWER_BYTES_MAX);
    if (cli->operand_count && parse_url(cli->operands[0], &t, &err) != GAL_OK)
        code = gal_cli_fail(cli, GAL_EXIT_USAGE, &err);
    else if ((!cli->operand_count && default_target(cli, &t, &err) != GAL_OK) ||
             get(&t, limit.number, &answer, &err) != GAL_OK)
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    else
        code = print_verdict(cli, gal_buf_str(&answer));
    gal_buf_release(&answer);
    return code;
}

static const struct gal_option options[] = {
    {"timeout", '\0', "TIME", "Give up after this time [5s]"},
};
static const struct gal_example examples[] = {
    {"galley health", "Is the server of this environment ready?"},
    {"galley health http://10.0.0.7:9000/health/live --timeout 2s", "Another server, liveness."},
    {"HEALTHCHECK CMD [\"galley\", \"health\"]", "In a Dockerfile."},
};

const struct gal_command gal_command_health = {
    .name = "health",
    .summary = "Ask a server whether it is ready",
    .operands = "[URL]",
    .words = "",
    .operands_max = 1,
    .text = "Without URL, asks the host and port of the settings for /health/ready, so that the "
            "same container needs no more than \"galley health\". The exit code is 0 when the "
            "answer is 2xx, else 1, with the server's reason.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = UINT64_C(1) << GAL_KEY_HOST | UINT64_C(1) << GAL_KEY_HTTP_PORT,
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .fails_with_1 = true,
    .run = run_health,
};
