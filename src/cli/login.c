/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of registries, kept where docker keeps them. */
#include "base/limits.h"
#include "cli/print.h"
#include "cli/transfer.h"
#include "oci/credentials.h"

#include <termios.h>
#include <unistd.h>

#define SECRET_BYTES_MAX 8192u

/* A line without its end; false when there is none. */
static bool read_line(FILE *in, char *out, size_t size)
{
    size_t n = fgets(out, (int)size, in) ? strlen(out) : 0;
    while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == '\r'))
        out[--n] = '\0';
    return n > 0;
}

static bool ask(struct gal_cli *cli, const char *what, char *out, size_t size)
{
    fprintf(cli->err, "%s: ", what);
    fflush(cli->err);
    return read_line(cli->in, out, size);
}

/* Without showing what is typed. */
static bool ask_secret(struct gal_cli *cli, char *out, size_t size)
{
    struct termios before, hidden;
    int fd = fileno(cli->in);
    bool is_hidden = tcgetattr(fd, &before) == 0;
    if (is_hidden) {
        hidden = before;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(fd, TCSAFLUSH, &hidden);
    }
    bool done = ask(cli, "Password", out, size);
    if (is_hidden) {
        tcsetattr(fd, TCSAFLUSH, &before);
        fputc('\n', cli->err);
    }
    return done;
}

static int get_secrets(struct gal_cli *cli, char *user, size_t user_size, char *password)
{
    const char *given = gal_cli_value(cli, "username");
    bool is_terminal = isatty(fileno(cli->in)) == 1;
    bool from_input = gal_cli_has(cli, "password-stdin");
    if (from_input && !given)
        return gal_cli_usage(cli, "--password-stdin needs --username");
    if (!from_input && !is_terminal)
        return gal_cli_usage(cli, "there is no terminal to ask for a password; give it with "
                                  "--password-stdin");
    if (given && strlen(given) >= user_size)
        return gal_cli_usage(cli, "--username: too long");
    if (given)
        snprintf(user, user_size, "%s", given);
    else if (!ask(cli, "User name", user, user_size))
        return gal_cli_usage(cli, "a user name is missing");
    if (strchr(user, ':'))
        return gal_cli_usage(cli, "a user name holds no colon");
    if (!(from_input ? read_line(cli->in, password, SECRET_BYTES_MAX)
                     : ask_secret(cli, password, SECRET_BYTES_MAX)))
        return gal_cli_usage(cli, "a password is missing");
    return GAL_EXIT_OK;
}

/* Asks the registry, then keeps what it accepts. */
static enum gal_status login(struct gal_cli *cli, const struct gal_reference *ref, const char *user,
                             const char *password, struct gal_err *err)
{
    struct gal_registry_options options = {.user = user, .password = password};
    struct gal_credential_places places = {.env = cli->env};
    struct gal_registry *registry = NULL;
    const char *path, *helper;
    gal_transfer_trust(cli, &options);
    enum gal_status status = gal_registry_open(ref, &options, &registry, err);
    if (!status)
        status = gal_registry_login(registry, err);
    gal_registry_close(registry);
    if (status == GAL_UNAUTHENTICATED) {
        gal_fail(err, status, "%s: user or password is wrong", ref->host);
        gal_err_hint(err, "many registries want an access token for a password");
    }
    if (!status)
        status = gal_credentials_store(&places, ref->host, user, password, &cli->arena, &path,
                                       &helper, err);
    if (status)
        return status;
    if (helper[0])
        fprintf(cli->err, "kept by docker-credential-%s\n", helper);
    else
        fprintf(cli->err,
                "kept in %s, readable to you alone but not encrypted; \"credsStore\" there "
                "names a helper that does better\n",
                path);
    fprintf(cli->out, "logged in to %s as ", ref->host);
    gal_print_text(cli->out, gal_str_of(user));
    fputc('\n', cli->out);
    return GAL_OK;
}

static int run_login(struct gal_cli *cli)
{
    struct gal_reference ref = {.tag = ""};
    char user[256], password[SECRET_BYTES_MAX];
    struct gal_err err;
    if (gal_registry_host_parse(gal_str_of(cli->operands[0]), ref.host, &err) != GAL_OK)
        return gal_cli_fail(cli, GAL_EXIT_USAGE, &err);
    int code = get_secrets(cli, user, sizeof user, password);
    if (code == GAL_EXIT_OK && login(cli, &ref, user, password, &err) != GAL_OK)
        code = gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    explicit_bzero(password, sizeof password);
    return code;
}

static int run_logout(struct gal_cli *cli)
{
    struct gal_credential_places places = {.env = cli->env};
    const char *path = NULL;
    char host[256];
    struct gal_err err;
    bool found;
    if (gal_registry_host_parse(gal_str_of(cli->operands[0]), host, &err) != GAL_OK)
        return gal_cli_fail(cli, GAL_EXIT_USAGE, &err);
    if (gal_credentials_erase(&places, host, &cli->arena, &path, &found, &err) != GAL_OK)
        return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
    fprintf(cli->out, found ? "logged out of %s\n" : "there was no login to %s\n", host);
    return GAL_EXIT_OK;
}

static const struct gal_option login_options[] = {
    {"username", 'u', "NAME", "Who to be; asked for on a terminal"},
    {"password-stdin", '\0', NULL, "Read the password from standard input"},
    GAL_REGISTRY_OPTIONS,
};
static const struct gal_example login_examples[] = {
    {"galley login registry.example.com", "Asks for user and password."},
    {"galley login ghcr.io -u me --password-stdin < token", "In a script."},
};
const struct gal_command gal_command_login = {
    .name = "login",
    .summary = "Keep user and password for a registry",
    .operands = "HOST",
    .words = "",
    .operands_min = 1,
    .operands_max = 1,
    .text = "The registry is asked whether it accepts them. They are kept as docker keeps them: in "
            "$DOCKER_CONFIG/config.json, else ~/.docker/config.json ($REGISTRY_AUTH_FILE in place "
            "of both), or by the credential helper that this file names. Passwords are never taken "
            "from the command line, where others of the machine could read them.",
    .options = login_options,
    .option_count = sizeof(login_options) / sizeof(login_options[0]),
    .examples = login_examples,
    .example_count = sizeof(login_examples) / sizeof(login_examples[0]),
    .run = run_login,
};

static const struct gal_example logout_examples[] = {
    {"galley logout registry.example.com", "Its password is forgotten."},
};
const struct gal_command gal_command_logout = {
    .name = "logout",
    .summary = "Forget user and password of a registry",
    .operands = "HOST",
    .words = "",
    .operands_min = 1,
    .operands_max = 1,
    .text = "Removes what galley login, or docker login, has kept.",
    .examples = logout_examples,
    .example_count = sizeof(logout_examples) / sizeof(logout_examples[0]),
    .run = run_logout,
};
