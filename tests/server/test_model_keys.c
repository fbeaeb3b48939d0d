/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of a model: in the entries of `models:`, and on their way to its configuration. */
#include "base/mem.h"
#include "server/model_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Writes a configuration file of the test's own; returns its name. */
static const char *file_with(const char *text)
{
    static char name[64];
    FILE *f;

    snprintf(name, sizeof(name), "/tmp/galley-keys-%ld.yaml", (long)getpid());
    f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return name;
}

static int set_up(void **state)
{
    struct gal_config *c = calloc(1, sizeof(*c));

    gal_config_init(c);
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    gal_config_release(*state);
    free(*state);
    unlink(file_with(""));
    return 0;
}

static void an_entry_of_models_has_keys_of_its_own(void **state)
{
    struct gal_config *c = *state;
    struct gal_model_config base;
    const struct gal_config_path *p;
    struct gal_err err;
    const char *file = file_with("workers: 3\n"
                                 "models:\n"
                                 "  - plain\n"
                                 "  - path: models/iris\n"
                                 "    name: flower\n"
                                 "    max-batch-size: 16\n"
                                 "    preferred_batch_sizes: [4, 8]\n"
                                 "    request_timeout: 0\n"
                                 "    padding:\n"
                                 "      - axis: sequence\n"
                                 "        buckets: [16, 32]\n"
                                 "        value: -1.5\n"
                                 "        mask: attention_mask\n");

    if (gal_config_read_file(c, file, &err) != GAL_OK)
        fail_msg("%s: %s", err.place, err.message);
    assert_int_equal(c->path_count, 2);
    assert_string_equal(c->paths[0].path, "plain");
    assert_int_equal(c->paths[0].own_count, 0);
    p = &c->paths[1];
    assert_string_equal(p->path, "models/iris");
    assert_string_equal(p->name, "flower");
    assert_int_equal(p->own_count, 3);
    assert_int_equal(p->own[0].key, GAL_KEY_MAX_BATCH_SIZE);
    assert_int_equal(p->own[0].value.number, 16);
    assert_string_equal(p->own[1].value.text, "4,8");
    assert_int_equal(p->padding_count, 1);
    assert_true(gal_str_is(p->padding[0].axis, "sequence"));
    assert_true(gal_str_is(p->padding[0].mask, "attention_mask"));
    assert_int_equal(p->padding[0].buckets[1], 32);
    assert_true(p->padding[0].value == -1.5);
    if (gal_model_keys_base(c, &base, &err) != GAL_OK)
        fail_msg("%s: %s", err.place, err.message);
    assert_int_equal(base.workers, 3);
    assert_false(base.versions_told);
}

