/* SPDX-License-Identifier: Apache-2.0 */
/* Sources while memory runs out and files fail: each allocation, then each file call, fails once. A
 * source is then in place and whole, or an error says why and nothing is held; the next try finds
 * what the failed one left and ends well. */
#include "base/file_write.h"
#include "base/mem.h"
#include "net/fetch_peer.h"
#include "source/shelf.h"
#include "source/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEPS_MAX 4000u
#define BODY "0123456789abcdef0123456789abcdef"
#define BODY_BYTES (sizeof(BODY) - 1)

static char root[64];
static struct fetch_peer peer;
static char endpoint[64], *env[8];

/* --- the stores --- */

static void send_text(int fd, const char *type, const char *text)
{
    fetch_peer_send(fd, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
                    type, strlen(text), text);
}

/* An object, whole or in part. */
static bool send_object(struct fetch_peer *p, int fd, unsigned index)
{
    const char *range = strcasestr(p->asked[index].head, "\r\nrange: bytes=");
    unsigned long first = 0, last = BODY_BYTES - 1;
    bool is_head = strncmp(p->asked[index].head, "HEAD ", 5) == 0;
    if (range) {
        char *end;
        first = strtoul(range + strlen("\r\nrange: bytes="), &end, 10);
        if (end[1] >= '0' && end[1] <= '9')
            last = strtoul(end + 1, NULL, 10);
        last = last < BODY_BYTES ? last : BODY_BYTES - 1;
        fetch_peer_send(fd, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %lu-%lu/%zu\r\n",
                        first, last, BODY_BYTES);
    } else {
        fetch_peer_send(fd, "HTTP/1.1 200 OK\r\n");
    }
    fetch_peer_send(fd, "Connection: close\r\nETag: \"one\"\r\nContent-Length: %lu\r\n\r\n%.*s",
                    last - first + 1, is_head ? 0 : (int)(last - first + 1), &BODY[first]);
    return false;
}

static bool answer(struct fetch_peer *p, int fd, unsigned index)
{
    const char *head = p->asked[index].head;
    if (strstr(head, "list-type=2"))
        send_text(fd, "application/xml",
                  "<ListBucketResult><IsTruncated>false</IsTruncated>"
                  "<Contents><Key>dir/a.onnx</Key><Size>32</Size><ETag>\"one\"</ETag></Contents>"
                  "<Contents><Key>dir/sub/b</Key><Size>32</Size><ETag>\"one\"</ETag></Contents>"
                  "</ListBucketResult>");
    else if (strstr(head, "?prefix="))
        send_text(fd, "application/json",
                  "{\"items\":[{\"name\":\"dir/a.onnx\",\"size\":\"32\",\"generation\":\"1\"},"
                  "{\"name\":\"dir/sub/b\",\"size\":\"32\",\"generation\":\"2\"}]}");
    else if (strstr(head, "/o/") && !strstr(head, "alt=media"))
        send_text(fd, "application/json",
                  "{\"name\":\"m.onnx\",\"size\":\"32\",\"generation\":\"1\"}");
    else
        return send_object(p, fd, index);
    return false; /* a connection after the other: galley has several */
}

/* NAME=VALUE; VALUE NULL: where the stores are. */
static void set_env(size_t slot, const char *name, const char *value)
{
    char text[128];
    (void)snprintf(text, sizeof text, "%s=%s", name, value ? value : endpoint);
    free(env[slot]);
    env[slot] = strdup(text);
}

static int open_stores(void **state)
{
    (void)state;
    /* In memory where there is such a place: thousands of files are brought to the disk otherwise.
     */
    (void)snprintf(root, sizeof root, "%s/galley-faults-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(root) ? 0 : -1;
}

static int close_stores(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8; i++)
        free(env[i]);
    return gal_dir_remove(root, NULL) == GAL_OK ? 0 : -1;
}

/* --- one opening --- */

#define HOUR_US 3600000000u

static atomic_ullong now_us = 1705328621000000u;

/* Each look at it is two seconds later: nobody waits before a try is made again. */
static uint64_t read_now(void *ctx)
{
    (void)ctx;
    return atomic_fetch_add(&now_us, 2000000);
}

static const struct gal_clock leaping = {read_now, read_now, NULL, NULL};

