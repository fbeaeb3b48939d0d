/* SPDX-License-Identifier: Apache-2.0 */
/* Structured CloudEvents. Oracle: an event that is read, whose data is JSON, is itself JSON, and
 * the data that was cut out of it is the value that a JSON parser finds there. */
#include "api/cloudevents.h"
#include "text/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct gal_str text, struct gal_str data, struct gal_arena *arena)
{
    yyjson_val *whole, *part;

    if (data.n == 0) {
        GAL_ASSERT(gal_json_read(text, arena, GAL_JSON_DEPTH_MAX, &whole, NULL) == GAL_OK);
        GAL_ASSERT(yyjson_obj_get(whole, "data") == NULL);
        return;
    }
    if (gal_json_read(data, arena, GAL_JSON_DEPTH_MAX - 1, &part, NULL) != GAL_OK)
        return; /* the endpoint refuses it */
    GAL_ASSERT(gal_json_read(text, arena, GAL_JSON_DEPTH_MAX, &whole, NULL) == GAL_OK);
    GAL_ASSERT(yyjson_equals(yyjson_obj_get(whole, "data"), part));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str text = {(const char *)data, size};
    struct gal_event_data event;
    struct gal_arena arena;
    struct gal_err err;

    if (size > 65536)
        return 0;
    gal_arena_init(&arena, 4096, 0, 64 << 20);
    gal_err_clear(&err);
    if (gal_event_read(text, &arena, &event, &err) != GAL_OK)
        GAL_ASSERT(err.message[0] != '\0' && err.code != GAL_OK);
    else if (event.is_json)
        check(text, event.text, &arena);
    gal_arena_release(&arena);
    return 0;
}