static void what_is_wrong_in_an_entry_is_named_with_its_line(void **state)
{
    static const struct {
        const char *text, *place, *message, *hint;
    } rows[] = {
        {"models:\n  - path: a\n    workerz: 2\n", ":3", "workerz: unknown key",
         "did you mean workers?"},
        {"models:\n  - path: a\n    paddin: 2\n", ":3", "paddin: unknown key",
         "did you mean padding?"},
        {"models:\n  - path: a\n    http_port: 2\n", ":3",
         "http_port: is the whole server's: put it at the top of the file", ""},
        {"models:\n  - path: a\n    workers: 2000\n", ":3: workers", "2000 is out of range 0..1024",
         ""},
        {"models:\n  - path: a\n    max-batch-size: 2\n    max_batch_size: 3\n", ":4",
         "max_batch_size: stands twice", ""},
        {"models:\n  - path: [a]\n", ":2", "path: must be a path", ""},
        {"models:\n  - path: a\n    name: [x]\n", ":3", "name: must be the name of one model", ""},
        {"models:\n  - path: a\n    padding: 3\n", ":3",
         "padding: must be a mapping of axis, buckets, value and mask", ""},
        {"models:\n  - path: a\n    padding: {buckets: [3]}\n", ":3",
         "padding: axis is missing: a dimension's name in the model, or INPUT:INDEX", ""},
        {"models:\n  - path: a\n    padding: {axis: n}\n", ":3",
         "padding: buckets is missing: the sizes to fill up to, as [16, 32, 64]", ""},
        {"models:\n  - path: a\n    padding: {axis: n, buckets: [8, 4]}\n", ":3",
         "buckets: must ascend", ""},
        {"models:\n  - path: a\n    padding: {axis: n, buckets: [0]}\n", ":3",
         "buckets: must hold whole numbers from 1", ""},
        {"models:\n  - path: a\n    padding: {axis: n, buckets: [8], value: x}\n", ":3",
         "value: must be a number", ""},
        {"models:\n  - path: a\n    padding: {axis: n, bucket: [8]}\n", ":3", "bucket: unknown key",
         "padding takes axis, buckets, value and mask"},
        {"padding: {axis: n}\n", ":1", "padding: is a model's: put it into an entry of models", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct gal_config c;
        struct gal_err err;
        char want[96];
        const char *file = file_with(rows[i].text);

        gal_config_init(&c);
        gal_err_clear(&err);
        assert_int_equal(gal_config_read_file(&c, file, &err), GAL_INVALID);
        snprintf(want, sizeof(want), "%s%s", file, rows[i].place);
        assert_string_equal(err.place, want);
        assert_string_equal(err.message, rows[i].message);
        assert_string_equal(err.hint, rows[i].hint);
        gal_config_release(&c);
    }
}

static void keys_that_contradict_are_told_at_the_start(void **state)
{
    struct gal_config *c = *state;
    struct gal_model_config base;
    struct gal_err err;
    char want[96];
    const char *file = file_with("models:\n"
                                 "  - path: a\n"
                                 "    max_batch_size: 4\n"
                                 "    preferred_batch_sizes: 8\n");

    assert_int_equal(gal_config_read_file(c, file, &err), GAL_OK);
    assert_int_equal(gal_model_keys_base(c, &base, &err), GAL_INVALID);
    snprintf(want, sizeof(want), "%s:2", file);
    assert_string_equal(err.place, want);
    assert_string_equal(err.message, "a preferred batch size of 8 is more than max_batch_size, 4");
}

static void what_needs_a_queue_contradicts_inline(void **state)
{
    struct gal_config *c = *state;
    struct gal_model_config base;
    struct gal_err err;
    char want[96];
    const char *file = file_with("models:\n"
                                 "  - path: a\n"
                                 "    schedule: inline\n"
                                 "    max_queue_size: 9\n"
                                 "  - path: b\n"
                                 "    schedule: inline\n"
                                 "    preserve_ordering: on\n"
                                 "    max_queue_delay: 1ms\n"
                                 "    priority_levels: 2\n"
                                 "    preferred_batch_sizes: 4,8\n"
                                 "    latency_target: 5ms\n");

    assert_int_equal(gal_config_read_file(c, file, &err), GAL_OK);
    assert_int_equal(gal_model_keys_base(c, &base, &err), GAL_INVALID);
    snprintf(want, sizeof(want), "%s:5", file);
    assert_string_equal(err.place, want);
    assert_string_equal(err.message,
                        "with schedule inline nothing waits in a queue: max_queue_delay, "
                        "priority_levels, preserve_ordering, preferred_batch_sizes and "
                        "latency_target have no effect");
    assert_string_equal(err.hint, "set schedule to auto or workers, or leave them out");
    gal_config_release(c);
    gal_config_init(c); /* for all models the one, for one the other: the log says so */
    file = file_with("max_queue_delay: 1ms\nmodels:\n  - path: a\n    schedule: inline\n");
    assert_int_equal(gal_config_read_file(c, file, &err), GAL_OK);
    assert_int_equal(gal_model_keys_base(c, &base, &err), GAL_OK);
    assert_true(base.base_minds_queue);
    gal_config_release(c);
    gal_config_init(c);
    file = file_with("schedule: inline\npriority_levels: 2\nmodels:\n  - path: a\n");
    assert_int_equal(gal_config_read_file(c, file, &err), GAL_OK);
    assert_int_equal(gal_model_keys_base(c, &base, &err), GAL_INVALID);
    assert_string_equal(err.message, "with schedule inline nothing waits in a queue: "
                                     "priority_levels has no effect");
}

static size_t queue_bytes(struct gal_config *c, const char *text)
{
    struct gal_model_config base;
    struct gal_err err;

    gal_config_release(c);
    gal_config_init(c);
    assert_int_equal(gal_config_read_file(c, file_with(text), &err), GAL_OK);
    assert_int_equal(gal_model_keys_base(c, &base, &err), GAL_OK);
    return base.policy.bytes_max;
}

static void a_queue_has_untold_half_of_the_memory_of_requests_at_most(void **state)
{
    struct gal_config *c = *state;

    assert_int_equal(queue_bytes(c, "max_request_memory: 64MiB\n"), 32u << 20);
    assert_int_equal(queue_bytes(c, "max_request_memory: 8GiB\n"), GAL_QUEUE_BYTES_MAX);
    assert_int_equal(queue_bytes(c, "max_request_memory: 64MiB\nmax_queue_bytes: 48MiB\n"),
                     48u << 20);
    assert_true(queue_bytes(c, "max_queue_bytes: 0\n") <= GAL_QUEUE_BYTES_MAX);
}

static const struct {
    enum gal_config_key key;
    const char *text;
} every_key[] = {
    {GAL_KEY_WORKERS, "3"},
    {GAL_KEY_INTRA_OP_THREADS, "2"},
    {GAL_KEY_MODEL_MEMORY_LIMIT, "3GiB"},
    {GAL_KEY_GRAPH_OPTIMIZATION, "basic"},
    {GAL_KEY_SHARE_WEIGHTS, "on"},
    {GAL_KEY_SCHEDULE, "workers"},
    {GAL_KEY_INLINE_LIMIT, "1ms"},
    {GAL_KEY_BATCHING, "off"},
    {GAL_KEY_MAX_BATCH_SIZE, "64"},
    {GAL_KEY_PREFERRED_BATCH_SIZES, "8, 16"},
    {GAL_KEY_MAX_QUEUE_DELAY, "5ms"},
    {GAL_KEY_PRESERVE_ORDERING, "on"},
    {GAL_KEY_PRIORITY_LEVELS, "4"},
    {GAL_KEY_DEFAULT_PRIORITY, "2"},
    {GAL_KEY_WARMUP, "7"},
    {GAL_KEY_MAX_QUEUE_SIZE, "9"},
    {GAL_KEY_MAX_QUEUE_BYTES, "2MiB"},
    {GAL_KEY_QUEUE_TIMEOUT, "3s"},
    {GAL_KEY_QUEUE_TIMEOUT_ACTION, "delay"},
    {GAL_KEY_ALLOW_TIMEOUT_OVERRIDE, "off"},
    {GAL_KEY_LATENCY_TARGET, "20ms"},
    {GAL_KEY_RESPONSE_CACHE, "on"},
    {GAL_KEY_RESPONSE_CACHE_TTL, "1m"},
    {GAL_KEY_VERSIONS, "latest:2"},
    {GAL_KEY_VERIFY, "after"},
    {GAL_KEY_LOAD, "lazy"},
    {GAL_KEY_VERSION_LABELS, "stable=1,canary=2"},
};
#define EVERY_KEY (sizeof(every_key) / sizeof(every_key[0]))

static void every_key_of_a_model_reaches_its_configuration(void **state)
{
    struct gal_config *c = *state;
    struct gal_model_config m;
    struct gal_err err;
    size_t models = 0;

    for (size_t i = 0; i < GAL_KEY_COUNT; i++)
        models += gal_config_rows[i].scope == GAL_SCOPE_MODEL;
    assert_int_equal(models, EVERY_KEY);
    for (size_t i = 0; i < EVERY_KEY; i++)
        assert_int_equal(gal_config_set(c, &gal_config_rows[every_key[i].key], GAL_FROM_FLAG,
                                        every_key[i].text, "x", &err),
                         GAL_OK);
    assert_int_equal(gal_model_keys_base(c, &m, &err), GAL_OK);
    assert_int_equal(m.workers, 3);
    assert_int_equal(m.backend.intra_op_threads, 2);
    assert_int_equal(m.backend.memory_bytes_max, 3ul << 30);
    assert_int_equal(m.backend.graph_level, GAL_GRAPH_BASIC);
    assert_true(m.backend.share_weights);
    assert_int_equal(m.mode, GAL_SCHED_WORKERS);
    assert_int_equal(m.inline_us_max, 1000);
    assert_false(m.batching);
    assert_int_equal(m.verify, GAL_VERIFY_AFTER);
    assert_true(m.lazy);
    assert_int_equal(m.max_batch_size, 64);
    assert_int_equal(m.policy.preferred_count, 2);
    assert_int_equal(m.policy.preferred[1], 16);
    assert_int_equal(m.policy.delay_us_max, 5000);
    assert_true(m.policy.keep_order);
    assert_int_equal(m.policy.levels, 4);
    assert_int_equal(m.policy.default_level, 2);
    assert_int_equal(m.warmup_runs, 7);
    assert_int_equal(m.policy.jobs_max, 9);
    assert_int_equal(m.policy.bytes_max, 2 << 20);
    assert_int_equal(m.policy.level[3].timeout_us, 3000000);
    assert_int_equal(m.policy.level[0].action, GAL_TIMEOUT_DELAY);
    assert_false(m.policy.level[31].override);
    assert_int_equal(m.policy.target_us, 20000);
    assert_true(m.cache.on);
    assert_int_equal(m.cache.ttl_us, 60000000);
    assert_int_equal(m.versions, GAL_VERSIONS_LATEST);
    assert_int_equal(m.version_latest, 2);
    assert_true(m.versions_told);
    assert_int_equal(m.label_count, 2);
    assert_string_equal(gal_model_config_label(&m, GAL_STR("canary"))->version, "2");
    assert_null(gal_model_config_label(&m, GAL_STR("can")));
}

static void labels_of_versions_are_checked(void **state)
{
    static const char *const rows[][2] = {
        {"stable", "'stable' is no label and version, as in stable=1"},
        {"=1", "'=1' is no label and version, as in stable=1"},
        {"a=1,,b=2", "'' is no label and version, as in stable=1"},
        {"a b=1", "'a b=1' is no label and version, as in stable=1"},
        {"a=1/2", "'a=1/2' is no label and version, as in stable=1"},
        {"latest=1", "the label 'latest' is built in: it is the newest version"},
        {"a=1, a=2", "the label 'a' is given twice"},
        {"a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1,q=1",
         "more than 16 labels are given"},
    };
    struct gal_model_config m;
    struct gal_err err;
    char longer[80];

    (void)state;
    gal_model_config_init(&m);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(gal_model_config_labels(&m, gal_str_of(rows[i][0]), &err), GAL_INVALID);
        assert_string_equal(err.message, rows[i][1]);
    }
    snprintf(longer, sizeof(longer), "%063d=1", 0);
    assert_int_equal(gal_model_config_labels(&m, gal_str_of(longer), &err), GAL_OK);
    snprintf(longer, sizeof(longer), "%064d=1", 0);
    assert_int_equal(gal_model_config_labels(&m, gal_str_of(longer), &err), GAL_INVALID);
    assert_int_equal(gal_model_config_labels(&m, GAL_STR(" a = 2.1.0 , b=2"), &err), GAL_OK);
    assert_string_equal(gal_model_config_label(&m, GAL_STR("a"))->version, "2.1.0");
    assert_int_equal(gal_model_config_labels(&m, (struct gal_str){NULL, 0}, &err), GAL_OK);
    assert_int_equal(m.label_count, 0);
}