static enum gal_status open_once(const char *url, struct gal_source **out, struct gal_err *err)
{
    struct gal_source_options o = {.cache_dir = root, .parallel = 1, .env = env};
    char text[256];
    o.registry.fetch.clock = &leaping;
    o.registry.fetch.stall_timeout_us = HOUR_US;
    (void)snprintf(text, sizeof text, "%s%s", url[0] == '/' ? endpoint : "", url);
    return gal_source_open(gal_str_of(text), &o, out, err);
}

static void assert_whole(const struct gal_source *s, const char *const *files)
{
    struct gal_buf bytes;
    for (size_t i = 0; files[i]; i++) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s%s%s", gal_source_path(s), files[i][0] ? "/" : "",
                       files[i]);
        assert_int_equal(gal_file_read(path, 1000, &bytes, NULL), GAL_OK);
        assert_true(gal_str_is(gal_buf_str(&bytes), BODY));
        gal_buf_release(&bytes);
    }
}

/* Nothing that is held, and nothing that looks whole and is not: the next opening sees to that. */
static void empty_the_cache(void)
{
    struct gal_shelf_entry *list;
    size_t count;
    assert_int_equal(gal_shelf_list(root, &list, &count, NULL), GAL_OK);
    for (size_t i = 0; i < count; i++) {
        assert_false(list[i].in_use);
        assert_int_equal(gal_shelf_remove(root, list[i].key, NULL), GAL_OK);
    }
    gal_free(list);
}

static void begin_peer(void)
{
    fetch_peer_start(&peer, answer, NULL);
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", peer.port);
    set_env(0, "STORAGE_EMULATOR_HOST", NULL);
    set_env(1, "AWS_ENDPOINT_URL", NULL);
    set_env(2, "AWS_ACCESS_KEY_ID", "a");
    set_env(3, "AWS_SECRET_ACCESS_KEY", "b");
    set_env(4, "AWS_REGION", "eu-central-1");
    set_env(5, "AWS_EC2_METADATA_DISABLED", "true");
}

/* The i-th call fails, for every i until none does. */
static void fail_each(const char *url, const char *const *files, bool memory)
{
    bool reached = true;
    unsigned failures = 0;
    for (uint64_t n = 1; reached; n++) {
        struct gal_source *s = NULL;
        struct gal_err err;
        assert_true(n < STEPS_MAX);
        begin_peer();
        uint64_t before = gal_alloc_count();
        if (memory)
            gal_alloc_fail_at(n, 1);
        else
            gal_file_fail_at(n);
        enum gal_status status = open_once(url, &s, &err);
        reached = memory ? gal_alloc_count() - before >= n : n < 120;
        gal_alloc_fail_at(0, 0);
        gal_file_fail_at(0);
        if (status) {
            failures++;
            assert_null(s);
            assert_true(err.message[0] != '\0');
        } else {
            assert_whole(s, files);
        }
        gal_source_close(s);
        fetch_peer_stop(&peer);
        if (status) { /* what it left is no hindrance */
            begin_peer();
            status = open_once(url, &s, &err);
            if (status)
                fail_msg("%s after step %u: %s", url, (unsigned)n, err.message);
            assert_whole(s, files);
            gal_source_close(s);
            fetch_peer_stop(&peer);
        }
        empty_the_cache();
    }
    assert_true(failures > 3);
}

static const char *const one[] = {"", NULL}, *const two[] = {"a.onnx", "sub/b", NULL};

static void a_file_by_http(void **state)
{
    (void)state;
    fail_each("/m.onnx", one, true);
    fail_each("/m.onnx", one, false);
}

static void an_object_and_a_directory_of_google(void **state)
{
    (void)state;
    fail_each("gs://bucket/m.onnx", one, true);
    fail_each("gs://bucket/dir/", two, true);
    fail_each("gs://bucket/dir/", two, false);
}

static void an_object_and_a_directory_of_s3(void **state)
{
    (void)state;
    fail_each("s3://bucket/m.onnx", one, true);
    fail_each("s3://bucket/dir/", two, true);
    fail_each("s3://bucket/dir/", two, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_by_http),
        cmocka_unit_test(an_object_and_a_directory_of_google),
        cmocka_unit_test(an_object_and_a_directory_of_s3),
    };
    return cmocka_run_group_tests(tests, open_stores, close_stores);
}
