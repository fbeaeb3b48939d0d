/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a server is ready: for HEALTHCHECK lines and scripts. */
#include "base/limits.h"
#include "cli/command.h"
#include "cli/fetch.h"
#include "cli/print.h"
#include "text/json.h"

#define ANSWER_BYTES_MAX 65536u /* head and body; more is cut off */

static enum gal_status given_target(const char *url, struct gal_target *t, struct gal_err *err)
{
    enum gal_status status = gal_target_parse(url, t, err);

    if (status == GAL_OK && !t->path[0])
        snprintf(t->path, sizeof(t->path), "/health/ready");
    return status;
}

/* Whom to believe, and what to show. The default target is this server itself: nothing secret goes
 * to it, and its certificate has the name that others know it by. */
static enum gal_status set_trust(const struct gal_cli *cli, struct gal_target *t,
                                 struct gal_err *err)
{
    t->trust = (struct gal_tls_trust){.ca_file = gal_cli_value(cli, "ca"),
                                      .certificate_file = gal_cli_value(cli, "cert"),
                                      .key_file = gal_cli_value(cli, "key"),
                                      .insecure = gal_cli_has(cli, "insecure") ||
                                                  (!cli->operand_count && !gal_cli_has(cli, "ca"))};
    if (t->trust.certificate_file != NULL && t->trust.key_file == NULL)
        t->trust.key_file = t->trust.certificate_file;
    if (t->trust.certificate_file == NULL && t->trust.key_file != NULL)
        return gal_fail(err, GAL_INVALID, "--key needs --cert");
    return GAL_OK;
}

/* Where a server with this environment listens: on the plain port where there is one. */
static enum gal_status default_target(struct gal_cli *cli, struct gal_target *t,
                                      struct gal_err *err)
{
    struct gal_config config;
    const char *host;
    uint64_t port;
    enum gal_status status;

    gal_config_init(&config);
    status = gal_cli_config(cli, &config, err);
    host = config.values[GAL_KEY_HOST].text;
    if (strcmp(host, "0.0.0.0") == 0 || host[0] == '\0')
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    port = config.values[GAL_KEY_HTTP_PORT].number;
    *t = (struct gal_target){.tls = port == GAL_CONF_PORT_OFF};
    if (t->tls)
        port = config.values[GAL_KEY_HTTPS_PORT].number;
    if (status == GAL_OK && port == GAL_CONF_PORT_OFF)
        status = gal_fail(err, GAL_INVALID, "http_port and https_port are off");
    if (status == GAL_OK && port == 0) {
        status = gal_fail(err, GAL_INVALID, "the port is 0: any");
        gal_err_hint(err, "give the URL that the server's log shows");
    }
    snprintf(t->host, sizeof(t->host), "%s", host);
    snprintf(t->port, sizeof(t->port), "%u", (unsigned)port);
    snprintf(t->path, sizeof(t->path), "/health/ready");
    gal_config_release(&config);
    return status;
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
    struct gal_target t;
    struct gal_err err;
    int code;

    if (gal_config_parse(&timeout_row, timeout ? timeout : "5s", &limit, &err) != GAL_OK) {
        gal_err_place(&err, "--timeout");
        return gal_cli_fail(cli, GAL_EXIT_USAGE, &err);
    }
    gal_buf_init(&answer, ANSWER_BYTES_MAX);
    if (cli->operand_count && given_target(cli->operands[0], &t, &err) != GAL_OK)
        code = gal_cli_fail(cli, GAL_EXIT_USAGE, &err);
    else if ((!cli->operand_count && default_target(cli, &t, &err) != GAL_OK) ||
             set_trust(cli, &t, &err) != GAL_OK ||
             gal_target_fetch_raw(&t, limit.number, &answer, &err) != GAL_OK)
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    else
        code = print_verdict(cli, gal_buf_str(&answer));
    gal_buf_release(&answer);
    return code;
}

static const struct gal_option options[] = {
    {"timeout", '\0', "TIME", "Give up after this time [5s]"},
    {"ca", '\0', "FILE", "Certificates (PEM) to trust over https, instead of the system's"},
    {"cert", '\0', "FILE", "Certificate (PEM) to show over https"},
    {"key", '\0', "FILE", "Its key (PEM); may be in the same file"},
    {"insecure", '\0', NULL, "Over https, trust anybody"},
};
static const struct gal_example examples[] = {
    {"galley health", "Is the server of this environment ready?"},
    {"galley health http://10.0.0.7:9000/health/live --timeout 2s", "Another server, liveness."},
    {"galley health https://models.example.com:8443 --ca ca.pem", "Over TLS."},
    {"HEALTHCHECK CMD [\"galley\", \"health\"]", "In a Dockerfile."},
};

const struct gal_command gal_command_health = {
    .name = "health",
    .summary = "Ask a server whether it is ready",
    .operands = "[URL]",
    .words = "",
    .operands_max = 1,
    .text = "Without URL, asks the host and port of the settings for /health/ready, so that the "
            "same container needs no more than \"galley health\"; where http_port is off, at "
            "https_port, and it takes any certificate there. The exit code is 0 when the "
            "answer is 2xx, else 1, with the server's reason.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_HOST, GAL_KEY_HTTP_PORT, GAL_KEY_HTTPS_PORT),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .fails_with_1 = true,
    .run = run_health,
};