/* Each alone gives another digest than none: a reload sees every change. */
static void every_key_of_a_model_changes_the_digest(void **state)
{
    char untold[GAL_SHA256_HEX_SIZE] = "";

    (void)state;
    for (size_t i = 0; i <= EVERY_KEY; i++) {
        struct gal_config c;
        struct gal_model_config m;
        const struct gal_config_row *row = &gal_config_rows[every_key[i % EVERY_KEY].key];
        const char *text = i == EVERY_KEY ? row->default_text : every_key[i].text;

        if (row->key == GAL_KEY_DEFAULT_PRIORITY)
            continue; /* means something beside priority_levels alone */
        gal_config_init(&c);
        if (untold[0] == '\0') {
            assert_int_equal(gal_model_keys_base(&c, &m, NULL), GAL_OK);
            assert_int_equal(gal_model_config_settle(&m, (struct gal_str){NULL, 0}, NULL), GAL_OK);
            memcpy(untold, m.digest, sizeof(untold));
        }
        assert_int_equal(gal_config_set(&c, row, GAL_FROM_FLAG, text, "x", NULL), GAL_OK);
        assert_int_equal(gal_model_keys_base(&c, &m, NULL), GAL_OK);
        assert_int_equal(gal_model_config_settle(&m, (struct gal_str){NULL, 0}, NULL), GAL_OK);
        if (i == EVERY_KEY)
            assert_string_equal(m.digest, untold);
        else if (strcmp(m.digest, untold) == 0)
            fail_msg("%s changes nothing", row->name);
        gal_config_release(&c);
    }
}

static void memory_that_is_out_is_told(void **state)
{
    const char *file = file_with("models:\n  - path: a\n    name: b\n    workers: 2\n"
                                 "    padding: {axis: n, buckets: [8]}\n");
    enum gal_status status = GAL_NO_MEMORY;
    uint64_t n = 0;

    (void)state;
    while (status != GAL_OK) {
        struct gal_config c;
        struct gal_err err;
        gal_config_init(&c);
        gal_err_clear(&err);
        gal_alloc_fail_at(++n, 1);
        status = gal_config_read_file(&c, file, &err);
        gal_alloc_fail_at(0, 0);
        assert_true(status == GAL_OK || err.message[0]);
        gal_config_release(&c);
        assert_true(n < 500);
    }
    assert_true(n > 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_of_models_has_keys_of_its_own),
        TEST(what_is_wrong_in_an_entry_is_named_with_its_line),
        TEST(keys_that_contradict_are_told_at_the_start),
        TEST(what_needs_a_queue_contradicts_inline),
        TEST(a_queue_has_untold_half_of_the_memory_of_requests_at_most),
        TEST(every_key_of_a_model_reaches_its_configuration),
        TEST(labels_of_versions_are_checked),
        TEST(every_key_of_a_model_changes_the_digest),
        TEST(memory_that_is_out_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
